//! Worker processes: the product's queue and worker, killed anywhere, stopped for longer than a
//! lease, told to end, and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast::clock::Clock;
use holdfast::queue::{self, Cause, Stopped};
use holdfast::worker::{Policies, Worker};
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::gateway::SimulatedGateway;
use crate::halts;
use crate::oracle::SKEW_MS;
use crate::plan::FaultId;
use crate::policy::queue_settings;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// How long a worker that was told to end may take.
const STOP: Duration = Duration::from_secs(60);

/// What a process is caught at.
const DOING: &[&str] = &[
    "create",
    "charge",
    "charge",
    "capture",
    "capture",
    "release",
    "release",
    "cancel",
    "cancel",
    "look_up",
    "store.claim",
    "store.save",
    "store.license",
    "store.license",
    "nothing",
];

/// The workers of a run.
#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) kills: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) stops: AtomicU64,
    /// How many are paused now: what they know may yet change what all the others took for the end.
    pub(crate) asleep: AtomicU64,
}

struct Running {
    process: Arc<Process>,
    stop: CancellationToken,
    queue: JoinHandle<Stopped>,
}

/// Keeps one worker running until `end`, whatever happens to it.
pub(crate) async fn keep(world: Arc<World>, fleet: Arc<Fleet>, slot: u64, end: CancellationToken) {
    let mut dice = world.dice("worker", &[slot]);
    for generation in 0.. {
        let running = start(&world, slot, generation, &mut dice);
        let until_struck = until_struck(&world, &running.process, &mut dice, (slot, generation));
        let Some((mut fate, id)) = end.run_until_cancelled(until_struck).await else {
            return tell(&world, running).await;
        };
        match fate.below(10) {
            0..5 => kill(&world, &fleet, &running, id),
            5..8 => {
                fleet.pauses.fetch_add(1, Ordering::Relaxed);
                fleet.asleep.fetch_add(1, Ordering::Relaxed);
                sleep_through_the_lease(&world, &running, &mut fate, id).await;
                kill(&world, &fleet, &running, id);
                fleet.asleep.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {
                world.struck(id, ("worker", "stopped"));
                fleet.stops.fetch_add(1, Ordering::Relaxed);
                tell(&world, running).await;
            }
        }
        let longest_ms = *dice.pick(&[2_000, 10_000, 10_000, 10_000, 300_000]);
        rest(dice.between(1, longest_ms)).await;
    }
}

/// Lives until something happens to the process.
async fn until_struck(
    world: &World,
    process: &Process,
    dice: &mut Dice,
    (slot, generation): (u64, u64),
) -> (Dice, FaultId) {
    for turn in 0.. {
        live(process, dice).await;
        let (fate, id) = world.dice_for("worker.fate", &[slot, generation, turn]);
        if world.may_strike(id) {
            return (fate, id);
        }
        if world.is_quiet() {
            break;
        }
    }
    std::future::pending().await
}

/// Until the process does something drawn beforehand, or for some time at the longest.
async fn live(process: &Process, dice: &mut Dice) {
    let longest_ms = *dice.pick(&[5_000, 30_000, 90_000, 200_000]);
    let longest_ms = dice.between(longest_ms / 3, longest_ms);
    let call = *dice.pick(DOING);
    let into_it_ms = *dice.pick(&[0, 1, 2, 50, 300]);
    let moment = async {
        rest(dice.between(1, 2_000)).await;
        process.comes_to(call).await;
        rest(dice.between(0, into_it_ms)).await;
    };
    // Whichever comes first is as good as the other.
    let _ = timeout(Duration::from_millis(longest_ms), moment).await;
}

fn start(world: &Arc<World>, slot: u64, generation: u64, dice: &mut Dice) -> Running {
    let name = format!("w{slot}.{generation}");
    let process = Arc::new(Process::new(name, slot));
    let gateway = SimulatedGateway {
        world: Arc::clone(world),
        process: Arc::clone(&process),
    };
    // No two machines show the same time.
    let skew = chrono::TimeDelta::milliseconds(dice.between(0, 4_000).cast_signed() - SKEW_MS);
    let clock = Clock::starting_at(world.now() + skew);
    let store = Arc::new(SimulatedStore::of(world, &process).telling(&clock));
    let stop = CancellationToken::new();
    let policies = some_policies(world, slot, dice);
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::new(gateway),
        clock.clone(),
        policies,
    );
    let gate = world.halts.gate(&process.name, &clock);
    let worker = Arc::new(worker.until(stop.clone()).behind(gate.clone()));
    let doorman = world.dice("doorman", &[slot, generation]);
    let stands_at = (gate, clock.clone());
    tokio::spawn(halts::attend(
        Arc::clone(world),
        Arc::clone(&process),
        stands_at,
        doorman,
    ));
    let settings = queue_settings(dice.next());
    world.note(&process.name, format_args!("starts"));
    let queue = tokio::spawn(queue::run(store, worker, clock, settings, stop.clone()));
    Running {
        process,
        stop,
        queue,
    }
}

/// Now and then a worker other than the first does not know an account.
fn some_policies(world: &World, slot: u64, dice: &mut Dice) -> Policies {
    let mut policies = world.policies.clone();
    if slot > 1 && dice.in_1000(50) && !world.is_quiet() {
        world.hit(("worker", "unknown_account"));
        policies.pop_last();
    }
    policies
}

fn kill(world: &World, fleet: &Fleet, running: &Running, id: FaultId) {
    for call in running.process.doing() {
        world.hit(("killed", call));
    }
    world.struck(id, ("worker", "killed"));
    world.note(&running.process.name, format_args!("is killed"));
    fleet.kills.fetch_add(1, Ordering::Relaxed);
    running.process.kill();
    running.queue.abort();
}

/// The process is stopped for longer than its lease, and goes on as if nothing had happened.
async fn sleep_through_the_lease(world: &World, running: &Running, dice: &mut Dice, id: FaultId) {
    for call in running.process.doing() {
        world.hit(("paused", call));
    }
    world.struck(id, ("worker", "paused"));
    world.note(&running.process.name, format_args!("is paused"));
    running.process.pause();
    rest(dice.between(31_000, 250_000)).await;
    world.note(&running.process.name, format_args!("goes on"));
    running.process.resume();
    rest(dice.between(1, 60_000)).await;
}

/// Tells a worker to end, as a redeployment does; one that does not is killed.
async fn tell(world: &World, mut running: Running) {
    world.note(&running.process.name, format_args!("is told to end"));
    // What went wrong while it was ending counts too.
    let all_went_well = world.is_quiet();
    running.stop.cancel();
    match timeout(STOP, &mut running.queue).await {
        Ok(Ok(stopped)) => judge(world, &running.process, (&stopped, all_went_well)),
        Ok(Err(error)) => world.problem(&format!("a worker panicked: {error}")),
        Err(_) => world.problem("a worker that was told to end does not"),
    }
    running.process.kill();
    world.halts.forget(&running.process.name);
}

pub(crate) fn judge(world: &World, process: &Process, (stopped, all_went_well): (&Stopped, bool)) {
    world.note(&process.name, format_args!("ended: {stopped:?}"));
    if stopped.cause != Cause::Asked {
        world.problem("a worker ended by itself");
    }
    if stopped.panicked > 0 {
        world.problem("a turn panicked");
    }
    if all_went_well && stopped.left_leased > 0 {
        world.problem("a worker ended and left payments leased");
    }
}
