//! A worker is killed with -9 while its calls are in flight.

use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::{Effect, Operation};
use holdfast::payment::PaymentId;
use tokio::time::Instant;

use super::expected::{Expected, LookUps};
use super::wait::{PATIENCE, STEP};
use super::{Demo, scenes};
use crate::works::RESENDS;

/// How many charges.
const CHARGES: u64 = 10;
/// How long each of their calls takes: far longer than it takes until all are sent, and shorter
/// than a call may take.
const CALL_MS: u64 = 1_800;
/// How much of that may pass until the kill.
const ALL_SENT: Duration = Duration::from_millis(CALL_MS / 3);

impl Demo {
    /// Worker 1 stands still while ten charges come, so that all of them are worker 2's, which is
    /// killed with their calls in flight. Then worker 1 goes on, with those as well.
    pub(super) async fn kill_a_worker(&mut self, token: &str) -> anyhow::Result<()> {
        self.say(
            "worker 1 is made to stand still (SIGSTOP), and ten charges come: all are worker 2's",
        );
        self.workers[0].signal("STOP")?;
        until_it_stands(self.workers[0].id()).await?;
        let (first, before) = (self.asked.len(), self.charged());
        for number in 0..CHARGES {
            let key = format!("kill-{number}");
            // The money of every other one has moved when the worker dies, that of the rest moves
            // after its death.
            let effect = if number % 2 == 0 {
                Effect::Latency(CALL_MS)
            } else {
                Effect::committed_late(CALL_MS)
            };
            self.fault(RESENDS, &key, effect)?;
            let amount = 1_000 + number;
            let scene = (
                "charge, worker 2 is killed meanwhile",
                Expected::paid(amount),
            );
            self.ask(RESENDS, &key, &scenes::charge(token, amount), scene)
                .await?;
        }
        self.until_charged(before + 1).await?;
        // Not for so long that the first of them is answered.
        let all = before + self.asked.len() - first;
        match tokio::time::timeout(ALL_SENT, self.until_charged(all)).await {
            Ok(all_sent) => all_sent?,
            Err(_) => self.say("  this machine is slow: not all of them are sent yet"),
        }
        self.workers[1].kill()?;
        let killed_ms = self.works.clock.now().timestamp_millis();
        let in_flight = self.mark_unanswered(first, killed_ms).await?;
        ensure!(
            in_flight > 0,
            "no call was in flight at worker 2 when it was killed"
        );
        self.say(&format!(
            "kill -9 worker 2: {in_flight} calls were in flight at worker 2"
        ));
        self.workers[0].signal("CONT")?;
        self.say("worker 1 goes on (SIGCONT), and takes over when worker 2's leases run out");
        Ok(())
    }

    /// Of the payments from `first` on, those whose call was sent by then and cannot have been
    /// answered must be taken over. Answers how many.
    async fn mark_unanswered(&mut self, first: usize, at_ms: i64) -> anyhow::Result<usize> {
        let mut marked = 0;
        for place in first..self.asked.len() {
            let sent_ms = self.sent_ms(&self.asked[place].id).await?;
            let is_meant =
                |sent_ms: i64| (sent_ms..sent_ms.saturating_add_unsigned(CALL_MS)).contains(&at_ms);
            if sent_ms.is_some_and(is_meant) {
                marked += 1;
                let expected = self.asked[place].expected.clone();
                self.asked[place].expected = expected.with_look_ups(LookUps::TakenOver);
            }
        }
        Ok(marked)
    }

    /// When the call that charges this payment arrived at the gateway.
    async fn sent_ms(&self, id: &PaymentId) -> anyhow::Result<Option<i64>> {
        let payment = self.works.load(id).await?.payment;
        let Some(purchase) = payment.purchase() else {
            return Ok(None);
        };
        let purchase = purchase.id.as_str().parse()?;
        Ok(self.works.sandbox.with(|engine, _| {
            let calls = engine.ledger().requests_of(purchase, Operation::Charge);
            calls.first().map(|call| call.at_ms)
        }))
    }
}

/// Waits until the system says that the process is stopped: the signal is only on its way at first.
async fn until_it_stands(process: u32) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The state follows the name, which is in brackets.
        let state = stat.rsplit(") ").next().unwrap_or_default();
        if state.starts_with('T') {
            return Ok(());
        }
        ensure!(Instant::now() < end, "worker 1 does not stand still");
        tokio::time::sleep(STEP).await;
    }
}
