//! A purchase as the gateway writes it. Fields it may add are ignored, numbers may be strings,
//! what is empty may be null, missing or of any empty shape; but what decides about money is never
//! assumed: without it the body is unreadable. What decides nothing may be of any shape at all.

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::refusal::code_word;
use crate::payment::{
    CardFace, CardToken, Links, Private, PurchaseId, Sighting, Standing, Taken, Timestamp, Try,
    TryKind,
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

/// What is decisive has a type here; the rest is read as it comes.
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
    #[serde(default)]
    payment: Value,
    #[serde(default)]
    currency_conversion: Value,
    #[serde(default)]
    due: Value,
    #[serde(default)]
    status_history: Value,
    #[serde(default)]
    transaction_data: Value,
    #[serde(default)]
    is_recurring_token: Value,
    #[serde(default)]
    recurring_token: Value,
    #[serde(default)]
    marked_as_paid: Value,
    #[serde(default)]
    checkout_url: Value,
    #[serde(default)]
    direct_post_url: Value,
}

#[derive(Deserialize)]
struct Details<'a> {
    total: Whole,
    #[serde(borrow)]
    currency: Cow<'a, str>,
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
        let purchase = PurchaseId::new(self.id).map_err(|_| unreadable("id"))?;
        let standing = standing(&self.status);
        Ok(Sighting {
            card: card(&purchase, &self.is_recurring_token, &self.recurring_token),
            face: face(&self.transaction_data),
            purchase,
            total: self.purchase.total.minor("purchase.total")?,
            currency: self.purchase.currency.into_owned(),
            // Whatever stands there, if anything does: a conversion is never overlooked.
            converted: !is_empty(&self.currency_conversion),
            brand: self.brand_id.into_owned(),
            test: self.is_test,
            reference: self.reference.unwrap_or_default().into_owned(),
            taken: match taken(&self.payment) {
                // As long as nothing is taken, what it says does not matter.
                Err(_) if standing != Standing::Paid => None,
                taken => taken?,
            },
            standing,
            by_hand: flag(&self.marked_as_paid, "marked_as_paid")?,
            tries: tries(&self.transaction_data)?,
            held_since: held_since(&self.status_history),
            due: seconds(&self.due),
            links: Links {
                checkout: link(&self.checkout_url),
                direct_post: link(&self.direct_post_url),
            },
        })
    }
}

/// Whether nothing stands there, in whatever shape.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// A yes or no that decides about money.
fn flag(value: &Value, field: &str) -> Result<bool, Unreadable> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        value if is_empty(value) => Ok(false),
        _ => Err(unreadable(field)),
    }
}

fn whole(value: &Value, field: &str) -> Result<Whole, Unreadable> {
    Whole::deserialize(value).map_err(|_| unreadable(field))
}

pub(super) fn seconds(value: &Value) -> Option<Timestamp> {
    whole(value, "").ok()?.seconds()
}

fn link(value: &Value) -> Option<Private<String>> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(Private::new(text.to_owned()))
}

/// Under which token the card is kept: the purchase's own id if it saved the card, and the older
/// token if the payer picked a card that was saved before.
fn card(purchase: &PurchaseId, saved_here: &Value, other: &Value) -> Option<CardToken> {
    if saved_here == &Value::Bool(true) {
        return Some(purchase.as_card_token());
    }
    CardToken::new(other.as_str()?).ok()
}

/// What people call the card by, as the newest try that succeeded shows it. It decides nothing, so
/// whatever has another shape is as good as nothing.
fn face(transactions: &Value) -> Option<CardFace> {
    let attempts = transactions.get("attempts")?.as_array()?.iter();
    let succeeded = |attempt: &&Value| attempt.get("successful") == Some(&Value::Bool(true));
    attempts.filter(succeeded).find_map(|attempt| {
        let extra = attempt.get("extra")?;
        let text = |key| extra.get(key).and_then(Value::as_str);
        CardFace::of(text("card_brand")?, text("masked_pan")?)
    })
}

