//! What is written down of money: tries at the acquirer, movements, and holds that lapse.

use std::sync::Arc;

use uuid::Uuid;

use super::Engine;
use super::money::{Flight, Kind};
use super::purchase::{Attempt, Fault};
use super::status::Status;
use super::timer::Timer;
use crate::ledger::{Movement, MovementKind};

impl Engine {
    /// Lets go of a hold when its lifetime is over.
    pub(super) fn watch_hold(&mut self, now_ms: i64, id: Uuid) {
        if let Some(lifetime_ms) = self.behaviour.hold_lifetime_ms {
            let at_ms = now_ms.saturating_add_unsigned(lifetime_ms);
            self.timers.at(at_ms, Timer::Lapse(id));
        }
    }

    /// Lets a hold go whose lifetime is over, unless something is under way with it. The purchase
    /// says `hold` as before: the gateway has no status for it.
    pub(crate) fn lapse(&mut self, now_ms: i64, id: Uuid) {
        let Some(lifetime_ms) = self.behaviour.hold_lifetime_ms else {
            return;
        };
        let Some(purchase) = self.purchases.get_mut(&id) else {
            return;
        };
        let is_idle = purchase.face.status == Status::Hold;
        let Some(held) = purchase.held.as_mut().filter(|held| !held.is_lapsed) else {
            return;
        };
        if is_idle && held.since_ms.saturating_add_unsigned(lifetime_ms) <= now_ms {
            held.is_lapsed = true;
            let (amount, token) = (held.amount, held.token);
            self.note_movement(now_ms, id, (MovementKind::Lapse, amount), token);
        }
    }

    /// From now on a paid purchase shows its payment.
    pub(crate) fn show_payment(&mut self, now_ms: i64, id: Uuid) {
        if let Some(purchase) = self.purchases.get_mut(&id) {
            purchase.change(now_ms, |face| face.hides_payment = false);
        }
    }

    pub(super) fn note_attempt(
        &mut self,
        now_ms: i64,
        flight: &Flight,
        kind: &'static str,
        error: Option<Fault>,
    ) {
        let card = self.card_of(flight);
        let is_pay = matches!(flight.kind, Kind::Pay { .. });
        let attempt = Attempt {
            kind,
            error,
            card,
            at_s: now_ms.div_euclid(1000),
            flow: if is_pay { "payform" } else { "api" },
            client_ip: flight.client_ip.clone(),
        };
        if let Some(purchase) = self.purchases.get_mut(&flight.purchase) {
            if is_pay && attempt.error.is_none() {
                purchase.card.clone_from(&attempt.card);
            }
            purchase.attempted(now_ms, attempt);
        }
    }

    /// Writes a movement of money into the ledger: what kind, and how much.
    pub(super) fn note_movement(
        &mut self,
        now_ms: i64,
        id: Uuid,
        (kind, amount): (MovementKind, i64),
        token: Option<Uuid>,
    ) {
        let Some(purchase) = self.purchases.get(&id) else {
            return;
        };
        self.ledger.moved(Movement {
            seq: 0,
            at_ms: now_ms,
            kind,
            purchase_id: id,
            reference: Arc::clone(&purchase.terms.reference),
            amount,
            currency: Arc::from(purchase.terms.currency.as_str()),
            token,
            is_test: !purchase.realm.live,
        });
    }
}
