//! As little as fails still: payments and faults are left out as long as a promise is broken.

use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::trace::Keep;

/// So many runs are tried at most.
const MOST_RUNS: usize = 400;

/// Makes a failing plan small. `tell` hears what is left.
pub fn shrink(plan: Plan, tell: impl Fn(&str)) -> anyhow::Result<Plan> {
    let mut small = Small {
        plan,
        runs: 0,
    };
    let payments: Vec<u64> = (0..small.plan.payments).collect();
    small.leave_out(&payments, |plan, some| plan.unasked.extend(some))?;
    tell(&format!(
        "{} of {} payments are left",
        small.plan.payments - small.plan.unasked.len() as u64,
        small.plan.payments
    ));
    let faults = small.faults()?;
    small.leave_out(&faults, |plan, some| plan.spared.extend(some))?;
    tell(&format!("{} of {} faults are left", small.faults()?.len(), faults.len()));
    Ok(small.plan)
}

struct Small {
    plan: Plan,
    runs: usize,
}

impl Small {
    fn faults(&self) -> anyhow::Result<Vec<u64>> {
        let mut faults = run(self.plan.clone(), Keep::Digest)?.faults;
        faults.sort_unstable();
        faults.dedup();
        Ok(faults)
    }

    /// Tries without large parts first, then without smaller ones.
    fn leave_out(
        &mut self,
        all: &[u64],
        without: impl Fn(&mut Plan, &[u64]),
    ) -> anyhow::Result<()> {
        let mut size = all.len();
        while size > 0 {
            for some in all.chunks(size) {
                if self.runs >= MOST_RUNS {
                    return Ok(());
                }
                self.runs += 1;
                let mut plan = self.plan.clone();
                without(&mut plan, some);
                if fails(&run(plan.clone(), Keep::Digest)?) {
                    self.plan = plan;
                }
            }
            size /= 2;
        }
        Ok(())
    }
}

fn fails(outcome: &Outcome) -> bool {
    !outcome.problems.is_empty()
}
