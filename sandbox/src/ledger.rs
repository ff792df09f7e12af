//! The judge: every request that arrived and every movement of money.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::engine::Operation;

/// What a movement did with the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// Funds were reserved.
    Hold,
    /// Reserved funds were taken.
    Capture,
    /// Reserved funds, or the rest of them after a partial capture, were given back.
    Release,
    /// Reserved funds went back by themselves: the hold had lasted too long.
    Lapse,
    /// Money was taken in one step, by a saved card or by the payer.
    Charge,
    /// Taken money was given back.
    Refund,
}

/// One movement of money.
#[derive(Clone, Debug, Serialize)]
pub struct Movement {
    /// Position among all movements and requests.
    pub seq: u64,
    /// When, in unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// What it did.
    pub kind: MovementKind,
    /// On which purchase.
    pub purchase_id: Uuid,
    /// The merchant's reference of that purchase.
    pub reference: Arc<str>,
    /// Minor units.
    pub amount: i64,
    /// Currency code.
    pub currency: Arc<str>,
    /// The saved card that was used, if one was.
    pub token: Option<Uuid>,
    /// Whether the money was real (a live key) or not.
    pub is_test: bool,
}

/// One request that arrived.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRow {
    /// Position among all movements and requests.
    pub seq: u64,
    /// When it arrived, in unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Its `Idempotency-Key`, if it carried one.
    pub idempotency_key: Option<String>,
    /// What it asked for.
    pub operation: Operation,
    /// About which purchase.
    pub purchase_id: Option<Uuid>,
    /// The status it was answered with; none while it is worked on or when nothing was answered.
    pub status: Option<u16>,
    /// The faults that were applied to it.
    pub faults: Vec<&'static str>,
    /// Whether it took effect.
    pub committed: bool,
}

/// One try at delivering a webhook or a success callback, or a delivery that was lost.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// When it was answered, in unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// The event.
    pub event: &'static str,
    /// The purchase (or refund payment) it is about.
    pub object_id: Uuid,
    /// Which try, from 1; 0 when it was lost and never tried.
    pub attempt: u32,
    /// Whether a 2xx came back.
    pub accepted: bool,
    /// The faults that were applied to it.
    pub faults: Vec<&'static str>,
}

/// How many requests of one operation there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests that took effect.
    pub committed: u64,
    /// Requests a fault was applied to.
    pub faulted: u64,
}

/// Requests and movements, in order.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    keeps_requests: bool,
    seq: u64,
    requests: Vec<RequestRow>,
    movements: Vec<Movement>,
    deliveries: Vec<DeliveryRow>,
    counts: HashMap<Operation, Counts>,
    met: HashMap<(Operation, &'static str), u64>,
    accepted: u64,
    by_purchase: HashMap<Uuid, Vec<usize>>,
    by_reference: HashMap<Arc<str>, Vec<usize>>,
}

/// Where a request stands in the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) operation: Operation,
    index: Option<usize>,
}

