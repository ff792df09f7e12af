//! Which payment a webhook or a callback is about. Its content is never believed.

use serde::Deserialize;
use serde_json::Value;

use crate::payment::{AccountName, PaymentId, PurchaseId};

/// What a webhook or a callback is about, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    event: Option<String>,
    about: Vec<About>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct About {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    reference: Value,
}

impl Notice {
    /// Reads what can be read. A body that says nothing is about nothing.
    #[must_use]
    pub fn read(json: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(json).unwrap_or(Value::Null);
        let event = body.get("event_type").and_then(Value::as_str);
        // A refund or a chargeback is an object of its own, related to the purchase.
        let objects = [Some(&body), body.get("related_to")];
        let about = objects.into_iter().flatten().filter_map(|object| {
            let about: About = serde_json::from_value(object.clone()).ok()?;
            let purchase = about.kind.as_str().is_none_or(|kind| kind == "purchase");
            (object.is_object() && purchase).then_some(about)
        });
        Self {
            about: about.collect(),
            event: event.map(super::refusal::code_word),
        }
    }

    /// The event's name, for the log.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The payments that it may be about, the likeliest first: the one named by its reference,
    /// and the one that adopted its purchase.
    #[must_use]
    pub fn payments(&self, account: &AccountName) -> Vec<PaymentId> {
        let mut found = Vec::new();
        for about in &self.about {
            let reference = about.reference.as_str().and_then(ours);
            let adopted = about
                .id
                .as_str()
                .and_then(|id| PurchaseId::new(id).ok())
                .map(|purchase| PaymentId::derive_adopted(account, &purchase));
            found.extend(reference);
            found.extend(adopted);
        }
        found
    }
}

/// A payment id as we make them, and nothing that only looks a little like one.
fn ours(reference: &str) -> Option<PaymentId> {
    let digits = reference.strip_prefix("pay_")?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 32 && digits.bytes().all(hex))
        .then(|| PaymentId::new(reference).ok())
        .flatten()
}
