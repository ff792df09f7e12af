//! What the worker does where nobody has written down what the gateway does, and where the gateway
//! answers otherwise than it was asked.

use chip_sandbox::{Answer, Difference, Effect, MovementKind, Operation, Request, Rule};
use chrono::TimeDelta;
use holdfast::payment::*;
use holdfast_rig::{Line, compare};
use serde_json::json;

use super::{Here, parked_for, stage};
use crate::stage::KEY;

async fn in_both_books(stage: &Here, id: &PaymentId) -> Line {
    compare(stage.payment(id).await, &stage.ledger(), false)
        .beside(|id| stage.sandbox.status_of(id))
}

/// The first charge is stuck on the way for longer than the quiet period; if a second one is sent,
/// it is under way when the first arrives.
async fn a_stuck_charge_meets_another(
    unknown: UnknownPolicy,
    serialises: bool,
) -> (Here, PaymentId) {
    let stage = stage(unknown).await;
    stage
        .sandbox
        .set_behaviour(|it| it.serialises_charges = serialises);
    let minutes_ms = |minutes: u64| minutes * 60_000;
    let stuck = Effect::committed_late(minutes_ms(25));
    stage.fault(Rule::on(Operation::Charge, stuck).nth(1));
    stage.fault(Rule::on(Operation::Charge, Effect::pending(minutes_ms(10))).nth(2));
    let id = stage.charge("k", 1500).await;
    stage.work_for(TimeDelta::hours(4)).await;
    (stage, id)
}

#[tokio::test]
async fn two_charges_in_flight_take_twice_when_the_gateway_does_not_serialise() {
    use UnknownPolicy::{Park, ResendSame};
    for (unknown, serialises, sent, takes) in [
        (ResendSame, false, 2, 2),
        (ResendSame, true, 2, 1),
        (Park, false, 1, 1),
        (Park, true, 1, 1),
    ] {
        let scene = format!("{unknown:?}, serialises: {serialises}");
        let (stage, id) = a_stuck_charge_meets_another(unknown, serialises).await;
        let charges = stage.ledger().counts(Operation::Charge).arrived;
        assert_eq!(charges, sent, "{scene}");
        assert_eq!(stage.taken(&id).1, takes, "{scene}");
        let problems = in_both_books(&stage, &id).await.problems;
        // Only `park` is right on any gateway. The ledger must not be deceived about the other.
        if takes == 2 {
            assert!(
                problems.contains(&"money was taken 2 times".to_owned()),
                "{problems:?}"
            );
        } else {
            assert_eq!(problems, [""; 0], "{scene}");
        }
    }
}

#[tokio::test]
async fn a_late_charge_that_was_parked_is_found_paid_by_the_next_look() {
    let (stage, id) = a_stuck_charge_meets_another(UnknownPolicy::Park, false).await;
    assert_eq!(
        *parked_for(&stage.payment(&id).await),
        ParkReason::OutcomeUnknown
    );
    stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn what_was_created_otherwise_than_asked_is_never_charged() {
    for (difference, what) in [
        (Difference::Amount, Mismatch::Amount),
        (Difference::Currency, Mismatch::Currency),
        (Difference::Conversion, Mismatch::Currency),
        (Difference::Brand, Mismatch::Brand),
        (Difference::Mode, Mismatch::Mode),
    ] {
        let stage = stage(UnknownPolicy::ResendSame).await;
        let id = stage.charge("k", 1500).await;
        for operation in [Operation::Create, Operation::Retrieve] {
            let effect = Effect::answered(Answer::Differing(difference));
            stage.fault(Rule::on(operation, effect));
        }
        stage.work_for(TimeDelta::hours(2)).await;
        let reason = ParkReason::Contradiction { what };
        assert_eq!(
            *parked_for(&stage.payment(&id).await),
            reason,
            "{difference:?}"
        );
        assert_eq!(stage.ledger().counts(Operation::Charge).arrived, 0);
    }
}

#[tokio::test]
async fn another_sum_taken_than_asked_is_not_reported_paid() {
    let stage = stage(UnknownPolicy::Park).await;
    let effect = Effect::answered(Answer::Differing(Difference::Amount));
    stage.fault(Rule::on(Operation::Charge, effect.clone()));
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    let reason = ParkReason::Contradiction {
        what: Mismatch::Amount,
    };
    assert_eq!(*parked_for(&stage.payment(&id).await), reason);
}

#[tokio::test]
async fn what_a_person_marked_as_paid_is_not_reported_paid() {
    let stage = stage(UnknownPolicy::Park).await;
    stage.fault(Rule::on(Operation::Charge, Effect::timeout_before_commit()).times(1));
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    let payment = stage.payment(&id).await;
    let path = format!(
        "purchases/{}/mark_as_paid/",
        payment.purchase().unwrap().id.as_str()
    );
    let request = Request::api("POST", &path, KEY, json!({}).to_string());
    let answer = stage
        .sandbox
        .with(|engine, now_ms| engine.answer(now_ms, request));
    assert_eq!(answer.status, 200);
    stage.work_for(TimeDelta::hours(2)).await;
    let reason = ParkReason::Contradiction {
        what: Mismatch::Kind,
    };
    assert_eq!(*parked_for(&stage.payment(&id).await), reason);
    assert_eq!(stage.taken(&id), (0, 0));
}

#[tokio::test]
async fn a_capture_that_was_under_way_and_left_no_trace_is_not_sent_again_and_a_person_decides() {
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        let stage = stage(unknown).await;
        stage
            .sandbox
            .set_behaviour(|it| it.lists_failed_captures = false);
        let effect = Effect::pending_then_declined(60_000, "acquirer_internal_error");
        stage.fault(Rule::on(Operation::Capture, effect).times(1));
        let plan = r#"{"capture_at":"2027-01-31T07:00:00Z"}"#;
        let id = stage.authorize_by_token("k", 1500, plan).await;
        stage.work_for(TimeDelta::days(3)).await;
        // The gateway had it under way, so "it did not happen" is not to be believed of it.
        let reason = ParkReason::LookUpsExhausted;
        assert_eq!(
            *parked_for(&stage.payment(&id).await),
            reason,
            "{unknown:?}"
        );
        let sent = stage.ledger().counts(Operation::Capture).arrived;
        assert_eq!((sent, stage.taken(&id)), (1, (0, 0)), "{unknown:?}");
        assert_eq!(in_both_books(&stage, &id).await.problems, [""; 0]);
    }
}

