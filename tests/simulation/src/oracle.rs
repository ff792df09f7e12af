//! Who judges: the gateway's ledger beside what is reported, whenever either of them moves.

use std::sync::Arc;

use chip_sandbox::{Movement, MovementKind};
use holdfast::payment::{
    Adopt, Ask, Authorize, MoneyCall, MoneyOrder, ParkReason, Payment, PaymentId, State, Step,
};
use holdfast::store::Store;
use holdfast_rig::{compare, found, strays, unrest};

use crate::world::World;

/// So far a worker's clock may be ahead of the store's before it has asked it.
pub(crate) const SKEW_MS: i64 = 2_000;

/// No call is made without a note of it that is durable and names its purchase.
pub(crate) fn check_noted(world: &World, order: &MoneyOrder) {
    let number = world.number(&order.payment);
    let call = order.call.as_str();
    let Some(payment) = world.store.durable(&order.payment) else {
        return world.problem(&format!("p{number:02}: {call} without a durable record"));
    };
    if payment.purchase().map(|known| &known.id) != Some(&order.purchase) {
        world.problem(&format!(
            "p{number:02}: {call} on a purchase that is not recorded"
        ));
    }
    let fits = |step: Step| match &order.call {
        MoneyCall::Charge(_) => step == Step::Charge,
        MoneyCall::Capture(amount) => step == Step::Capture { amount: *amount },
        MoneyCall::Release => step == Step::Release,
        MoneyCall::Cancel => step == Step::Cancel,
    };
    let noted = payment
        .attempts()
        .iter()
        .any(|attempt| attempt.number == order.attempt && fits(attempt.step));
    if !noted {
        world.problem(&format!(
            "p{number:02}: {call} without a durable note of it"
        ));
    }
}

/// Money moves once for a payment, at most.
pub(crate) fn check_movements(world: &Arc<World>) {
    let all = world.engine(|engine, _| engine.ledger().movements().len());
    for index in world.new_movements(all) {
        let (movement, takes) = world.engine(|engine, _| {
            let ledger = engine.ledger();
            let movement = ledger.movements()[index].clone();
            let moved = ledger.movements_of(movement.purchase_id);
            let takes = moved
                .iter()
                .filter(|m| matches!(m.kind, MovementKind::Charge | MovementKind::Capture))
                .count();
            (movement, takes)
        });
        let by_reference = PaymentId::new(&*movement.reference).ok();
        let number = by_reference
            .and_then(|id| world.known(&id))
            .or_else(|| world.number_of_purchase(&movement.purchase_id.to_string()));
        let who = number.map_or("elsewhere".to_owned(), |number| format!("p{number:02}"));
        let (kind, amount) = (movement.kind, movement.amount);
        world.note("ledger", format_args!("{who} {kind:?} of {amount}"));
        if takes > 1 {
            world.problem(&format!("{who}: money was taken {takes} times"));
        }
    }
}

/// What is reported as the end is true when it is reported.
pub(crate) fn check_stored(world: &World, id: &PaymentId) {
    let finished = world.store.stored(id).filter(Payment::is_finished);
    if let Some(payment) = finished {
        check_payment(world, payment, Settled::No);
    }
}

/// Whether nothing may be under way any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Yes,
    No,
}

fn check_payment(world: &World, payment: Payment, settled: Settled) {
    let number = world.number(payment.id());
    let line = world.engine(|engine, _| {
        compare(payment, engine.ledger(), settled == Settled::Yes)
            .beside(|purchase| engine.status_of(purchase))
    });
    for problem in line.problems {
        world.problem(&format!("p{number:02}: {problem}"));
    }
}

/// Nothing is taken or given back before its time, unless somebody said so.
fn check_times(world: &World, payment: &Payment) {
    if payment.commands().iter().any(|c| c.answer.is_accepted()) {
        return;
    }
    let earliest = |kind| match (&payment.request().ask, kind) {
        (Ask::Charge(ask), MovementKind::Charge) => ask.not_before,
        (Ask::Authorize(Authorize { plan, .. }) | Ask::Adopt(Adopt { plan, .. }), kind) => {
            match kind {
                MovementKind::Capture => plan.capture_at,
                MovementKind::Release if plan.capture_at.is_none() => plan.release_at,
                _ => None,
            }
        }
        _ => None,
    };
    let early = world.engine(|engine, _| {
        let moved = found(payment, engine.ledger());
        let early = |movement: &&&Movement| {
            earliest(movement.kind)
                .is_some_and(|time| movement.at_ms + SKEW_MS < time.timestamp_millis())
        };
        moved.iter().find(early).map(|movement| movement.kind)
    });
    if let Some(kind) = early {
        let number = world.number(payment.id());
        world.problem(&format!("p{number:02}: {kind:?} before its time"));
    }
}

/// No command that was answered is forgotten, nor answered otherwise.
fn check_commands(world: &World, payment: &Payment) {
    for (key, answer) in world.commands_of(payment.id()) {
        let entry = payment.commands().iter().find(|entry| entry.key == key);
        // Once a payment has ended nothing is noted any more: the answer cannot change.
        let after_the_end = entry.is_none() && payment.is_finished() && !answer.is_accepted();
        if entry.map(|entry| entry.answer) != Some(answer) && !after_the_end {
            let number = world.number(payment.id());
            world.problem(&format!(
                "p{number:02}: a command that was answered is lost"
            ));
        }
    }
}

/// At the end all is as it should be, for good.
pub(crate) async fn check_all(world: &World, acknowledged: &[PaymentId], kills: u64) {
    let mut payments = Vec::new();
    for id in acknowledged {
        match world.store.load(id).await {
            Ok(Some(loaded)) => payments.push(loaded.payment),
            _ => world.problem(&format!("p{:02}: it was lost", world.number(id))),
        }
    }
    for payment in &payments {
        check_payment(world, payment.clone(), Settled::Yes);
        check_times(world, payment);
        check_commands(world, payment);
        if let State::Parked { reason, .. } = payment.state()
            && !is_explained(world, reason, kills)
        {
            let number = world.number(payment.id());
            world.problem(&format!(
                "p{number:02}: parked, and no fault explains it: {reason:?}"
            ));
        }
    }
    let all: Vec<Payment> = world.store.all().into_iter().map(|l| l.payment).collect();
    for stray in world.engine(|engine, _| strays(&all, engine.ledger())) {
        if !stray.contains("made elsewhere") {
            world.problem(&stray);
        }
    }
    let ids: Vec<PaymentId> = all.iter().map(|payment| payment.id().clone()).collect();
    match unrest(&world.store, &ids).await {
        Ok(problems) => problems.iter().for_each(|problem| {
            world.problem(&format!("the store at rest: {problem}"));
        }),
        Err(error) => world.problem(&format!("the store at rest: {error}")),
    }
}

/// Whether faults alone can lead there. Nobody else acts at the gateway, nothing is wrong with the
/// configuration; only a worker that is killed again and again leaves a payment barren.
fn is_explained(world: &World, reason: &ParkReason, kills: u64) -> bool {
    match reason {
        ParkReason::OutcomeUnknown
        | ParkReason::LookUpsExhausted
        | ParkReason::HoldLost
        | ParkReason::ReleaseRefused
        | ParkReason::BeforeExpiry => true,
        ParkReason::Poison => kills > 0,
        ParkReason::Refused { .. } => world.was_hit("denied"),
        ParkReason::Contradiction { .. }
        | ParkReason::DeclinedForOperator { .. }
        | ParkReason::GatewayUnreachable => false,
    }
}
