//! The worker of a flow, and whoever comes after it: one that dies is replaced, and so is one that
//! was told to end.

use std::sync::Arc;

use holdfast::queue::{self, Settings, Stopped};
use holdfast::worker::Worker;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::people::START_MS;
use crate::actors::workers::judge;
use crate::gateway::SimulatedGateway;
use crate::policy::queue_settings;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// How long after a charge went out the worker is told to end, where that is the flow.
const INTO_THE_CHARGE_MS: u64 = 2_000;
/// Every poll that finds nothing is an I/O to be struck: a few are enough.
const POLL_MS: u64 = 120_000;

struct Running {
    process: Arc<Process>,
    stop: CancellationToken,
    queue: JoinHandle<Stopped>,
}

/// Keeps one worker running until `end`.
pub(super) async fn keep(world: Arc<World>, mut redeployed: bool, end: CancellationToken) {
    for generation in 0.. {
        let mut running = start(&world, generation);
        let process = Arc::clone(&running.process);
        let redeployment = async {
            if !redeployed {
                std::future::pending::<()>().await;
            }
            process.comes_to("charge").await;
            rest(INTO_THE_CHARGE_MS).await;
        };
        let ends = tokio::select! {
            biased;
            () = process.died() => false,
            () = end.cancelled() => true,
            () = redeployment => {
                redeployed = false;
                stop(&world, &mut running).await;
                false
            }
            _ = &mut running.queue => {
                world.problem("a worker ended by itself");
                false
            }
        };
        if ends {
            return stop(&world, &mut running).await;
        }
        running.process.kill();
        running.queue.abort();
        world.note(&running.process.name, format_args!("is gone"));
        rest(START_MS).await;
    }
}

fn start(world: &Arc<World>, generation: u64) -> Running {
    let process = Arc::new(Process::new(format!("worker.{generation}"), 1));
    let gateway = SimulatedGateway {
        world: Arc::clone(world),
        process: Arc::clone(&process),
    };
    let clock = world.clock.clone();
    let store = Arc::new(SimulatedStore::of(world, &process).telling(&clock));
    let stop = CancellationToken::new();
    let policies = world.policies.clone();
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::new(gateway),
        clock.clone(),
        policies,
    );
    let worker = Arc::new(worker.until(stop.clone()));
    let settings = Settings {
        poll_ms: POLL_MS,
        ..queue_settings(generation)
    };
    world.note(&process.name, format_args!("starts"));
    let queue = tokio::spawn(queue::run(store, worker, clock, settings, stop.clone()));
    Running {
        process,
        stop,
        queue,
    }
}

/// Tells a worker to end, as a redeployment does, and waits until it did or died.
async fn stop(world: &World, running: &mut Running) {
    world.note(&running.process.name, format_args!("is told to end"));
    running.stop.cancel();
    match running.process.outlived(&mut running.queue).await {
        Some(Ok(stopped)) => judge(world, &running.process, (&stopped, world.is_quiet())),
        Some(Err(error)) => world.problem(&format!("a worker panicked: {error}")),
        None => {}
    }
}
