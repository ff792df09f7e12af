//! People: commands for payments, whatever their state, and looks at what is parked.

use std::sync::Arc;

use chrono::TimeDelta;
use holdfast::api::intake::{Given, IntakeError, command};
use holdfast::payment::{Command, CommandAnswer, IdempotencyKey, PaymentId, StateName};
use holdfast::store::Store;
use holdfast::store::audit::Mandate;

use crate::actors::producers::Acknowledged;
use crate::asks::Asks;
use crate::dice::Dice;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// Gives commands until it is quiet.
pub(crate) async fn command_some(world: Arc<World>, known: Arc<Acknowledged>) {
    for number in 0.. {
        let (mut dice, fault) = world.dice_for("operator", &[number]);
        rest(dice.between(500, 25_000)).await;
        if world.is_quiet() {
            return;
        }
        let ids = known.all();
        if !ids.is_empty() && world.may_strike(fault) {
            let id = dice.pick(&ids).clone();
            let asked = some_command(&world, &mut dice);
            world.struck(fault, ("person", word(&asked)));
            give(&world, &id, &format!("command-{number}"), &asked).await;
        }
    }
}

/// A saved card becomes unusable while it is charged.
pub(crate) async fn kill_a_card(world: Arc<World>, asks: Arc<Asks>) {
    let (mut dice, id) = world.dice_for("card", &[]);
    rest(dice.below(world.plan.trouble_ms)).await;
    if dice.in_1000(200) && world.may_strike(id) {
        world.struck(id, ("card", "killed"));
        let cards = dice.pick(&asks.cards);
        let card = *dice.pick(&cards[1..]);
        world.note("card", format_args!("a saved card becomes unusable"));
        world.engine(|engine, now_ms| engine.kill_token(now_ms, card));
    }
}

/// Has everything that is parked looked at.
pub(crate) async fn look_at_the_parked(world: &Arc<World>, key: &str) {
    let parked = world
        .store
        .list(&StateName::Parked.into(), None, 1_000)
        .await;
    for loaded in parked.map(|page| page.payments).unwrap_or_default() {
        give(world, loaded.payment.id(), key, &rerun()).await;
    }
}

fn rerun() -> Command {
    Command::Rerun {
        reason: "simulation".to_owned(),
        actor: "nobody".to_owned(),
    }
}

fn some_command(world: &World, dice: &mut Dice) -> Command {
    let soon = world.now() + TimeDelta::milliseconds(dice.between(1, 200_000).cast_signed());
    match dice.below(10) {
        0 | 1 => Command::Capture { amount: None },
        2 | 3 => Command::Release,
        4 => Command::Reschedule {
            capture_at: Some(soon),
            capture_amount: None,
            release_at: None,
        },
        5..8 => Command::Cancel,
        _ => rerun(),
    }
}

const fn word(command: &Command) -> &'static str {
    match command {
        Command::Capture { .. } => "capture",
        Command::Release => "release",
        Command::Reschedule { .. } => "reschedule",
        Command::Cancel => "cancel",
        Command::ResolveAsShown { .. } => "resolve_as_shown",
        Command::ProposeByHand { .. } => "propose_by_hand",
        Command::ApproveByHand { .. } => "approve_by_hand",
        Command::Rerun { .. } => "rerun",
    }
}

/// Gives a command, and asks again until it is answered; `None` where it is not taken.
pub(super) async fn give(
    world: &Arc<World>,
    id: &PaymentId,
    key: &str,
    asked: &Command,
) -> Option<CommandAnswer> {
    let key = IdempotencyKey::new(key).ok()?;
    let process = Arc::new(Process::new("person".to_owned(), 800));
    let desk = SimulatedStore::of(world, &process);
    for _ in 0..60 {
        let given = Given {
            to: id,
            key: &key,
            command: asked,
            by: &Mandate::typed_by("person"),
        };
        match command(&desk, &world.clock, &world.policies, given).await {
            Ok(done) => {
                let number = world.number(id);
                let answer = done.answer;
                world.commanded(id, &key, answer);
                world.note("person", format_args!("p{number:02} {asked:?}: {answer:?}"));
                return Some(answer);
            }
            Err(IntakeError::Store(_)) => rest(700).await,
            // Some commands fit no payment of that kind or time, and some payments change too
            // quickly.
            Err(IntakeError::Invalid(_) | IntakeError::Busy(_)) => return None,
            Err(error) => {
                world.problem(&format!("a command was not taken: {error}"));
                return None;
            }
        }
    }
    None
}
