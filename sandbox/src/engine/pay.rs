//! The payer's side: opening the checkout page, posting a card, answering 3-D Secure.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::money::{Fate, Flight, Kind, Launch};
use super::purchase::{Card, Purchase};
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::status::Status;
use super::{Engine, LateCall, page};

/// The cards the gateway's test mode knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestCard {
    /// Goes straight through.
    Plain,
    /// Asks for 3-D Secure first.
    ThreeDSecure,
}

impl TestCard {
    /// The number.
    #[must_use]
    pub fn number(self) -> &'static str {
        match self {
            Self::Plain => "4444333322221111",
            Self::ThreeDSecure => "5555555555554444",
        }
    }

    fn brand(self) -> &'static str {
        match self {
            Self::Plain => "visa",
            Self::ThreeDSecure => "mastercard",
        }
    }

    fn by_number(number: &str) -> Option<Self> {
        [Self::Plain, Self::ThreeDSecure]
            .into_iter()
            .find(|card| card.number() == number)
    }

    /// A form the checkout accepts, valid until the end of 2099.
    #[must_use]
    pub fn form(self, remember: bool) -> String {
        let number = self.number();
        let remember = if remember { "&remember_card=on" } else { "" };
        format!(
            "cardholder_name=Sandbox+Payer&card_number={number}&expires=12%2F99&cvc=123{remember}"
        )
    }
}

/// A posted card after it was looked at; its number and CVC are gone.
#[derive(Debug)]
pub(crate) struct CardForm {
    pub(crate) card: Arc<Card>,
    pub(crate) remember: bool,
    /// What will be wrong with it at the acquirer.
    fault: Option<&'static str>,
    asks_confirmation: bool,
}

impl Engine {
    /// The payer opens the page.
    pub(crate) fn visit(&mut self, now_ms: i64, id: Uuid) -> Result<Response, Refusal> {
        let purchase = self.purchases.get_mut(&id).ok_or_else(Refusal::not_found)?;
        if purchase.face.viewed_s.is_none() && purchase.face.status.is_payable() {
            purchase.change(now_ms, |face| face.viewed_s = Some(now_ms.div_euclid(1000)));
            if matches!(purchase.face.status, Status::Created | Status::Sent) {
                purchase.enter(now_ms, Status::Viewed);
            }
            self.emit(now_ms, id, "purchase.viewed");
        }
        let purchase = self.purchases.get(&id).ok_or_else(Refusal::not_found)?;
        let company = &self.accounts[purchase.realm.account].name;
        let body = if purchase.is_payable() {
            page::checkout(purchase, company)
        } else {
            page::result(purchase, company)
        };
        Ok(Response::html(200, body))
    }

    pub(crate) fn launch_pay(&mut self, now_ms: i64, call: &LateCall) -> Launch {
        let id = call.route.id;
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return Launch::Refused(Refusal::not_found());
        };
        let form: HashMap<String, String> =
            form_urlencoded::parse(&call.form).into_owned().collect();
        if !purchase.is_payable() {
            return Launch::Answered(self.landing(id));
        }
        let (card_form, rejects) = if call.route.operation == Operation::Confirm {
            let Some(waiting) = purchase.confirmation.take() else {
                return Launch::Answered(self.landing(id));
            };
            (
                *waiting,
                form.get("answer").is_none_or(|answer| answer != "approve"),
            )
        } else {
            (read_card(&form, now_ms), false)
        };
        let fails_at_once = card_form
            .fault
            .is_some_and(|code| code != "validation_cvc_invalid");
        if card_form.asks_confirmation
            && call.route.operation == Operation::DirectPost
            && !fails_at_once
        {
            purchase.confirmation = Some(Box::new(card_form));
            let company = &self.accounts[purchase.realm.account].name;
            return Launch::Answered(Response::html(200, page::confirmation(purchase, company)));
        }
        let fault = if rejects {
            Some("3ds_authentication_failed")
        } else {
            card_form.fault
        };
        let flight = Flight {
            purchase: id,
            fate: fault.map_or_else(|| Fate::of(call.fate.as_ref()), Fate::bad),
            pended: false,
            before: purchase.face.status,
            client_ip: call.client_ip.clone(),
            kind: Kind::Pay {
                form: Box::new(card_form),
            },
        };
        self.take_off(now_ms, flight)
    }

    /// Where the payer ends up.
    pub(crate) fn landing(&self, id: Uuid) -> Response {
        let Some(purchase) = self.purchases.get(&id) else {
            return Response::html(404, String::new());
        };
        let terms = &purchase.terms;
        let failed = purchase.face.status.is_payable()
            || matches!(purchase.face.status, Status::Expired | Status::Cancelled);
        let to = if failed {
            &terms.failure_redirect
        } else {
            &terms.success_redirect
        };
        if to.is_empty() {
            let company = &self.accounts[purchase.realm.account].name;
            return Response::html(200, page::result(purchase, company));
        }
        Response::redirect(to)
    }
}

