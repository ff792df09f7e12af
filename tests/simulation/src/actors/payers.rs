//! Payers: those who have a link pay now or at the last moment, twice, with another card, or never.

use std::collections::BTreeMap;
use std::sync::Arc;

use chip_sandbox::{Effect, Operation, Rule, TestCard};
use holdfast::payment::{Payment, StateName};
use holdfast::store::Store;
use uuid::Uuid;

use crate::webhooks::pump;
use crate::world::{World, rest};

/// How long it takes from the link to the payer at least, in milliseconds.
const ON_THE_WAY_MS: u64 = 1_000;

/// What a payer is going to do.
struct Visit {
    at_ms: i64,
    left: u64,
    way: u64,
    number: u64,
}

/// Lets payers pay for as long as the run goes on.
///
/// They are shown a link once its record is durable. A link that a failover makes nobody know of
/// can be paid beside the one that is made in its place: whoever offers a store that may lose what
/// it answered must not show a link earlier.
pub(crate) async fn pay(world: Arc<World>) {
    let mut visits: BTreeMap<Uuid, Option<Visit>> = BTreeMap::new();
    loop {
        rest(5_000).await;
        let waiting = world
            .store
            .list(&StateName::AwaitingPayer.into(), None, 100)
            .await;
        for loaded in waiting.map(|page| page.payments).unwrap_or_default() {
            let durable = world.store.durable(loaded.payment.id());
            let purchase = durable.as_ref().and_then(Payment::purchase);
            if let Some(id) = purchase.and_then(|known| known.id.as_str().parse().ok()) {
                let number = world.number(loaded.payment.id());
                visits.entry(id).or_insert_with(|| plan(&world, number));
            }
        }
        let now_ms = world.now_ms();
        for (purchase, visit) in &mut visits {
            let due = visit.as_mut().filter(|visit| visit.at_ms <= now_ms);
            if let Some(due) = due {
                go(&world, *purchase, due);
                due.left -= 1;
                due.at_ms += 1_000;
                if due.left == 0 {
                    *visit = None;
                }
            }
        }
    }
}

/// The payer of a purchase, if it has one, pays in that moment.
pub(crate) async fn rush(world: Arc<World>, purchase: Uuid, number: u64, after_ms: u64) {
    rest(after_ms).await;
    world.note("payer", format_args!("p{number:02} rushes"));
    world.engine(|engine, now_ms| engine.pay(now_ms, purchase, TestCard::Plain, false));
    pump(&world);
}

fn plan(world: &World, number: u64) -> Option<Visit> {
    let mut dice = world.dice("payer", &[number]);
    let after_ms = dice.between(0, *dice.clone().pick(&[10_000, 300_000, 560_000]));
    let visit = Visit {
        at_ms: world.now_ms() + (ON_THE_WAY_MS + after_ms).cast_signed(),
        left: dice.between(1, 2),
        way: dice.below(10),
        number,
    };
    (!dice.in_1000(250)).then_some(visit)
}

fn go(world: &Arc<World>, purchase: Uuid, visit: &Visit) {
    let (effect, what) = match visit.way {
        0 => (Some(Effect::pending(20_000)), "pays_pending"),
        1 if visit.left > 1 => (Some(Effect::decline("do_not_honour")), "declined"),
        _ if visit.left > 1 => (None, "pays_twice"),
        _ => (None, "pays"),
    };
    let number = visit.number;
    world.note("payer", format_args!("p{number:02} {what}"));
    world.hit(("payer", what));
    let card = if visit.way.is_multiple_of(2) {
        TestCard::Plain
    } else {
        TestCard::ThreeDSecure
    };
    world.engine(|engine, now_ms| {
        let rules: Vec<u64> = effect
            .into_iter()
            .flat_map(|effect| {
                [Operation::DirectPost, Operation::Confirm]
                    .map(|operation| Rule::on(operation, effect.clone()))
            })
            .map(|rule| engine.add_fault(rule))
            .collect();
        engine.pay(now_ms, purchase, card, false);
        for rule in rules {
            engine.remove_fault(rule);
        }
    });
    pump(world);
}
