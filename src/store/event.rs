//! What the outside is told: one event for each change of state, written with the change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::payment::{
    AccountName, Active, Hold, IdempotencyKey, Money, Payment, PaymentId, Reference, ResolvedHow,
    ShownCard, State, StateName, Timestamp,
};

const EVENT_VERSION: u32 = 1;

/// A payment came into a state. The name of its entry in the stream names the event. `version` tells
/// which of two events of a payment is older; a crash in the middle of a write can leave two entries
/// that tell one change, with one version.
///
/// Nothing that lets its holder pay or charge stands in it: links and tokens are to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEvent {
    /// The version of this form.
    pub v: u32,
    /// Which payment.
    pub payment: PaymentId,
    /// Under which account.
    pub account: AccountName,
    /// What the producer called the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// The producer's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// What was asked for: `authorize`, `save_card`, `charge` or `adopt`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How much was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// Into which state.
    pub state: StateName,
    /// The version of the record that shows it.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What was taken, once it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Money>,
    /// The hold, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Why it failed or was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Value>,
    /// The card, once something is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<ShownCard>,
    /// How people settled it, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<ResolvedHow>,
}

impl StateEvent {
    /// What is posted to the endpoints of producers, as JSON Schema, version 1; `data` is what the
    /// streams hold.
    pub const SCHEMA: &str = include_str!("../../schema/event.v1.json");

    /// That `payment` is in its state from `version` on.
    #[must_use]
    pub fn of(payment: &Payment, version: u64) -> Self {
        let since = payment
            .history()
            .last()
            .map_or(payment.created_at(), |change| change.at);
        let (request, state) = (payment.request(), payment.state());
        let reason = reason_of(state);
        let hold = match state.active() {
            Some(Active::Held(hold)) => Some(hold),
            _ => None,
        };
        Self {
            v: EVENT_VERSION,
            payment: payment.id().clone(),
            account: request.account.clone(),
            idempotency_key: Some(request.idempotency_key.clone()),
            reference: request.reference.clone(),
            kind: Some(request.ask.kind().to_owned()),
            money: request.money(),
            state: state.name(),
            version,
            at: since,
            taken: match state {
                State::Paid(money) => Some(*money),
                _ => None,
            },
            hold,
            reason,
            card: payment.shown_card(),
            resolved: payment.resolved(),
        }
    }
}

/// Why it failed or was parked, if it did or was.
pub(super) fn reason_of(state: &State) -> Option<Value> {
    match state {
        State::Failed(reason) => serde_json::to_value(reason).ok(),
        State::Parked { reason, .. } => serde_json::to_value(reason).ok(),
        _ => None,
    }
}
