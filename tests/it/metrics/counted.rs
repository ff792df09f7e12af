//! What a turn did is counted, once, when it is written.

use std::sync::Arc;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::{ChipGateway, Measured};
use holdfast::payment::*;
use holdfast::queue::Handler;
use holdfast::store::Store;
use holdfast::store::memory::MemoryStore;
use holdfast::telemetry::Metrics;
use holdfast::worker::{Policies, Worker};

use super::Scrape;
use crate::stage::{Stage, account, gateway, policy, start_time};

const HOTEL: (&str, &str) = ("account", "hotel");

/// A worker whose turns the test drives, and its figures.
struct Desk {
    stage: Stage<MemoryStore>,
    worker: Worker<MemoryStore, Measured<ChipGateway>>,
    metrics: Metrics,
}

impl Desk {
    async fn open() -> Self {
        let clock = Clock::manual(start_time());
        let store = MemoryStore::new(clock.clone(), 30_000);
        let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
        let metrics = Metrics::default();
        let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
        let worker = Worker::new(
            Arc::clone(&stage.store),
            Arc::new(Measured::new(gateway, metrics.clone())),
            stage.clock.clone(),
            Policies::from([(account(), policy(UnknownPolicy::Park))]),
        );
        let worker = worker.counted(metrics.clone());
        Self {
            stage,
            worker,
            metrics,
        }
    }

    async fn work(&self) {
        for claim in self.stage.store.claim(16).await.unwrap().claims {
            Handler::turn(&self.worker, claim).await;
        }
    }

    fn scrape(&self) -> Scrape {
        Scrape::read(self.metrics.encode())
    }
}

#[tokio::test]
async fn a_hold_and_its_capture_are_counted_once_each() {
    let desk = Desk::open().await;
    let id = desk.stage.authorize_by_token("booking", 45_000, "{}").await;
    desk.stage.pass(TimeDelta::seconds(90));
    desk.work().await;
    let amount = Some(Amount::new(30_000).unwrap());
    let capture = Command::Capture { amount };
    desk.stage.command(&id, "take", capture).await;
    desk.work().await;
    assert_eq!(desk.stage.taken(&id), (30_000, 1));

    let told = desk.scrape();
    for (step, class) in [("create", "done"), ("charge", "done"), ("capture", "done")] {
        let verdict = [HOTEL, ("step", step), ("verdict", "done")];
        told.is("holdfast_attempts_total", &verdict, 1.0);
        let answer = [HOTEL, ("operation", step), ("class", class)];
        told.is("holdfast_gateway_answers_total", &answer, 1.0);
        let took = [("operation", step), ("class", class)];
        told.is("holdfast_gateway_seconds_count", &took, 1.0);
    }
    assert!((told.sum("holdfast_attempts_total") - 3.0).abs() < 0.1);
    for state in ["held", "paid"] {
        told.is(
            "holdfast_payment_changes_total",
            &[HOTEL, ("state", state)],
            1.0,
        );
    }
    told.is("holdfast_turns_total", &[("ending", "waits")], 1.0);
    told.is("holdfast_turns_total", &[("ending", "finished")], 1.0);
    told.is("holdfast_turns_running", &[], 0.0);
    let late = "holdfast_turn_lateness_seconds_bucket";
    told.is(late, &[("le", "60.0")], 1.0);
    told.is(late, &[("le", "300.0")], 2.0);
    told.is("holdfast_turn_lateness_seconds_sum", &[], 90.0);
    assert_eq!(told.get("holdfast_attempt_looks_count", &[]), None);
}

#[tokio::test]
async fn a_call_in_doubt_is_counted_when_it_is_known_what_it_did_with_its_looks() {
    let desk = Desk::open().await;
    let stage = &desk.stage;
    stage.fault(Rule::on(Operation::Charge, Effect::timeout_after_commit()).times(1));
    stage.fault(Rule::on(Operation::Retrieve, Effect::status_before_commit(503)).times(2));
    let id = stage.charge("k", 1500).await;
    desk.work().await;
    let charged = [("step", "charge")];
    let told = desk.scrape();
    assert_eq!(told.get("holdfast_attempts_total", &charged), None);
    let unknown = [HOTEL, ("operation", "charge"), ("class", "unknown")];
    told.is("holdfast_gateway_answers_total", &unknown, 1.0);
    while stage.state(&id).await != StateName::Paid {
        stage.pass(TimeDelta::seconds(1));
        desk.work().await;
    }
    let told = desk.scrape();
    told.is("holdfast_attempts_total", &charged, 1.0);
    told.is("holdfast_attempt_looks_count", &charged, 1.0);
    told.is("holdfast_attempt_looks_sum", &charged, 3.0);
    // The ladder has rungs of 2, 5 and 15 seconds.
    let doubted = told.get("holdfast_attempt_doubt_seconds_sum", &charged);
    assert!((21.0..=23.0).contains(&doubted.unwrap()), "{doubted:?}");
    for (class, count) in [("failed", 2.0), ("shown", 1.0)] {
        let looks = [HOTEL, ("operation", "look_up"), ("class", class)];
        told.is("holdfast_gateway_answers_total", &looks, count);
    }
}

