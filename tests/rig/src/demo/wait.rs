//! What a scene waits for, with a bound.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::Operation;
use holdfast::payment::{PaymentId, StateName};
use tokio::time::Instant;

use super::{Demo, table};

/// How long one step of a scene may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long everything may take to settle after the last scene.
const SETTLE: Duration = Duration::from_secs(40);
/// How often things are looked at that must be seen at once.
pub(super) const STEP: Duration = Duration::from_millis(5);

impl Demo {
    /// Waits until every payment is finished or parked, or for as long as is reasonable.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let end = Instant::now() + SETTLE;
        let mut reported = usize::MAX;
        loop {
            let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
            for asked in &self.asked {
                let name = self.works.load(&asked.id).await?.payment.state().name();
                if !name.is_finished() && name != StateName::Parked {
                    *waiting.entry(name.as_str()).or_default() += 1;
                }
            }
            let left = waiting.values().sum();
            if left < reported {
                let all = self.asked.len();
                let states = waiting
                    .iter()
                    .map(|(name, count)| format!(", {count} {name}"));
                let states: String = states.collect();
                self.say(&format!(
                    "{} of {all} payments are done{states}",
                    all - left
                ));
                reported = left;
            }
            if left == 0 || Instant::now() >= end {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Waits until a payment is in one of these states.
    pub(super) async fn rests(&self, id: &PaymentId, states: &[StateName]) -> anyhow::Result<()> {
        let is_there = |name| states.contains(&name);
        let there = self.works.until(id, PATIENCE, is_there).await?;
        let logs = || self.workers.iter().map(|worker| worker.tail(15));
        ensure!(
            there,
            "{} did not become {states:?}; the workers said:\n{}",
            table::short(id),
            logs().collect::<Vec<_>>().join("\n")
        );
        Ok(())
    }

    /// Waits until calls that charge have arrived at the gateway for so many purchases.
    pub(super) async fn until_charged(&self, count: usize) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.charged() < count {
            ensure!(
                Instant::now() < end,
                "{} of {count} purchases were charged; worker 2 said:\n{}",
                self.charged(),
                self.workers[1].tail(15)
            );
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    /// For how many purchases calls that charge have arrived, however often.
    pub(super) fn charged(&self) -> usize {
        self.works.sandbox.with(|engine, _| {
            let calls = engine.ledger().requests().iter();
            let charges = calls.filter(|call| call.operation == Operation::Charge);
            charges
                .filter_map(|call| call.purchase_id)
                .collect::<HashSet<_>>()
                .len()
        })
    }
}
