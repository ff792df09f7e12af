//! The worker's reports beside the sandbox's ledger: the ledger is the judge.

use std::collections::BTreeSet;

use chip_sandbox::{Ledger, Movement, MovementKind, Status};
use holdfast::payment::{
    Ask, CardToken, FailReason, HoldOutcome, Payment, ResolvedHow, Source, State, Step,
};
use uuid::Uuid;

use crate::asked::{House, otherwise};

/// What the ledger says about one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Movements {
    /// How often money was taken, by charge or capture.
    pub takes: usize,
    /// How much was taken, in minor units.
    pub taken_minor: u64,
    /// How often funds were reserved.
    pub holds: usize,
    /// How much was reserved.
    pub held_minor: u64,
    /// How often reserved funds were given back, or lapsed, but for what a capture leaves over.
    pub releases: usize,
    /// How much of what was reserved is neither taken nor given back; below zero when more was
    /// taken and given back than was reserved.
    pub reserved_minor: i64,
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

impl Line {
    /// Looks at the purchase itself as well: what is reported failed can never be paid any more,
    /// and a card that is reported saved is the one that the gateway saved.
    #[must_use]
    pub fn beside(mut self, status_of: impl FnOnce(Uuid) -> Option<Status>) -> Self {
        let Some(id) = self
            .payment
            .purchase()
            .and_then(|known| known.id.as_str().parse().ok())
        else {
            return self;
        };
        let status = status_of(id);
        let sealed = matches!(status, Some(Status::Cancelled | Status::Expired));
        // A hold that is not known here, and was given back, is no seal: people may state it.
        let given_back = status == Some(Status::Released);
        match self.payment.state() {
            State::Failed(FailReason::StatedByHand) if sealed || given_back => {}
            State::Failed(_) if !sealed => {
                self.problems
                    .push(format!("reported failed, and the purchase is {status:?}"));
            }
            State::Saved(token)
                if (status, token.as_str()) != (Some(Status::Preauthorized), &id.to_string()) =>
            {
                self.problems
                    .push(format!("reported saved, and the purchase is {status:?}"));
            }
            _ => {}
        }
        self
    }
}

/// Compares one payment with the ledger. `settled` demands that nothing is under way any more.
#[must_use]
pub fn compare(payment: Payment, ledger: &Ledger, settled: bool) -> Line {
    let found = found(&payment, ledger);
    let moved = sum(&found);
    let mut problems = Vec::new();
    effects(&moved, &mut problems);
    report(&payment, &moved, settled, &mut problems);
    // What a person takes as the gateway shows it may have been done by anybody.
    let as_shown = payment.resolved() == Some(ResolvedHow::AsShown);
    for (place, movement) in found.iter().enumerate() {
        problems.extend(unasked(&payment, movement));
        if !as_shown {
            problems.extend(unnoted(&payment, movement));
        }
        let is_rest = movement.kind == MovementKind::Release && is_rest(&found[..place], movement);
        if !as_shown && !is_rest {
            problems.extend(otherwise(&payment, movement, 0, House::WHENEVER));
        }
    }
    Line {
        payment,
        ledger: moved,
        problems,
    }
}

/// Everything that moved for this payment: under its reference, on whichever purchase, and on its
/// purchase, under whichever reference.
#[must_use]
pub fn found<'a>(payment: &Payment, ledger: &'a Ledger) -> Vec<&'a Movement> {
    let purchase = payment
        .purchase()
        .and_then(|known| known.id.as_str().parse::<Uuid>().ok());
    let mut found = ledger.movements_for_reference(payment.id().as_str());
    found.extend(purchase.into_iter().flat_map(|id| ledger.movements_of(id)));
    found.sort_by_key(|movement| movement.seq);
    found.dedup_by_key(|movement| movement.seq);
    found
}

