//! Who judges: the gateway's ledger beside what is reported, whenever either of them moves.

use std::sync::Arc;

use chip_sandbox::{Movement, MovementKind};
use holdfast::payment::{
    Ask, Command, CommandEntry, FailReason, MoneyCall, MoneyOrder, ParkReason, Payment, PaymentId,
    ResolvedHow, Source, State, Step,
};
use holdfast::store::Store;
use holdfast_rig::{House, compare, found, otherwise, strays, unrest};

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

/// No call is licensed by a note that the store may forget.
pub(crate) fn check_license(world: &World, payment: &Payment) {
    if world.store.durability().is_err() {
        let number = world.number(payment.id());
        world.problem(&format!(
            "p{number:02}: licensed while the store falls short"
        ));
    }
    world.sends.licensed(payment, world.now_ms());
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
    // Everybody was looked at since, and what the gateway shows outranks every doubt.
    let parked = matches!(line.payment.state(), State::Parked { .. });
    if settled == Settled::Yes && parked && line.ledger.takes > 0 {
        world.problem(&format!("p{number:02}: parked, and its money was taken"));
    }
    for problem in line.problems {
        world.problem(&format!("p{number:02}: {problem}"));
    }
}

/// A charge is not made before its time, and a hold ends as it was asked to, when it was asked to.
fn check_asked(world: &World, payment: &Payment) {
    let Some(policy) = world.policies.get(&payment.request().account) else {
        return;
    };
    if payment.resolved() == Some(ResolvedHow::AsShown) {
        return;
    }
    let house = House::of(policy, SKEW_MS);
    let not_before = match &payment.request().ask {
        Ask::Charge(ask) => ask.not_before.map(|time| time.timestamp_millis()),
        Ask::Authorize(_) | Ask::Adopt(_) | Ask::SaveCard(_) => None,
    };
    let wrong: Vec<String> = world.engine(|engine, _| {
        let moved = found(payment, engine.ledger());
        let held = moved.iter().find(|m| m.kind == MovementKind::Hold);
        let held_ms = held.map_or(0, |held| held.at_ms);
        let early = |m: &Movement| {
            let is_early = not_before.is_some_and(|time| m.at_ms + SKEW_MS < time);
            (m.kind == MovementKind::Charge && is_early)
                .then(|| "charged before its time".to_owned())
        };
        let is_rest = |m: &Movement| {
            let captured = |other: &&Movement| other.kind == MovementKind::Capture;
            m.kind == MovementKind::Release && moved.iter().any(captured)
        };
        let ends = moved.iter().filter(|m| !is_rest(m));
        ends.filter_map(|m| early(m).or_else(|| otherwise(payment, m, held_ms, house)))
            .collect()
    });
    let number = world.number(payment.id());
    for wrong in wrong {
        world.problem(&format!("p{number:02}: {wrong}"));
    }
}

/// What was told as an end is the end: it is not taken back, nor told otherwise.
fn check_told(world: &World, payment: &Payment) {
    let events = world.store.events();
    let of_it = events.iter().filter(|event| event.payment == *payment.id());
    let ends = of_it.filter(|event| event.state.is_finished());
    let now = payment.state().name();
    if let Some(other) = ends.map(|event| event.state).find(|state| *state != now) {
        let number = world.number(payment.id());
        world.problem(&format!("p{number:02}: told {other}, and it is {now}"));
    }
}

/// Whether a payment failed for the reason that is given.
fn check_failed(world: &World, payment: &Payment) {
    let State::Failed(reason) = payment.state() else {
        return;
    };
    let purchase = payment
        .purchase()
        .and_then(|known| known.id.as_str().parse().ok());
    let is_so = match reason {
        FailReason::Declined { .. } => {
            let all = ["recurring_execute", "execute", "authorize"];
            let listed = |id| {
                let tries = world.engine(|engine, _| engine.tries_of(id, &all));
                tries.iter().any(|(_, failed)| *failed)
            };
            purchase.is_some_and(listed) || has_dead_card(world, payment)
        }
        FailReason::Cancelled => {
            let cancels = |entry: &CommandEntry| {
                entry.command == Command::Cancel && entry.answer.is_accepted()
            };
            payment.commands().iter().any(cancels)
        }
        FailReason::Expired => is_over(world, payment),
        FailReason::StatedByHand => payment.resolved() == Some(ResolvedHow::ByHand),
    };
    if !is_so {
        let number = world.number(payment.id());
        world.problem(&format!(
            "p{number:02}: failed, and not because of {reason:?}"
        ));
    }
}

/// Whether the card that was to be charged is not kept any more.
fn has_dead_card(world: &World, payment: &Payment) -> bool {
    let token = match &payment.request().ask {
        Ask::Charge(ask) => Some(&ask.token),
        Ask::Authorize(ask) => match &ask.source {
            Source::Token(token) => Some(token),
            Source::Checkout(_) => None,
        },
        Ask::SaveCard(_) | Ask::Adopt(_) => None,
    };
    let card = token.and_then(|token| token.as_str().parse().ok());
    let shown = card.and_then(|id| world.engine(|engine, _| engine.purchase_json(id)));
    shown.is_some_and(|card| card["is_recurring_token"] == false)
}

/// Whether the time in which it could be paid was over when it ended.
fn is_over(world: &World, payment: &Payment) -> bool {
    let policy = world.policies.get(&payment.request().account);
    let link_ms = policy
        .map_or(0, |policy| policy.link_lifetime_ms)
        .cast_signed();
    let end = match &payment.request().ask {
        Ask::Charge(ask) => ask.not_after,
        Ask::Authorize(ask) => match &ask.source {
            Source::Checkout(checkout) => checkout.pay_by,
            Source::Token(_) => None,
        },
        Ask::SaveCard(ask) => ask.checkout.pay_by,
        Ask::Adopt(_) => None,
    };
    let link_ends_ms = payment.created_at().timestamp_millis() + link_ms;
    let end_ms = end.map_or(link_ends_ms, |time| time.timestamp_millis());
    let finished = payment.finished_at().map(|time| time.timestamp_millis());
    finished.is_some_and(|time| time + SKEW_MS >= end_ms)
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
        check_asked(world, payment);
        check_told(world, payment);
        check_failed(world, payment);
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
        // Some gateways charge no purchase again whose last charge failed.
        ParkReason::Refused { code } if code.ends_with("wrong_status") => {
            !world.engine(|engine, _| engine.behaviour().charges_after_error)
        }
        ParkReason::Refused { .. } => world.was_hit("denied"),
        ParkReason::Contradiction { .. }
        | ParkReason::DeclinedForOperator { .. }
        | ParkReason::GatewayUnreachable => false,
    }
}
