//! All single points and all pairs, on several threads, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::case::{Case, Told};
use super::end::{End, Verdict};
use super::fault::{Fault, Point, Role};
use super::flow::{Flow, Setup};
use super::io::{Io, Manner};
use super::second::Twice;
use crate::trace::Keep;

/// So many failing cases are told; all are counted.
const MOST_TOLD: usize = 200;

/// How many faults a run meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// One.
    Singles,
    /// One, and a second one at every I/O after it.
    Pairs,
}

/// What many runs came to.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// How many I/Os each flow has without a fault, under each account.
    pub points: BTreeMap<Setup, usize>,
    /// How many runs met one fault.
    pub singles: u64,
    /// How many met two.
    pub pairs: u64,
    /// How often a call of whom was struck in which manner, by the last fault of a run.
    pub cells: BTreeMap<(Role, Io, Manner), u64>,
    /// How the runs with one fault ended.
    pub verdicts: BTreeMap<(Flow, Manner, Verdict), u64>,
    /// How all runs ended.
    pub ends: BTreeMap<Verdict, u64>,
    /// How many runs broke a promise or ended otherwise than expected.
    pub failed: u64,
    /// The first of these, each with what was wrong.
    pub told: Vec<(String, Vec<String>)>,
}

impl Sum {
    fn count(&mut self, case: &Case, verdict: Verdict, wrong: Vec<String>) {
        if let Some(last) = case.faults.last() {
            let Point { role, io, .. } = last.point;
            let cell = (role, io, last.manner);
            *self.cells.entry(cell).or_default() += 1;
        }
        match case.faults.as_slice() {
            [] => {}
            [fault] => {
                self.singles += 1;
                let ended = (case.setup.flow, fault.manner, verdict);
                *self.verdicts.entry(ended).or_default() += 1;
            }
            _ => self.pairs += 1,
        }
        *self.ends.entry(verdict).or_default() += 1;
        if !wrong.is_empty() {
            self.failed += 1;
            self.told.push((case.to_string(), wrong));
            self.told.sort();
            self.told.truncate(MOST_TOLD);
        }
    }

    fn add(&mut self, other: Self) {
        self.singles += other.singles;
        self.pairs += other.pairs;
        self.failed += other.failed;
        self.points.extend(other.points);
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        for (ended, count) in other.verdicts {
            *self.verdicts.entry(ended).or_default() += count;
        }
        for (verdict, count) in other.ends {
            *self.ends.entry(verdict).or_default() += count;
        }
        self.told.extend(other.told);
        self.told.sort();
        self.told.truncate(MOST_TOLD);
    }
}

/// Strikes every I/O of the flows of `setups` in every manner, on `jobs` threads. `tell` hears how
/// far it is.
pub fn every(
    setups: &[Setup],
    (twice, depth): (Option<Twice>, Depth),
    jobs: usize,
    tell: impl Fn(&Sum) + Sync,
) -> anyhow::Result<Sum> {
    let mut sum = Sum::default();
    let mut work = Vec::new();
    for setup in setups {
        let case = Case::undisturbed(*setup, twice);
        let plain = Case::undisturbed(*setup, None).run(Keep::Digest)?;
        let Some(end) = plain.end else {
            anyhow::bail!("{setup}: nothing was asked for");
        };
        let told = case.run(Keep::Digest)?;
        judge(&case, &end, &told, &mut sum);
        sum.points.insert(*setup, told.sequence.len());
        let singles = told
            .sequence
            .into_iter()
            .flat_map(|point| faults(point, twice));
        work.extend(singles.map(|fault| (case.with(fault), end.clone())));
    }
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Ok(sum)));
    let each = || {
        while let Some((case, expected)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = strike(case, expected, depth);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *all, found) {
                (Ok(sum), Ok(found)) => {
                    sum.add(found);
                    tell(sum);
                }
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(each);
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A run with one fault and, if that is wanted, with every second one.
fn strike(case: &Case, expected: &End, depth: Depth) -> anyhow::Result<Sum> {
    let mut sum = Sum::default();
    let told = case.run(Keep::Digest)?;
    judge(case, expected, &told, &mut sum);
    if depth == Depth::Pairs {
        for point in later(&told.sequence, case) {
            for fault in faults(point, case.twice) {
                let pair = case.with(fault);
                judge(&pair, expected, &pair.run(Keep::Digest)?, &mut sum);
            }
        }
    }
    Ok(sum)
}

/// Where every job is delivered twice anyway, nothing is delivered a third time.
fn faults(point: Point, twice: Option<Twice>) -> impl Iterator<Item = Fault> {
    Fault::all_at(point).filter(move |fault| twice.is_none() || !fault.manner.is_second_delivery())
}

/// The I/Os after the one that was struck.
fn later(sequence: &[Point], case: &Case) -> Vec<Point> {
    let struck = |point: &&Point| case.faults.iter().any(|fault| fault.point == **point);
    let rest = sequence.iter().skip_while(|point| !struck(point));
    rest.skip(1).copied().collect()
}

fn judge(case: &Case, expected: &End, told: &Told, sum: &mut Sum) {
    let mut wrong = told.problems.clone();
    let verdict = told
        .end
        .as_ref()
        .map_or(Verdict::Wrong, |end| Verdict::of(case, expected, end));
    if verdict == Verdict::Wrong {
        wrong.push(format!("expected {expected:?}, came to {:?}", told.end));
    }
    sum.count(case, verdict, wrong);
}
