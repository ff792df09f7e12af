//! One purchase: what was asked at its creation, and what has happened since.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::status::Status;
use super::view::Face;

/// Which company, and which of its two data sets (test or live), something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Realm {
    pub(crate) account: usize,
    pub(crate) live: bool,
}

/// What is kept of a card: never its number or its CVC.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) masked_pan: String,
    pub(crate) brand: &'static str,
    pub(crate) expiry_month: u32,
    pub(crate) expiry_year: u32,
    pub(crate) holder: String,
}

/// One try at the acquirer.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) kind: &'static str,
    pub(crate) error: Option<Fault>,
    pub(crate) card: Option<Arc<Card>>,
    pub(crate) at_s: i64,
    pub(crate) flow: &'static str,
    pub(crate) client_ip: String,
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: &str) -> Self {
        let words = code.replace('_', " ");
        Self {
            code: code.to_owned(),
            message: format!("The acquirer answered: {words}"),
        }
    }
}

/// Funds reserved on a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) amount: i64,
    pub(crate) since_ms: i64,
    pub(crate) token: Option<Uuid>,
    /// Whether the acquirer has let it go; the purchase says `hold` all the same.
    pub(crate) is_lapsed: bool,
}

/// What the merchant asked for; none of it changes after creation.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the gateway's own fields")]
pub(crate) struct Terms {
    pub(crate) brand_id: Uuid,
    pub(crate) total: i64,
    pub(crate) currency: String,
    pub(crate) reference: Arc<str>,
    pub(crate) due_s: i64,
    pub(crate) due_strict: bool,
    pub(crate) skip_capture: bool,
    pub(crate) force_recurring: bool,
    pub(crate) single_attempt: bool,
    pub(crate) send_receipt: bool,
    pub(crate) asks_payer: bool,
    pub(crate) issued: String,
    pub(crate) platform: String,
    pub(crate) creator_agent: String,
    pub(crate) success_redirect: String,
    pub(crate) failure_redirect: String,
    pub(crate) cancel_redirect: String,
    pub(crate) success_callback: String,
    pub(crate) whitelist: Option<Vec<String>>,
    pub(crate) metadata: Option<Value>,
    pub(crate) client: Box<RawValue>,
    pub(crate) details: Box<RawValue>,
}

/// A purchase.
#[derive(Debug)]
pub(crate) struct Purchase {
    pub(crate) id: Uuid,
    pub(crate) realm: Realm,
    pub(crate) client_id: Uuid,
    pub(crate) created_ms: i64,
    pub(crate) created_s: i64,
    pub(crate) created_from_ip: String,
    pub(crate) number: u64,
    pub(crate) terms: Terms,
    pub(crate) history: Vec<(Status, i64)>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) face: Face,
    /// Earlier faces and the moment (ms) each stopped being true; stale reads are served from it.
    pub(crate) past: Vec<(i64, Face)>,
    /// What it showed before the last operation on it.
    pub(crate) before: Option<Face>,
    pub(crate) held: Option<Held>,
    pub(crate) card: Option<Arc<Card>>,
    pub(crate) charges_in_flight: u32,
    /// A 3-D Secure confirmation the payer has not answered yet.
    pub(crate) confirmation: Option<Box<super::pay::CardForm>>,
}

impl Purchase {
    /// Changes what the purchase shows and remembers what it showed before.
    pub(crate) fn change(&mut self, now_ms: i64, change: impl FnOnce(&mut Face)) {
        let before = self.face.clone();
        change(&mut self.face);
        self.face.updated_s = now_ms.div_euclid(1000);
        self.past.push((now_ms, before));
    }

    /// Moves the purchase to a status and writes its history.
    pub(crate) fn enter(&mut self, now_ms: i64, status: Status) {
        self.history.push((status, now_ms.div_euclid(1000)));
        let shown = self.history.len();
        self.change(now_ms, |face| {
            face.status = status;
            face.history_shown = shown;
        });
    }

    /// Records one try at the acquirer.
    pub(crate) fn attempted(&mut self, now_ms: i64, attempt: Attempt) {
        self.attempts.push(attempt);
        let shown = self.attempts.len();
        self.change(now_ms, |face| face.attempts_shown = shown);
    }

    /// Whether it may be paid now.
    pub(crate) fn is_payable(&self) -> bool {
        let spent = self.terms.single_attempt && self.attempts.iter().any(|a| a.error.is_some());
        self.face.status.is_payable() && !spent
    }

    /// Remembers what it shows now: an operation begins.
    pub(crate) fn begin(&mut self) {
        self.before = Some(self.face.clone());
    }

    /// The face as it was at a moment; none before there was a purchase.
    pub(crate) fn face_at(&self, at_ms: i64) -> Option<&Face> {
        if at_ms < self.created_ms {
            return None;
        }
        let next = self.past.partition_point(|(until, _)| *until <= at_ms);
        Some(self.past.get(next).map_or(&self.face, |(_, face)| face))
    }

    /// The face with the status before the present one.
    pub(crate) fn face_before(&self) -> &Face {
        let now = self.face.status;
        let earlier = self.past.iter().rev().find(|(_, face)| face.status != now);
        earlier.map_or(&self.face, |(_, face)| face)
    }

    pub(crate) fn is_preauthorization(&self) -> bool {
        self.terms.skip_capture && self.terms.total == 0
    }
}
