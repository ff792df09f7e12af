//! Webhooks, success callbacks and look-ups by the clock: each of them is enough by itself.

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::payment::*;
use holdfast_rig::compare;

use super::deliveries::{Hearing, Told};
use crate::stage::{DAY, policy};

/// What is asked for, and how it must end. The answers to captures and releases are lost, and those
/// to charges but for the one that is declined.
const ENDS: [(&str, StateName, u64); 5] = [
    ("declined", StateName::Failed, 0),
    ("charged", StateName::Paid, 700),
    ("captured", StateName::Paid, 900),
    ("released", StateName::Released, 0),
    ("saved", StateName::Saved, 0),
];

/// Nothing is looked at by the clock for a day.
fn looks_once_a_day() -> Policy {
    let daily = |ladder: Ladder| Ladder {
        delays_ms: vec![DAY],
        jitter_percent: 0,
        ..ladder
    };
    let usual = policy(UnknownPolicy::Park);
    Policy {
        lookup: daily(usual.lookup.clone()),
        payer: daily(usual.payer.clone()),
        ..usual
    }
}

/// Asks for everything, and lets the payers pay.
async fn asked(hearing: &Hearing) -> Vec<PaymentId> {
    let stage = &hearing.stage;
    stage.fault(Rule::on(Operation::Charge, Effect::decline("do_not_honour")).times(1));
    let declined = stage.charge("declined", 300).await;
    hearing.work().await;
    for operation in [Operation::Charge, Operation::Capture, Operation::Release] {
        stage.fault(Rule::on(operation, Effect::reset_after_commit()));
    }
    let charged = stage.charge("charged", 700).await;
    let capture = r#"{"capture_at":"2027-01-31T06:20:00Z","capture_amount":900}"#;
    let captured = stage.authorize_by_checkout("captured", 1500, capture).await;
    let release = r#"{"release_at":"2027-01-31T06:20:00Z"}"#;
    let released = stage.authorize_by_checkout("released", 800, release).await;
    let card = r#""type":"save_card","customer":{"email":"payer@test.example"}"#;
    let saved = stage.enqueue("saved", card).await;
    hearing.work().await;
    for id in [&captured, &released, &saved] {
        stage.payer_pays(id).await;
    }
    vec![declined, charged, captured, released, saved]
}

/// Which of them have not ended as they must, after that time, by the gateway's own books.
async fn open_after(hearing: &Hearing, ids: &[PaymentId], time: TimeDelta) -> Vec<&'static str> {
    let stage = &hearing.stage;
    let end = stage.clock.now() + time;
    while stage.clock.now() < end {
        hearing.work().await;
        let step = TimeDelta::minutes(1).max(time / 200);
        stage.pass(step.min(end - stage.clock.now()));
    }
    hearing.work().await;
    let mut open = Vec::new();
    for (id, (name, state, taken)) in ids.iter().zip(ENDS) {
        let payment = stage.payment(id).await;
        if payment.state().name() == state {
            let line =
                compare(payment, &stage.ledger(), true).beside(|id| stage.sandbox.status_of(id));
            assert_eq!(line.problems, [""; 0], "{name}");
            assert_eq!(stage.taken(id).0, taken, "{name}");
        } else {
            open.push(name);
        }
    }
    open
}

#[tokio::test]
async fn webhooks_alone_finish_every_payment() {
    let hearing = Hearing::start_with(Told::ByWebhooks(1), looks_once_a_day()).await;
    let ids = asked(&hearing).await;
    let open = open_after(&hearing, &ids, TimeDelta::minutes(30)).await;
    assert_eq!(open, [""; 0]);
}

#[tokio::test]
async fn look_ups_alone_finish_every_payment() {
    let hearing = Hearing::start_with(Told::Not, policy(UnknownPolicy::Park)).await;
    let ids = asked(&hearing).await;
    let open = open_after(&hearing, &ids, TimeDelta::hours(1)).await;
    assert_eq!(open, [""; 0]);
}

/// The gateway calls back only for what was taken: of a hold, a saved card or a release it says
/// nothing, and the clock's look has to find them.
#[tokio::test]
async fn success_callbacks_alone_finish_what_was_taken_and_the_clock_finds_the_rest() {
    let hearing = Hearing::start_with(Told::BySuccessCallback, looks_once_a_day()).await;
    let ids = asked(&hearing).await;
    let open = open_after(&hearing, &ids, TimeDelta::minutes(30)).await;
    assert!(!open.contains(&"charged"), "{open:?}");
    assert!(open.contains(&"saved"), "nobody told of it: {open:?}");
    let open = open_after(&hearing, &ids, TimeDelta::days(4)).await;
    assert_eq!(open, [""; 0]);
}

#[tokio::test]
async fn a_burst_of_webhooks_for_one_payment_makes_one_look_up() {
    let hearing = Hearing::start_with(Told::ByWebhooks(12), looks_once_a_day()).await;
    let stage = &hearing.stage;
    let plan = r#"{"release_at":"2027-01-31T06:20:00Z"}"#;
    let id = stage.authorize_by_checkout("held", 800, plan).await;
    hearing.work().await;
    let looks = || stage.ledger().counts(Operation::Retrieve).arrived;
    let before = looks();
    stage.payer_pays(&id).await;
    stage.sandbox.deliveries_settled().await;
    assert!(hearing.heard() >= 12, "every webhook told it");
    stage.work().await;
    assert_eq!(stage.state(&id).await, StateName::Held);
    assert_eq!(looks() - before, 1);
}
