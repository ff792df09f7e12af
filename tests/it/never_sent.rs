//! A call that was noted and never made: whoever knows it says so, and nobody has to ask a person.

use std::sync::Arc;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::Gateway;
use holdfast::payment::*;
use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::store::{Permit, Store};
use holdfast::worker::{Policies, Turn, Worker};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, start_time};

type Here = Stage<MemoryStore>;

async fn stage() -> Here {
    let clock = Clock::manual(start_time());
    let store = MemoryStore::new(clock.clone(), 30_000);
    Stage::over(store, clock, UnknownPolicy::Park).await
}

/// The first note is written and its answer lost; tells when.
fn lose_the_first_license(stage: &Here) -> Arc<Notify> {
    let noted = Arc::new(Notify::new());
    let tell = Arc::clone(&noted);
    let mut first = true;
    stage.store.disturb(move |call| {
        let lost = call == "license" && std::mem::take(&mut first);
        lost.then(|| {
            tell.notify_one();
            Trouble::ReplyLost
        })
    });
    noted
}

async fn assert_charged_once(stage: &Here, id: &PaymentId) {
    assert_eq!(stage.state(id).await, StateName::Paid);
    assert_eq!(stage.taken(id), (1500, 1));
    let charges = stage.ledger().counts(Operation::Charge).arrived;
    assert_eq!(charges, 1, "it was sent once, and not before it was sure");
    let payment = stage.payment(id).await;
    let never = payment
        .attempts()
        .iter()
        .filter(|attempt| matches!(&attempt.closed, Some(c) if c.verdict == Verdict::NotSent));
    assert_eq!(never.count(), 1, "{:?}", payment.attempts());
}

#[tokio::test]
async fn a_note_whose_answer_was_lost_and_then_a_command_is_known_not_to_be_sent() {
    let stage = stage().await;
    let id = stage.charge("k", 1500).await;
    let noted = lose_the_first_license(&stage);
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    let command = async {
        noted.notified().await;
        let rerun = Command::Rerun {
            reason: "look".into(),
            actor: "ops".into(),
        };
        stage.command(&id, "c", rerun).await
    };
    tokio::join!(stage.worker.turn(claim), command);
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_charged_once(&stage, &id).await;
}

#[tokio::test]
async fn a_turn_that_lost_its_claim_tells_the_heir_that_its_call_was_never_made() {
    let stage = stage().await;
    let id = stage.charge("k", 1500).await;
    let noted = lose_the_first_license(&stage);
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    let heir = async {
        noted.notified().await;
        stage.pass(TimeDelta::seconds(31));
        stage.store.claim(1).await.unwrap().claims.remove(0)
    };
    let (first, heir) = tokio::join!(stage.worker.turn(claim), heir);
    assert_eq!(first, Turn::Lost);
    stage.worker.turn(heir).await;
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_charged_once(&stage, &id).await;
}

#[tokio::test]
async fn after_a_stop_no_new_attempt_is_opened() {
    let mut stage = stage().await;
    let stop = CancellationToken::new();
    stage.worker = stage.worker.until(stop.clone());
    let id = stage.charge("k", 1500).await;
    stop.cancel();
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    let turn = stage.worker.turn(claim).await;
    assert!(
        matches!(turn, Turn::Rested { due: Some(_), .. }),
        "{turn:?}"
    );
    assert_eq!(stage.payment(&id).await.attempts(), []);
    assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
    let loaded = stage.loaded(&id).await;
    assert!(!loaded.claimed, "left to another worker");
}

/// Between note and call, so much time passes.
fn pass_at_the_license(stage: &Here, time: TimeDelta) {
    let clock = stage.clock.clone();
    let mut first = true;
    stage.store.disturb(move |call| {
        if call == "license" && std::mem::take(&mut first) {
            clock.advance(time);
        }
        None
    });
}

#[tokio::test]
async fn a_call_that_would_begin_long_after_its_note_is_left_to_a_later_attempt() {
    let stage = stage().await;
    let id = stage.charge("k", 1500).await;
    pass_at_the_license(&stage, TimeDelta::seconds(31));
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_charged_once(&stage, &id).await;
}

