//! What the acquirer's answer does to a purchase, the ledger and the events.

use serde_json::json;
use uuid::Uuid;

use super::Engine;
use super::money::{Fate, Flight, Kind};
use super::purchase::{Fault, Held};
use super::refusal::Refusal;
use super::request::Response;
use super::status::Status;
use super::timer::Timer;
use super::view::{Taken, reference_generated};
use crate::config::ChargeOnSkipCapture;
use crate::ledger::MovementKind;

/// How a flight ended.
pub(crate) struct Settled {
    pub(crate) answer: Result<Response, Refusal>,
    /// Whether it did, or still may do, what was asked.
    pub(crate) took_effect: bool,
}

impl Engine {
    /// Ends a flight, or leaves it pending when that is its fate.
    pub(crate) fn settle(&mut self, now_ms: i64, flight: Flight) -> Settled {
        let id = flight.purchase;
        let is_pay = matches!(flight.kind, Kind::Pay { .. });
        let answer = match &flight.fate {
            Fate::Pending(_) => {
                self.stay_pending(now_ms, flight);
                self.shown(id)
            }
            Fate::Good => self.succeed(now_ms, &flight),
            Fate::Bad { code, status } => {
                let (code, status) = (code.clone(), *status);
                Err(self.fail(now_ms, &flight, &code, status))
            }
        };
        Settled {
            took_effect: answer.is_ok(),
            answer: if is_pay { Ok(self.landing(id)) } else { answer },
        }
    }

    fn stay_pending(&mut self, now_ms: i64, mut flight: Flight) {
        let Fate::Pending(pending) = &flight.fate else {
            return;
        };
        let after_ms = pending.for_ms;
        let purchase = flight.purchase;
        let is_deletion = matches!(flight.kind, Kind::DeleteToken);
        flight.pended = true;
        flight.fate = pending
            .failing_with
            .as_ref()
            .map_or(Fate::Good, |code| Fate::bad(code));
        if let Some(after_ms) = after_ms {
            let at_ms = now_ms.saturating_add_unsigned(after_ms);
            self.timers.at(at_ms, Timer::Settle(Box::new(flight)));
        }
        if is_deletion {
            self.emit(now_ms, purchase, "purchase.pending_recurring_token_delete");
        }
    }

    fn succeed(&mut self, now_ms: i64, flight: &Flight) -> Result<Response, Refusal> {
        let id = flight.purchase;
        match &flight.kind {
            Kind::Charge { token } => {
                self.note_attempt(now_ms, flight, "recurring_execute", None);
                let takes = self.behaviour.charge_on_skip_capture == ChargeOnSkipCapture::Paid;
                self.land(now_ms, id, Some(*token), takes);
            }
            Kind::Pay { form } => {
                let kind = if self.reserves(id) {
                    "authorize"
                } else {
                    "execute"
                };
                self.note_attempt(now_ms, flight, kind, None);
                self.save_card(now_ms, id, form.remember);
                self.land(now_ms, id, None, false);
            }
            Kind::Capture { amount } => self.captured(now_ms, flight, *amount),
            Kind::Release => self.released(now_ms, flight),
            Kind::Refund { amount } => return self.refunded(now_ms, flight, *amount),
            Kind::DeleteToken => {
                self.note_attempt(now_ms, flight, "delete_recurring_token", None);
                self.kill_token_at(now_ms, id);
            }
        }
        self.shown(id)
    }

    fn reserves(&self, id: Uuid) -> bool {
        self.purchases
            .get(&id)
            .is_some_and(|purchase| purchase.terms.skip_capture)
    }

