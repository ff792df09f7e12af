//! Which payment a webhook or a callback is about. Its content is never believed.

use serde::Deserialize;
use serde_json::Value;

use crate::payment::{AccountName, CardId, CardToken, PaymentId, PurchaseId};

/// The event that says that a card is deleted: its purchase is the one that saved it.
const CARD_DELETED: &str = "purchase.recurring_token_deleted";

/// What an event says became of money or of a card. Not believed, only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Funds are reserved, or a card was verified.
    Reserved,
    /// Money was taken.
    Taken,
}

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

/// What is read of a body, which has some hundred fields more.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    event_type: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    reference: Value,
    #[serde(default)]
    related_to: Value,
}

impl Notice {
    /// Reads what can be read. A body that says nothing is about nothing.
    #[must_use]
    pub fn read(json: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Body>(json) else {
            return Self {
                event: None,
                about: Vec::new(),
            };
        };
        let itself = About {
            kind: body.kind,
            id: body.id,
            reference: body.reference,
        };
        // A refund or a chargeback is an object of its own, related to the purchase.
        let related = Some(body.related_to).filter(Value::is_object);
        let related = related.and_then(|object| serde_json::from_value(object).ok());
        let is_purchase = |about: &About| about.kind.as_str().is_none_or(|kind| kind == "purchase");
        Self {
            about: [Some(itself), related]
                .into_iter()
                .flatten()
                .filter(is_purchase)
                .collect(),
            event: body.event_type.as_str().map(super::refusal::code_word),
        }
    }

    /// The event's name, for the log.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// What it says became of money, if its event says that anything did.
    #[must_use]
    pub fn claims(&self) -> Option<Claimed> {
        match self.event()? {
            "purchase.hold" | "purchase.preauthorized" => Some(Claimed::Reserved),
            "purchase.paid" | "purchase.captured" | "purchase.settled" => Some(Claimed::Taken),
            _ => None,
        }
    }

    /// Whether it is about `purchase`.
    #[must_use]
    pub fn is_about(&self, purchase: &PurchaseId) -> bool {
        let ids = self.about.iter().filter_map(|about| about.id.as_str());
        ids.filter_map(|id| PurchaseId::new(id).ok())
            .any(|id| id == *purchase)
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

    /// The card that it says is deleted, if that is what it is about.
    #[must_use]
    pub fn deleted_card(&self, account: &AccountName) -> Option<CardId> {
        let deleted = self.event() == Some(CARD_DELETED);
        let id = self.about.first().filter(|_| deleted)?.id.as_str()?;
        let token = CardToken::new(id).ok()?;
        Some(CardId::derive(account, &token))
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

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5a9e3c1c-0000-4000-8000-000000000002";
    const OURS: &str = "pay_0123456789abcdef0123456789abcdef";

    fn payments(json: &str) -> Vec<PaymentId> {
        Notice::read(json.as_bytes()).payments(&AccountName::new("hotel").unwrap())
    }

    fn adopted() -> PaymentId {
        let account = AccountName::new("hotel").unwrap();
        PaymentId::derive_adopted(&account, &PurchaseId::new(ID).unwrap())
    }

    #[test]
    fn a_purchase_is_found_by_its_reference_and_by_its_id() {
        let body = format!(r#"{{"type":"purchase","id":"{ID}","reference":"{OURS}"}}"#);
        assert_eq!(payments(&body), [PaymentId::new(OURS).unwrap(), adopted()]);
        let foreign = format!(r#"{{"type":"purchase","id":"{ID}","reference":"order 7"}}"#);
        assert_eq!(payments(&foreign), [adopted()]);
    }

    #[test]
    fn a_refund_is_about_the_purchase_it_is_related_to() {
        let body = format!(
            r#"{{"type":"payment","id":"99999999-0000-4000-8000-000000000002",
                "related_to":{{"type":"purchase","id":"{ID}","reference":"{OURS}"}}}}"#
        );
        assert_eq!(payments(&body), [PaymentId::new(OURS).unwrap(), adopted()]);
    }

    #[test]
    fn what_says_nothing_is_about_nothing() {
        for body in [
            "",
            "no json",
            "[]",
            "7",
            "null",
            "{}",
            r#"{"id":7,"reference":null}"#,
        ] {
            assert_eq!(payments(body), [], "{body}");
        }
        assert_eq!(payments(r#"{"reference":"pay_short"}"#), []);
        assert_eq!(
            payments(r#"{"reference":"pay_0123456789ABCDEF0123456789abcdef"}"#),
            []
        );
    }

    #[test]
    fn what_is_said_of_money_and_of_which_purchase_is_read_and_nothing_else() {
        let notice = |event: &str| {
            let json = format!(r#"{{"type":"purchase","event_type":"{event}","id":"{ID}"}}"#);
            Notice::read(json.as_bytes())
        };
        for (event, claimed) in [
            ("purchase.hold", Some(Claimed::Reserved)),
            ("purchase.preauthorized", Some(Claimed::Reserved)),
            ("purchase.paid", Some(Claimed::Taken)),
            ("purchase.captured", Some(Claimed::Taken)),
            ("purchase.settled", Some(Claimed::Taken)),
            ("purchase.pending_charge", None),
            ("purchase.payment_failure", None),
            ("purchase.released", None),
            ("purchase.created", None),
        ] {
            assert_eq!(notice(event).claims(), claimed, "{event}");
        }
        let capitals = PurchaseId::new(ID.to_uppercase()).unwrap();
        assert!(notice("x").is_about(&capitals));
        let other = PurchaseId::new("5a9e3c1c-0000-4000-8000-00000000000f").unwrap();
        assert!(!notice("x").is_about(&other));
    }

    #[test]
    fn a_card_is_deleted_only_by_the_event_that_says_so() {
        let account = AccountName::new("hotel").unwrap();
        let card = |event: &str, id: &str| {
            let json = format!(r#"{{"type":"purchase","event_type":"{event}","id":"{id}"}}"#);
            Notice::read(json.as_bytes()).deleted_card(&account)
        };
        let token = CardToken::new(ID).unwrap();
        let deleted = "purchase.recurring_token_deleted";
        assert_eq!(card(deleted, ID), Some(CardId::derive(&account, &token)));
        assert_eq!(card("purchase.pending_recurring_token_delete", ID), None);
        assert_eq!(card(deleted, ""), None);
        let refund = format!(r#"{{"type":"payment","event_type":"{deleted}","id":"{ID}"}}"#);
        assert_eq!(Notice::read(refund.as_bytes()).deleted_card(&account), None);
    }
}