#[tokio::test]
async fn a_declined_charge_that_may_not_be_charged_again_takes_nothing_and_says_nothing_false() {
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        let stage = stage(unknown).await;
        stage
            .sandbox
            .set_behaviour(|it| it.charges_after_error = false);
        stage.fault(Rule::on(Operation::Charge, Effect::decline("insufficient_funds")).times(1));
        let id = stage.charge("k", 1500).await;
        stage.work_for(TimeDelta::days(9)).await;
        let line = in_both_books(&stage, &id).await;
        assert_eq!(line.problems, [""; 0], "{:?}", line.payment);
        assert_eq!(stage.taken(&id), (0, 0));
        let end = stage.state(&id).await;
        assert!(
            matches!(end, StateName::Failed | StateName::Parked),
            "{unknown:?}: {end}"
        );
    }
}

#[tokio::test]
async fn a_paid_purchase_whose_payment_shows_later_is_reported_paid_only_then() {
    let stage = stage(UnknownPolicy::Park).await;
    stage
        .sandbox
        .set_behaviour(|it| it.paid_without_payment_ms = 60_000);
    let id = stage.charge("k", 1500).await;
    stage.work().await;
    assert_ne!(
        stage.state(&id).await,
        StateName::Paid,
        "nothing shows the sum"
    );
    stage.work_for(TimeDelta::days(2)).await;
    assert_eq!(stage.state(&id).await, StateName::Paid);
    assert_eq!(stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn of_two_captures_in_flight_both_take_and_the_books_say_so() {
    let stage = stage(UnknownPolicy::Park).await;
    stage
        .sandbox
        .set_behaviour(|it| it.serialises_captures = false);
    stage.fault(Rule::on(Operation::Capture, Effect::pending(600_000)).times(1));
    let plan = r#"{"capture_at":"2027-01-31T07:00:00Z"}"#;
    let id = stage.authorize_by_token("k", 1500, plan).await;
    stage.work_for(TimeDelta::minutes(61)).await;
    let payment = stage.payment(&id).await;
    let path = format!(
        "purchases/{}/capture/",
        payment.purchase().unwrap().id.as_str()
    );
    // Somebody else captures it as well, beside the worker.
    let request = Request::api("POST", &path, KEY, "");
    let answer = stage
        .sandbox
        .with(|engine, now_ms| engine.answer(now_ms, request));
    assert_eq!(answer.status, 200);
    stage.work_for(TimeDelta::hours(1)).await;
    let problems = in_both_books(&stage, &id).await.problems;
    assert!(
        problems.contains(&"money was taken 2 times".to_owned()),
        "{problems:?}"
    );
    assert_eq!(stage.ledger().counts(Operation::Capture).arrived, 2);
}

#[tokio::test]
async fn a_hold_that_lapsed_is_reported_lost_or_released_and_never_taken() {
    const HALF_AN_HOUR_MS: u64 = 1_800_000;
    for (plan, end) in [
        (
            r#"{"capture_at":"2027-01-31T07:00:00Z","release_at":"2027-01-31T12:00:00Z"}"#,
            StateName::Parked,
        ),
        (
            r#"{"release_at":"2027-01-31T07:00:00Z"}"#,
            StateName::Released,
        ),
    ] {
        let stage = stage(UnknownPolicy::Park).await;
        stage
            .sandbox
            .set_behaviour(|it| it.hold_lifetime_ms = Some(HALF_AN_HOUR_MS));
        let id = stage.authorize_by_token("k", 1500, plan).await;
        stage.work_for(TimeDelta::hours(8)).await;
        let line = in_both_books(&stage, &id).await;
        assert_eq!(line.problems, [""; 0], "{:?}", line.payment);
        assert_eq!(stage.state(&id).await, end);
        if end == StateName::Parked {
            // Here nobody knows that it lapsed before its time.
            assert_eq!(*parked_for(&line.payment), ParkReason::NotCaptured);
        }
        assert_eq!(stage.moved(&id, MovementKind::Lapse), 1);
        assert_eq!((stage.taken(&id), line.ledger.reserved_minor), ((0, 0), 0));
    }
}
