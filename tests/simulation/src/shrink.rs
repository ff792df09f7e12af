//! As little as fails still: payments, faults and workers are left out as long as the same promise
//! is broken.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::trace::Keep;

/// A plan that fails, and how it does.
#[derive(Debug, Clone)]
pub struct Failing {
    /// The plan.
    pub plan: Plan,
    /// How many payments are left, and how many faults strike.
    pub left: (usize, usize),
    kind: String,
    runs: usize,
    most_runs: usize,
}

/// Makes a failing plan small in so many runs at most; `None` if it does not fail.
pub fn shrink(plan: Plan, most_runs: usize) -> anyhow::Result<Option<Failing>> {
    let outcome = run(plan.clone(), Keep::Digest)?;
    let Some(problem) = outcome.problems.first() else {
        return Ok(None);
    };
    let mut failing = Failing {
        plan,
        left: (0, outcome.faults.len()),
        kind: kind_of(problem),
        runs: 0,
        most_runs,
    };
    failing.leave_workers_out()?;
    loop {
        let before = failing.left;
        let asked = (0..failing.plan.payments)
            .filter(|number| !failing.plan.unasked.contains(number))
            .collect();
        failing.leave_out(asked, |plan, some| plan.unasked.extend(some))?;
        let faults = run(failing.plan.clone(), Keep::Digest)?.faults;
        let faults: BTreeSet<u64> = faults.into_iter().collect();
        failing.leave_out(faults.into_iter().collect(), |plan, some| {
            plan.spared.extend(some);
        })?;
        let payments = failing.plan.payments - failing.plan.unasked.len() as u64;
        let faults = run(failing.plan.clone(), Keep::Digest)?.faults.len();
        failing.left = (usize::try_from(payments)?, faults);
        if failing.left == before || failing.runs >= most_runs {
            return Ok(Some(failing));
        }
    }
}

/// What was broken, whichever payment it was and however much it was about.
fn kind_of(problem: &str) -> String {
    problem.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl Failing {
    fn leave_workers_out(&mut self) -> anyhow::Result<()> {
        while self.plan.workers > 1 {
            let workers = self.plan.workers - 1;
            if !self.try_plan(Plan {
                workers,
                ..self.plan.clone()
            })? {
                break;
            }
        }
        Ok(())
    }

    /// Tries without large parts first, then without smaller ones.
    fn leave_out(
        &mut self,
        mut all: Vec<u64>,
        without: impl Fn(&mut Plan, &[u64]),
    ) -> anyhow::Result<()> {
        let mut size = all.len();
        while size > 0 && self.runs < self.most_runs {
            let mut left = Vec::new();
            for some in all.chunks(size) {
                let mut plan = self.plan.clone();
                without(&mut plan, some);
                if !self.try_plan(plan)? {
                    left.extend_from_slice(some);
                }
            }
            all = left;
            size = if size > 8 { size / 3 } else { size / 2 };
        }
        Ok(())
    }

    /// Takes the plan if it fails in the same way.
    fn try_plan(&mut self, plan: Plan) -> anyhow::Result<bool> {
        self.runs += 1;
        let fails = self.is_met(&run(plan.clone(), Keep::Digest)?);
        if fails {
            self.plan = plan;
        }
        Ok(fails)
    }

    fn is_met(&self, outcome: &Outcome) -> bool {
        outcome
            .problems
            .iter()
            .any(|problem| kind_of(problem) == self.kind)
    }
}