#[tokio::test]
async fn a_call_of_a_machine_that_slept_since_its_note_is_not_made() {
    let stage = stage().await;
    let id = stage.charge("k", 1500).await;
    let clock = stage.clock.clone();
    let mut first = true;
    stage.store.disturb(move |call| {
        if call == "license" && std::mem::take(&mut first) {
            clock.sleep(TimeDelta::days(8));
        }
        None
    });
    stage.work().await;
    assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_charged_once(&stage, &id).await;
}

#[tokio::test]
async fn a_charge_whose_time_ended_between_note_and_call_is_not_made() {
    let stage = stage().await;
    let token = stage.sandbox.save_card("payer@test.example").to_string();
    let end = stage.clock.now() + TimeDelta::seconds(5);
    let body = format!(
        r#"{},"not_after":"{}""#,
        crate::stage::charge_of(&token, 1500),
        end.to_rfc3339()
    );
    let id = stage.enqueue("k", &body).await;
    pass_at_the_license(&stage, TimeDelta::seconds(6));
    stage.work_for(TimeDelta::minutes(5)).await;
    let payment = stage.payment(&id).await;
    assert_eq!(*payment.state(), State::Failed(FailReason::Expired));
    assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
}

/// A gateway whose look-ups take very long: so long, by the clocks of both sides.
struct SlowLooks {
    gateway: holdfast::gateway::ChipGateway,
    clock: Clock,
    sandbox: chip_sandbox::Sandbox,
    takes: TimeDelta,
}

impl Gateway for SlowLooks {
    async fn create(&self, order: &CreateOrder) -> Answer {
        self.gateway.create(order).await
    }

    async fn send(&self, permit: Permit) -> Answer {
        self.gateway.send(permit).await
    }

    async fn look_up(&self, account: &AccountName, purchase: &PurchaseId) -> LookUp {
        let seen = self.gateway.look_up(account, purchase).await;
        self.clock.advance(self.takes);
        self.sandbox.advance(self.takes.to_std().unwrap());
        seen
    }
}

/// A worker whose look-ups take so long.
fn sleeper(stage: &Here, takes: TimeDelta) -> Worker<MemoryStore, SlowLooks> {
    let gateway = crate::stage::gateway(&stage.sandbox.base_url(), &stage.clock);
    let policy = crate::stage::policy(UnknownPolicy::Park);
    Worker::new(
        Arc::clone(&stage.store),
        Arc::new(SlowLooks {
            gateway,
            clock: stage.clock.clone(),
            sandbox: stage.sandbox.clone(),
            takes,
        }),
        stage.clock.clone(),
        Policies::from([(crate::stage::account(), policy)]),
    )
}

#[tokio::test]
async fn an_answer_that_took_half_the_quiet_period_is_no_look() {
    let stage = stage().await;
    stage.fault(Rule::on(Operation::Charge, Effect::timeout_after_commit()).times(1));
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    stage.pass(TimeDelta::seconds(3));
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    sleeper(&stage, TimeDelta::minutes(8)).turn(claim).await;
    assert_eq!(
        stage.state(&id).await,
        StateName::New,
        "it was not believed"
    );
    stage.work_for(TimeDelta::hours(3)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn a_look_counts_from_when_it_was_asked_for() {
    let stage = stage().await;
    let late = Effect::committed_late(12 * 60 * 1000);
    stage.fault(Rule::on(Operation::Charge, late).times(1));
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    // Asked ten minutes after the call, answered when its quiet period of fifteen is over.
    stage.pass(TimeDelta::minutes(10));
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    sleeper(&stage, TimeDelta::minutes(6)).turn(claim).await;
    assert_eq!(
        stage.state(&id).await,
        StateName::Paid,
        "what was not there after ten minutes may be there after twelve"
    );
    assert_eq!(stage.taken(&id), (1500, 1));
}