/// Money that moved and belongs to none of these payments.
#[must_use]
pub fn strays(payments: &[Payment], ledger: &Ledger) -> Vec<String> {
    let ours: BTreeSet<u64> = payments
        .iter()
        .flat_map(|payment| found(payment, ledger))
        .map(|movement| movement.seq)
        .collect();
    let strays = ledger
        .movements()
        .iter()
        .filter(|movement| !ours.contains(&movement.seq));
    strays
        .map(|movement| format!("money of no payment: {movement:?}"))
        .collect()
}

fn sum(found: &[&Movement]) -> Movements {
    let mut sum = Movements::default();
    for (place, movement) in found.iter().enumerate() {
        let amount = u64::try_from(movement.amount).unwrap_or(0);
        match movement.kind {
            MovementKind::Charge | MovementKind::Capture => {
                sum.takes += 1;
                sum.taken_minor += amount;
            }
            MovementKind::Hold => {
                sum.holds += 1;
                sum.held_minor += amount;
            }
            // What a capture leaves over goes back by itself, after it.
            MovementKind::Release if is_rest(&found[..place], movement) => {}
            MovementKind::Release | MovementKind::Lapse => sum.releases += 1,
            MovementKind::Refund => {}
        }
        sum.reserved_minor += match movement.kind {
            MovementKind::Hold => movement.amount,
            MovementKind::Capture | MovementKind::Release | MovementKind::Lapse => -movement.amount,
            MovementKind::Charge | MovementKind::Refund => 0,
        };
    }
    sum
}

fn is_rest(before: &[&Movement], release: &Movement) -> bool {
    before.iter().any(|movement| {
        movement.kind == MovementKind::Capture && movement.purchase_id == release.purchase_id
    })
}

/// One effect at most, whatever is reported.
fn effects(moved: &Movements, problems: &mut Vec<String>) {
    if moved.takes > 1 {
        problems.push(format!("money was taken {} times", moved.takes));
    }
    if moved.holds > 1 {
        problems.push(format!("funds were reserved {} times", moved.holds));
    }
    if moved.releases > 1 {
        problems.push(format!("funds were given back {} times", moved.releases));
    }
    if moved.takes > 0 && moved.releases > 0 {
        problems.push("both taken and given back".to_owned());
    }
    if moved.reserved_minor < 0 {
        problems.push("more was taken and given back than was reserved".to_owned());
    }
}

/// What is reported is what happened.
fn report(payment: &Payment, moved: &Movements, settled: bool, problems: &mut Vec<String>) {
    match payment.state() {
        State::Paid(money) if moved.takes != 1 || moved.taken_minor != money.amount.minor() => {
            problems.push(format!(
                "reported paid {money}, taken {}",
                moved.taken_minor
            ));
        }
        State::Failed(_) | State::Released | State::Saved(_) if moved.takes != 0 => {
            problems.push("money was taken, and reported that it was not".to_owned());
        }
        State::Released if (moved.holds, moved.releases) != (1, 1) => {
            problems.push("reported released, and the ledger shows no such thing".to_owned());
        }
        State::New | State::AwaitingPayer | State::Held(_) if settled => {
            problems.push("still under way".to_owned());
        }
        _ => {}
    }
    if payment.is_finished() && moved.reserved_minor != 0 {
        problems.push(format!(
            "funds are still reserved, and reported {}",
            payment.state().name()
        ));
    }
}

