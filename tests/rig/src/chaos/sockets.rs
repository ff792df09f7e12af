//! What goes wrong with connections, and when.

use std::sync::Arc;

use rand::RngExt;

use super::beat::Beat;
use super::ground::Ground;
use super::mishap::{Mishap, Side};
use super::tally::Blow;

/// Lets connections of one side break until faults are over: what was not met yet comes first.
pub(super) async fn trouble(ground: Arc<Ground>, side: Side) -> anyhow::Result<()> {
    let (line, who) = match side {
        Side::Redis => (&ground.to_redis, 7),
        Side::Gateway => (&ground.to_gateway, 8),
    };
    // The gateway has more connections than Redis, and what breaks there holds up fewer payments.
    let share = match side {
        Side::Redis => ground.plan.quotas.sockets / 3,
        Side::Gateway => ground.plan.quotas.sockets - ground.plan.quotas.sockets / 3,
    };
    let mut beat = Beat::of(&ground, share, who);
    while beat.strikes(&ground).await {
        let missing = ground.tally.missing(side);
        let from: &[Mishap] = if missing.is_empty() {
            &Mishap::ALL
        } else {
            &missing
        };
        line.order(from[beat.random.random_range(0..from.len())]);
    }
    line.order_nothing();
    Ok(())
}

/// How many connections something went wrong with.
pub(super) fn met(ground: &Ground) -> u64 {
    ground.tally.of(|blow| matches!(blow, Blow::Socket(..)))
}
