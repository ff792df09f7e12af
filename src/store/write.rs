//! What both stores agree on about a write.

use super::Then;
use crate::clock::from_millis;
use crate::payment::{Payment, Timestamp, millis};

/// What follows a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The claim goes on until its lease ends.
    Leased(Timestamp),
    /// The claim has ended; the payment is due.
    Due(Timestamp),
    /// Nothing more is to be done.
    Finished,
}

impl After {
    /// Whatever the caller asks: what is finished rests, and what is not stays in the due index.
    pub(super) fn of(payment: &Payment, then: Then, now: Timestamp, lease_ms: u64) -> Self {
        match then {
            _ if payment.is_finished() => Self::Finished,
            Then::Keep => Self::Leased(now + millis(lease_ms)),
            Then::Rest(due) => Self::Due(whole_ms(due.unwrap_or(now))),
        }
    }
}

/// In milliseconds since 1970, rounded up: woken early, a payment would only go back to sleep.
pub(super) fn due_ms(due: Timestamp) -> i64 {
    let rest = due.timestamp_subsec_nanos() % 1_000_000;
    due.timestamp_millis() + i64::from(rest != 0)
}

pub(super) fn whole_ms(due: Timestamp) -> Timestamp {
    from_millis(due_ms(due)).unwrap_or(due)
}
