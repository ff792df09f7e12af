//! Counts the I/Os of a run, in the order in which they are made, and lets those of the plan go
//! wrong. Store and gateway ask here before a call takes effect, and after it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast::payment::PaymentId;
use holdfast::store::ClaimKey;

use super::fault::{Fault, Point, Role};
use super::io::{Io, Manner};
use super::second::{self, STALLED_MS, Twice};
use crate::process::Process;
use crate::world::{World, rest};

/// Whether webhooks are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Webhooks {
    Delivered,
    /// None arrives; what the gateway does by itself is found by asking.
    Silent,
}

/// Who watches the I/Os of a run.
pub(crate) struct Watch {
    faults: Vec<Fault>,
    pub(super) twice: Option<Twice>,
    pub(super) webhooks: Webhooks,
    seen: Mutex<Seen>,
}

#[derive(Default)]
pub(super) struct Seen {
    sequence: Vec<Point>,
    counts: BTreeMap<(Role, Io), u32>,
    struck: usize,
    /// The claim under which each payment is worked on.
    pub(super) claims: BTreeMap<PaymentId, ClaimKey>,
    /// Whose claim it was, by its nonce.
    pub(super) claimants: BTreeMap<String, String>,
    /// Processes that can tell nothing: they died, or a call of theirs is on its way for ever.
    speechless: BTreeSet<String>,
    /// What a second worker is to be given, by the number of its process.
    pub(super) given: BTreeMap<u64, ClaimKey>,
    pub(super) seconds: u64,
}

impl Watch {
    pub(super) fn new(faults: Vec<Fault>, twice: Option<Twice>, webhooks: Webhooks) -> Self {
        Self {
            faults,
            twice,
            webhooks,
            seen: Mutex::default(),
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The I/Os so far.
    pub(super) fn sequence(&self) -> Vec<Point> {
        self.seen().sequence.clone()
    }

    /// Whether every fault of the plan has struck.
    pub(super) fn all_struck(&self) -> bool {
        self.seen().struck == self.faults.len()
    }

    /// Whether whoever held the claim of that nonce cannot tell what became of its calls.
    pub(super) fn is_speechless(&self, nonce: &str) -> bool {
        let seen = self.seen();
        let claimant = seen.claimants.get(nonce);
        claimant.is_some_and(|name| seen.speechless.contains(name))
    }

    fn falls_silent(&self, process: &Process) {
        self.seen().speechless.insert(process.name.clone());
    }

    fn meet(&self, role: Role, io: Io) -> Option<Manner> {
        let mut seen = self.seen();
        let nth = seen.counts.entry((role, io)).or_default();
        *nth += 1;
        let point = Point {
            role,
            io,
            nth: *nth,
        };
        seen.sequence.push(point);
        let fault = self.faults.iter().find(|fault| fault.point == point)?;
        seen.struck += 1;
        Some(fault.manner)
    }
}

/// Whether nobody hears webhooks.
pub(crate) fn is_deaf(world: &World) -> bool {
    let watch = world.watch.get();
    watch.is_some_and(|watch| watch.webhooks == Webhooks::Silent)
}

/// A call is about to take effect: what is to happen to it. Whoever dies here does not come back.
pub(crate) async fn meet(
    world: &Arc<World>,
    process: &Process,
    call: &'static str,
) -> Option<Manner> {
    let watch = world.watch.get()?;
    let (Some(role), Some(io)) = (Role::of(&process.name), Io::named(call)) else {
        world.problem(&format!("{}: {call} is not counted", process.name));
        return None;
    };
    let met = watch.meet(role, io);
    if let Some(manner) = met {
        world.note(&process.name, format_args!("{call}: {manner}"));
    }
    match met {
        Some(Manner::CrashBefore) => die(world, process).await,
        Some(Manner::TakenBefore) => {
            second::deliver_again(world);
            rest(STALLED_MS).await;
        }
        Some(Manner::NotArrived) => {
            if io.takes_money() {
                watch.falls_silent(process);
            }
            return met;
        }
        Some(Manner::CrashAfter | Manner::ReplyLost | Manner::TakenAfter) | None => {}
    }
    if io == Io::Claim {
        second::lapse(world, process).await;
    }
    met
}

/// A call took effect, and the answer is on its way.
pub(crate) async fn after(world: &Arc<World>, process: &Process, met: Option<Manner>) {
    match met {
        Some(Manner::CrashAfter) => die(world, process).await,
        Some(Manner::TakenAfter) => {
            second::deliver_again(world);
            rest(STALLED_MS).await;
        }
        Some(
            Manner::CrashBefore | Manner::ReplyLost | Manner::NotArrived | Manner::TakenBefore,
        )
        | None => {}
    }
}

async fn die(world: &World, process: &Process) {
    if let Some(watch) = world.watch.get() {
        watch.falls_silent(process);
    }
    process.kill();
    process.running().await;
}
