//! A purchase as the gateway writes it. Fields it may add are ignored, numbers may be strings,
//! what is empty may be null or missing; but what decides about money is never assumed: without
//! it the body is unreadable.

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

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
    #[serde(default)]
    currency_conversion: Option<Map<String, Value>>,
    #[serde(default)]
    due: Option<Whole>,
    #[serde(borrow, default)]
    status_history: Option<Vec<Change<'a>>>,
    #[serde(borrow, default)]
    transaction_data: Option<Transactions<'a>>,
    #[serde(default)]
    is_recurring_token: Option<bool>,
    #[serde(default)]
    marked_as_paid: Option<bool>,
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
            by_hand: self.marked_as_paid.unwrap_or(false),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn purchase() -> Value {
        json!({
            "id": "5a9e3c1c-0000-4000-8000-000000000002", "type": "purchase", "status": "hold",
            "brand_id": "brand-1", "is_test": true, "reference": "pay_1", "due": 1_800_003_600,
            "purchase": {"total": 100, "currency": "MYR"}, "payment": null,
            "currency_conversion": null, "is_recurring_token": false,
            "checkout_url": "https://gate.example/p/1/", "direct_post_url": null,
            "status_history": [
                {"status": "created", "timestamp": 1_800_000_000},
                {"status": "hold", "timestamp": 1_800_000_010},
                {"status": "pending_capture", "timestamp": 1_800_000_020},
                {"status": "hold", "timestamp": 1_800_000_030},
            ],
            "transaction_data": {"attempts": [
                {"type": "capture", "successful": false, "error": {"code": "timeout"}},
                {"type": "authorize", "successful": true, "error": null},
            ]},
        })
    }

    fn with(pointer: &str, value: Value) -> Result<Sighting, Unreadable> {
        let mut body = purchase();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value;
        read_sighting(body.to_string().as_bytes())
    }

    fn without(pointer: &str) -> Result<Sighting, Unreadable> {
        let mut body = purchase();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap();
        read_sighting(body.to_string().as_bytes())
    }

    #[test]
    fn every_status_of_the_gateway_means_one_thing_for_the_money() {
        let table: &[(&[&str], Standing)] = &[
            (
                &["created", "sent", "viewed", "error", "blocked", "overdue"],
                Standing::Payable,
            ),
            (
                &[
                    "pending_execute",
                    "pending_charge",
                    "pending_capture",
                    "pending_release",
                ],
                Standing::Pending,
            ),
            (&["hold"], Standing::Held),
            (
                &[
                    "paid",
                    "cleared",
                    "settled",
                    "pending_refund",
                    "refunded",
                    "chargeback",
                ],
                Standing::Paid,
            ),
            (&["released"], Standing::Released),
            (&["preauthorized"], Standing::CardSaved),
            (&["cancelled"], Standing::Cancelled),
            (&["expired"], Standing::Expired),
        ];
        assert_eq!(
            table
                .iter()
                .map(|(statuses, _)| statuses.len())
                .sum::<usize>(),
            21
        );
        for (statuses, standing) in table {
            for status in *statuses {
                assert_eq!(
                    with("/status", json!(status)).unwrap().standing,
                    *standing,
                    "{status}"
                );
            }
        }
        for unknown in ["paid_authorized", "captured", "PAID", ""] {
            let seen = with("/status", json!(unknown)).unwrap();
            assert!(matches!(seen.standing, Standing::Other(_)), "{unknown}");
        }
    }

    #[test]
    fn a_hold_began_when_it_was_first_held() {
        let seen = read_sighting(purchase().to_string().as_bytes()).unwrap();
        assert_eq!(seen.held_since.unwrap().timestamp(), 1_800_000_010);
        assert_eq!(seen.due.unwrap().timestamp(), 1_800_003_600);
        assert_eq!(without("/status_history").unwrap().held_since, None);
    }

    #[test]
    fn tries_keep_their_order_and_their_codes() {
        let seen = read_sighting(purchase().to_string().as_bytes()).unwrap();
        let capture = Try {
            kind: TryKind::Capture,
            successful: false,
            code: Some("timeout".to_owned()),
        };
        let pay = Try {
            kind: TryKind::Pay,
            successful: true,
            code: None,
        };
        assert_eq!(seen.tries, [capture, pay]);
        for (kind, expected) in [
            ("execute", TryKind::Pay),
            ("recurring_execute", TryKind::Pay),
            ("release", TryKind::Release),
            ("refund", TryKind::Other),
            ("something_new", TryKind::Other),
        ] {
            let tries = json!([{"type": kind, "successful": true}]);
            let seen = with("/transaction_data/attempts", tries).unwrap();
            assert_eq!(seen.tries[0].kind, expected, "{kind}");
        }
    }

    #[test]
    fn a_try_that_does_not_say_how_it_ended_is_not_guessed_at() {
        let tries = |tried: Value| with("/transaction_data/attempts", json!([tried]));
        assert!(tries(json!({"type": "capture"})).is_err());
        assert!(tries(json!({"type": "capture", "successful": null, "error": null})).is_err());
        let failed = tries(json!({"type": "capture", "error": {"code": "x"}})).unwrap();
        assert!(!failed.tries[0].successful);
    }

    #[test]
    fn numbers_may_be_strings_and_what_is_empty_may_be_missing() {
        for total in [json!("100"), json!(100.0), json!("100.00")] {
            assert_eq!(with("/purchase/total", total).unwrap().total, 100);
        }
        for pointer in [
            "/reference",
            "/due",
            "/payment",
            "/status_history",
            "/checkout_url",
        ] {
            assert!(without(pointer).is_ok(), "{pointer}");
            assert!(with(pointer, Value::Null).is_ok(), "{pointer}");
        }
        let bare = with("/checkout_url", json!("")).unwrap();
        assert_eq!(bare.links.checkout, None);
    }

    #[test]
    fn without_what_decides_about_money_a_body_is_unreadable() {
        for pointer in [
            "/id",
            "/status",
            "/brand_id",
            "/is_test",
            "/purchase/total",
            "/purchase/currency",
        ] {
            let error = without(pointer).unwrap_err();
            let field = pointer.rsplit_once('/').unwrap().1;
            assert!(error.field.contains(field), "{pointer}: {error}");
            assert!(with(pointer, Value::Null).is_err(), "{pointer}");
        }
        for total in [
            json!(-1),
            json!(1.5),
            json!("abc"),
            json!(1e30),
            json!(u64::MAX),
        ] {
            assert!(with("/purchase/total", total.clone()).is_err(), "{total}");
        }
        assert!(with("/type", json!("payment")).is_err());
        assert!(with("/id", json!("")).is_err());
        assert!(with("/id", json!("a/../b")).is_err());
    }

    #[test]
    fn what_was_taken_is_an_amount_and_a_currency_or_nothing() {
        let taken = |payment: Value| with("/payment", payment).map(|seen| seen.taken);
        let money = Taken {
            amount: 40,
            currency: "MYR".to_owned(),
        };
        assert_eq!(
            taken(json!({"amount": 40, "currency": "MYR"})),
            Ok(Some(money))
        );
        assert_eq!(taken(json!({})), Ok(None));
        assert!(taken(json!({"amount": 40})).is_err());
        assert!(taken(json!({"currency": "MYR"})).is_err());
        assert!(taken(json!({"amount": -40, "currency": "MYR"})).is_err());
        let refund = json!({"amount": 40, "currency": "MYR", "is_outgoing": true});
        assert_eq!(taken(refund), Ok(None));
    }

    #[test]
    fn a_conversion_is_noticed() {
        assert!(
            !read_sighting(purchase().to_string().as_bytes())
                .unwrap()
                .converted
        );
        let rate = json!({"original_currency": "EUR", "original_amount": 20, "exchange_rate": 5});
        assert!(with("/currency_conversion", rate).unwrap().converted);
    }

    #[test]
    fn an_unreadable_body_is_told_without_its_content() {
        let error = with("/purchase/total", json!("sk-secret-4444333322221111")).unwrap_err();
        assert_eq!(error.field, "purchase.total");
        assert_eq!(
            read_sighting(b"{\"id\": \"x").unwrap_err().field,
            "not JSON, or cut short"
        );
    }
}
