//! The store's own fate: writes become durable after a while, servers are replaced, nobody answers
//! for a while, what is promised about durability falls short.

use std::sync::Arc;

use crate::dice::Dice;
use crate::durable::Mark;
use crate::plan::Durability;
use crate::world::{World, rest};

/// Makes what is written durable, a while later and in order.
pub(crate) async fn catch_up(world: Arc<World>) {
    if world.plan.durability == Durability::Solo {
        return;
    }
    let mut dice = world.dice("replicas", &[]);
    let slowest = *dice.pick(&[5, 50, 3_000]);
    loop {
        world.written.notified().await;
        let written = world.store.written();
        let Mark {
            written: upto,
            lineage,
        } = world.durable.upto();
        if upto >= written {
            continue;
        }
        rest(dice.between(1, slowest)).await;
        if world.durable.upto().lineage == lineage {
            world.store.made_durable(written);
            world.durable.move_to(Mark { written, lineage });
        }
        world.written.notify_one();
    }
}

/// Now and then something happens to the store.
pub(crate) async fn suffer(world: Arc<World>) {
    for number in 0.. {
        let (mut dice, id) = world.dice_for("store.fate", &[number]);
        rest(dice.between(10_000, 150_000)).await;
        if world.is_quiet() {
            return;
        }
        if !world.may_strike(id) {
            continue;
        }
        match dice.below(3) {
            0 => {
                let fate = match world.plan.durability {
                    Durability::Gated => "failover",
                    Durability::Solo => "restart",
                };
                world.struck(id, ("store", fate));
                fail_over(&world, &mut dice).await;
            }
            1 => {
                world.struck(id, ("store", "falls_short"));
                fall_short(&world, &mut dice).await;
            }
            _ => {
                world.struck(id, ("store", "outage"));
                world.note("store", format_args!("does not answer"));
                world.set_outage(true);
                rest(dice.between(100, 40_000)).await;
                world.set_outage(false);
            }
        }
    }
}

/// What is promised of durability does not hold for a while. Who watches sees that; what is written
/// long after it is seen is lost, if the store breaks down just then.
async fn fall_short(world: &World, dice: &mut Dice) {
    world.note("store", format_args!("falls short of its promises"));
    world.store.fall_short(Some("simulated"));
    rest(dice.between(1_000, 60_000)).await;
    if world.plan.durability == Durability::Solo && dice.in_1000(500) && !world.is_quiet() {
        world.set_forgetful(true);
        rest(dice.between(1_000, 60_000)).await;
        if world.is_forgetful() {
            world.hit(("store", "loses"));
            fail_over(world, dice).await;
        }
        world.set_forgetful(false);
    }
    world.store.fall_short(None);
}

/// Another server takes over, or the same one starts again.
async fn fail_over(world: &World, dice: &mut Dice) {
    world.note("store", format_args!("breaks down, and is there again"));
    world.store.fail_over();
    // What was written is decided: it is kept, or it is gone.
    let written = world.store.written();
    let lineage = world.durable.upto().lineage + 1;
    world.durable.move_to(Mark { written, lineage });
    world.set_outage(true);
    rest(dice.between(1, 5_000)).await;
    world.set_outage(false);
}
