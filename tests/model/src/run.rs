//! Searching rows: one, or all of them side by side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::protocol::{FAILED, IN_DOUBT, PAID, Protocol};
use crate::rows::Row;
use crate::search::{End, Found, search};

/// What a search found in a row.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The row.
    pub row: Row,
    /// How the search ended.
    pub verdict: Verdict,
    /// How many different moments were seen.
    pub states: usize,
    /// How many things happened, at most, on the shortest way to one of them.
    pub depth: usize,
    /// At how many `Paid` had been reported.
    pub paid: usize,
    /// At how many `Failed` had been reported.
    pub failed: usize,
    /// At how many the payment was parked because a charge was never explained.
    pub parked: usize,
    /// How long it took.
    pub took: Duration,
    /// The shortest way to what is wrong.
    pub trace: Vec<Happening>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that can happen was seen, and nothing is wrong.
    Complete,
    /// This went wrong.
    Wrong(&'static str),
    /// There was more to see than the bounds allow: says nothing.
    Truncated,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Who did what.
    pub what: String,
    /// The record, the purchases and the ledger after it.
    pub then: String,
}

impl Finding {
    /// Whether it is what the row must find. A promise under which nothing ever comes to an end
    /// would be worth nothing, so each good end must have been reached too.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        if let Some(wrong) = self.row.wrong {
            return self.verdict == Verdict::Wrong(wrong);
        }
        let ends = [self.paid, self.failed, self.parked];
        self.verdict == Verdict::Complete && !ends.contains(&0)
    }
}

/// Searches one row.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "how long the search takes, which is no time in the model"
)]
pub fn run(row: &Row) -> Finding {
    let started = Instant::now();
    let found = search(&Protocol(row.setup), row.setup.bounds.states);
    let Found {
        end,
        states,
        depth,
        trace,
        ..
    } = &found;
    let marked = |mark: u8| found.marked[mark.trailing_zeros() as usize];
    let happening = |(action, world): &(_, _)| Happening {
        what: format!("{action}"),
        then: format!("{world}"),
    };
    Finding {
        row: *row,
        verdict: match end {
            End::Complete => Verdict::Complete,
            End::Wrong(what) => Verdict::Wrong(what),
            End::Truncated => Verdict::Truncated,
        },
        states: *states,
        depth: *depth,
        paid: marked(PAID),
        failed: marked(FAILED),
        parked: marked(IN_DOUBT),
        took: started.elapsed(),
        trace: trace.iter().map(happening).collect(),
    }
}

/// Searches all `rows`, `at_once` at a time. Tells each finding, in the order of the rows.
pub fn run_all(rows: &[Row], at_once: usize, mut tell: impl FnMut(&Finding)) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let (sender, findings) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _ = sender.send(run(row));
                }
            });
        }
        drop(sender);
        let mut waiting: Vec<Finding> = Vec::new();
        let mut told = Vec::new();
        for finding in findings {
            waiting.push(finding);
            while let Some(row) = rows.get(told.len())
                && let Some(at) = waiting.iter().position(|f| f.row.name == row.name)
            {
                let finding = waiting.swap_remove(at);
                tell(&finding);
                told.push(finding);
            }
        }
        told
    })
}