#[tokio::test]
async fn what_a_turn_could_not_write_is_counted_by_nobody_but_who_writes_it() {
    let desk = Desk::open().await;
    desk.stage.charge("k", 1500).await;
    let first = desk.stage.store.claim(1).await.unwrap().claims.remove(0);
    desk.stage.pass(TimeDelta::seconds(31));
    let second = desk.stage.store.claim(1).await.unwrap().claims.remove(0);
    // It makes a purchase, and cannot write that it did.
    Handler::turn(&desk.worker, first).await;
    let told = desk.scrape();
    told.is("holdfast_turns_total", &[("ending", "lost")], 1.0);
    assert!(told.sum("holdfast_attempts_total").abs() < 0.1, "{told:?}");
    Handler::turn(&desk.worker, second).await;
    let told = desk.scrape();
    told.is("holdfast_attempts_total", &[("step", "create")], 1.0);
    told.is("holdfast_attempts_total", &[("step", "charge")], 1.0);
    told.is("holdfast_payment_changes_total", &[("state", "paid")], 1.0);
}

#[tokio::test]
async fn a_refused_key_is_told_until_the_gateway_takes_it() {
    let desk = Desk::open().await;
    let stage = &desk.stage;
    stage.fault(Rule::on(Operation::Charge, Effect::status_before_commit(401)).times(1));
    stage.charge("refused", 1500).await;
    desk.work().await;
    let minute = start_time() + TimeDelta::seconds(60);
    let until = f64::from(u32::try_from(minute.timestamp()).unwrap());
    let told = desk.scrape();
    told.is("holdfast_breaker_until_timestamp_seconds", &[HOTEL], until);
    let id = stage.charge("taken", 1500).await;
    while stage.state(&id).await != StateName::Paid {
        stage.pass(TimeDelta::seconds(30));
        desk.work().await;
    }
    let told = desk.scrape();
    told.is("holdfast_breaker_until_timestamp_seconds", &[HOTEL], 0.0);
}

#[tokio::test]
async fn what_is_parked_is_counted_by_its_reason() {
    let desk = Desk::open().await;
    let stage = &desk.stage;
    let declined = Effect::decline("acquirer_configuration_error");
    stage.fault(Rule::on(Operation::Charge, declined));
    let id = stage.charge("k", 1500).await;
    desk.work().await;
    assert_eq!(stage.state(&id).await, StateName::Parked);
    let told = desk.scrape();
    let parked = [HOTEL, ("reason", "declined_for_operator")];
    told.is("holdfast_parkings_total", &parked, 1.0);
    told.is(
        "holdfast_payment_changes_total",
        &[("state", "parked")],
        1.0,
    );
}

#[tokio::test]
async fn a_turn_on_a_payment_whose_account_is_missing_is_counted_as_that() {
    let desk = Desk::open().await;
    let json = r#"{"v":1,"account":"motel","idempotency_key":"k","type":"charge","token":"a-token",
        "money":{"amount":1500,"currency":"MYR"},"customer":{"email":"payer@test.example"}}"#;
    let now = desk.stage.clock.now();
    let payment = Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap();
    desk.stage.store.create(&payment, now).await.unwrap();
    let missing = [("reason", "account_missing")];
    (desk.scrape()).is("holdfast_unworkable_total", &missing, 0.0);
    desk.work().await;
    (desk.scrape()).is("holdfast_unworkable_total", &missing, 1.0);
}

#[tokio::test]
async fn a_turn_that_is_cut_off_or_panics_is_told_as_that_and_takes_no_place() {
    let metrics = Metrics::default();
    metrics.limit(32);
    drop(metrics.turn_begins(None));
    let other = metrics.clone();
    let panics = tokio::spawn(async move {
        let _running = other.turn_begins(None);
        panic!("it is meant to");
    });
    assert!(panics.await.unwrap_err().is_panic());
    let still = metrics.turn_begins(None);
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_turns_total", &[("ending", "dropped")], 1.0);
    told.is("holdfast_turns_total", &[("ending", "panicked")], 1.0);
    told.is("holdfast_turns_running", &[], 1.0);
    told.is("holdfast_turns_limit", &[], 32.0);
    drop(still);
}
