//! A purchase as the gateway writes it. Fields it may add are ignored, numbers may be strings,
//! what is empty may be null or missing; but what decides about money is never assumed: without
//! it the body is unreadable.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use super::refusal::code_word;
use crate::payment::{
    Links, Private, PurchaseId, Sighting, Standing, Taken, Timestamp, Try, TryKind,
};

/// Why a body is no purchase: the field that is missing or not as it should be. Never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a readable purchase ({field})")]
pub struct Unreadable {
    /// The field's path.
    pub field: String,
}

fn unreadable(field: &str) -> Unreadable {
    Unreadable {
        field: field.to_owned(),
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    brand_id: Cow<'a, str>,
    is_test: bool,
    #[serde(borrow)]
    purchase: Details<'a>,
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payment: Option<Money<'a>>,
    #[serde(borrow, default)]
    currency_conversion: Option<HashMap<Cow<'a, str>, IgnoredAny>>,
    #[serde(default)]
    due: Option<Whole>,
    #[serde(borrow, default)]
    status_history: Option<Vec<Change<'a>>>,
    #[serde(borrow, default)]
    transaction_data: Option<Transactions<'a>>,
    #[serde(default)]
    is_recurring_token: Option<bool>,
    #[serde(borrow, default)]
    checkout_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    direct_post_url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Details<'a> {
    total: Whole,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Money<'a> {
    #[serde(default)]
    amount: Option<Whole>,
    #[serde(borrow, default)]
    currency: Option<Cow<'a, str>>,
    #[serde(default)]
    is_outgoing: Option<bool>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(default)]
    timestamp: Option<Whole>,
}

#[derive(Deserialize)]
struct Transactions<'a> {
    #[serde(borrow, default)]
    attempts: Option<Vec<Tried<'a>>>,
}

#[derive(Deserialize)]
struct Tried<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    successful: Option<bool>,
    #[serde(borrow, default)]
    error: Option<Fault<'a>>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
}

/// A whole number, written as a number or as a string.
#[derive(Debug, Clone, Copy)]
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Whole, E> {
        i64::try_from(number)
            .map(Whole)
            .map_err(|_| E::custom("too large"))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Whole, E> {
        // As text, so that no conversion can round: 100.0 is 100, 100.5 is nothing.
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Whole, E> {
        let whole = match text.trim().split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
            Some(_) => return Err(E::custom("not whole")),
            None => text.trim(),
        };
        whole
            .parse()
            .map(Whole)
            .map_err(|_| E::custom("not a whole number"))
    }
}

impl Whole {
    fn minor(self, field: &str) -> Result<u64, Unreadable> {
        u64::try_from(self.0).map_err(|_| unreadable(field))
    }

    fn seconds(self) -> Option<Timestamp> {
        self.0.checked_mul(1000).and_then(crate::clock::from_millis)
    }
}

/// Reads a purchase, as it is answered or as a webhook carries it.
pub fn read_sighting(json: &[u8]) -> Result<Sighting, Unreadable> {
    match serde_json::from_slice::<Body<'_>>(json) {
        Ok(body) => body.sighting(),
        Err(_) => Err(unreadable(&where_it_fails(json))),
    }
}

/// The path of the field that cannot be read. Only now, since it costs a second reading.
fn where_it_fails(json: &[u8]) -> String {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, Body<'_>>(&mut deserializer) {
        Ok(_) => "more than one value".to_owned(),
        Err(error) if error.inner().is_data() => match missing_field(error.inner()) {
            Some(field) => format!("{}: {field} is missing", error.path()),
            None => error.path().to_string(),
        },
        Err(_) => "not JSON, or cut short".to_owned(),
    }
}

/// The field that an error calls missing: a name of ours, unlike everything else in its text.
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("missing field `")?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}