/// What nobody asked for: another kind, amount, currency, card, or real money.
fn unasked(payment: &Payment, movement: &Movement) -> Option<String> {
    use MovementKind::{Capture, Charge, Hold, Lapse, Refund, Release};
    let ask = &payment.request().ask;
    let fits = match (ask, movement.kind) {
        (Ask::Charge(_), Charge)
        | (Ask::Authorize(_) | Ask::Adopt(_), Hold | Capture | Release | Lapse) => true,
        (_, Hold | Capture | Charge | Release | Lapse | Refund) => false,
    };
    let asked = payment.request().money();
    let amount = i64::try_from(asked.map_or(0, |money| money.amount.minor())).unwrap_or(i64::MAX);
    let card: Option<&CardToken> = match ask {
        Ask::Charge(ask) => Some(&ask.token),
        Ask::Authorize(ask) => match &ask.source {
            Source::Token(token) => Some(token),
            Source::Checkout(_) => None,
        },
        Ask::SaveCard(_) | Ask::Adopt(_) => None,
    };
    let used = movement.token.map(|token| token.to_string());
    let what = match movement.kind {
        kind if !fits => format!("{kind:?} of what is no such thing"),
        Hold | Charge if movement.amount != amount => {
            format!("asked {amount}, moved {}", movement.amount)
        }
        Capture if movement.amount > amount => format!("asked {amount}, taken {}", movement.amount),
        Hold | Charge if card.is_some_and(|card| used.as_deref() != Some(card.as_str())) => {
            "another card than was asked for".to_owned()
        }
        _ if asked.is_some_and(|money| money.currency.as_str() != &*movement.currency) => {
            format!("in {}, not as asked", movement.currency)
        }
        _ if !movement.is_test => "real money in a test".to_owned(),
        _ => return None,
    };
    Some(what)
}

/// What moved without a note of it beforehand, or otherwise than the note says.
fn unnoted(payment: &Payment, movement: &Movement) -> Option<String> {
    let noted = |step: fn(&Step) -> bool| payment.attempts().iter().any(|a| step(&a.step));
    let amount = u64::try_from(movement.amount).unwrap_or(0);
    let decided = payment.decision().map(|decision| decision.outcome);
    let fine = match movement.kind {
        MovementKind::Charge => noted(|step| *step == Step::Charge),
        MovementKind::Hold => {
            matches!(payment.request().ask, Ask::Adopt(_))
                || payment.is_checkout()
                || noted(|step| *step == Step::Charge)
        }
        MovementKind::Capture => {
            matches!(decided, Some(HoldOutcome::Capture(planned)) if planned.minor() == amount)
                && noted(|step| matches!(step, Step::Capture { .. }))
        }
        MovementKind::Release => {
            decided.is_some() && noted(|step| matches!(step, Step::Capture { .. } | Step::Release))
        }
        // The acquirer asks nobody.
        MovementKind::Lapse => true,
        MovementKind::Refund => false,
    };
    (!fine).then(|| format!("{:?} of {amount} without a note of it", movement.kind))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn movements(kinds: &[(MovementKind, i64)]) -> Vec<Movement> {
        let movement = |(seq, (kind, amount)): (u64, &(MovementKind, i64))| Movement {
            seq,
            at_ms: 0,
            kind: *kind,
            purchase_id: Uuid::from_u128(1),
            reference: Arc::from("r"),
            amount: *amount,
            currency: Arc::from("MYR"),
            token: None,
            is_test: true,
        };
        (1..).zip(kinds).map(movement).collect()
    }

    fn problems(kinds: &[(MovementKind, i64)]) -> Vec<String> {
        let movements = movements(kinds);
        let mut problems = Vec::new();
        effects(&sum(&movements.iter().collect::<Vec<_>>()), &mut problems);
        problems
    }

    #[test]
    fn one_purchase_captured_after_its_release_is_found_out() {
        use MovementKind::{Capture, Hold, Lapse, Release};
        let double = problems(&[(Hold, 1500), (Release, 1500), (Capture, 1500)]);
        assert_eq!(
            double,
            [
                "both taken and given back",
                "more was taken and given back than was reserved"
            ]
        );
        let too_much = problems(&[(Hold, 1500), (Capture, 1000), (Release, 1500)]);
        assert_eq!(
            too_much,
            ["more was taken and given back than was reserved"]
        );
        assert!(problems(&[(Hold, 1500), (Capture, 1000), (Release, 500)]).is_empty());
        assert!(problems(&[(Hold, 1500), (Lapse, 1500)]).is_empty());
        let gone = problems(&[(Hold, 1500), (Lapse, 1500), (Capture, 1500)]);
        assert_eq!(gone.len(), 2, "{gone:?}");
    }
}
