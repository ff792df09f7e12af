//! A worker dies, stands still or is merely slow: who goes on, when, and with what effect.

use std::time::Duration;

use chip_sandbox::{Effect, Operation, Rule};
use holdfast_rig::{PARKS, Pace, RESENDS};
use tokio::time::{Instant, sleep};

use super::stage::{
    arrived, arrived_for, assert_alive, assert_paid_once, charges, load_all, until_arrived,
    until_paid, works,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_payments_are_taken_over_within_the_default_lease_and_five_seconds() {
    let lease_ms = 30_000;
    let pace = Pace {
        lease_ms,
        deadline_ms: 20_000,
        quiet_ms: 55_000,
        concurrency: 32,
    };
    let (works, token) = works(pace).await;
    let slow = works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(15_000)));
    let ids = charges(&works, PARKS, "takeover", 24, &token).await;
    let mut victim = works.worker("victim").unwrap();
    until_arrived(&works, Operation::Charge, ids.len()).await;
    let mut other = works.worker("other").unwrap();
    assert!(
        load_all(&works, &ids)
            .await
            .iter()
            .all(|loaded| loaded.claimed)
    );
    victim.kill().unwrap();
    let killed = Instant::now();
    works.sandbox.remove_fault(slow);

    // Whoever is left is not kept from other work meanwhile.
    let more = charges(&works, PARKS, "meanwhile", 5, &token).await;
    until_paid(&works, more.len()).await;
    assert!(
        killed.elapsed() < Duration::from_secs(20),
        "other work waits for the dead worker's"
    );

    let bound = Duration::from_millis(lease_ms + 5_000);
    while killed.elapsed() < bound {
        let all = load_all(&works, &ids).await;
        if all.iter().all(|loaded| loaded.stored.is_finished()) {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_paid_once(&works, &ids).await;
    assert_paid_once(&works, &more).await;
    assert_eq!(arrived(&works, Operation::Charge), ids.len() + more.len());
    assert_alive(&mut other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_longer_than_the_lease_keeps_its_claim() {
    let pace = Pace {
        lease_ms: 1_500,
        deadline_ms: 8_000,
        quiet_ms: 17_000,
        concurrency: 8,
    };
    let (works, token) = works(pace).await;
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(4_000)));
    let ids = charges(&works, PARKS, "slow", 6, &token).await;
    let _workers = [works.worker("one").unwrap(), works.worker("two").unwrap()];
    until_arrived(&works, Operation::Charge, ids.len()).await;
    let since = Instant::now();
    until_paid(&works, ids.len()).await;
    assert!(
        since.elapsed() > Duration::from_secs(3),
        "no call was longer than the lease"
    );
    assert_paid_once(&works, &ids).await;
    for id in &ids {
        assert_eq!(arrived_for(&works, id, Operation::Charge).await, 1);
        assert_eq!(
            arrived_for(&works, id, Operation::Retrieve).await,
            0,
            "somebody took over"
        );
    }
    let card = 1;
    assert_eq!(
        arrived(&works, Operation::Create),
        ids.len() + card,
        "somebody created it again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_before_or_after_the_money_moved_has_one_effect() {
    let pace = Pace {
        deadline_ms: 3_000,
        quiet_ms: 6_500,
        ..Pace::QUICK
    };
    let (works, token) = works(pace).await;
    // The money of each third moves at once and is answered late, that of the rest moves late.
    works
        .sandbox
        .set_behaviour(|behaviour| behaviour.charge_ms = 700);
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::Latency(2_000)).every(3));
    // Whoever is killed between note and call has called nobody: this account's policy sends such a
    // call, for the same purchase, once the quiet period is over.
    let ids = charges(&works, RESENDS, "kill", 60, &token).await;
    let mut victim = works.worker("victim").unwrap();
    until_arrived(&works, Operation::Charge, 20).await;
    let _other = works.worker("other").unwrap();
    victim.kill().unwrap();
    works.sandbox.clear_faults();
    until_paid(&works, ids.len()).await;
    assert_paid_once(&works, &ids).await;
    assert_eq!(
        arrived(&works, Operation::Charge),
        ids.len(),
        "something was charged again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stood_still_longer_than_its_lease_sends_nothing_more() {
    let pace = Pace {
        deadline_ms: 8_000,
        quiet_ms: 17_000,
        ..Pace::QUICK
    };
    let (works, token) = works(pace).await;
    let slow = works
        .sandbox
        .add_fault(Rule::on(Operation::Create, Effect::Latency(1_000)));
    let ids = charges(&works, PARKS, "still", 12, &token).await;
    let mut sleeper = works.worker("sleeper").unwrap();
    until_arrived(&works, Operation::Create, ids.len()).await;
    sleeper.signal("STOP").unwrap();
    works.sandbox.remove_fault(slow);
    let _other = works.worker("other").unwrap();
    until_paid(&works, ids.len()).await;
    sleeper.signal("CONT").unwrap();
    // Its purchases are answered now, and it would charge them if nothing kept it from that.
    let late = charges(&works, PARKS, "late", 12, &token).await;
    until_paid(&works, ids.len() + late.len()).await;
    sleep(Duration::from_secs(1)).await;
    assert_alive(&mut sleeper);
    let all = [ids, late].concat();
    assert_paid_once(&works, &all).await;
    assert_eq!(
        arrived(&works, Operation::Charge),
        all.len(),
        "the sleeper charged once more"
    );
}