impl Body<'_> {
    fn sighting(self) -> Result<Sighting, Unreadable> {
        if self.kind.as_deref().is_some_and(|kind| kind != "purchase") {
            return Err(unreadable("type"));
        }
        let tries = self
            .transaction_data
            .and_then(|data| data.attempts)
            .unwrap_or_default();
        Ok(Sighting {
            purchase: PurchaseId::new(self.id).map_err(|_| unreadable("id"))?,
            standing: standing(&self.status),
            total: self.purchase.total.minor("purchase.total")?,
            currency: self.purchase.currency.into_owned(),
            converted: self
                .currency_conversion
                .is_some_and(|fields| !fields.is_empty()),
            brand: self.brand_id.into_owned(),
            test: self.is_test,
            reference: self.reference.unwrap_or_default().into_owned(),
            taken: self.payment.map(Money::taken).transpose()?.flatten(),
            card_saved: self.is_recurring_token.unwrap_or(false),
            tries: tries
                .into_iter()
                .map(Tried::read)
                .collect::<Result<_, _>>()?,
            held_since: held_since(&self.status_history.unwrap_or_default()),
            due: self.due.and_then(Whole::seconds),
            links: Links {
                checkout: self.checkout_url.and_then(link),
                direct_post: self.direct_post_url.and_then(link),
            },
        })
    }
}

impl Money<'_> {
    /// What was taken. An empty object is nothing; half of one is unreadable.
    fn taken(self) -> Result<Option<Taken>, Unreadable> {
        match (self.amount, self.currency) {
            (None, None) => Ok(None),
            _ if self.is_outgoing == Some(true) => Ok(None),
            (Some(amount), Some(currency)) => Ok(Some(Taken {
                amount: amount.minor("payment.amount")?,
                currency: currency.into_owned(),
            })),
            (Some(_), None) => Err(unreadable("payment.currency")),
            (None, Some(_)) => Err(unreadable("payment.amount")),
        }
    }
}

impl Tried<'_> {
    fn read(self) -> Result<Try, Unreadable> {
        let field = "transaction_data.attempts.successful";
        // A try that only names its error failed; one that says neither must not be guessed at.
        let successful = match (self.successful, &self.error) {
            (Some(successful), _) => successful,
            (None, Some(_)) => false,
            (None, None) => return Err(unreadable(field)),
        };
        let kind = match self.kind.as_deref() {
            Some("execute" | "authorize" | "recurring_execute") => TryKind::Pay,
            Some("capture") => TryKind::Capture,
            Some("release") => TryKind::Release,
            _ => TryKind::Other,
        };
        let code = self.error.and_then(|error| error.code);
        let code = code
            .filter(|code| !code.is_empty())
            .map(|code| code_word(&code));
        Ok(Try {
            kind,
            successful,
            code,
        })
    }
}

/// What a status means for the money. All 21 of them; any other says nothing.
fn standing(status: &str) -> Standing {
    match status {
        "created" | "sent" | "viewed" | "error" | "blocked" | "overdue" => Standing::Payable,
        "pending_execute" | "pending_charge" | "pending_capture" | "pending_release" => {
            Standing::Pending
        }
        "hold" => Standing::Held,
        "paid" | "cleared" | "settled" | "pending_refund" | "refunded" | "chargeback" => {
            Standing::Paid
        }
        "released" => Standing::Released,
        "preauthorized" => Standing::CardSaved,
        "cancelled" => Standing::Cancelled,
        "expired" => Standing::Expired,
        other => Standing::Other(code_word(other)),
    }
}

/// When the funds were reserved: at the first `hold`. A capture that failed comes back to `hold`
/// later, and reserves nothing anew.
fn held_since(history: &[Change<'_>]) -> Option<Timestamp> {
    let held = history
        .iter()
        .filter(|change| change.status.as_deref() == Some("hold"));
    held.filter_map(|change| change.timestamp?.seconds()).min()
}

fn link(text: Cow<'_, str>) -> Option<Private<String>> {
    (!text.is_empty()).then(|| Private::new(text.into_owned()))
}
