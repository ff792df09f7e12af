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

fn too_many() -> Answer {
    Answer::RateLimited {
        retry_after_ms: None,
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
    scene.until_due();
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

#[test]
fn a_payment_parked_before_it_had_a_purchase_has_nothing_to_look_at() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    scene.answer(&Answer::NoEffect {
        code: "amount.max_value".into(),
        denied: false,
    });
    assert_eq!(scene.state(), StateName::Parked);
    scene.until_due();
    assert_eq!(scene.now - start(), DAY);
    assert_eq!(scene.next(), Next::WaitUntil(scene.now + DAY));
    scene.command(rerun());
    assert_eq!(scene.next(), Next::Settle(Event::Resumed));
}

fn charge_until(end: Timestamp) -> Scene {
    let request = request(&format!(
        r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
        "customer":{{"email":"a@b.example"}},"not_after":"{}""#,
        end.to_rfc3339()
    ));
    exact(Scene::new(request, UnknownPolicy::Park))
}

#[test]
fn a_charge_starts_up_to_the_last_moment_allowed_and_is_sealed_just_after_it() {
    let end = start() + TimeDelta::milliseconds(500);
    let mut scene = charge_until(end);
    scene.show(Standing::Payable);
    scene.now = end;
    assert_eq!(scene.next(), Next::Send(Step::Charge));
    assert!(!scene.payment.is_too_late(end));
    scene.now = end + TICK;
    assert_eq!(scene.next(), Next::Send(Step::Cancel));
    assert!(scene.payment.is_too_late(end + TICK));
}

#[test]
fn a_try_that_would_come_too_late_is_not_waited_for() {
    let end = start() + TimeDelta::milliseconds(500);
    let mut scene = charge_until(end);
    scene.answer(&never_left());
    assert_eq!(scene.next(), Next::WaitUntil(end + TICK));
    scene.until_due();
    scene.settle();
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Expired));
}

#[test]
fn the_gateway_is_called_unreachable_after_more_than_the_ladders_time_and_all_its_rungs() {
    for (time, over) in [(DAY, false), (DAY + TICK, true)] {
        let mut scene = Scene::new(charge(), UnknownPolicy::Park);
        let since = scene.now;
        for _ in 0..3 {
            scene.answer(&never_left());
            scene.until_due();
        }
        scene.now = since + time;
        scene.answer(&never_left());
        assert_eq!(matches!(scene.next(), Next::Settle(_)), over, "{time}");
    }
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    for failures in 1..=4 {
        scene.answer(&never_left());
        let over = matches!(scene.next(), Next::Settle(_));
        assert_eq!(over, failures == 4, "{failures} failures");
        scene.pass(DAY);
    }
}

#[test]
fn a_call_that_was_refused_for_so_long_is_parked_with_its_code() {
    let refused = Answer::Conflict {
        code: "purchase_cancel_wrong_status".into(),
    };
    for (answer, reason) in [
        (never_left(), ParkReason::GatewayUnreachable),
        (Scene::unknown(), ParkReason::GatewayFailing),
        (too_many(), ParkReason::GatewayFailing),
        (
            refused,
            ParkReason::Refused {
                code: "purchase_cancel_wrong_status".into(),
            },
        ),
    ] {
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        scene.show(Standing::Payable);
        scene.command(Command::Cancel);
        while !matches!(scene.next(), Next::Settle(_)) {
            match scene.next() {
                Next::Send(_) => _ = scene.answer(&answer),
                Next::LookUp => scene.look(Standing::Payable),
                _ => scene.until_due(),
            }
        }
        assert_eq!(scene.next(), Next::Settle(Event::Stuck(reason)));
    }
}

/// Ends a create that failed in these ways in turn, for as long as the ladder allows.
fn created_in_vain(answers: &[Answer]) -> Next {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    for answer in answers.iter().cycle() {
        scene.until_due();
        match scene.next() {
            Next::Send(_) => _ = scene.answer(answer),
            next => return next,
        }
    }
    unreachable!("the answers go round in circles");
}