/// Looks at a posted card as the gateway's test mode does.
fn read_card(form: &HashMap<String, String>, now_ms: i64) -> CardForm {
    let field = |name: &str| form.get(name).map(|text| text.trim()).unwrap_or_default();
    let number: String = field("card_number").chars().filter(|c| *c != ' ').collect();
    let known = TestCard::by_number(&number);
    let (month, year) = expiry(field("expires")).unwrap_or((0, 0));
    let fault = holder_fault(field("cardholder_name"))
        .or_else(|| number_fault(&number, known))
        .or_else(|| expiry_fault(field("expires"), now_ms))
        .or_else(|| cvc_fault(field("cvc")));
    let remember = form.get("remember_card").is_some_and(|value| value == "on");
    let card = Card {
        masked_pan: masked(&number),
        brand: known.map_or("", TestCard::brand),
        expiry_month: month,
        expiry_year: year,
        holder: field("cardholder_name").chars().take(30).collect(),
    };
    let asks_confirmation = known == Some(TestCard::ThreeDSecure);
    CardForm {
        card: Arc::new(card),
        remember,
        fault,
        asks_confirmation,
    }
}

fn masked(number: &str) -> String {
    let is_card = number.len() >= 12 && number.bytes().all(|b| b.is_ascii_digit());
    if !is_card {
        return String::new();
    }
    format!("{}******{}", &number[..6], &number[number.len() - 4..])
}

fn holder_fault(name: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '\'' | '.' | '-');
    if name.is_empty() {
        Some("validation_cardholder_name_not_provided")
    } else if name.chars().count() > 30 {
        Some("validation_cardholder_name_too_long")
    } else if !name.chars().all(is_allowed) {
        Some("validation_cardholder_name_invalid")
    } else {
        None
    }
}

fn number_fault(number: &str, known: Option<TestCard>) -> Option<&'static str> {
    if number.is_empty() {
        Some("validation_card_number_not_provided")
    } else if number.len() > 19 {
        Some("validation_card_number_too_long")
    } else if !number.bytes().all(|b| b.is_ascii_digit()) {
        Some("validation_card_number_invalid")
    } else if known.is_none() {
        Some("invalid_card_number")
    } else {
        None
    }
}

fn expiry(text: &str) -> Option<(u32, u32)> {
    let (month, year) = text.split_once('/')?;
    let (month, year) = (month.parse().ok()?, year.parse().ok()?);
    ((1..=12).contains(&month) && text.len() == 5).then_some((month, year))
}

fn expiry_fault(text: &str, now_ms: i64) -> Option<&'static str> {
    use chrono::Datelike;
    if text.is_empty() {
        return Some("validation_expires_not_provided");
    }
    let now = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    let this_month = (now.year().rem_euclid(100).unsigned_abs(), now.month());
    match expiry(text) {
        Some((month, year)) if (year, month) >= this_month => None,
        _ => Some("validation_expires_invalid"),
    }
}

fn cvc_fault(cvc: &str) -> Option<&'static str> {
    match cvc {
        "" => Some("validation_cvc_not_provided"),
        "123" => None,
        long if long.len() > 4 => Some("validation_cvc_too_long"),
        _ => Some("validation_cvc_invalid"),
    }
}

/// What the payer is asked for, in words.
pub(crate) fn purpose(purchase: &Purchase) -> &'static str {
    if purchase.is_preauthorization() {
        "Save card"
    } else if purchase.terms.skip_capture {
        "Reserve"
    } else {
        "Pay"
    }
}
