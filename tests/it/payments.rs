//! Whole payments against the sandbox: its ledger is the judge.

mod deliveries;
mod each_alone;
mod open_questions;
mod stale;

use chip_sandbox::{Effect, MovementKind, Operation, Rule};
use chrono::TimeDelta;
use holdfast::api::intake::{IntakeError, Submitted, submit};
use holdfast::clock::Clock;
use holdfast::payment::*;
use holdfast::store::Store;
use holdfast::store::memory::MemoryStore;
use holdfast::worker::Policies;

use crate::stage::{QUIET_MINUTES, Stage, account, policy, start_time};

type Here = Stage<MemoryStore>;

async fn stage(unknown: UnknownPolicy) -> Here {
    let clock = Clock::manual(start_time());
    Stage::over(MemoryStore::new(clock.clone(), 30_000), clock, unknown).await
}

fn parked_for(payment: &Payment) -> &ParkReason {
    match payment.state() {
        State::Parked { reason, .. } => reason,
        state => panic!("not parked: {state:?}"),
    }
}

const QUIET: TimeDelta = TimeDelta::minutes(QUIET_MINUTES);

#[tokio::test]
async fn a_saved_card_is_charged_once_and_reported_paid() {
    let stage = stage(UnknownPolicy::Park).await;
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn a_checkout_is_held_captured_in_part_on_schedule_and_the_rest_given_back() {
    let stage = stage(UnknownPolicy::Park).await;
    let plan = r#"{"capture_at":"2027-02-02T06:00:00Z","capture_amount":900}"#;
    let id = stage.authorize_by_checkout("k", 1500, plan).await;
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::AwaitingPayer);
    stage.payer_pays(&id).await;
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_eq!(stage.state(&id).await, StateName::Held);
    assert_eq!(stage.taken(&id), (0, 0));
    stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (900, 1));
}

