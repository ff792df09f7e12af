//! Where exactly a limit lies, and what counts when several things are true at once: each test fails
//! if its one is moved by the smallest step there is.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

const DAY: TimeDelta = TimeDelta::days(1);
const TICK: TimeDelta = TimeDelta::milliseconds(1);

/// The same payment with waits that are not stretched.
fn exact(mut scene: Scene) -> Scene {
    let policy = &mut scene.policy;
    for ladder in [
        &mut policy.lookup,
        &mut policy.technical,
        &mut policy.business,
        &mut policy.payer,
    ] {
        ladder.jitter_percent = 0;
    }
    scene
}

fn never_left() -> Answer {
    Answer::NotSent {
        why: "connection refused".into(),
    }
}

fn declined() -> Answer {
    Answer::Declined {
        code: "purchase_x_error".into(),
    }
}

fn parked_in_doubt() -> Scene {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
    scene
}

#[test]
fn failures_belong_together_until_more_than_the_ladders_time_lies_between_them() {
    for (silence, wait_ms) in [(DAY, 5_000), (DAY + TICK, 1_000)] {
        let mut scene = exact(charged(UnknownPolicy::Park));
        scene.answer(&never_left());
        scene.pass(silence);
        scene.answer(&never_left());
        assert_eq!(wait(&scene), TimeDelta::milliseconds(wait_ms));
    }
}

#[test]
fn a_rerun_is_looked_for_until_more_than_the_ladders_time_is_over() {
    for (time, often) in [(DAY, true), (DAY + TICK, false)] {
        let mut scene = parked_in_doubt();
        scene.command(rerun());
        failed_get(&mut scene);
        scene.pass(time);
        failed_get(&mut scene);
        assert_eq!(wait(&scene) < TimeDelta::hours(2), often, "{time}");
    }
}

#[test]
fn a_search_ends_with_the_first_look_after_more_than_the_ladders_time() {
    for (time, over) in [(DAY, false), (DAY + TICK, true)] {
        let mut scene = charged(UnknownPolicy::Park);
        scene.answer(&Scene::unknown());
        let since = scene.now;
        for _ in 0..6 {
            scene.until_due();
            failed_get(&mut scene);
        }
        scene.now = since + time;
        failed_get(&mut scene);
        assert_eq!(matches!(scene.next(), Next::Settle(_)), over, "{time}");
    }
}

#[test]
fn a_search_does_not_end_before_the_whole_ladder_was_climbed() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    for looks in 1..=7 {
        scene.pass(DAY);
        failed_get(&mut scene);
        let over = matches!(scene.next(), Next::Settle(_));
        assert_eq!(over, looks == 7, "{looks} looks");
    }
}

#[test]
fn a_cancel_is_done_only_if_the_purchase_is_cancelled_and_not_because_it_expired() {
    for (standing, verdict) in [
        (Standing::Cancelled, Verdict::Done),
        (Standing::Expired, Verdict::DidNotHappen),
    ] {
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        scene.show(Standing::Payable);
        scene.command(Command::Cancel);
        assert_eq!(scene.answer(&Scene::unknown()), Step::Cancel);
        scene.until_due();
        scene.look(standing);
        assert_eq!(last_verdict(&scene), Some(&verdict));
    }
}

#[test]
fn a_charge_without_a_trace_is_sent_again_three_times_and_then_a_person_is_asked() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    let mut charges = 0;
    while scene.state() == StateName::New {
        match scene.next() {
            Next::Send(step) => {
                assert_eq!(step, Step::Charge);
                scene.answer(&Scene::unknown());
                charges += 1;
            }
            Next::LookUp => scene.look(Standing::Payable),
            _ => scene.until_due(),
        }
    }
    assert_eq!((charges, scene.state()), (4, StateName::Parked));
}