impl Ledger {
    pub(crate) fn new(keeps_requests: bool) -> Self {
        Self {
            keeps_requests,
            ..Self::default()
        }
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn arrived(&mut self, row: RequestRow) -> Row {
        let operation = row.operation;
        self.counts.entry(operation).or_default().arrived += 1;
        let seq = self.next();
        let index = self.keeps_requests.then_some(self.requests.len());
        if self.keeps_requests {
            self.requests.push(RequestRow { seq, ..row });
        }
        Row { operation, index }
    }

    pub(crate) fn committed(&mut self, row: Row) {
        self.counts.entry(row.operation).or_default().committed += 1;
        if let Some(kept) = row.index.and_then(|index| self.requests.get_mut(index)) {
            kept.committed = true;
        }
    }

    pub(crate) fn faulted(&mut self, row: Row, faults: &[&'static str]) {
        if faults.is_empty() {
            return;
        }
        self.counts.entry(row.operation).or_default().faulted += 1;
        self.met(row.operation, faults);
        if let Some(kept) = row.index.and_then(|index| self.requests.get_mut(index)) {
            kept.faults = faults.to_vec();
        }
    }

    pub(crate) fn answered(&mut self, row: Row, status: Option<u16>, purchase_id: Option<Uuid>) {
        if let Some(kept) = row.index.and_then(|index| self.requests.get_mut(index)) {
            kept.status = status;
            kept.purchase_id = kept.purchase_id.or(purchase_id);
        }
    }

    pub(crate) fn moved(&mut self, movement: Movement) {
        let seq = self.next();
        let index = self.movements.len();
        self.by_purchase
            .entry(movement.purchase_id)
            .or_default()
            .push(index);
        self.by_reference
            .entry(Arc::clone(&movement.reference))
            .or_default()
            .push(index);
        self.movements.push(Movement { seq, ..movement });
    }

    fn met(&mut self, operation: Operation, faults: &[&'static str]) {
        for fault in faults {
            *self.met.entry((operation, *fault)).or_default() += 1;
        }
    }

    pub(crate) fn delivered(&mut self, row: DeliveryRow) {
        self.met(Operation::Delivery, &row.faults);
        self.accepted += u64::from(row.accepted);
        if self.keeps_requests {
            self.deliveries.push(row);
        }
    }

    /// Every request, in order of arrival; empty when requests are not kept.
    #[must_use]
    pub fn requests(&self) -> &[RequestRow] {
        &self.requests
    }

    /// Every movement of money, in order.
    #[must_use]
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// Every answered try at a delivery and every lost one, in order; empty when requests are not kept.
    #[must_use]
    pub fn deliveries(&self) -> &[DeliveryRow] {
        &self.deliveries
    }

    /// How many requests of an operation there were; counted even when rows are not kept.
    #[must_use]
    pub fn counts(&self, operation: Operation) -> Counts {
        self.counts.get(&operation).copied().unwrap_or_default()
    }

    /// The counts of every operation that was asked for.
    #[must_use]
    pub fn all_counts(&self) -> &HashMap<Operation, Counts> {
        &self.counts
    }

    /// How often each fault was applied to each operation; counted even when rows are not kept.
    #[must_use]
    pub const fn faults_met(&self) -> &HashMap<(Operation, &'static str), u64> {
        &self.met
    }

    /// How many deliveries were accepted; counted even when rows are not kept.
    #[must_use]
    pub const fn deliveries_accepted(&self) -> u64 {
        self.accepted
    }

    /// Requests of one operation about one purchase.
    #[must_use]
    pub fn requests_of(&self, purchase: Uuid, operation: Operation) -> Vec<&RequestRow> {
        let is_meant =
            |row: &&RequestRow| row.purchase_id == Some(purchase) && row.operation == operation;
        self.requests.iter().filter(is_meant).collect()
    }

    /// The movements of a purchase, in order.
    #[must_use]
    pub fn movements_of(&self, purchase: Uuid) -> Vec<&Movement> {
        self.pick(self.by_purchase.get(&purchase))
    }

    /// The movements of every purchase with a reference, in order.
    #[must_use]
    pub fn movements_for_reference(&self, reference: &str) -> Vec<&Movement> {
        self.pick(self.by_reference.get(reference))
    }

    /// What was taken (captured or charged) under a reference; refunds are not taken off.
    #[must_use]
    pub fn taken_for_reference(&self, reference: &str) -> i64 {
        self.sum(reference, &[MovementKind::Capture, MovementKind::Charge])
    }

    /// What was given back of taken money under a reference.
    #[must_use]
    pub fn refunded_for_reference(&self, reference: &str) -> i64 {
        self.sum(reference, &[MovementKind::Refund])
    }

    /// What is still reserved under a reference.
    #[must_use]
    pub fn held_for_reference(&self, reference: &str) -> i64 {
        let given = [
            MovementKind::Capture,
            MovementKind::Release,
            MovementKind::Lapse,
        ];
        self.sum(reference, &[MovementKind::Hold]) - self.sum(reference, &given)
    }

    fn sum(&self, reference: &str, kinds: &[MovementKind]) -> i64 {
        let movements = self.movements_for_reference(reference);
        movements
            .iter()
            .filter(|m| kinds.contains(&m.kind))
            .map(|m| m.amount)
            .sum()
    }

    fn pick(&self, indexes: Option<&Vec<usize>>) -> Vec<&Movement> {
        indexes
            .into_iter()
            .flatten()
            .filter_map(|index| self.movements.get(*index))
            .collect()
    }
}
