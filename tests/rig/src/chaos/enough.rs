//! Whether enough has happened.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ground::Ground;
use super::mishap::Side;
use super::plan::Plan;
use super::tally::Blow;
use super::{faults, sockets};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How often it is asked whether enough has happened.
const STEP: Duration = Duration::from_millis(250);

/// Waits until all quotas are met, and ends what goes on; at once when a promise is broken or
/// somebody cannot go on.
pub(super) async fn until_enough(
    ground: &Ground,
    acts: &mut JoinSet<anyhow::Result<()>>,
    tell: &impl Fn(&str),
) -> anyhow::Result<()> {
    let most = ground.plan.span * Plan::PATIENCE;
    let mut told = Duration::ZERO;
    let ended = loop {
        sleep(STEP).await;
        let elapsed = ground.began.elapsed();
        let lacking = lacking(ground);
        if elapsed >= told + TELL_EVERY {
            told = elapsed;
            tell(&format!(
                "{:>5} s  {}",
                elapsed.as_secs(),
                lacking.join(", ")
            ));
        }
        if lacking.is_empty() || ground.is_over() || ground.told().is_broken() {
            break Ok(());
        }
        if let Some(Ok(Err(error))) = acts.try_join_next() {
            break Err(error);
        }
        if elapsed > most {
            let lacking = lacking.join(", ");
            let slow = format!("this machine is too slow for the run: after {most:?} {lacking}");
            break Err(anyhow::Error::msg(slow));
        }
    };
    ground.end();
    ended
}

/// What has not happened often enough: how often it has, and how often it must.
fn lacking(ground: &Ground) -> Vec<String> {
    let quotas = ground.plan.quotas;
    let tally = &ground.tally;
    let recorded = ground.told().payments.len() as u64;
    let met = ground
        .sandbox
        .with(|engine, _| faults::met(engine.ledger()));
    let jumps = if ground.clocks.is_some() {
        quotas.jumps
    } else {
        0
    };
    let of = |is_meant: fn(Blow) -> bool| tally.of(is_meant);
    let counts = [
        ("payments", recorded, quotas.payments),
        (
            "kills",
            of(|it| matches!(it, Blow::Kill | Blow::KillWhilePaused)),
            quotas.kills,
        ),
        (
            "pauses",
            of(|it| matches!(it, Blow::Pause | Blow::LongPause)),
            quotas.pauses,
        ),
        ("stops", of(|it| it == Blow::Stop), quotas.stops),
        ("kills of Redis", of(Blow::kills_redis), quotas.redis_kills),
        ("socket faults", sockets::met(ground), quotas.sockets),
        (
            "clock jumps",
            of(|it| matches!(it, Blow::WorkerClock | Blow::RedisClock)),
            jumps,
        ),
        ("faults of the gateway", met, quotas.gateway),
    ];
    let short = counts.into_iter().filter(|(_, count, quota)| count < quota);
    let mut lacking: Vec<_> = short
        .map(|(what, count, quota)| format!("{count} of {quota} {what}"))
        .collect();
    if quotas.sockets > 0 {
        for side in Side::BOTH {
            let missing = tally.missing(side);
            lacking.extend(
                missing
                    .iter()
                    .map(|it| format!("no {} {}", side.name(), it.name())),
            );
        }
    }
    lacking
}
