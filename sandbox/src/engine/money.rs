//! The operations that move money: what each needs before it goes to the acquirer.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::fields::Fields;
use super::pay::CardForm;
use super::purchase::{Purchase, Realm};
use super::refusal::Refusal;
use super::request::Response;
use super::route::Operation;
use super::status::Status;
use super::{Engine, LateCall};
use crate::config::ChargeOnSkipCapture;
use crate::fault::{Effect, Pending};

/// An operation on its way to the acquirer.
pub(crate) struct Flight {
    pub(crate) purchase: Uuid,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
    /// Whether it was pending for longer than a call.
    pub(crate) pended: bool,
    /// The status it goes back to when it fails.
    pub(crate) before: Status,
    pub(crate) client_ip: String,
}

/// What is asked of the acquirer.
pub(crate) enum Kind {
    Charge { token: Uuid },
    Capture { amount: i64 },
    Release,
    Pay { form: Box<CardForm> },
    Refund { amount: i64 },
    DeleteToken,
}

/// What the acquirer will say.
pub(crate) enum Fate {
    Good,
    Bad { code: String, status: Status },
    Pending(Pending),
}

impl Fate {
    pub(crate) fn bad(code: &str) -> Self {
        Self::Bad {
            code: code.to_owned(),
            status: Status::Error,
        }
    }

    pub(crate) fn of(effect: Option<&Effect>) -> Self {
        match effect {
            Some(Effect::Decline(code)) => Self::bad(code),
            Some(Effect::Block(code)) => Self::Bad {
                code: code.clone(),
                status: Status::Blocked,
            },
            Some(Effect::Pending(pending)) => Self::Pending(pending.clone()),
            _ => Self::Good,
        }
    }
}

/// Whether a call goes to the acquirer.
pub(crate) enum Launch {
    /// It is not that sort of call.
    Not,
    Refused(Refusal),
    /// Answered before it got there (a 3-D Secure page).
    Answered(Response),
    /// On its way, for so many milliseconds.
    Flying(Box<Flight>, u64),
}

impl Engine {
    pub(crate) fn launch(&mut self, now_ms: i64, call: &LateCall) -> Launch {
        self.lapse(now_ms, call.route.id);
        let prepared = match (call.route.operation, call.realm) {
            (Operation::DirectPost | Operation::Confirm, _) => {
                return self.launch_pay(now_ms, call);
            }
            (Operation::Charge, Some(realm)) => self.prepare_charge(call, realm),
            (Operation::Capture, Some(realm)) => self.prepare_capture(call, realm),
            (Operation::Release, Some(realm)) => self.prepare_release(call, realm),
            (Operation::Refund, Some(realm)) => self.prepare_refund(call, realm),
            (Operation::DeleteToken, Some(realm)) => self.prepare_delete_token(call, realm),
            _ => return Launch::Not,
        };
        match prepared {
            Ok(flight) => self.take_off(now_ms, flight),
            Err(refusal) => Launch::Refused(refusal),
        }
    }

    /// Shows the operation as pending, as every one is for a moment at least.
    pub(crate) fn take_off(&mut self, now_ms: i64, flight: Flight) -> Launch {
        let (status, event, for_ms) = match flight.kind {
            Kind::Charge { .. } => (
                Status::PendingCharge,
                "purchase.pending_charge",
                self.behaviour.charge_ms,
            ),
            Kind::Capture { .. } => (
                Status::PendingCapture,
                "purchase.pending_capture",
                self.behaviour.capture_ms,
            ),
            Kind::Release => (
                Status::PendingRelease,
                "purchase.pending_release",
                self.behaviour.release_ms,
            ),
            Kind::Pay { .. } => (Status::PendingExecute, "purchase.pending_execute", 0),
            Kind::Refund { .. } => (Status::PendingRefund, "purchase.pending_refund", 0),
            Kind::DeleteToken => return Launch::Flying(Box::new(flight), 0),
        };
        if let Some(purchase) = self.purchases.get_mut(&flight.purchase) {
            purchase.begin();
            purchase.charges_in_flight += u32::from(matches!(flight.kind, Kind::Charge { .. }));
            if purchase.face.status != status {
                purchase.enter(now_ms, status);
            }
        }
        self.emit(now_ms, flight.purchase, event);
        Launch::Flying(Box::new(flight), for_ms)
    }

    fn flight(purchase: &Purchase, call: &LateCall, kind: Kind) -> Flight {
        Flight {
            purchase: purchase.id,
            kind,
            fate: Fate::of(call.fate.as_ref()),
            pended: false,
            before: purchase.face.status,
            client_ip: String::new(),
        }
    }

    fn prepare_charge(&self, call: &LateCall, realm: Realm) -> Result<Flight, Refusal> {
        let purchase = self.purchase(realm, call.route.id)?;
        let token = self.token(&call.body, realm, purchase.terms.brand_id)?;
        let is_open = match purchase.face.status {
            Status::PendingCharge => !self.behaviour.serialises_charges,
            Status::Expired => self.behaviour.charges_expired,
            Status::Error | Status::Blocked if !self.behaviour.charges_after_error => false,
            _ => purchase.is_payable(),
        };
        if !is_open {
            let text = "Only purchases that can be paid for can be charged.";
            return Err(self.wrong_status("purchase_charge_wrong_status", text));
        }
        let is_refused = self.behaviour.charge_on_skip_capture == ChargeOnSkipCapture::Refused;
        if purchase.terms.skip_capture && is_refused {
            let text = "Purchases with `skip_capture == true` can't be charged.";
            return Err(self.wrong_status("purchase_charge_wrong_status", text));
        }
        Ok(Self::flight(purchase, call, Kind::Charge { token }))
    }