    /// A payment that went through: reserved, verified or taken, as the purchase asks.
    fn land(&mut self, now_ms: i64, id: Uuid, token: Option<Uuid>, takes: bool) {
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        let amount = purchase.terms.total;
        if token.is_some() {
            purchase.charges_in_flight = purchase.charges_in_flight.saturating_sub(1);
            let card = token.and_then(|token| self.purchases.get(&token)?.card.clone());
            if let Some(purchase) = self.purchases.get_mut(&id) {
                purchase.card = card;
                purchase.change(now_ms, |face| face.paid_by_token = token);
            }
        }
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        if purchase.is_preauthorization() {
            purchase.enter(now_ms, Status::Preauthorized);
            self.emit(now_ms, id, "purchase.preauthorized");
        } else if purchase.terms.skip_capture && !takes {
            purchase.held = Some(Held {
                amount,
                since_ms: now_ms,
                token,
                is_lapsed: false,
            });
            purchase.enter(now_ms, Status::Hold);
            self.watch_hold(now_ms, id);
            self.note_movement(now_ms, id, (MovementKind::Hold, amount), token);
            self.emit(now_ms, id, "purchase.hold");
        } else {
            let kind = if token.is_some() {
                "purchase_charge"
            } else {
                "purchase"
            };
            self.take(now_ms, id, amount, kind);
            self.note_movement(now_ms, id, (MovementKind::Charge, amount), token);
            self.emit(now_ms, id, "purchase.paid");
        }
    }

    pub(crate) fn take(&mut self, now_ms: i64, id: Uuid, amount: i64, kind: &'static str) {
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        let taken = Taken {
            amount,
            at_s: now_ms.div_euclid(1000),
            kind,
        };
        let hidden_ms = self.behaviour.paid_without_payment_ms;
        purchase.history.push((Status::Paid, taken.at_s));
        let shown = purchase.history.len();
        purchase.change(now_ms, |face| {
            face.status = Status::Paid;
            face.history_shown = shown;
            face.taken = Some(taken);
            face.hides_payment = hidden_ms > 0;
        });
        if hidden_ms > 0 {
            let at_ms = now_ms.saturating_add_unsigned(hidden_ms);
            self.timers.at(at_ms, Timer::ShowPayment(id));
        }
    }

    fn captured(&mut self, now_ms: i64, flight: &Flight, amount: i64) {
        let id = flight.purchase;
        self.note_attempt(now_ms, flight, "capture", None);
        let held = self
            .purchases
            .get_mut(&id)
            .and_then(|purchase| purchase.held.take());
        let token = held.and_then(|held| held.token);
        // A second capture of the same hold, when both were in flight, finds nothing left of it.
        let rest = held.map_or(0, |held| held.amount - amount);
        self.take(now_ms, id, amount, "purchase");
        self.note_movement(now_ms, id, (MovementKind::Capture, amount), token);
        if rest > 0 {
            self.note_movement(now_ms, id, (MovementKind::Release, rest), token);
        }
        self.emit(now_ms, id, "purchase.captured");
        self.emit(now_ms, id, "purchase.paid");
    }

    fn released(&mut self, now_ms: i64, flight: &Flight) {
        let id = flight.purchase;
        self.note_attempt(now_ms, flight, "release", None);
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        let held = purchase.held.take();
        purchase.enter(now_ms, Status::Released);
        if let Some(held) = held.filter(|held| !held.is_lapsed) {
            self.note_movement(now_ms, id, (MovementKind::Release, held.amount), held.token);
        }
        self.emit(now_ms, id, "purchase.released");
    }