#[test]
fn that_nothing_was_sent_is_said_only_of_calls_none_of_which_left() {
    let stuck = |reason| Next::Settle(Event::Stuck(reason));
    let unreachable = stuck(ParkReason::GatewayUnreachable);
    assert_eq!(created_in_vain(&[never_left()]), unreachable);
    let failing = stuck(ParkReason::GatewayFailing);
    for answers in [
        vec![Scene::unknown()],
        vec![too_many()],
        vec![never_left(), Scene::unknown()],
        vec![never_left(), never_left(), too_many()],
    ] {
        assert_eq!(created_in_vain(&answers), failing, "{answers:?}");
    }
}

#[test]
fn a_gateway_that_answers_nothing_is_tried_for_as_long_as_the_hold_lasts() {
    let mut scene = exact(held("{}"));
    scene.command(Command::Release);
    // For longer than the ladder allows where nothing ends by itself.
    let end = start() + DAY * 2;
    while scene.now < end {
        match scene.next() {
            Next::Send(step) => {
                assert_eq!(step, Step::Release);
                scene.answer(&Scene::unknown());
            }
            Next::LookUp => scene.look(Standing::Held),
            Next::WaitUntil(_) => scene.until_due(),
            next => panic!("{next:?}"),
        }
    }
}

#[test]
fn a_cancel_waits_for_its_ladder_and_not_for_the_end_of_the_charge() {
    let end = start() + TimeDelta::milliseconds(500);
    let mut scene = charge_until(end);
    scene.show(Standing::Payable);
    scene.now = end + TICK;
    scene.answer(&never_left());
    let second = TimeDelta::seconds(1);
    assert_eq!(scene.next(), Next::WaitUntil(scene.now + second));
}

