//! What the outside is told: one event for each change of state, written with the change.

use serde::{Deserialize, Serialize};

use crate::payment::{AccountName, Payment, PaymentId, Reference, StateName, Timestamp};

const EVENT_VERSION: u32 = 1;

/// A payment came into a state. `payment` and `version` together name the event: whoever reads
/// the same pair twice has read the same event twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEvent {
    /// The version of this form.
    pub v: u32,
    /// Which payment.
    pub payment: PaymentId,
    /// Under which account.
    pub account: AccountName,
    /// The producer's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Into which state.
    pub state: StateName,
    /// The version of the record that shows it.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}

impl StateEvent {
    /// That `payment` is in its state from `version` on.
    pub(super) fn of(payment: &Payment, version: u64) -> Self {
        let since = payment
            .history()
            .last()
            .map_or(payment.created_at(), |change| change.at);
        Self {
            v: EVENT_VERSION,
            payment: payment.id().clone(),
            account: payment.request().account.clone(),
            reference: payment.request().reference.clone(),
            state: payment.state().name(),
            version,
            at: since,
        }
    }
}
