//! What is wrong when all has settled.

use chip_sandbox::Sandbox;
use holdfast::payment::{ParkReason, Payment, PaymentId, State, Verdict};

use super::Manners;
use crate::books::{Line, compare};
use crate::works::Works;

/// Every payment in both books.
pub(super) async fn books(
    works: &Works,
    ids: &[PaymentId],
    manners: Manners,
) -> anyhow::Result<Vec<Line>> {
    let ledger = works.sandbox.ledger();
    let mut lines = Vec::new();
    for id in ids {
        let mut line = compare(works.load(id).await?.payment, &ledger, true)
            .beside(|id| works.sandbox.status_of(id));
        if let State::Parked { reason, .. } = line.payment.state()
            && !is_explained(reason, &line.payment, &works.sandbox)
            && !is_known_of(manners, reason, &line.payment)
        {
            line.problems
                .push(format!("parked, and no fault explains why: {reason:?}"));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Whether faults alone can lead there. Nobody else acts at the gateway, nothing is wrong with the
/// configuration, and no worker dies of a payment.
fn is_explained(reason: &ParkReason, payment: &Payment, sandbox: &Sandbox) -> bool {
    match reason {
        ParkReason::OutcomeUnknown
        | ParkReason::LookUpsExhausted
        | ParkReason::HoldLost
        | ParkReason::ReleaseRefused => true,
        // The answer to the create named a purchase that there is not, and nothing else is known of
        // the one that was made. It cannot be charged by us and expires by itself; no look-up will
        // ever find the other, so a person decides. Only that fault explains it.
        ParkReason::Refused { code } => code == "not_found" && !is_there(payment, sandbox),
        ParkReason::Contradiction { .. }
        | ParkReason::DeclinedForOperator { .. }
        | ParkReason::GatewayUnreachable
        | ParkReason::BeforeExpiry
        | ParkReason::Poison => false,
    }
}

/// Whether it is what this gateway leads to without any fault. One that charges nothing a second
/// time refuses what is tried again after a soft decline, and nobody but a person can go on.
fn is_known_of(manners: Manners, reason: &ParkReason, payment: &Payment) -> bool {
    let refused =
        matches!(reason, ParkReason::Refused { code } if code == "purchase_charge_wrong_status");
    let was_declined = payment.attempts().iter().any(|attempt| {
        let closed = attempt.closed.as_ref();
        closed.is_some_and(|closed| matches!(closed.verdict, Verdict::Declined { .. }))
    });
    manners == Manners::SaysLittle && refused && was_declined
}

fn is_there(payment: &Payment, sandbox: &Sandbox) -> bool {
    let id = payment.purchase().map(|known| known.id.as_str().parse());
    matches!(id, Some(Ok(id)) if sandbox.status_of(id).is_some())
}

/// Money that moved and belongs to no payment.
pub(super) async fn strays(works: &Works, ids: &[PaymentId]) -> anyhow::Result<Vec<String>> {
    let mut payments = Vec::new();
    for id in ids {
        payments.push(works.load(id).await?.payment);
    }
    Ok(crate::books::strays(&payments, &works.sandbox.ledger()))
}