    /// The saved card a charge names; looked at before the purchase's status is.
    fn token(&self, body: &Value, realm: Realm, brand_id: Uuid) -> Result<Uuid, Refusal> {
        let Some(raw) = body.get("recurring_token").filter(|raw| !raw.is_null()) else {
            return Err(Refusal::field(
                "recurring_token",
                "required",
                "This field is required.",
            ));
        };
        let token = raw.as_str().and_then(|text| Uuid::try_parse(text).ok());
        let source = token.and_then(|token| self.purchases.get(&token));
        let is_live =
            |p: &&Purchase| p.realm == realm && p.face.is_token && p.terms.brand_id == brand_id;
        source.filter(is_live).map(|p| p.id).ok_or_else(|| {
            let text = "Invalid or inactive recurring token!";
            Refusal::all(400, "invalid_recurring_token", text)
        })
    }

    fn prepare_capture(&self, call: &LateCall, realm: Realm) -> Result<Flight, Refusal> {
        let purchase = self.purchase(realm, call.route.id)?;
        let is_open = match purchase.face.status {
            Status::Hold => true,
            Status::PendingCapture => !self.behaviour.serialises_captures,
            _ => false,
        };
        let Some(held) = purchase.held.filter(|_| is_open) else {
            let text = "Only Purchases with `status == hold` can be captured.";
            return Err(self.wrong_status("purchase_capture_wrong_status", text));
        };
        let amount = amount(&call.body, held.amount)?;
        let mut flight = Self::flight(purchase, call, Kind::Capture { amount });
        if held.is_lapsed {
            flight.fate = Fate::bad("authorization_failed");
        }
        Ok(flight)
    }

    fn prepare_release(&self, call: &LateCall, realm: Realm) -> Result<Flight, Refusal> {
        let purchase = self.purchase(realm, call.route.id)?;
        if purchase.face.status != Status::Hold {
            let text = "Only Purchases with `status == hold` can be released.";
            return Err(self.wrong_status("purchase_release_wrong_status", text));
        }
        Ok(Self::flight(purchase, call, Kind::Release))
    }

    fn prepare_refund(&self, call: &LateCall, realm: Realm) -> Result<Flight, Refusal> {
        let purchase = self.purchase(realm, call.route.id)?;
        let face = &purchase.face;
        let taken = face.taken.as_ref().map_or(0, |taken| taken.amount);
        if !face.status.is_taken() && face.status != Status::Refunded {
            let text = "Only paid Purchases can be refunded.";
            return Err(self.wrong_status("purchase_refund_wrong_status", text));
        }
        if taken <= face.refunded {
            let text = "This Purchase was already fully refunded.";
            return Err(Refusal::all(400, "purchase_refund_not_possible", text));
        }
        let amount = amount(&call.body, taken - face.refunded)?;
        Ok(Self::flight(purchase, call, Kind::Refund { amount }))
    }

    fn prepare_delete_token(&self, call: &LateCall, realm: Realm) -> Result<Flight, Refusal> {
        let purchase = self.purchase(realm, call.route.id)?;
        if !purchase.face.is_token {
            let text = "This Purchase is not a recurring token.";
            return Err(Refusal::all(400, "invalid_recurring_token", text));
        }
        Ok(Self::flight(purchase, call, Kind::DeleteToken))
    }

    pub(crate) fn wrong_status(&self, code: &str, text: &str) -> Refusal {
        Refusal::all(self.behaviour.wrong_status_http, code, text)
    }

    /// The card a flight is about, shared with its attempts.
    pub(crate) fn card_of(&self, flight: &Flight) -> Option<Arc<super::purchase::Card>> {
        let source = match &flight.kind {
            Kind::Pay { form } => return Some(Arc::clone(&form.card)),
            Kind::Charge { token } => self.purchases.get(token),
            _ => self.purchases.get(&flight.purchase),
        };
        source.and_then(|purchase| purchase.card.clone())
    }
}

/// The `amount` of a body; all of `limit` when it is left out.
fn amount(body: &Value, limit: i64) -> Result<i64, Refusal> {
    if !body.is_null() && !body.is_object() {
        let text = "Invalid data. Expected a dictionary.";
        return Err(Refusal::field("non_field_errors", "invalid", text));
    }
    let empty = serde_json::Map::new();
    let mut fields = Fields::of(body.as_object(), &empty);
    fields.not_null("amount");
    let amount = fields.integer("amount").unwrap_or(limit);
    if amount > limit {
        let text = format!("Ensure this value is less than or equal to {limit}.");
        fields.fail("amount", "max_value", &text);
    }
    if amount < 1 {
        fields.fail(
            "amount",
            "min_value",
            "Ensure this value is greater than or equal to 1.",
        );
    }
    fields
        .finish()
        .map_err(|body| Refusal { status: 400, body })?;
    Ok(amount)
}
