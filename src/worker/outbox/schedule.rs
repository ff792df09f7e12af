//! What an answer means, and when to try again.

use serde::{Deserialize, Serialize};

use crate::gateway::Posted;
use crate::payment::{Ladder, Timestamp, millis};

/// When a delivery is tried again: published, so that receivers know what to expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The waits between tries, in milliseconds. When the last try was in vain too, the endpoint is
    /// disabled.
    pub delays_ms: Vec<u64>,
    /// How far a wait may be stretched, in percent.
    pub jitter_percent: u8,
    /// The longest wait that an endpoint may ask for, in milliseconds.
    pub retry_after_cap_ms: u64,
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has it.
    Accepted,
    /// The endpoint wants no events any more.
    Gone,
    /// Not this time.
    Failed {
        /// Why.
        why: String,
        /// How long the endpoint asks to be left alone, in milliseconds.
        wait_ms: Option<u64>,
    },
    /// It was not sent: the lease was too old by then.
    TooLate,
    /// It was not sent: the endpoint does not want such events.
    Unwanted,
}

impl Outcome {
    /// What an answer means.
    #[must_use]
    pub fn of(posted: &Posted) -> Self {
        match posted {
            Posted::Answered {
                status: 200..=299, ..
            } => Self::Accepted,
            Posted::Answered { status: 410, .. } => Self::Gone,
            Posted::Answered {
                status,
                retry_after_ms,
            } => Self::Failed {
                why: format!("it answered {status}"),
                wait_ms: retry_after_ms.filter(|_| matches!(status, 429 | 503)),
            },
            Posted::Unanswered(why) => Self::Failed {
                why: (*why).to_owned(),
                wait_ms: None,
            },
        }
    }
}

impl Schedule {
    /// When to try again what was tried `tries` times in vain, the last time just now; `None` when
    /// that was the last time.
    #[must_use]
    pub fn next(
        &self,
        tries: u32,
        wait_ms: Option<u64>,
        id: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let rung = tries.saturating_sub(1);
        if usize::try_from(rung).ok()? >= self.delays_ms.len() {
            return None;
        }
        let ladder = Ladder {
            delays_ms: self.delays_ms.clone(),
            jitter_percent: self.jitter_percent,
            give_up_after_ms: 0,
        };
        let asked = millis(wait_ms.unwrap_or(0).min(self.retry_after_cap_ms));
        Some(now + ladder.delay(rung, id).max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_wish_to_wait_is_respected_up_to_a_limit_and_never_hurries() {
        let schedule = Schedule {
            delays_ms: vec![5_000, 60_000],
            jitter_percent: 0,
            retry_after_cap_ms: 30_000,
        };
        let now = from_millis(1_800_000_000_000).unwrap();
        let wait = |tries, wait_ms| {
            let next = schedule.next(tries, wait_ms, "evt", now);
            next.map(|next| (next - now).num_milliseconds())
        };
        assert_eq!(wait(1, None), Some(5_000));
        assert_eq!(wait(1, Some(20_000)), Some(20_000));
        assert_eq!(wait(1, Some(90_000)), Some(30_000));
        assert_eq!(wait(2, Some(20_000)), Some(60_000));
        assert_eq!(wait(3, Some(20_000)), None, "that was the last try");
    }

    #[test]
    fn only_some_answers_may_ask_to_wait() {
        let wait_of = |status| {
            let retry_after_ms = Some(7_000);
            match Outcome::of(&Posted::Answered {
                status,
                retry_after_ms,
            }) {
                Outcome::Failed { wait_ms, .. } => wait_ms,
                other => panic!("{status}: {other:?}"),
            }
        };
        for (status, wait_ms) in [
            (429, Some(7_000)),
            (503, Some(7_000)),
            (500, None),
            (301, None),
        ] {
            assert_eq!(wait_of(status), wait_ms, "{status}");
        }
    }
}
