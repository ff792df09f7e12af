//! When something goes wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::effect::Effect;
use crate::engine::Operation;

/// Which calls a rule looks at, which of them it acts on, and what it does. Of several rules
/// that act on one call, latencies add up and the first of every other sort of effect wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation; none for every one of the API.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only calls about this purchase.
    #[serde(default)]
    pub purchase_id: Option<Uuid>,
    /// Only calls about purchases with this reference.
    #[serde(default)]
    pub reference: Option<String>,
    /// Only calls about purchases whose metadata has this value under this key.
    #[serde(default)]
    pub metadata: Option<(String, Value)>,
    /// Only deliveries of this event.
    #[serde(default)]
    pub event: Option<String>,
    /// Acts on the n-th matching call only, counted from 1.
    #[serde(default)]
    pub nth: Option<u64>,
    /// Acts on every n-th matching call.
    #[serde(default)]
    pub every: Option<u64>,
    /// Acts with this probability.
    #[serde(default)]
    pub probability: Option<f64>,
    /// The seed of that probability.
    #[serde(default)]
    pub seed: u64,
    /// Acts at most so many times.
    #[serde(default)]
    pub times: Option<u64>,
    /// What it does.
    pub effect: Effect,
}

impl Rule {
    /// A rule for every call of an operation.
    #[must_use]
    pub fn on(operation: Operation, effect: Effect) -> Self {
        Self {
            operation: Some(operation),
            ..Self::everywhere(effect)
        }
    }

    /// A rule for every call of the API.
    #[must_use]
    pub fn everywhere(effect: Effect) -> Self {
        Self {
            operation: None,
            purchase_id: None,
            reference: None,
            metadata: None,
            event: None,
            nth: None,
            every: None,
            probability: None,
            seed: 0,
            times: None,
            effect,
        }
    }

    /// A rule for deliveries of one event.
    #[must_use]
    pub fn on_event(event: &str, effect: Effect) -> Self {
        Self {
            event: Some(event.to_owned()),
            ..Self::on(Operation::Delivery, effect)
        }
    }

    /// Only for one purchase.
    #[must_use]
    pub fn purchase(self, purchase: Uuid) -> Self {
        Self {
            purchase_id: Some(purchase),
            ..self
        }
    }

    /// Only for purchases with a reference.
    #[must_use]
    pub fn reference(self, reference: &str) -> Self {
        Self {
            reference: Some(reference.to_owned()),
            ..self
        }
    }

    /// Only for purchases with a metadata value.
    #[must_use]
    pub fn metadata(self, key: &str, value: impl Into<Value>) -> Self {
        Self {
            metadata: Some((key.to_owned(), value.into())),
            ..self
        }
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self {
            nth: Some(nth),
            ..self
        }
    }

    /// Every n-th matching call.
    #[must_use]
    pub fn every(self, every: u64) -> Self {
        Self {
            every: Some(every),
            ..self
        }
    }

    /// With a probability, drawn from a seed.
    #[must_use]
    pub fn probability(self, probability: f64, seed: u64) -> Self {
        Self {
            probability: Some(probability),
            seed,
            ..self
        }
    }

    /// At most so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        let is_delivery = facts.operation == Operation::Delivery;
        let operation_fits = match self.operation {
            None => !is_delivery,
            Some(operation) => operation == facts.operation,
        };
        let metadata_fits = self.metadata.as_ref().is_none_or(|(key, value)| {
            facts.metadata.and_then(|metadata| metadata.get(key)) == Some(value)
        });
        operation_fits
            && metadata_fits
            && self
                .purchase_id
                .is_none_or(|id| facts.purchase_id == Some(id))
            && self
                .reference
                .as_ref()
                .is_none_or(|reference| reference == facts.reference)
            && self
                .event
                .as_deref()
                .is_none_or(|event| facts.event == Some(event))
    }
}

/// What a rule looks at in a call.
pub(crate) struct Facts<'a> {
    pub(crate) operation: Operation,
    pub(crate) purchase_id: Option<Uuid>,
    pub(crate) reference: &'a str,
    pub(crate) metadata: Option<&'a Value>,
    pub(crate) event: Option<&'a str>,
}