/// What was taken. Nothing is nothing; half of something is unreadable.
fn taken(payment: &Value) -> Result<Option<Taken>, Unreadable> {
    if is_empty(payment) {
        return Ok(None);
    }
    let of = |key| payment.get(key).unwrap_or(&Value::Null);
    if !payment.is_object() {
        return Err(unreadable("payment"));
    }
    if flag(of("is_outgoing"), "payment.is_outgoing")? {
        return Ok(None);
    }
    match (of("amount"), of("currency")) {
        (Value::Null, Value::Null) => Ok(None),
        (amount, Value::String(currency)) => Ok(Some(Taken {
            amount: whole(amount, "payment.amount")?.minor("payment.amount")?,
            currency: currency.clone(),
        })),
        _ => Err(unreadable("payment.currency")),
    }
}

/// The tries at the acquirer. Their absence may lead to a call being made again, so a list that
/// cannot be read is not an empty one.
fn tries(transactions: &Value) -> Result<Vec<Try>, Unreadable> {
    let field = "transaction_data.attempts";
    match transactions {
        empty if is_empty(empty) => Ok(Vec::new()),
        Value::Object(data) => match data.get("attempts") {
            Some(Value::Array(attempts)) => attempts.iter().map(tried).collect(),
            attempts if attempts.is_none_or(is_empty) => Ok(Vec::new()),
            _ => Err(unreadable(field)),
        },
        _ => Err(unreadable(field)),
    }
}

