//! SIGTERM under full load.

use std::time::Duration;

use chip_sandbox::{Effect, Operation, Rule};
use holdfast_rig::{Pace, RESENDS};
use tokio::time::Instant;

use super::stage::{
    arrived, assert_paid_once, charges, load_all, until, until_arrived, until_paid, works,
};

const SHUTDOWN_MS: u64 = 1_500;
/// What a stop may take beyond that: turns let go, claims are given back.
const GRACE_MS: u64 = 3_000;

/// More calls than slots, most of them quicker than the deadline of the stop, some slower.
async fn stops_in_time(concurrency: usize) {
    // Leases are long enough that one left behind would still be seen.
    let pace = Pace {
        lease_ms: 6_000,
        deadline_ms: 5_000,
        quiet_ms: 11_500,
        concurrency,
    };
    let (mut works, token) = works(pace).await;
    works.set("HOLDFAST__WORKER__SHUTDOWN_MS", SHUTDOWN_MS.to_string());
    works
        .sandbox
        .set_behaviour(|behaviour| behaviour.charge_ms = 300);
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(4_000)).every(3));
    works
        .sandbox
        .add_fault(Rule::on(Operation::Create, Effect::Latency(4_000)).every(7));
    let count = concurrency * 3 + 12;
    let ids = charges(&works, RESENDS, "stop", count, &token).await;
    let mut worker = works.worker("stopped").unwrap();
    until_arrived(&works, Operation::Create, (concurrency + 3).min(count)).await;
    until_arrived(&works, Operation::Charge, concurrency.div_ceil(2)).await;

    let asked = Instant::now();
    worker.signal("TERM").unwrap();
    let limit = Duration::from_millis(SHUTDOWN_MS + GRACE_MS);
    let ended = worker.ended_within(limit).unwrap();
    assert!(
        ended.is_some(),
        "still there after {limit:?}: {}",
        worker.tail(10)
    );
    assert_eq!(ended.unwrap().code(), Some(0), "{}", worker.tail(10));

    let left = load_all(&works, &ids).await;
    let left: Vec<_> = left
        .into_iter()
        .filter(|l| !l.stored.is_finished())
        .collect();
    assert!(
        !left.is_empty(),
        "nothing was left to do, so this showed nothing"
    );
    for loaded in &left {
        assert!(
            !loaded.claimed,
            "left leased {:?} after the signal: {loaded:?}",
            asked.elapsed()
        );
        assert!(loaded.due.is_some(), "not due any more: {loaded:?}");
    }
    let sent = arrived(&works, Operation::Charge);
    assert!(sent > 0, "no call was in flight");

    works.sandbox.clear_faults();
    let mut next = works.worker("next").unwrap();
    until_paid(&works, count).await;
    assert_paid_once(&works, &ids).await;
    until(&works, "nothing under way", async || {
        load_all(&works, &ids)
            .await
            .iter()
            .all(|loaded| !loaded.claimed)
    })
    .await;
    next.signal("TERM").unwrap();
    assert_eq!(
        next.ended_within(limit).unwrap().and_then(|s| s.code()),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_concurrency_1_ends_in_time_and_leaves_nothing_leased() {
    stops_in_time(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_concurrency_32_ends_in_time_and_leaves_nothing_leased() {
    stops_in_time(32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_concurrency_128_ends_in_time_and_leaves_nothing_leased() {
    stops_in_time(128).await;
}