    fn refunded(&mut self, now_ms: i64, flight: &Flight, amount: i64) -> Result<Response, Refusal> {
        let id = flight.purchase;
        self.note_attempt(now_ms, flight, "refund", None);
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return Err(Refusal::not_found());
        };
        purchase.enter(now_ms, Status::Refunded);
        purchase.change(now_ms, |face| face.refunded += amount);
        self.note_movement(now_ms, id, (MovementKind::Refund, amount), None);
        let payment_id = self.new_id();
        let Some(purchase) = self.purchases.get(&id) else {
            return Err(Refusal::not_found());
        };
        let at_s = now_ms.div_euclid(1000);
        let generated = reference_generated(purchase);
        let mut payment = json!({
            "id": payment_id, "type": "payment", "status": "success", "created_on": at_s,
            "updated_on": at_s, "is_test": !purchase.realm.live,
            "brand_id": purchase.terms.brand_id, "client": purchase.terms.client,
            "payment": {
                "amount": amount, "currency": purchase.terms.currency, "is_outgoing": true,
                "payment_type": "refund", "description": format!("Refund: {generated}"),
                "net_amount": amount, "fee_amount": 0, "pending_amount": 0, "paid_on": at_s,
                "remote_paid_on": at_s, "pending_unfreeze_on": null,
            },
            "related_to": { "type": "purchase", "id": id, "reference": &*purchase.terms.reference },
            "reference_generated": generated,
        });
        let answer = Response::json(200, payment.to_string());
        payment["event_type"] = json!("payment.refunded");
        self.emit_body(
            now_ms,
            (id, payment_id),
            "payment.refunded",
            payment.to_string(),
        );
        Ok(answer)
    }

    fn fail(&mut self, now_ms: i64, flight: &Flight, code: &str, status: Status) -> Refusal {
        let id = flight.purchase;
        let (attempt, error, text) = match flight.kind {
            Kind::Charge { .. } => (
                "recurring_execute",
                "purchase_charge_error",
                "The charge was not successful.",
            ),
            Kind::Pay { .. } if self.reserves(id) => {
                ("authorize", "payment_failed", "The payment failed.")
            }
            Kind::Pay { .. } => ("execute", "payment_failed", "The payment failed."),
            Kind::Capture { .. } => (
                "capture",
                "purchase_capture_error",
                "The capture was not successful.",
            ),
            Kind::Release => (
                "release",
                "purchase_release_error",
                "The release was not successful.",
            ),
            Kind::Refund { .. } => (
                "refund",
                "purchase_refund_error",
                "The refund was not successful.",
            ),
            Kind::DeleteToken => (
                "delete_recurring_token",
                "purchase_delete_recurring_token_error",
                "The token was not deleted.",
            ),
        };
        let is_capture = matches!(flight.kind, Kind::Capture { .. });
        if !(flight.pended && is_capture) || self.behaviour.lists_failed_captures {
            self.note_attempt(now_ms, flight, attempt, Some(Fault::new(code)));
        }
        self.fall_back(now_ms, flight, status);
        if let Some(event) = failure_event(&flight.kind) {
            self.emit(now_ms, id, event);
        }
        Refusal::all(400, error, text)
    }

    /// Leaves the pending status, unless something else already moved the purchase on.
    fn fall_back(&mut self, now_ms: i64, flight: &Flight, failed: Status) {
        let (pending, after) = match flight.kind {
            Kind::Charge { .. } => (Status::PendingCharge, failed),
            Kind::Pay { .. } => (Status::PendingExecute, failed),
            Kind::Capture { .. } => (Status::PendingCapture, flight.before),
            Kind::Release => (Status::PendingRelease, flight.before),
            Kind::Refund { .. } => (Status::PendingRefund, flight.before),
            Kind::DeleteToken => return,
        };
        let Some(purchase) = self.purchases.get_mut(&flight.purchase) else {
            return;
        };
        if matches!(flight.kind, Kind::Charge { .. }) {
            purchase.charges_in_flight = purchase.charges_in_flight.saturating_sub(1);
        }
        if purchase.face.status == pending && purchase.charges_in_flight == 0 {
            purchase.enter(now_ms, after);
            self.timers.at(now_ms, Timer::Lapse(flight.purchase));
            if purchase.terms.due_s * 1000 <= now_ms {
                self.timers.at(now_ms, Timer::Due(flight.purchase));
            }
        }
    }
}

/// What a failure is announced as; there is no event for a token that could not be deleted.
fn failure_event(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Charge { .. } | Kind::Pay { .. } => Some("purchase.payment_failure"),
        Kind::Capture { .. } => Some("purchase.capture_failure"),
        Kind::Release => Some("purchase.release_failure"),
        Kind::Refund { .. } => Some("purchase.refund_failure"),
        Kind::DeleteToken => None,
    }
}
