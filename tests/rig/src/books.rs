//! The worker's reports beside the sandbox's ledger: the ledger is the judge.

use chip_sandbox::{Ledger, MovementKind};
use holdfast::payment::{Ask, Payment, State};

/// What the ledger says about one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Movements {
    /// How often money was taken, by charge or capture.
    pub takes: usize,
    /// How much was taken, in minor units.
    pub taken_minor: u64,
    /// How often funds were reserved.
    pub holds: usize,
    /// How often reserved funds were given back, in whole.
    pub releases: usize,
}

/// One payment in both books.
#[derive(Debug, Clone)]
pub struct Line {
    /// The payment as recorded.
    pub payment: Payment,
    /// What the ledger says.
    pub ledger: Movements,
    /// Where the two differ, or a promise is broken; empty when all is well.
    pub problems: Vec<String>,
}

/// Compares one payment with the ledger. `settled` demands that nothing is under way any more.
#[must_use]
pub fn compare(payment: Payment, ledger: &Ledger, settled: bool) -> Line {
    let moved = movements(&payment, ledger);
    let mut problems = Vec::new();
    if moved.takes > 1 {
        problems.push(format!("money was taken {} times", moved.takes));
    }
    if moved.holds > 1 {
        problems.push(format!("funds were reserved {} times", moved.holds));
    }
    if moved.takes > 0 && moved.releases > 0 {
        problems.push("both taken and given back".to_owned());
    }
    match payment.state() {
        State::Paid(money) if moved.takes != 1 || moved.taken_minor != money.amount.minor() => {
            problems.push(format!("reported paid {money}, taken {}", moved.taken_minor));
        }
        State::Failed(_) | State::Released | State::Saved(_) if moved.takes != 0 => {
            problems.push("money was taken, and reported that it was not".to_owned());
        }
        State::Failed(_) if moved.holds != moved.releases => {
            problems.push("funds are still reserved, and reported failed".to_owned());
        }
        State::Released if (moved.holds, moved.releases) != (1, 1) => {
            problems.push("reported released, and the ledger shows no such thing".to_owned());
        }
        State::New | State::AwaitingPayer | State::Held(_) if settled => {
            problems.push("still under way".to_owned());
        }
        _ => {}
    }
    problems.extend(wrong_amount(&payment, &moved));
    Line { payment, ledger: moved, problems }
}

fn movements(payment: &Payment, ledger: &Ledger) -> Movements {
    let mut sum = Movements::default();
    let captured: Vec<_> = ledger
        .movements_for_reference(payment.id().as_str())
        .into_iter()
        .filter(|movement| movement.kind == MovementKind::Capture)
        .map(|movement| movement.purchase_id)
        .collect();
    for movement in ledger.movements_for_reference(payment.id().as_str()) {
        match movement.kind {
            MovementKind::Charge | MovementKind::Capture => {
                sum.takes += 1;
                sum.taken_minor += u64::try_from(movement.amount).unwrap_or(0);
            }
            MovementKind::Hold => sum.holds += 1,
            // The rest of a partial capture goes back by itself.
            MovementKind::Release if captured.contains(&movement.purchase_id) => {}
            MovementKind::Release => sum.releases += 1,
            MovementKind::Refund => {}
        }
    }
    sum
}

fn wrong_amount(payment: &Payment, moved: &Movements) -> Option<String> {
    let asked = payment.request().money().map_or(0, |money| money.amount.minor());
    let exact = matches!(payment.request().ask, Ask::Charge(_));
    let wrong = moved.takes == 1
        && (moved.taken_minor > asked || (exact && moved.taken_minor != asked));
    wrong.then(|| format!("asked {asked}, taken {}", moved.taken_minor))
}