#[test]
fn a_capture_is_sent_until_just_before_the_time_of_its_release() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;
    let mut scene = held(plan);
    scene.pass(DAY * 2 - TICK);
    assert!(matches!(scene.next(), Next::Send(Step::Capture { .. })));
    scene.pass(TICK);
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn the_guard_lets_a_plan_be_up_to_its_own_time_and_asks_a_person_about_a_later_capture() {
    let guard = start() + DAY * 5;
    for (at, intent) in [
        (guard, Next::Send(capture_of(1500))),
        (
            guard + TICK,
            Next::Settle(Event::Stuck(ParkReason::BeforeExpiry)),
        ),
    ] {
        let mut scene = held(&format!(r#"{{"capture_at":"{}"}}"#, at.to_rfc3339()));
        assert_eq!(scene.next(), Next::WaitUntil(guard));
        scene.until_due();
        assert_eq!(scene.next(), intent);
    }
    let late = (guard + TICK).to_rfc3339();
    let mut scene = held(&format!(r#"{{"release_at":"{late}"}}"#));
    scene.until_due();
    assert_eq!(
        (scene.now, scene.next()),
        (guard, Next::Send(Step::Release))
    );
    let plan = format!(r#"{{"capture_at":"{late}","before_expiry":"capture"}}"#);
    let mut scene = held(&plan);
    scene.until_due();
    assert_eq!(
        (scene.now, scene.next()),
        (guard, Next::Send(capture_of(1500)))
    );
}

fn capture_of(amount: u64) -> Step {
    let amount = Amount::new(amount).unwrap();
    Step::Capture { amount }
}

#[test]
fn the_guard_of_a_hold_that_lapses_within_the_margin_acts_at_once() {
    let scene = held(r#"{"expires_at":"2027-01-31T18:00:00Z"}"#);
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_hold_lasts_as_long_as_its_plan_says_or_its_account() {
    let end = |scene: &Scene| match scene.payment.state().active() {
        Some(Active::Held(hold)) => hold.expires_at,
        other => panic!("{other:?}"),
    };
    assert_eq!(end(&held("{}")), start() + DAY * 6);
    let told = held(r#"{"expires_at":"2027-03-02T06:00:00Z"}"#);
    assert_eq!(end(&told), start() + DAY * 30);
    for (since, lapses) in [(-DAY, DAY * 5), (DAY, DAY * 6)] {
        let mut scene = charged_hold();
        let mut seen = sighting(&scene.payment, Standing::Held);
        seen.held_since = Some(start() + since);
        scene.answer(&Answer::Shown(Box::new(seen)));
        assert_eq!(end(&scene), start() + lapses, "never later than now");
    }
}

/// A hold whose capture was asked for, and declined so often by `now`.
fn declined_capture(plan: &str, by_command: bool) -> Scene {
    let mut scene = exact(held(plan));
    if by_command {
        scene.command(capture(1500));
    } else {
        scene.until_due();
    }
    scene.answer(&declined());
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.tries = vec![failed_try(TryKind::Capture, "stolen_card")];
    scene.look_at(seen);
    scene
}

#[test]
fn a_capture_that_is_refused_ends_with_the_plan_or_by_command_with_the_hold() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;
    let stuck = |reason| Next::Settle(Event::Stuck(reason));
    for (by_command, end, reason) in [
        (false, DAY * 2, ParkReason::NotCaptured),
        (true, DAY * 6, ParkReason::HoldLost),
    ] {
        let mut scene = declined_capture(plan, by_command);
        scene.now = start() + end - TICK;
        assert_eq!(scene.next(), Next::Send(capture_of(1500)));
        scene.pass(TICK);
        assert_eq!(scene.next(), stuck(reason));
        scene.now = start() + DAY * 6 - TICK;
        if !by_command {
            assert_eq!(scene.next(), stuck(ParkReason::NotCaptured));
        }
        scene.pass(TICK);
        assert_eq!(
            scene.next(),
            stuck(ParkReason::HoldLost),
            "its time is over"
        );
    }
    let mut scene = declined_capture(r#"{"capture_at":"2027-02-01T06:00:00Z"}"#, false);
    scene.now = start() + DAY * 6 - TICK;
    assert_eq!(scene.next(), Next::Send(capture_of(1500)));
    scene.pass(TICK);
    assert_eq!(scene.next(), stuck(ParkReason::HoldLost));
}

#[test]
fn a_person_gets_one_more_try_after_the_plans_end() {
    let mut scene = declined_capture("{}", true);
    scene.now = start() + DAY * 6;
    scene.settle();
    scene.command(rerun());
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.tries = vec![failed_try(TryKind::Capture, "stolen_card")];
    scene.look_at(seen);
    assert_eq!(scene.next(), Next::Send(capture_of(1500)));
    scene.answer(&declined());
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.tries = vec![failed_try(TryKind::Capture, "stolen_card"); 2];
    scene.look_at(seen);
    let lost = Next::Settle(Event::Stuck(ParkReason::HoldLost));
    assert_eq!(scene.next(), lost, "one, and no second one");
}

#[test]
fn a_release_that_is_refused_ends_with_the_hold() {
    let mut scene = exact(held("{}"));
    scene.command(Command::Release);
    scene.answer(&declined());
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.tries = vec![failed_try(TryKind::Release, "stolen_card")];
    scene.look_at(seen);
    scene.now = start() + DAY * 6 - TICK;
    assert_eq!(scene.next(), Next::Send(Step::Release));
    scene.pass(TICK);
    let refused = ParkReason::ReleaseRefused;
    assert_eq!(scene.next(), Next::Settle(Event::Stuck(refused)));
}

#[test]
fn an_unreachable_gateway_is_tried_for_as_long_as_the_hold_lasts() {
    let mut scene = exact(held("{}"));
    scene.command(capture(1500));
    let end = start() + DAY * 6;
    while scene.now < end {
        match scene.next() {
            Next::Send(_) => _ = scene.answer(&never_left()),
            Next::WaitUntil(at) => {
                assert!(at <= end, "no wait goes beyond the end of the hold");
                scene.until_due();
            }
            next => panic!("{next:?}"),
        }
    }
    let unreachable = ParkReason::GatewayUnreachable;
    assert_eq!(scene.next(), Next::Settle(Event::Stuck(unreachable)));
}

#[test]
fn links_are_handed_out_only_while_the_payer_may_pay() {
    let private = |text: &str| Private::new(text.to_owned());
    let links = Links {
        checkout: Some(private("https://gate.example/p/")),
        direct_post: Some(private("https://gate.example/d/")),
    };
    let linked = |request: Request| {
        let mut scene = Scene::new(request, UnknownPolicy::Park);
        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.links = links.clone();
        scene.answer(&Answer::Shown(Box::new(seen)));
        scene
    };
    let mut scene = linked(by_checkout("{}"));
    let handed_out = |scene: &Scene| {
        let links = scene.payment.payable_links();
        (links.checkout.is_some(), links.direct_post.is_some())
    };
    assert_eq!(handed_out(&scene), (true, true));
    scene.payment.nudged(1);
    scene.look(Standing::Payable);
    assert_eq!(handed_out(&scene), (true, true), "a look that shows none");
    scene.payment.nudged(2);
    scene.look(Standing::Held);
    assert_eq!(handed_out(&scene), (false, false), "it was paid");
    assert_eq!(handed_out(&linked(charge())), (false, false), "nobody's");
    assert_eq!(handed_out(&linked(save_card())), (true, true));
}

#[test]
fn when_a_payment_finished_is_told_once_it_has() {
    let mut scene = charged(UnknownPolicy::Park);
    assert_eq!(scene.payment.finished_at(), None);
    scene.pass(MINUTE);
    scene.show(Standing::Paid);
    assert_eq!(scene.payment.finished_at(), Some(start() + MINUTE));
    let mut states = scene.payment.history().iter().map(|change| change.to);
    assert!(states.by_ref().eq([StateName::New, StateName::Paid]));
}

#[test]
fn what_a_payment_may_take_is_what_was_asked_decided_or_planned() {
    let may_take = |scene: &Scene| scene.payment.money_to_take().map(|m| m.amount.minor());
    let new = |request| Scene::new(request, UnknownPolicy::Park);
    assert_eq!(may_take(&new(charge())), Some(1500));
    assert_eq!(may_take(&new(save_card())), None);
    assert_eq!(may_take(&new(adopt())), Some(1500));
    assert_eq!(may_take(&held(r#"{"capture_amount":900}"#)), Some(900));
    let mut scene = held(r#"{"capture_amount":900}"#);
    scene.command(capture(700));
    assert_eq!(may_take(&scene), Some(700));
    let mut scene = held("{}");
    scene.command(Command::Release);
    assert_eq!(may_take(&scene), None);
}

#[test]
fn a_wait_that_the_gateway_asks_for_is_kept_up_to_the_longest_allowed() {
    let seconds = TimeDelta::seconds;
    for (asked_ms, at_create, at_charge) in [
        (None, seconds(1), seconds(2)),
        (Some(1), seconds(1), seconds(2)),
        (Some(30_000), seconds(30), seconds(30)),
        (Some(600_000), seconds(60), seconds(60)),
    ] {
        let limited = Answer::RateLimited {
            retry_after_ms: asked_ms,
        };
        let mut scene = exact(Scene::new(charge(), UnknownPolicy::Park));
        assert_eq!(scene.answer(&limited), Step::Create);
        assert_eq!(wait(&scene), at_create);
        scene.until_due();
        scene.show(Standing::Payable);
        assert_eq!(scene.answer(&limited), Step::Charge);
        assert_eq!(wait(&scene), at_charge);
        scene.until_due();
        let failed = LookUp::Failed {
            why: "rate_limited".into(),
            denied: Denial::No,
            retry_after_ms: asked_ms,
        };
        let (policy, now) = (scene.policy.clone(), scene.now);
        scene.payment.looked_up(&failed, now, &policy);
        assert_eq!(wait(&scene), at_charge.max(seconds(5)));
    }
}

/// A charge whose call is noted, and which was parked at once for want of an answer.
fn noted_and_parked() -> Scene {
    let mut scene = charged(UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let number = scene.payment.open(Step::Charge, scene.now, &policy);
    assert_eq!(number, Some(2));
    scene.payment.sign_open("one");
    scene
}

#[test]
fn a_doubt_that_turns_out_to_be_none_is_looked_at_again_within_a_minute_only() {
    for (time, again) in [(MINUTE, true), (MINUTE + TICK, false)] {
        let mut scene = noted_and_parked();
        scene.pass(QUIET);
        scene.look(Standing::Payable);
        scene.pass(time);
        let (policy, now) = (scene.policy.clone(), scene.now);
        assert!(scene.payment.never_sent(2, "one", now, &policy));
        assert_eq!(scene.payment.asked(), (again, again), "{time}");
    }
}

#[test]
fn what_was_parked_for_another_reason_stays_parked_when_nothing_was_sent() {
    let mut scene = noted_and_parked();
    while !matches!(scene.next(), Next::Settle(_)) {
        scene.until_due();
        if scene.next() == Next::LookUp {
            failed_get(&mut scene);
        }
    }
    scene.settle();
    let (policy, now) = (scene.policy.clone(), scene.now);
    assert!(scene.payment.never_sent(2, "one", now, &policy));
    assert_eq!(scene.payment.asked(), (false, false));
    assert_eq!(scene.state(), StateName::Parked);
}

fn refused(code: &str, denied: bool) -> Answer {
    Answer::NoEffect {
        code: code.into(),
        denied,
    }
}

#[test]
fn only_what_no_look_can_mend_is_parked_as_refused_at_once() {
    for (answer, parked) in [
        (refused("not_found", false), true),
        (refused("authentication_failed", true), true),
        (refused("amount.max_value", false), false),
    ] {
        let mut scene = charged(UnknownPolicy::Park);
        scene.answer(&answer);
        assert_eq!(scene.state() == StateName::Parked, parked, "{answer:?}");
    }
}

#[test]
fn a_refusal_proves_something_as_long_as_every_charge_before_it_was_explained() {
    let denied = refused("authentication_failed", true);
    let mut scene = Scene::new(charge(), UnknownPolicy::ResendSame);
    assert_eq!(scene.answer(&Scene::unknown()), Step::Create);
    scene.until_due();
    scene.show(Standing::Payable);
    scene.answer(&declined());
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "insufficient_funds")];
    scene.look_at(seen);
    scene.until_due();
    assert_eq!(scene.answer(&denied), Step::Charge);
    assert_eq!(scene.state(), StateName::Parked);
}

fn not_found(scene: &mut Scene, nudges: u64) {
    scene.payment.nudged(nudges);
    assert_eq!(scene.next(), Next::LookUp);
    let (policy, now) = (scene.policy.clone(), scene.now);
    scene.payment.looked_up(&LookUp::NotFound, now, &policy);
}

#[test]
fn a_hold_is_missing_after_three_looks_over_a_whole_quiet_period() {
    for (times, missing) in [
        (&[TimeDelta::zero(), MINUTE, QUIET][..], true),
        (&[TimeDelta::zero(), MINUTE, QUIET - TICK], false),
        (&[TimeDelta::zero(), QUIET], false),
        (&[TimeDelta::zero(), QUIET, QUIET], true),
    ] {
        let mut scene = held("{}");
        let begin = scene.now;
        for (nudges, time) in (1..).zip(times) {
            scene.now = begin + *time;
            not_found(&mut scene, nudges);
        }
        assert_eq!(scene.state() == StateName::Parked, missing, "{times:?}");
    }
}

#[test]
fn a_purchase_is_not_missing_while_a_call_on_it_may_be_on_its_way() {
    let mut scene = held("{}");
    not_found(&mut scene, 1);
    scene.pass(MINUTE);
    not_found(&mut scene, 2);
    scene.pass(QUIET - MINUTE * 2);
    scene.command(capture(1500));
    scene.answer(&Scene::unknown());
    scene.pass(MINUTE);
    not_found(&mut scene, 3);
    assert_eq!(scene.state(), StateName::Held);
    scene.pass(QUIET - MINUTE);
    not_found(&mut scene, 4);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn an_adopted_hold_that_was_seen_is_not_missing_at_the_first_look_in_vain() {
    let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Held);
    not_found(&mut scene, 1);
    assert_eq!(scene.state(), StateName::Held);
}

#[test]
fn a_webhook_that_was_counted_before_asks_for_nothing() {
    let mut scene = held("{}");
    scene.payment.nudged(2);
    scene.look(Standing::Held);
    for counted in [2, 1, 0] {
        scene.payment.nudged(counted);
        assert_eq!(scene.payment.asked(), (false, false), "{counted}");
    }
    scene.payment.nudged(3);
    assert_eq!(scene.payment.asked(), (true, false));
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    scene.payment.nudged(1);
    assert_eq!(scene.next(), Next::Send(Step::Create), "nothing to look at");
}

#[test]
fn no_attempt_is_opened_beside_another_one_or_on_what_has_ended() {
    let mut scene = charged(UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let opened = scene.payment.open(Step::Charge, scene.now, &policy);
    assert_eq!(opened, Some(2));
    assert_eq!(scene.payment.open(Step::Cancel, scene.now, &policy), None);
    assert_eq!(scene.payment.attempts().len(), 2);
    let mut scene = charged(UnknownPolicy::Park);
    scene.show(Standing::Paid);
    assert_eq!(scene.payment.open(Step::Charge, scene.now, &policy), None);
    assert_eq!(scene.payment.attempts().len(), 2);
}

#[test]
fn a_link_is_made_until_just_before_it_would_be_dead() {
    let pay_by = start() + TimeDelta::hours(1);
    let link = r#""checkout":{"pay_by":"2027-01-31T07:00:00Z"}"#;
    let customer = r#""customer":{"email":"a@b.example"}"#;
    for request in [
        authorize(&format!("{{{link}}}"), "{}"),
        request(&format!(r#""type":"save_card",{link},{customer}"#)),
    ] {
        let mut scene = Scene::new(request, UnknownPolicy::Park);
        assert!(!scene.payment.is_too_late(pay_by - TICK));
        assert!(scene.payment.is_too_late(pay_by));
        scene.now = pay_by - TICK;
        scene.show(Standing::Payable);
        assert!(!scene.payment.is_too_late(pay_by), "the gateway ends it");
    }
}

#[test]
fn a_charge_that_is_parked_is_not_sealed_for_the_time_that_passes() {
    let mut scene = charge_until(start() + DAY);
    scene.show(Standing::Payable);
    scene.answer(&refused("authentication_failed", true));
    assert_eq!(scene.state(), StateName::Parked);
    assert!(!scene.payment.is_too_late(start() + DAY * 2));
}

#[test]
fn the_history_has_every_state_once_for_each_time_it_was_entered() {
    let mut scene = parked_in_doubt();
    scene.command(rerun());
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked, "again, or still");
    scene.command(rerun());
    scene.look(Standing::Paid);
    let states: Vec<_> = scene.payment.history().iter().map(|c| c.to).collect();
    assert_eq!(states, [StateName::New, StateName::Parked, StateName::Paid]);
}

#[test]
fn what_another_purchase_shows_is_not_kept() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.payment.nudged(1);
    let mut other = sighting(&scene.payment, Standing::Payable);
    other.purchase = PurchaseId::new("another").unwrap();
    other.due = Some(start());
    other.tries = vec![failed_try(TryKind::Pay, "stolen_card")];
    let before = scene.payment.purchase().cloned();
    scene.look_at(other);
    assert_eq!(scene.payment.purchase().cloned(), before);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_planned_capture_that_never_left_may_still_become_a_release() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;
    let mut scene = held(plan);
    scene.until_due();
    scene.answer(&never_left());
    assert_eq!(scene.payment.decision(), None);
    scene.now = start() + DAY * 2;
    assert_eq!(scene.next(), Next::Send(Step::Release));
    let mut scene = held(plan);
    scene.command(capture(900));
    scene.answer(&never_left());
    assert!(scene.payment.decision().is_some(), "a command stands");
}

#[test]
fn a_gateway_that_answered_is_reachable_and_its_ladder_begins_anew() {
    for code in ["stolen_card", "insufficient_funds"] {
        let mut scene = exact(held(r#"{"expires_at":"2027-03-02T00:00:00Z"}"#));
        scene.command(capture(1500));
        for _ in 0..3 {
            scene.answer(&never_left());
            scene.until_due();
        }
        scene.answer(&declined());
        let mut seen = sighting(&scene.payment, Standing::Held);
        seen.tries = vec![failed_try(TryKind::Capture, code)];
        scene.look_at(seen);
        scene.until_due();
        scene.answer(&never_left());
        assert_eq!(wait(&scene), TimeDelta::seconds(1), "the first rung");
    }
}

#[test]
fn a_call_that_never_left_is_not_hurried_by_the_end_of_the_hold() {
    let mut scene = exact(held("{}"));
    let end = start() + DAY * 6;
    scene.now = end - TimeDelta::milliseconds(500);
    scene.command(capture(1500));
    scene.answer(&never_left());
    assert_eq!(
        scene.next(),
        Next::WaitUntil(end),
        "for what the end brings"
    );
    let again = end + TimeDelta::milliseconds(500);
    for late in [end, end + TICK] {
        scene.now = late;
        assert_eq!(scene.next(), Next::WaitUntil(again));
    }
}

#[test]
fn the_version_of_a_stored_payment_is_the_one_it_was_written_in() {
    let scene = Scene::new(charge(), UnknownPolicy::Park);
    let mut stored = serde_json::to_value(&scene.payment).unwrap();
    for version in [1, 7] {
        stored["v"] = version.into();
        let read: Payment = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(read.body_version(), version);
    }
}

#[test]
fn a_parked_call_that_is_seen_under_way_rests_unless_somebody_asked() {
    for (asked, rests) in [(false, true), (true, false)] {
        let mut scene = parked_in_doubt();
        scene.until_due();
        if asked {
            scene.command(rerun());
        }
        scene.look(Standing::Pending);
        assert_eq!(scene.state() == StateName::Parked, rests);
        assert_eq!(wait(&scene) >= DAY, rests, "asked: {asked}");
    }
}

#[test]
fn a_saved_card_where_a_hold_was_asked_for_is_a_contradiction() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.until_due();
    scene.look(Standing::CardSaved);
    let State::Parked { reason, .. } = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    let what = Mismatch::Kind;
    assert_eq!(*reason, ParkReason::Contradiction { what });
}

#[test]
fn a_charge_that_was_seen_under_way_is_given_up_by_a_person_after_the_quiet_period_only() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.until_due();
    scene.look(Standing::Pending);
    while !matches!(scene.next(), Next::Settle(_)) {
        scene.until_due();
        if scene.next() == Next::LookUp {
            scene.look(Standing::Payable);
        }
    }
    scene.settle();
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.look(Standing::Pending);
    scene.pass(QUIET - TICK);
    scene.look(Standing::Payable);
    assert!(scene.payment.open_attempt().is_some(), "it may go through");
    scene.until_due();
    scene.look(Standing::Payable);
    assert_eq!(last_verdict(&scene), Some(&Verdict::DidNotHappen));
    assert_eq!(scene.next(), Next::Send(Step::Cancel));
}

#[test]
fn a_charge_whose_answer_shows_it_still_to_be_paid_left_no_trace() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.show(Standing::Payable);
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.next(), Next::Send(Step::Charge));
}
