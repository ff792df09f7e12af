//! WHO is next: an apalis worker over the due index.
//!
//! The record is the truth and a job is a claim on it, so nothing is kept here that a crash could
//! lose. Claiming, renewing, giving back and the turns run side by side and never wait for each
//! other:
//!
//! | file | what |
//! |---|---|
//! | `fetch` | claims what is due, for free slots only |
//! | `lease` | what this process holds: slots, leases that are renewed, claims that are given back |
//! | `runtime` | the apalis worker that runs the turns; the only file that names apalis |
//! | `trouble` | how long to wait while the store does not answer |
//!
//! No error of the store reaches the worker: whatever talks to the store tries again until it is
//! answered. A claim whose turn did not finish is given back, whichever way it ended.

mod fetch;
mod lease;
mod runtime;
mod trouble;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::payment::Timestamp;
use crate::store::{Claim, Store};
use lease::Leases;

/// After the deadline of a stop: how long dropped turns may take to let go, in milliseconds.
const LET_GO_MS: u64 = 1_000;
/// After that: how long the store may take to take the claims back, in milliseconds.
const GIVE_BACK_MS: u64 = 1_500;

/// How the queue runs.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many turns run at once.
    pub concurrency: usize,
    /// How many payments one call claims at most.
    pub batch: usize,
    /// How long a claim is held without a renewal, as the store was told.
    pub lease_ms: u64,
    /// How often leases are renewed; a third of the lease or less.
    pub renew_ms: u64,
    /// How often due payments are asked for when nothing says that there are any.
    pub poll_ms: u64,
    /// How long running turns may go on after a stop.
    pub shutdown_ms: u64,
    /// What tells this process from all others, those that were there before it included: names
    /// its worker and spreads its waits. Drawn at random at each start.
    pub identity: u64,
}

/// What carries out turns.
pub trait Handler: Send + Sync + 'static {
    /// One turn on the payment that was claimed. It ends when its outcome is in the store, or the
    /// claim is lost. It may be dropped at any await: the claim is then given back.
    fn turn(&self, claim: Claim) -> impl Future<Output = Rests> + Send;
}

impl<F, Turn> Handler for F
where
    F: Fn(Claim) -> Turn + Send + Sync + 'static,
    Turn: Future<Output = ()> + Send,
{
    async fn turn(&self, claim: Claim) -> Rests {
        self(claim).await;
        Rests::Unknown
    }
}

/// When the payment needs its next turn, as far as this turn knows. It spares the queue a look at
/// the due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rests {
    /// Perhaps at once.
    Unknown,
    /// At this time.
    Until(Timestamp),
    /// Never, or another worker will see to it.
    ForGood,
}

/// Why the queue stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was asked to.
    Asked,
    /// The worker ended by itself, which is a fault: start the process again.
    Broken,
}

/// What became of the claims of a queue that stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Why it stopped.
    pub cause: Cause,
    /// Turns that ended by themselves.
    pub finished: u64,
    /// Turns that panicked.
    pub panicked: u64,
    /// Turns that were dropped at the deadline.
    pub abandoned: u64,
    /// Claims whose turn had not begun.
    pub unstarted: u64,
    /// Claims that the store took back, of turns that panicked, were abandoned or never begun.
    pub given_back: u64,
    /// Claims that it did not take back in time; they are due again when their lease runs out.
    pub left_leased: u64,
}

/// Runs turns until `stop`, then ends within `shutdown_ms` and at most three seconds more.
pub async fn run<S: Store, H: Handler>(
    store: Arc<S>,
    handler: Arc<H>,
    clock: Clock,
    settings: Settings,
    stop: CancellationToken,
) -> Stopped {
    let leases = Leases::new(store, clock, settings, stop.child_token());
    // Whatever ends this function, a drop of its future included, ends all that it started.
    let _at_the_end = leases.end.clone().drop_guard();
    let (sender, jobs) = mpsc::unbounded_channel();
    let mut background = JoinSet::new();
    let fetching = background.spawn(fetch::fetch(Arc::clone(&leases), sender));
    background.spawn(lease::keep_renewing(Arc::clone(&leases)));

    let mut turns = JoinSet::new();
    turns.spawn(runtime::work(Arc::clone(&leases), handler, jobs));
    let cause = tokio::select! {
        biased;
        () = stop.cancelled() => Cause::Asked,
        _ = turns.join_next() => Cause::Broken,
        _ = background.join_next() => Cause::Broken,
    };
    if cause == Cause::Broken {
        tracing::error!(
            event = "worker_ended",
            "the worker ended by itself; start the process again"
        );
    }
    leases.stop.cancel();

    let deadline = Instant::now() + Duration::from_millis(settings.shutdown_ms);
    if timeout_at(deadline, turns.join_next()).await.is_err() {
        leases.deadline.cancel();
        fetching.abort();
        let let_go = Duration::from_millis(LET_GO_MS);
        if timeout(let_go, turns.join_next()).await.is_err() {
            tracing::error!(
                event = "turn_blocked",
                "a turn blocks its thread and cannot be dropped; going without it"
            );
            turns.abort_all();
            while turns.join_next().await.is_some() {}
        }
    }
    let given_back = timeout(Duration::from_millis(GIVE_BACK_MS), leases.all_given_back()).await;
    if given_back.is_err() {
        tracing::warn!(
            "the store did not take all claims back; their leases run out by themselves"
        );
    }
    leases.summary(cause)
}