#[test]
fn a_hold_that_shows_after_a_cancel_is_given_back_whatever_the_payment_was_ending_for() {
    let mut scene = charged_hold();
    scene.answer(&declined());
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "stolen_card")];
    scene.look_at(seen);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    assert!(matches!(
        scene.payment.ending(),
        Some(FailReason::Declined { .. })
    ));
    scene.show(Standing::Held);
    assert_eq!(scene.next(), Next::Send(Step::Release));
    assert_eq!(scene.command(capture(1500)), CommandAnswer::AlreadyDecided);
}

#[test]
fn a_hold_that_shows_after_somebody_else_cancelled_it_is_given_back() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.payment.nudged(1);
    scene.look(Standing::Cancelled);
    assert_eq!(scene.payment.ending(), Some(&FailReason::Cancelled));
    scene.look(Standing::Held);
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_hold_that_nobody_cancelled_waits_for_its_plan() {
    let scene = held("{}");
    assert!(matches!(scene.next(), Next::WaitUntil(_)));
}

fn charged_hold() -> Scene {
    let mut scene = Scene::new(by_token("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene
}

#[test]
fn declined_captures_climb_the_ladder_and_are_eight_hours_apart_after_its_end() {
    let mut scene = exact(held(r#"{"expires_at":"2027-03-02T00:00:00Z"}"#));
    scene.command(capture(1500));
    let mut waits = Vec::new();
    for tries in 1..=9 {
        scene.answer(&declined());
        let mut seen = sighting(&scene.payment, Standing::Held);
        seen.tries = vec![failed_try(TryKind::Capture, "stolen_card"); tries];
        scene.look_at(seen);
        waits.push(wait(&scene).num_seconds());
        scene.until_due();
    }
    assert_eq!(waits, [2, 5, 15, 60, 300, 900, 3_600, 28_800, 28_800]);
}

#[test]
fn what_is_no_hold_is_not_taken_for_released_whoever_asks() {
    let mut scene = parked_in_doubt();
    scene.payment.nudged(1);
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Parked);
    scene.command(rerun());
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_release_is_done_and_a_capture_did_not_happen_when_the_hold_was_given_back() {
    let mut scene = held("{}");
    scene.command(Command::Release);
    scene.answer(&Scene::unknown());
    scene.until_due();
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Released);
    assert_eq!(last_verdict(&scene), Some(&Verdict::Done));

    let mut scene = held("{}");
    scene.command(capture(1500));
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Held);
    scene.command(rerun());
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Released);
    assert_eq!(last_verdict(&scene), Some(&Verdict::DidNotHappen));
}

#[test]
fn a_hold_to_adopt_that_was_never_paid_is_a_contradiction() {
    let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
    scene.look(Standing::Payable);
    let State::Parked { reason, .. } = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    let what = Mismatch::Kind;
    assert_eq!(*reason, ParkReason::Contradiction { what });
}

#[test]
fn a_look_at_a_charge_that_waits_for_its_next_try_changes_nothing() {
    let mut scene = exact(charged(UnknownPolicy::Park));
    scene.answer(&never_left());
    let next = scene.next();
    scene.payment.nudged(1);
    scene.look(Standing::Payable);
    assert_eq!((scene.state(), scene.next()), (StateName::New, next));
}

#[test]
fn a_soft_decline_is_charged_again_up_to_the_last_moment_allowed() {
    for (end, again) in [
        ("2027-02-01T06:00:00Z", true),
        ("2027-02-01T06:00:01Z", true),
        ("2027-02-01T05:59:59.999Z", false),
    ] {
        let request = request(&format!(
            r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
            "customer":{{"email":"a@b.example"}},"not_after":"{end}""#
        ));
        let mut scene = exact(Scene::new(request, UnknownPolicy::Park));
        scene.show(Standing::Payable);
        scene.answer(&declined());
        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.tries = vec![failed_try(TryKind::Pay, "insufficient_funds")];
        scene.look_at(seen);
        scene.until_due();
        let step = if again { Step::Charge } else { Step::Cancel };
        assert_eq!(scene.next(), Next::Send(step), "not after {end}");
        let waited = if again { DAY } else { TimeDelta::zero() };
        assert_eq!(scene.now - start(), waited, "not after {end}");
    }
}
