//! People who settle what is parked: by what the gateway shows, or by what two of them state. While
//! things go wrong, what they state is what can never change any more; once the gateway answers every
//! question they state whatever comes to mind, and what it shows has to outrank them.

use std::sync::Arc;

use chip_sandbox::{MovementKind, Status};
use holdfast::payment::{Command, CommandAnswer, Payment, StateName, StatedEnd};
use holdfast::store::Store;
use uuid::Uuid;

use super::operator::give;
use crate::dice::Dice;
use crate::world::{World, rest};

const PEOPLE: [&str; 2] = ["aisyah", "bala"];

/// Speaks of what is parked until it is quiet.
pub(crate) async fn settle_some(world: Arc<World>) {
    for turn in 0.. {
        let (mut dice, fault) = world.dice_for("settlers", &[turn]);
        rest(dice.between(5_000, 60_000)).await;
        if world.is_quiet() {
            return;
        }
        let parked = parked(&world).await;
        if !parked.is_empty() && world.may_strike(fault) {
            let payment = dice.pick(&parked);
            world.struck(fault, ("person", "settles"));
            let stated = gone_for_good(&world, payment);
            Word { payment, turn }
                .speak(&world, stated, &mut dice)
                .await;
        }
    }
}

/// Half of what is parked when nothing goes wrong any more is settled, if the gateway allows it.
pub(crate) async fn settle_the_parked(world: &Arc<World>) {
    for (turn, payment) in (10_000..).zip(parked(world).await) {
        let (mut dice, _) = world.dice_for("settlers", &[turn]);
        if dice.in_1000(500) {
            let stated = *dice.pick(&[StatedEnd::NeverPaid, StatedEnd::HoldGone]);
            let payment = &payment;
            Word { payment, turn }
                .speak(world, Some(stated), &mut dice)
                .await;
        }
    }
}

async fn parked(world: &World) -> Vec<Payment> {
    let parked = StateName::Parked.into();
    let page = world.store.list(&parked, None, 1_000).await;
    let found = page.map(|page| page.payments).unwrap_or_default();
    found.into_iter().map(|loaded| loaded.payment).collect()
}

/// What can never change any more at the gateway, if it is something that people can state.
fn gone_for_good(world: &World, payment: &Payment) -> Option<StatedEnd> {
    let purchase: Uuid = payment.purchase()?.id.as_str().parse().ok()?;
    world.engine(|engine, _| {
        let lapsed = |kind| kind == MovementKind::Lapse;
        let moved = engine.ledger().movements_of(purchase);
        match engine.status_of(purchase) {
            Some(Status::Released) => Some(StatedEnd::HoldGone),
            _ if moved.iter().any(|m| lapsed(m.kind)) => Some(StatedEnd::HoldGone),
            Some(Status::Cancelled | Status::Expired) => Some(StatedEnd::NeverPaid),
            _ => None,
        }
    })
}

/// What is said of a payment, in one turn.
struct Word<'a> {
    payment: &'a Payment,
    turn: u64,
}

impl Word<'_> {
    /// As it is shown, or by hand: what nobody states is proposed by one alone.
    async fn speak(&self, world: &Arc<World>, stated: Option<StatedEnd>, dice: &mut Dice) {
        let reason = "simulation".to_owned();
        if dice.in_1000(300) {
            let actor = PEOPLE[0].to_owned();
            let asked = Command::ResolveAsShown { reason, actor };
            self.say(world, "shown", &asked).await;
            return;
        }
        let outcome = stated.unwrap_or(StatedEnd::NeverPaid);
        let asked = Command::ProposeByHand {
            outcome,
            reason: reason.clone(),
            actor: PEOPLE[0].to_owned(),
        };
        self.say(world, "proposed", &asked).await;
        if stated.is_none() {
            return;
        }
        rest(dice.between(1, 20_000)).await;
        let alone = dice.in_1000(100);
        let asked = Command::ApproveByHand {
            outcome,
            reason,
            actor: PEOPLE[usize::from(!alone)].to_owned(),
        };
        let answer = self.say(world, "approved", &asked).await;
        if alone && answer == Some(CommandAnswer::Accepted) {
            world.problem("one person approved what the same one had stated");
        }
    }

    async fn say(&self, world: &Arc<World>, verb: &str, asked: &Command) -> Option<CommandAnswer> {
        let key = format!("{verb}-{}", self.turn);
        give(world, self.payment.id(), &key, asked).await
    }
}
