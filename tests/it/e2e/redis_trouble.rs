//! What becomes of calls in flight while Redis is slow, cut off, restarted or gone.

use std::time::Duration;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::payment::PaymentId;
use holdfast_rig::{FaultPoint, PARKS, Pace, WorkerProcess, Works};
use tokio::time::sleep;

use super::stage::{
    Window, arrived, arrived_for, assert_alive, assert_paid_once, charges, charges_within,
    until_arrived, until_paid, until_working, works,
};

const PACE: Pace = Pace {
    lease_ms: 10_000,
    deadline_ms: 8_000,
    quiet_ms: 20_000,
    concurrency: 32,
};

/// An installation whose workers reach Redis through a point where things go wrong.
async fn works_behind(pace: Pace) -> (Works, String, FaultPoint) {
    let (mut works, token) = works(pace).await;
    let point = FaultPoint::start(&works.redis.socket()).unwrap();
    works.set("HOLDFAST__REDIS__URL", point.url());
    (works, token, point)
}

/// Each was charged with one call whose answer was heard: nobody had to look it up.
async fn assert_heard_at_once(works: &Works, ids: &[PaymentId]) {
    assert_paid_once(works, ids).await;
    for id in ids {
        assert_eq!(arrived_for(works, id, Operation::Charge).await, 1);
        assert_eq!(
            arrived_for(works, id, Operation::Retrieve).await,
            0,
            "it was looked up"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_to_redis_cuts_off_no_call_and_ends_no_worker() {
    let (works, token, point) = works_behind(PACE).await;
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(1_500)));
    let mut workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until_working(&works, &workers).await;
    let ids = charges(&works, PARKS, "cut", 48, &token).await;
    until_arrived(&works, Operation::Charge, 20).await;
    point.cut();
    until_paid(&works, ids.len()).await;
    assert_heard_at_once(&works, &ids).await;
    workers.iter_mut().for_each(assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_again_and_again_change_no_effect() {
    let (works, token, point) = works_behind(PACE).await;
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(300)));
    let mut workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until_working(&works, &workers).await;
    let ids = charges(&works, PARKS, "cuts", 150, &token).await;
    until_arrived(&works, Operation::Charge, 5).await;
    for _ in 0..12 {
        sleep(Duration::from_millis(250)).await;
        point.cut();
    }
    until_paid(&works, ids.len()).await;
    assert!(point.connections() > 12, "nothing was cut");
    assert_heard_at_once(&works, &ids).await;
    workers.iter_mut().for_each(assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_redis_slower_than_a_second_cut_off_no_call_and_end_no_worker() {
    let (works, token, point) = works_behind(PACE).await;
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(500)));
    let mut workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until_working(&works, &workers).await;
    let warm = charges(&works, PARKS, "warm", 2, &token).await;
    until_paid(&works, warm.len()).await;
    point.delay_replies(Duration::from_millis(1_500));
    let ids = charges(&works, PARKS, "delay", 40, &token).await;
    until_paid(&works, warm.len() + ids.len()).await;
    assert_heard_at_once(&works, &ids).await;
    workers.iter_mut().for_each(assert_alive);
}

/// Charges on their way, and two workers on them. Nothing is sent a second time by policy: a
/// payment whose call was noted and never made would be parked, and not paid.
async fn under_load(
    works: &Works,
    count: usize,
    token: &str,
) -> ([WorkerProcess; 2], Vec<PaymentId>) {
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(400)));
    let workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until_working(works, &workers).await;
    // All of them are recorded before the first is over.
    let soon = works.clock.now() + TimeDelta::seconds(2);
    let window = Window {
        from: soon,
        until: None,
        due: soon,
    };
    let ids = charges_within(works, "load", count, token, &window).await;
    until_arrived(works, Operation::Charge, 10).await;
    (workers, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_started_again_under_load_loses_nothing() {
    let (mut works, token) = works(Pace::QUICK).await;
    let (mut workers, ids) = under_load(&works, 400, &token).await;
    for round in 0..3 {
        works.redis.restart().await.unwrap();
        let sent = arrived(&works, Operation::Charge);
        assert!(sent < ids.len(), "all was over before restart {round}");
        until_arrived(&works, Operation::Charge, (sent + 20).min(ids.len())).await;
    }
    until_paid(&works, ids.len()).await;
    assert_paid_once(&works, &ids).await;
    workers.iter_mut().for_each(assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_away_for_thirty_seconds_under_load_loses_nothing() {
    let (mut works, token) = works(Pace::QUICK).await;
    let (mut workers, ids) = under_load(&works, 200, &token).await;
    works.redis.kill().unwrap();
    sleep(Duration::from_secs(1)).await;
    let before = arrived(&works, Operation::Charge);
    assert!(before < ids.len(), "all was over before Redis went away");
    sleep(Duration::from_secs(29)).await;
    let meanwhile = arrived(&works, Operation::Charge);
    assert_eq!(
        meanwhile, before,
        "something was charged that could not be noted"
    );
    workers.iter_mut().for_each(assert_alive);
    works.redis.start_again().await.unwrap();
    until_paid(&works, ids.len()).await;
    assert_paid_once(&works, &ids).await;
    workers.iter_mut().for_each(assert_alive);
}
