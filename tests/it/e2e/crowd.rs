//! Very many payments due at one moment.

use std::time::Duration;

use chip_sandbox::{Config, Operation};
use chrono::TimeDelta;
use holdfast::payment::{FailReason, State, StateName, Timestamp};
use holdfast::store::Store;
use holdfast_rig::{Pace, Works, compare};
use tokio::time::Instant;

use super::stage::{
    Window, arrived, assert_alive, assert_paid_once, charges_within, count_in, load_all, until,
    until_paid, works_with,
};

/// These are charged; the gateway, the workers and Redis share this machine, so not more of them.
const CHARGED: usize = 1_000;
/// The time of these is over when they fall due: they end without a call.
const OVER: usize = 9_000;

/// Nothing is worked on before the moment.
async fn all_wait_until(works: &Works, moment: Timestamp) {
    until(works, "the moment", async || {
        let waiting = works.store.stats().await.unwrap().by_state;
        // An answer that came before the moment tells of a time before it.
        let still_before = works.clock.now() < moment;
        assert!(
            !still_before || waiting == [(StateName::New, 10_000)],
            "worked before its time: {waiting:?}"
        );
        !still_before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_payments_due_in_the_same_second_are_all_worked_once() {
    let sandbox = Config {
        keep_requests: false,
        ..Config::default()
    };
    let pace = Pace {
        lease_ms: 6_000,
        deadline_ms: 8_000,
        quiet_ms: 20_000,
        concurrency: 128,
    };
    let (mut works, token) = works_with(pace, sandbox).await;
    works.set("HOLDFAST__GATEWAY__CONNECT_TIMEOUT_MS", "5000");
    works.set("HOLDFAST__LOG__FILTER", "holdfast=warn");
    let moment = works.clock.now() + TimeDelta::seconds(40);
    let second = TimeDelta::seconds(1);
    let over = Window {
        from: moment - second * 20,
        until: Some(moment - second),
        due: moment,
    };
    let open = Window {
        from: moment,
        until: None,
        due: moment,
    };
    let over = charges_within(&works, "over", OVER, &token, &over).await;
    let open = charges_within(&works, "open", CHARGED, &token, &open).await;
    let mut workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    all_wait_until(&works, moment).await;

    until_paid(&works, CHARGED).await;
    until(&works, "all have ended", async || {
        works.store.stats().await.unwrap().unfinished == 0
    })
    .await;
    assert_paid_once(&works, &open).await;
    assert_eq!(arrived(&works, Operation::Charge), CHARGED);
    let ledger = works.sandbox.ledger();
    for loaded in load_all(&works, &over).await {
        let line = compare(loaded.payment, &ledger, true);
        assert!(
            line.problems.is_empty(),
            "{:?}: {:?}",
            line.problems,
            line.payment
        );
        let expired = State::Failed(FailReason::Expired);
        assert_eq!(*line.payment.state(), expired, "{:?}", line.payment);
    }

    let asked = Instant::now();
    let now = works.clock.now();
    let late = Window {
        from: now,
        until: None,
        due: now,
    };
    let late = charges_within(&works, "late", 1, &token, &late).await;
    until_paid(&works, CHARGED + 1).await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "the queue is wedged: {:?}",
        asked.elapsed()
    );
    assert_paid_once(&works, &late).await;
    assert_eq!(count_in(&works, StateName::Failed).await, OVER);
    workers.iter_mut().for_each(assert_alive);
}