fn tried(attempt: &Value) -> Result<Try, Unreadable> {
    let of = |key| attempt.get(key).unwrap_or(&Value::Null);
    let kind = match of("type").as_str() {
        Some("execute" | "authorize" | "recurring_execute") => TryKind::Pay,
        Some("capture") => TryKind::Capture,
        Some("release") => TryKind::Release,
        _ => TryKind::Other,
    };
    let error = of("error");
    let successful = match of("successful") {
        Value::Bool(successful) => *successful,
        // A try that only names its error failed; one that says neither must not be guessed at.
        value if is_empty(value) && !is_empty(error) => false,
        _ if kind == TryKind::Other && attempt.is_object() => false,
        _ => return Err(unreadable("transaction_data.attempts.successful")),
    };
    let code = error.get("code").unwrap_or(error).as_str();
    Ok(Try {
        kind,
        successful,
        code: code.filter(|code| !code.is_empty()).map(code_word),
    })
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
fn held_since(history: &Value) -> Option<Timestamp> {
    let held = history
        .as_array()?
        .iter()
        .filter(|change| change.get("status").and_then(Value::as_str) == Some("hold"));
    held.filter_map(|change| seconds(change.get("timestamp")?))
        .min()
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
        assert!(tries(json!({"type": "execute", "successful": "yes"})).is_err());
        assert!(tries(json!("capture")).is_err());
        for list in [
            json!("capture"),
            json!({"0": {"type": "capture"}}),
            json!(1),
        ] {
            assert!(
                with("/transaction_data/attempts", list.clone()).is_err(),
                "{list}"
            );
            assert!(with("/transaction_data", list.clone()).is_ok() == list.is_object());
        }
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

    fn paid(payment: &Value) -> Result<Option<Taken>, Unreadable> {
        let mut body = purchase();
        body["status"] = json!("paid");
        body["payment"] = payment.clone();
        read_sighting(body.to_string().as_bytes()).map(|seen| seen.taken)
    }

    #[test]
    fn what_was_taken_is_an_amount_and_a_currency_or_nothing() {
        let money = Taken {
            amount: 40,
            currency: "MYR".to_owned(),
        };
        assert_eq!(
            paid(&json!({"amount": 40, "currency": "MYR"})),
            Ok(Some(money))
        );
        for nothing in [
            json!({}),
            json!(null),
            json!(""),
            json!([]),
            json!({"amount": null}),
            json!({"payment_type": "purchase", "amount": null, "currency": null}),
            json!({"payment_type": "purchase"}),
        ] {
            assert_eq!(paid(&nothing), Ok(None), "{nothing}");
        }
        for half in [
            json!({"amount": 40}),
            json!({"currency": "MYR"}),
            json!({"amount": -40, "currency": "MYR"}),
            json!({"amount": "", "currency": "MYR"}),
            json!({"amount": 40, "currency": 458}),
            json!({"amount": 40, "currency": "MYR", "is_outgoing": "perhaps"}),
            json!("MYR 40"),
            json!([{"amount": 40, "currency": "MYR"}]),
        ] {
            assert!(paid(&half).is_err(), "{half}");
            let held = with("/payment", half.clone());
            assert_eq!(held.unwrap().taken, None, "nothing is taken yet: {half}");
        }
        let refund = json!({"amount": 40, "currency": "MYR", "is_outgoing": true});
        assert_eq!(paid(&refund), Ok(None));
    }

    #[test]
    fn what_does_not_decide_about_money_may_be_of_any_shape() {
        let plain = read_sighting(purchase().to_string().as_bytes()).unwrap();
        let shapes = [
            json!(null),
            json!(""),
            json!("x"),
            json!(-1.5),
            json!(true),
            json!([]),
            json!([1, "x", {}, null]),
            json!({}),
            json!({"status": 1, "timestamp": []}),
        ];
        for pointer in [
            "/due",
            "/status_history",
            "/status_history/1/timestamp",
            "/status_history/0",
            "/checkout_url",
            "/direct_post_url",
            "/is_recurring_token",
            "/recurring_token",
            "/transaction_data/attempts/0/error",
            "/viewed_on",
            "/client",
        ] {
            for shape in &shapes {
                let mut body = purchase();
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                match body.pointer_mut(parent).unwrap() {
                    Value::Array(items) => items[key.parse::<usize>().unwrap()] = shape.clone(),
                    object => object[key] = shape.clone(),
                }
                let seen = read_sighting(body.to_string().as_bytes());
                let seen = seen.unwrap_or_else(|error| panic!("{pointer} {shape}: {error}"));
                let decisive = |seen: &Sighting| {
                    let tries: Vec<_> = seen.tries.iter().map(|t| (t.kind, t.successful)).collect();
                    (
                        seen.standing.clone(),
                        seen.total,
                        seen.taken.clone(),
                        seen.converted,
                        tries,
                    )
                };
                assert_eq!(decisive(&seen), decisive(&plain), "{pointer} {shape}");
            }
        }
        for empty in [
            json!(""),
            json!([]),
            json!({}),
            json!({"exchange_rate": null}),
        ] {
            assert!(
                !with("/currency_conversion", empty.clone())
                    .unwrap()
                    .converted,
                "{empty}"
            );
            assert!(
                with("/transaction_data", empty.clone())
                    .unwrap()
                    .tries
                    .is_empty()
            );
        }
        let other = json!([{"type": "delete_recurring_token"}, {"type": 7, "error": "x"}, {}]);
        let seen = with("/transaction_data/attempts", other).unwrap();
        assert!(seen.tries.iter().all(|tried| tried.kind == TryKind::Other));
    }

    #[test]
    fn a_card_that_was_saved_before_is_told_by_its_own_token() {
        let older = "5a9e3c1c-0000-4000-8000-000000000009";
        let card = |here: Value, older: Value| {
            let mut body = purchase();
            body["is_recurring_token"] = here;
            body["recurring_token"] = older;
            let seen = read_sighting(body.to_string().as_bytes()).unwrap();
            seen.card.map(|token| token.as_str().to_owned())
        };
        let own = "5a9e3c1c-0000-4000-8000-000000000002";
        assert_eq!(card(json!(true), json!(null)).as_deref(), Some(own));
        assert_eq!(card(json!(true), json!(older)).as_deref(), Some(own));
        assert_eq!(card(json!(false), json!(older)).as_deref(), Some(older));
        assert_eq!(card(json!(null), json!("")), None);
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        let total = |total: Value| with("/purchase/total", total).map(|seen| seen.total);
        for one in [
            json!(7),
            json!(7.0),
            json!("7"),
            json!(" 7 "),
            json!("7.00"),
            json!("7."),
        ] {
            assert_eq!(total(one.clone()), Ok(7), "{one}");
        }
        assert_eq!(total(json!(0)), Ok(0));
        for none in [
            json!("7.50"),
            json!("7.05"),
            json!(""),
            json!("."),
            json!("7,00"),
            json!("-7"),
            json!([7]),
            json!(true),
        ] {
            assert!(total(none.clone()).is_err(), "{none}");
        }
        let error = with("/purchase/total", json!(true)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a readable purchase (purchase.total)"
        );
        let expected = serde_json::from_str::<Whole>("true").unwrap_err();
        assert!(
            expected.to_string().contains("a whole number"),
            "{expected}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_by_where_it_stands() {
        let told = |body: &str| read_sighting(body.as_bytes()).unwrap_err().field;
        let whole = purchase().to_string();
        assert_eq!(told(&format!("{whole} {whole}")), "more than one value");
        assert_eq!(told(&whole[..whole.len() - 1]), "not JSON, or cut short");
        assert_eq!(
            without("/status").unwrap_err().field,
            ".: status is missing"
        );
        let nested = without("/purchase/currency").unwrap_err().field;
        assert_eq!(nested, "purchase: currency is missing");
        assert_eq!(with("/is_test", json!("yes")).unwrap_err().field, "is_test");
        assert_eq!(with("/type", json!("client")).unwrap_err().field, "type");
        assert_eq!(with("/id", json!("a b")).unwrap_err().field, "id");
    }

    #[test]
    fn a_purchase_without_a_kind_is_a_purchase() {
        assert!(without("/type").is_ok());
        assert!(with("/type", Value::Null).is_ok());
    }

    #[test]
    fn what_a_person_marked_as_paid_is_told_and_never_guessed_at() {
        let by_hand = |marked: Value| with("/marked_as_paid", marked).map(|seen| seen.by_hand);
        assert_eq!(by_hand(json!(true)), Ok(true));
        for no in [json!(false), json!(null), json!(""), json!([])] {
            assert_eq!(by_hand(no.clone()), Ok(false), "{no}");
        }
        for unclear in [json!("yes"), json!(1), json!({"by": "x"})] {
            assert!(by_hand(unclear.clone()).is_err(), "{unclear}");
        }
    }

    #[test]
    fn links_and_times_are_read_as_they_stand() {
        let seen = with("/direct_post_url", json!("https://gate.example/d/")).unwrap();
        assert_eq!(
            seen.links.checkout.unwrap().reveal(),
            "https://gate.example/p/1/"
        );
        assert_eq!(
            seen.links.direct_post.unwrap().reveal(),
            "https://gate.example/d/"
        );
        for absurd in [json!(i64::MAX), json!("soon"), json!(1.5)] {
            assert_eq!(with("/due", absurd.clone()).unwrap().due, None, "{absurd}");
        }
        let since = |history: Value| {
            let seen = with("/status_history", history).unwrap();
            seen.held_since.map(|since| since.timestamp())
        };
        let change = |status: &str, at: i64| json!({"status": status, "timestamp": at});
        assert_eq!(
            since(json!([change("hold", 30), change("hold", 10)])),
            Some(10)
        );
        assert_eq!(since(json!([change("paid", 10)])), None);
    }

    #[test]
    fn a_try_at_something_else_may_be_written_anyhow_but_must_be_an_object() {
        let tries = |tried: Value| {
            let seen = with("/transaction_data/attempts", json!([tried]))?;
            Ok(seen.tries[0].successful)
        };
        assert_eq!(
            tries(json!({"type": "refund", "successful": "perhaps"})),
            Ok(false)
        );
        assert_eq!(
            tries(json!({"type": "refund", "successful": true})),
            Ok(true)
        );
        for bad in [json!("refund"), json!(7), json!(["refund"])] {
            let error: Result<bool, Unreadable> = tries(bad.clone());
            assert!(error.is_err(), "{bad}");
        }
        for kind in ["execute", "capture", "release"] {
            let unclear = json!({"type": kind, "successful": "perhaps", "error": {"code": "x"}});
            assert!(tries(unclear).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_failed_try_is_told_with_the_code_it_names_or_none() {
        let code = |error: Value| {
            let tried = json!([{"type": "execute", "successful": false, "error": error}]);
            let mut seen = with("/transaction_data/attempts", tried).unwrap();
            seen.tries.remove(0).code
        };
        assert_eq!(
            code(json!({"code": "expired_card"})).as_deref(),
            Some("expired_card")
        );
        assert_eq!(code(json!("expired_card")).as_deref(), Some("expired_card"));
        for none in [
            json!(""),
            json!(null),
            json!({"code": ""}),
            json!({"code": 7}),
        ] {
            assert_eq!(code(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_conversion_is_noticed() {
        assert!(
            !read_sighting(purchase().to_string().as_bytes())
                .unwrap()
                .converted
        );
        let rate = json!({"original_currency": "EUR", "original_amount": 20, "exchange_rate": 5});
        for conversion in [rate, json!("EUR"), json!([1]), json!(true), json!(5.0)] {
            let seen = with("/currency_conversion", conversion.clone()).unwrap();
            assert!(seen.converted, "{conversion}");
        }
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

    fn tried_by(extra: &Value) -> Value {
        json!([
            {"type": "recurring_execute", "successful": false, "error": {"code": "do_not_honour"},
             "extra": {"card_brand": "maestro", "masked_pan": "600000******9999"}},
            {"type": "capture", "successful": true, "extra": {}},
            {"type": "authorize", "successful": true, "extra": extra},
            {"type": "authorize", "successful": true,
             "extra": {"card_brand": "mastercard", "masked_pan": "555555******4444"}},
        ])
    }

    #[test]
    fn a_card_is_known_by_what_the_newest_try_that_succeeded_shows() {
        let extra = json!({
            "card_brand": "visa", "masked_pan": "444433******1111", "expiry_month": 1,
            "expiry_year": 30, "cardholder_name": "A Payer",
        });
        let seen = with("/transaction_data/attempts", tried_by(&extra)).unwrap();
        assert_eq!(seen.face, CardFace::of("visa", "444433******1111"));
        assert!(seen.face.is_some());
        let told = format!("{seen:?}");
        assert!(
            !told.contains("444433") && !told.contains("Payer"),
            "{told}"
        );
        assert_eq!(with("/status", json!("hold")).unwrap().face, None);
    }

    #[test]
    fn a_card_of_any_other_shape_is_passed_over_and_spoils_nothing() {
        for extra in [
            json!(null),
            json!([]),
            json!("visa"),
            json!({"card_brand": "visa"}),
            json!({"card_brand": "visa", "masked_pan": 1111}),
            json!({"card_brand": ["visa"], "masked_pan": "444433******1111"}),
            json!({"card_brand": "visa", "masked_pan": "444433******11**"}),
        ] {
            let seen = with("/transaction_data/attempts", tried_by(&extra)).unwrap();
            assert_eq!(
                seen.face,
                CardFace::of("mastercard", "555555******4444"),
                "{extra}"
            );
            let alone = json!([{"type": "authorize", "successful": true, "extra": extra}]);
            let seen = with("/transaction_data/attempts", alone).unwrap();
            assert_eq!((seen.face, seen.tries.len()), (None, 1), "{extra}");
        }
    }
}
