//! Many seeds, on several threads: each run has a runtime and a time of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::cells::Cells;
use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::trace::Keep;

/// What many runs came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many runs there were.
    pub seeds: u64,
    /// How many payments.
    pub payments: u64,
    /// How many faults struck.
    pub faults: u64,
    /// How many events were traced.
    pub events: u64,
    /// The digests of all traces together: the same for the same seeds, on however many threads.
    pub digest: u64,
    /// How many payments' money was taken more than once.
    pub doubles: u64,
    /// How often a worker was killed, paused and told to end.
    pub workers: [u64; 3],
    /// How much virtual time went by, in milliseconds.
    pub lasted_ms: i64,
    /// How many payments ended in each state.
    pub states: BTreeMap<String, u64>,
    /// Where faults struck.
    pub cells: Cells,
    /// The seeds that broke a promise, with what was broken; the first ones.
    pub failed: Vec<(u64, Vec<String>)>,
}

impl Summary {
    /// Of no run, with everything that is expected at 0.
    #[must_use]
    pub fn none() -> Self {
        Self {
            cells: Cells::expected(),
            ..Self::default()
        }
    }

    /// Adds what further runs came to.
    pub fn join(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.payments += other.payments;
        self.faults += other.faults;
        self.events += other.events;
        self.digest ^= other.digest;
        self.doubles += other.doubles;
        self.lasted_ms += other.lasted_ms;
        for (sum, more) in self.workers.iter_mut().zip(other.workers) {
            *sum += more;
        }
        for (state, count) in other.states {
            *self.states.entry(state).or_default() += count;
        }
        self.cells.add(&other.cells);
        self.failed.extend(other.failed);
    }

    fn add(&mut self, seed: u64, outcome: Outcome) {
        let failed = (!outcome.problems.is_empty()).then_some((seed, outcome.problems));
        self.join(Self {
            seeds: 1,
            payments: outcome.states.values().sum(),
            faults: outcome.faults.len() as u64,
            events: outcome.events,
            digest: outcome.digest,
            doubles: outcome.doubles,
            workers: outcome.workers,
            lasted_ms: outcome.lasted_ms,
            states: outcome.states,
            cells: outcome.cells,
            failed: failed.into_iter().collect(),
        });
    }
}

/// Runs the plans of `seeds` on `jobs` threads. `tell` hears of every run; when it answers false,
/// no more are begun.
pub fn many(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    plan: impl Fn(u64) -> Plan + Sync,
    tell: impl Fn(&Summary) -> bool + Sync,
) -> anyhow::Result<Summary> {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Ok(Summary::none()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = run(plan(seed), Keep::Digest);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            let goes_on = match (&mut *sum, outcome) {
                (Ok(sum), Ok(outcome)) => {
                    sum.add(seed, outcome);
                    tell(sum)
                }
                (Ok(_), Err(error)) => {
                    *sum = Err(error);
                    false
                }
                (Err(_), _) => false,
            };
            if !goes_on {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    sum.failed.sort_by_key(|(seed, _)| *seed);
    Ok(sum)
}
