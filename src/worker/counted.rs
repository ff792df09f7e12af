//! What a turn changed, told to the metrics once it is written: so that nothing is counted that was
//! lost with its turn, and nothing twice that was written twice.

use crate::payment::{Attempt, Payment, State, StateName};
use crate::telemetry::Metrics;

/// As much of the stored record as tells what a write changed.
pub(super) struct Counted {
    /// The numbers of the attempts whose effect it shows.
    closed: Vec<u32>,
    state: StateName,
}

impl Counted {
    /// Of the record as it was read.
    pub(super) fn of(payment: &Payment) -> Self {
        let closed = payment.attempts().iter().filter(|a| !a.is_open());
        Self {
            closed: closed.map(|attempt| attempt.number).collect(),
            state: payment.state().name(),
        }
    }

    /// The record is as `payment` by now.
    pub(super) fn written(&mut self, payment: &Payment, metrics: &Metrics) {
        let account = &payment.request().account;
        let new = |attempt: &&Attempt| !attempt.is_open() && !self.closed.contains(&attempt.number);
        for attempt in payment.attempts().iter().filter(new) {
            metrics.closed(account, attempt);
        }
        let state = payment.state();
        if state.name() != self.state {
            metrics.changed(account, state.name());
            if let State::Parked { reason, .. } = state {
                metrics.parked(account, reason);
            }
        }
        *self = Self::of(payment);
    }
}