#[tokio::test]
async fn a_hold_is_released_on_schedule() {
    let stage = stage(UnknownPolicy::Park).await;
    let id = stage
        .authorize_by_token("k", 1500, r#"{"release_at":"2027-02-01T06:00:00Z"}"#)
        .await;
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::Held);
    stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(stage.state(&id).await, StateName::Released);
    assert_eq!(stage.moved(&id, MovementKind::Release), 1);
    assert_eq!(stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn a_card_is_saved_without_moving_money_and_can_be_charged() {
    let stage = stage(UnknownPolicy::Park).await;
    let body = r#""type":"save_card","customer":{"email":"payer@test.example"}"#;
    let id = stage.enqueue("card", body).await;
    stage.work().await;
    stage.payer_pays(&id).await;
    stage.work_for(TimeDelta::minutes(1)).await;
    let payment = stage.payment(&id).await;
    let State::Saved(token) = payment.state() else {
        panic!("{:?}", payment.state())
    };
    assert_eq!(stage.taken(&id), (0, 0));
    let charge = crate::stage::charge_of(token.as_str(), 700);
    let charge = stage.enqueue("charge", &charge).await;
    stage.work().await;
    assert_eq!(stage.taken(&charge), (700, 1));
}

#[tokio::test]
async fn whatever_breaks_on_the_way_a_charge_moves_money_once_and_is_reported_truly() {
    let faults = [
        Effect::timeout_before_commit(),
        Effect::timeout_after_commit(),
        Effect::status_before_commit(500),
        Effect::status_after_commit(502),
        Effect::reset_before_commit(),
        Effect::reset_after_commit(),
        Effect::truncated(),
        Effect::rate_limited(3),
        Effect::pending(90_000),
        Effect::decline("do_not_honour"),
        Effect::decline("timeout"),
        Effect::committed_late(60_000),
    ];
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        for operation in [Operation::Create, Operation::Charge, Operation::Retrieve] {
            for fault in &faults {
                let stage = stage(unknown).await;
                let id = stage.charge("k", 1500).await;
                stage.fault(Rule::on(operation, fault.clone()).times(1));
                if operation == Operation::Retrieve {
                    stage.fault(Rule::on(Operation::Charge, Effect::truncated()).times(1));
                }
                stage.work_for(TimeDelta::hours(2)).await;
                let payment = stage.payment(&id).await;
                let scene = format!("{operation:?} {fault:?} {unknown:?}: {:?}", payment.state());
                match payment.state() {
                    State::Paid(_) => assert_eq!(stage.taken(&id), (1500, 1), "{scene}"),
                    State::Failed(_) => assert_eq!(stage.taken(&id), (0, 0), "{scene}"),
                    State::Parked { .. } => assert!(stage.taken(&id).1 <= 1, "{scene}"),
                    _ if matches!(fault, Effect::Decline(code) if code == "timeout") => {
                        assert!(payment.open_attempt().is_some(), "{scene}");
                    }
                    _ => panic!("still under way: {scene}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_charge_that_did_not_happen_is_parked_or_sent_again_as_policy_says() {
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        let stage = stage(unknown).await;
        stage.fault(Rule::on(Operation::Charge, Effect::timeout_before_commit()).times(1));
        let id = stage.charge("k", 1500).await;
        stage.work_for(QUIET - TimeDelta::minutes(1)).await;
        assert_eq!(
            stage.state(&id).await,
            StateName::New,
            "not before the quiet period"
        );
        stage.work_for(TimeDelta::hours(1)).await;
        let payment = stage.payment(&id).await;
        match unknown {
            UnknownPolicy::Park => {
                assert_eq!(*parked_for(&payment), ParkReason::OutcomeUnknown);
                assert_eq!(stage.taken(&id), (0, 0));
            }
            UnknownPolicy::ResendSame => {
                assert_eq!(payment.state().name(), StateName::Paid);
                assert_eq!(stage.taken(&id), (1500, 1));
            }
        }
    }
}

#[tokio::test]
async fn a_declined_charge_is_sealed_at_the_gateway_before_it_is_reported() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.fault(Rule::on(
        Operation::Charge,
        Effect::decline("do_not_honour"),
    ));
    let id = stage.charge("k", 1500).await;
    stage.work_for(TimeDelta::minutes(5)).await;
    let payment = stage.payment(&id).await;
    let reason = FailReason::Declined {
        code: "do_not_honour".into(),
    };
    assert_eq!(*payment.state(), State::Failed(reason));
    let purchase = payment.purchase().unwrap().id.as_str().parse().unwrap();
    assert_eq!(
        stage.sandbox.status_of(purchase),
        Some(chip_sandbox::Status::Cancelled)
    );
}

#[tokio::test]
async fn a_dead_token_fails_the_charge_at_once() {
    let stage = stage(UnknownPolicy::Park).await;
    let token = stage.sandbox.save_card("payer@test.example");
    stage.sandbox.kill_token(token);
    let id = stage
        .enqueue("k", &crate::stage::charge_of(&token.to_string(), 1500))
        .await;
    stage.work_for(TimeDelta::minutes(5)).await;
    let reason = FailReason::Declined {
        code: "invalid_recurring_token".into(),
    };
    assert_eq!(*stage.payment(&id).await.state(), State::Failed(reason));
    assert_eq!(stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn a_soft_decline_is_charged_again_another_day_and_then_paid() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.fault(Rule::on(Operation::Charge, Effect::decline("insufficient_funds")).times(2));
    let id = stage.charge("k", 1500).await;
    stage.work_for(TimeDelta::hours(12)).await;
    assert_eq!(stage.state(&id).await, StateName::New);
    stage.work_for(TimeDelta::days(4)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn a_capture_whose_answer_is_lost_is_found_paid_and_not_sent_again() {
    for fault in [
        Effect::timeout_after_commit(),
        Effect::reset_after_commit(),
        Effect::truncated(),
    ] {
        let stage = stage(UnknownPolicy::ResendSame).await;
        stage.fault(Rule::on(Operation::Capture, fault).times(1));
        let id = stage
            .authorize_by_token("k", 1500, r#"{"capture_at":"2027-01-31T07:00:00Z"}"#)
            .await;
        stage.work_for(TimeDelta::hours(2)).await;
        assert_eq!(stage.state(&id).await, StateName::Paid);
        assert_eq!(stage.taken(&id), (1500, 1));
        assert_eq!(stage.ledger().counts(Operation::Capture).arrived, 1);
    }
}

#[tokio::test]
async fn a_capture_the_acquirer_keeps_refusing_ends_parked_as_not_captured_and_is_never_released() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.fault(Rule::on(
        Operation::Capture,
        Effect::decline("general_transaction_error"),
    ));
    let plan = r#"{"capture_at":"2027-01-31T07:00:00Z","release_at":"2027-01-31T12:00:00Z"}"#;
    let id = stage.authorize_by_token("k", 1500, plan).await;
    stage.work_for(TimeDelta::hours(8)).await;
    let parked = stage.payment(&id).await;
    assert_eq!(*parked_for(&parked), ParkReason::NotCaptured);
    assert_eq!(stage.ledger().counts(Operation::Release).arrived, 0);
    assert_eq!(stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn a_release_whose_answer_is_lost_is_settled_by_looking() {
    for fault in [
        Effect::timeout_before_commit(),
        Effect::timeout_after_commit(),
    ] {
        let stage = stage(UnknownPolicy::Park).await;
        stage.fault(Rule::on(Operation::Release, fault).times(1));
        let id = stage
            .authorize_by_token("k", 1500, r#"{"release_at":"2027-01-31T07:00:00Z"}"#)
            .await;
        stage.work_for(TimeDelta::hours(2)).await;
        assert_eq!(stage.state(&id).await, StateName::Released);
        assert_eq!(stage.moved(&id, MovementKind::Release), 1);
    }
}

#[tokio::test]
async fn a_link_nobody_pays_fails_as_expired_and_cannot_be_paid_any_more() {
    let stage = stage(UnknownPolicy::Park).await;
    let id = stage.authorize_by_checkout("k", 1500, "{}").await;
    stage.work_for(TimeDelta::hours(2)).await;
    assert_eq!(
        *stage.payment(&id).await.state(),
        State::Failed(FailReason::Expired)
    );
    stage.payer_pays(&id).await;
    assert_eq!(stage.moved(&id, MovementKind::Hold), 0);
}

#[tokio::test]
async fn a_cancelled_link_cannot_be_paid_any_more() {
    let stage = stage(UnknownPolicy::Park).await;
    let id = stage.authorize_by_checkout("k", 1500, "{}").await;
    stage.work().await;
    assert_eq!(
        stage.command(&id, "c", Command::Cancel).await,
        CommandAnswer::Accepted
    );
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::AwaitingPayer);
    stage.payer_pays(&id).await;
    stage.work_for(TimeDelta::minutes(3)).await;
    assert_eq!(
        *stage.payment(&id).await.state(),
        State::Failed(FailReason::Cancelled)
    );
    stage.payer_pays(&id).await;
    assert_eq!(stage.moved(&id, MovementKind::Hold), 0);
}

#[tokio::test]
async fn commands_on_a_hold_are_carried_out_at_once() {
    let stage = stage(UnknownPolicy::Park).await;
    let one = stage.authorize_by_token("one", 1500, "{}").await;
    let two = stage.authorize_by_token("two", 1500, "{}").await;
    stage.work().await;
    let capture = Command::Capture {
        amount: Amount::new(1000).ok(),
    };
    assert_eq!(
        stage.command(&one, "c", capture).await,
        CommandAnswer::Accepted
    );
    assert_eq!(
        stage.command(&two, "c", Command::Release).await,
        CommandAnswer::Accepted
    );
    stage.work().await;
    assert_eq!(
        (stage.state(&one).await, stage.taken(&one)),
        (StateName::Paid, (1000, 1))
    );
    assert_eq!(
        (stage.state(&two).await, stage.taken(&two)),
        (StateName::Released, (0, 0))
    );
}

#[tokio::test]
async fn a_hold_of_another_service_is_adopted_and_captured_once_however_many_ask() {
    let stage = stage(UnknownPolicy::Park).await;
    let made = stage.authorize_by_token("foreign", 1500, "{}").await;
    stage.work().await;
    let purchase = stage.payment(&made).await.purchase().unwrap().id.clone();
    let adopt = format!(
        r#""type":"adopt","purchase":"{}","money":{{"amount":1500,"currency":"MYR"}},
        "plan":{{"capture_at":"2027-01-31T06:30:00Z"}}"#,
        purchase.as_str()
    );
    let adopted = stage.enqueue("adopt", &adopt).await;
    stage.work_for(TimeDelta::hours(1)).await;
    let reason = ParkReason::Contradiction {
        what: Mismatch::Identity,
    };
    assert_eq!(
        *parked_for(&stage.payment(&adopted).await),
        reason,
        "it is another payment's"
    );
    assert_eq!(stage.taken(&made), (0, 0));
}

#[tokio::test]
async fn a_rejected_key_parks_one_payment_and_lets_the_others_wait() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.fault(Rule::on(Operation::Charge, Effect::status_before_commit(401)).times(1));
    let one = stage.charge("one", 100).await;
    let two = stage.charge("two", 200).await;
    stage.work().await;
    let states = [stage.state(&one).await, stage.state(&two).await];
    assert!(
        states.contains(&StateName::Parked) && states.contains(&StateName::New),
        "{states:?}"
    );
    let parked = if states[0] == StateName::Parked {
        &one
    } else {
        &two
    };
    stage.work_for(TimeDelta::minutes(3)).await;
    let rerun = Command::Rerun {
        reason: "key mended".into(),
        actor: "aina".into(),
    };
    assert_eq!(
        stage.command(parked, "r", rerun).await,
        CommandAnswer::Accepted
    );
    stage.work_for(TimeDelta::minutes(3)).await;
    assert_eq!((stage.taken(&one), stage.taken(&two)), ((100, 1), (200, 1)));
}

#[tokio::test]
async fn no_money_moves_while_the_store_is_not_durable_and_look_ups_go_on() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.store.fall_short(Some("appendfsync is everysec"));
    let id = stage.charge("k", 1500).await;
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_eq!(stage.taken(&id), (0, 0));
    assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
    stage.store.fall_short(None);
    stage.work_for(TimeDelta::minutes(1)).await;
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn a_worker_that_dies_between_note_and_call_or_after_it_causes_one_effect() {
    for dies_after_the_call in [false, true] {
        let stage = stage(UnknownPolicy::ResendSame).await;
        let id = stage.charge("k", 1500).await;
        let mut claim = stage.store.claim(1).await.unwrap().claims.remove(0);
        let policy = crate::stage::policy(UnknownPolicy::ResendSame);
        let gateway = crate::stage::gateway(&stage.sandbox.base_url(), &stage.clock);
        create_and_license(&stage, &mut claim, &gateway, &policy, dies_after_the_call).await;
        stage.work_for(TimeDelta::hours(2)).await;
        assert_eq!(stage.state(&id).await, StateName::Paid);
        assert_eq!(stage.taken(&id), (1500, 1));
    }
}

async fn create_and_license(
    stage: &Here,
    claim: &mut holdfast::store::Claim,
    gateway: &holdfast::gateway::ChipGateway,
    policy: &Policy,
    call: bool,
) {
    use holdfast::gateway::Gateway;

    let now = stage.clock.now();
    let order = claim.payment.create_order(now, policy).unwrap();
    let number = claim.payment.open(Step::Create, now, policy).unwrap();
    let answer = gateway.create(&order).await;
    claim.payment.answered(number, &answer, now, policy);
    claim.payment.open(Step::Charge, now, policy).unwrap();
    let permit = stage.store.license(claim).await.unwrap();
    if call {
        gateway.send(permit).await;
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_any_more_is_answered_when_it_was_asked_before() {
    let stage = stage(UnknownPolicy::Park).await;
    let request = |amount: u64| {
        let body = crate::stage::charge_of("t", amount);
        let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k",{body}}}"#);
        Request::from_json(json.as_bytes()).unwrap()
    };
    let ask = async |amount, policies: &Policies| {
        submit(&*stage.store, &stage.clock, policies, request(amount)).await
    };
    let any = Policies::from([(account(), policy(UnknownPolicy::Park))]);
    let (mut few, none) = (any.clone(), Policies::new());
    let hotel = few.get_mut(&account()).unwrap();
    hotel.account.largest_amount_minor = Some(1_499);
    let told = ask(1_500, &few).await.unwrap_err().to_string();
    assert!(told.starts_with("money.amount: 1500 is more"), "{told}");
    let told = ask(1_500, &none).await.unwrap_err();
    assert!(matches!(told, IntakeError::UnknownAccount(_)), "{told}");
    assert!(matches!(ask(1_500, &any).await, Ok(Submitted::New(_))));
    for later in [&few, &none] {
        assert!(matches!(
            ask(1_500, later).await,
            Ok(Submitted::Existing(_))
        ));
        let other = ask(1_501, later).await;
        assert!(matches!(other, Err(IntakeError::Conflict(_))));
    }
    assert!(matches!(
        ask(1_499, &few).await,
        Err(IntakeError::Conflict(_))
    ));
}
