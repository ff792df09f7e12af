//! `?wait=5s`: the answer when the payment has moved on, or after that time.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Service;
use super::problem::{Problem, ProblemCode};
use crate::payment::{Payment, PaymentId, StateName};
use crate::store::Store;

/// How often it is looked whether it has moved: soon at first.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Reads a number and a unit: `500ms`, `5s`, `2m`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// The time of a query.
pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    span(text).ok_or_else(|| {
        let told = "must be a number and a unit: 500ms or 5s";
        Problem::new(ProblemCode::InvalidQuery, told).of_field("wait")
    })
}

impl<S: Store> Service<S> {
    /// The payment as soon as it is in another state than `from`, or as it is after `wait`.
    pub(super) async fn moved_on(
        &self,
        payment: Payment,
        from: StateName,
        wait: Duration,
    ) -> Payment {
        // Whoever comes while all places are taken is answered at once: others must get through.
        let Ok(_place) = self.waits.try_acquire() else {
            return payment;
        };
        let id = payment.id().clone();
        let mut last = payment;
        let looks = async {
            let mut pause = FIRST_LOOK;
            while last.state().name() == from {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.read(&id).await {
                    Some(now) => last = now,
                    None => return,
                }
            }
        };
        // Whoever waits is answered with what is known by then.
        let looks = timeout(wait.min(self.longest_wait), looks);
        let _ = self.stop.run_until_cancelled(looks).await;
        last
    }

    async fn read(&self, id: &PaymentId) -> Option<Payment> {
        let loaded = self.store.load(id).await.ok()??;
        Some(loaded.payment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_unit_and_bad_ones_are_refused() {
        for (text, ms) in [("5s", 5_000), ("2m", 120_000), ("250ms", 250), ("0s", 0)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1h",
            "5 s",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
