//! One payment of a plan: whether it is to be told, and how it came out.

use chrono::TimeDelta;

use super::foresee::{Fit, Foreseen};
use super::plan::{Fate, LeftOut, Planned};
use crate::payment::{Payment, PaymentId, Policy, State, Timestamp};

/// How long a payment may take to come to rest; after that it is no longer waited for.
const LONGEST_REST: TimeDelta = TimeDelta::minutes(2);

impl Planned {
    /// One that is to be asked about.
    #[must_use]
    pub const fn unasked(payment: PaymentId) -> Self {
        Self {
            payment,
            account: None,
            seen: None,
            shown: None,
            foreseen: None,
            most: None,
            stopped: None,
            fate: Fate::Unasked,
        }
    }

    /// The same, not to be rerun.
    #[must_use]
    pub fn left_out(self, why: LeftOut) -> Self {
        let fate = Fate::LeftOut { why };
        Self { fate, ..self }
    }

    /// Takes in how the payment stands after it was told, if that is known by now.
    pub fn came_out(&mut self, payment: &Payment, now: Timestamp, policy: Option<&Policy>) {
        let (Some(foreseen), Fate::Given { at }) = (&self.foreseen, &self.fate) else {
            return;
        };
        let state = payment.state().name();
        let reason = match payment.state() {
            State::Parked { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.fate = match foreseen.fits(payment, now, policy) {
            Fit::AsForeseen => Fate::AsForeseen { state },
            Fit::NotYet if now - *at <= LONGEST_REST => return,
            Fit::NotYet if foreseen.looks_first() => Fate::LooksOn { state, reason },
            Fit::NotYet | Fit::Otherwise => Fate::Odd { state, reason },
        };
    }

    pub(super) fn waits(&self) -> bool {
        self.fate == Fate::Waits
    }

    pub(super) fn tells(&self) -> u8 {
        self.foreseen.as_ref().map_or(0, Foreseen::tells)
    }

    /// Whether `payment` is as it was planned.
    #[must_use]
    pub fn is_still(&self, payment: &Payment) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| seen.is_still(payment))
    }

    /// Whether it is to be told, or may not have been.
    pub(super) const fn may_be_told(&self) -> bool {
        matches!(self.fate, Fate::Waits | Fate::Given { .. })
    }

    /// Whether a run that goes on may still come to do something about it.
    pub(super) const fn is_to_come(&self) -> bool {
        self.may_be_told() || matches!(self.fate, Fate::LooksOn { .. })
    }

    /// Whether it is rerun by the plan, or was.
    pub(super) const fn is_planned(&self) -> bool {
        !matches!(self.fate, Fate::Unasked | Fate::LeftOut { .. })
    }
}
