//! The same payment in the hands of two workers at a time.
//!
//! A claim is handed out while another one on the same payment is being worked on, as if the lease
//! of the first had run out in that moment and the first did not know. That is the worst that a
//! second delivery can do: a queue that delivers twice after the first turn ended shows the second
//! turn a record that says everything; here both turns run at once, each on what it read before
//! the other wrote. The first one even stands still until the second has looked around, and then goes on
//! with what it has in hand: a decision made on an old record, an answer, a permit.

use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use holdfast::store::{ClaimKey, Store, Tried};
use holdfast::worker::{Turn, Worker};

use super::io::words;
use crate::gateway::SimulatedGateway;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// How long the first worker stands still: by then the second has looked a call up that the first
/// has not made yet.
pub(super) const STALLED_MS: u64 = 3_000;
/// So many turns the second has.
const TURNS: usize = 3;

words! {
    /// When every job is delivered a second time.
    Twice {
        /// At once: two turns begin with the same record.
        AtClaim = "at-claim",
        /// When the first turn has its permit and its call goes out.
        AtPermit = "at-permit",
    }
}

/// Hands the payment that is worked on to another worker as well.
pub(super) fn deliver_again(world: &Arc<World>) {
    let Some(watch) = world.watch.get() else {
        return;
    };
    let (number, key) = {
        let mut seen = watch.seen();
        seen.seconds += 1;
        let number = 100 + seen.seconds;
        let key = seen.claims.values().next().cloned();
        seen.given.extend(key.clone().map(|key| (number, key)));
        (number, key)
    };
    if key.is_some() {
        tokio::spawn(work(Arc::clone(world), number));
    }
}

/// A worker's turn without a queue around it: nobody renews its lease, so it is held to nothing
/// but the nonce.
async fn work(world: Arc<World>, number: u64) {
    let process = Arc::new(Process::new(format!("second.{number}"), number));
    let gateway = SimulatedGateway {
        world: Arc::clone(&world),
        process: Arc::clone(&process),
    };
    let clock = world.clock.clone();
    let store = Arc::new(SimulatedStore::of(&world, &process).telling(&clock));
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::new(gateway),
        clock,
        world.policies.clone(),
    );
    for _ in 0..TURNS {
        let claims = store.claim(1).await;
        let claim = claims.ok().and_then(|mut found| found.claims.pop());
        let Some(claim) = claim else {
            return;
        };
        let ended = worker.turn(claim).await;
        world.note(&process.name, format_args!("ended: {ended:?}"));
        let Turn::Rested { due: Some(due), .. } = ended else {
            return;
        };
        let wait_ms = (due - world.now()).num_milliseconds();
        rest(u64::try_from(wait_ms).unwrap_or(0)).await;
    }
}

/// What this process is to be given as well is due in this moment: it claims it before anybody else
/// does anything, since nothing is waited for in between.
pub(super) async fn lapse(world: &World, process: &Process) {
    let given = world
        .watch
        .get()
        .and_then(|watch| watch.seen().given.remove(&process.number));
    if let Some(key) = given {
        let now = world.now() - TimeDelta::milliseconds(1);
        let lapsed = world.store.give_back(&key, now, Tried::No).await;
        if let Err(error) = lapsed {
            world.problem(&format!("no second delivery: {error}"));
        }
    }
}

/// Takes note of who works on what.
pub(crate) fn claimed(world: &Arc<World>, process: &Process, key: &ClaimKey) {
    let Some(watch) = world.watch.get() else {
        return;
    };
    {
        let mut seen = watch.seen();
        let nonce = key.nonce.as_str().to_owned();
        seen.claimants.insert(nonce, process.name.clone());
        seen.claims.insert(key.id.clone(), key.clone());
    }
    if watch.twice == Some(Twice::AtClaim) && is_first(process) {
        deliver_again(world);
    }
}

/// Takes note of a permit.
pub(crate) async fn licensed(world: &Arc<World>, process: &Process) {
    let twice = world.watch.get().and_then(|watch| watch.twice);
    if twice == Some(Twice::AtPermit) && is_first(process) {
        deliver_again(world);
        rest(STALLED_MS).await;
    }
}

/// What is delivered a second time is not delivered a third time.
fn is_first(process: &Process) -> bool {
    process.name.starts_with("worker")
}
