//! What came of a payment, by the record and by the gateway's ledger.

use chip_sandbox::{Ledger, MovementKind, Operation};
use holdfast::payment::State;

use crate::books::{Line, Movements, found};

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) ledger: Movements,
    /// How many calls arrived that charge the card.
    pub(super) charges: usize,
    /// How often the purchase was looked up.
    pub(super) look_ups: usize,
    /// When reserved funds were taken or given back.
    pub(super) settled_ms: Option<i64>,
}

impl Seen {
    pub(super) fn of(line: &Line, ledger: &Ledger) -> Self {
        let purchase = line.payment.purchase();
        let purchase = purchase.and_then(|known| known.id.as_str().parse().ok());
        let arrived =
            |what| purchase.map_or(0, |purchase| ledger.requests_of(purchase, what).len());
        let settled = found(&line.payment, ledger).into_iter().find(|movement| {
            matches!(movement.kind, MovementKind::Capture | MovementKind::Release)
        });
        Self {
            state: line.payment.state().clone(),
            ledger: line.ledger.clone(),
            charges: arrived(Operation::Charge),
            look_ups: arrived(Operation::Retrieve),
            settled_ms: settled.map(|movement| movement.at_ms),
        }
    }
}
