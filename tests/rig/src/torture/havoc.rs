//! Workers are killed, payers pay and people give commands, all at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use holdfast::payment::{Command, PaymentId, StateName};
use holdfast::store::Store;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::Instant;

use super::hearing::OwnSettings;
use super::{Plan, asks, faults, pay};
use crate::fleet::WorkerProcess;
use crate::works::Works;

/// Between what people do.
const BREATH: Duration = Duration::from_millis(300);

/// The part of a run in which things go wrong.
pub(super) struct Havoc<'a> {
    pub(super) plan: &'a Plan,
    pub(super) works: &'a Works,
    pub(super) ids: &'a [PaymentId],
    pub(super) hearing: &'a OwnSettings,
}

impl Havoc<'_> {
    /// Kills workers for as long and as often as the plan says; answers how many. What people do
    /// meanwhile takes as long as it takes: nobody waits for a slow disk to kill a worker.
    pub(super) async fn wreak(&self) -> anyhow::Result<usize> {
        let over = AtomicBool::new(false);
        let killing = async {
            let kills = self.kill_at_random().await;
            over.store(true, Ordering::SeqCst);
            kills
        };
        let (kills, ()) = tokio::try_join!(killing, self.people(&over))?;
        Ok(kills)
    }

    /// A fleet of workers, the first of which listens.
    pub(super) fn workers(&self, name: &str) -> anyhow::Result<Vec<WorkerProcess>> {
        (0..self.plan.workers)
            .map(|place| self.worker(place, &format!("{name}-{place}")))
            .collect()
    }

    fn worker(&self, place: usize, name: &str) -> anyhow::Result<WorkerProcess> {
        let own: &[_] = if place == 0 { self.hearing } else { &[] };
        self.works.worker_with(name, own)
    }

    /// Kills a worker every few hundred milliseconds and starts another one in its place.
    async fn kill_at_random(&self) -> anyhow::Result<usize> {
        let Plan {
            seed,
            faults_for,
            least_kills,
            least_faults,
            ..
        } = *self.plan;
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
        let mut fleet = self.workers("first")?;
        let mut kills = 0;
        let start = Instant::now();
        let bound = faults_for * Plan::PATIENCE;
        loop {
            let met = self
                .works
                .sandbox
                .with(|gate, _| faults::met(gate.ledger()));
            let enough = kills >= least_kills && met >= least_faults;
            if enough && start.elapsed() >= faults_for {
                break;
            }
            ensure!(
                start.elapsed() < bound,
                "only {kills} of {least_kills} kills and {met} of {least_faults} faults within \
                 {bound:?}: this machine is too slow for the run"
            );
            let pause = 100 + u64::from(random.next_u32() % 500);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let victim = random.random_range(0..fleet.len());
            fleet[victim].kill()?;
            kills += 1;
            fleet[victim] = self.worker(victim, &format!("after-{kills}"))?;
        }
        for worker in &mut fleet {
            worker.kill()?;
            kills += 1;
        }
        Ok(kills)
    }

    /// Payers pay and people give commands until it is over.
    async fn people(&self, over: &AtomicBool) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(self.plan.seed.wrapping_add(2));
        let mut commands = 0;
        while !over.load(Ordering::SeqCst) {
            self.payers_pay(over, &mut random).await?;
            for _ in 0..=self.ids.len() / 100 {
                commands += 1;
                asks::command_some(self.works, self.ids, commands, &mut random).await?;
            }
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    /// Some of the payers who have a link pay; some are told that it is over.
    async fn payers_pay(&self, over: &AtomicBool, random: &mut StdRng) -> anyhow::Result<()> {
        let store = &self.works.store;
        let by = StateName::AwaitingPayer.into();
        let waiting = store.list(&by, None, self.ids.len());
        for waiting in waiting.await?.payments {
            if over.load(Ordering::SeqCst) {
                break;
            }
            match random.next_u32() % 10 {
                0..2 => pay(self.works, &waiting)?,
                2 => {
                    let id = waiting.payment.id();
                    asks::give(self.works, id, "no-more", &Command::Cancel).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
