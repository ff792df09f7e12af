//! The store's own fate: writes become durable after a while, servers are replaced, nobody answers
//! for a while, what is promised about durability falls short.

use std::sync::Arc;

use crate::durable::Mark;
use crate::plan::Durability;
use crate::world::{World, rest};

/// Makes what is written durable, a while later and in order.
pub(crate) async fn catch_up(world: Arc<World>) {
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
            0 if world.plan.durability == Durability::Gated => {
                world.struck(id, ("store", "failover"));
                fail_over(&world);
                world.set_outage(true);
                rest(dice.between(1, 5_000)).await;
                world.set_outage(false);
            }
            1 => {
                world.struck(id, ("store", "falls_short"));
                world.note("store", format_args!("falls short of its promises"));
                world.store.fall_short(Some("simulated"));
                rest(dice.between(1_000, 60_000)).await;
                world.store.fall_short(None);
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

fn fail_over(world: &World) {
    world.note("store", format_args!("another server takes over"));
    world.store.fail_over();
    // What was written is decided: it is kept, or it is gone.
    let written = world.store.written();
    let lineage = world.durable.upto().lineage + 1;
    world.durable.move_to(Mark { written, lineage });
}
