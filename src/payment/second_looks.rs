//! Parked payments that move again, searches that must end, and answers that look like others.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

fn denied() -> Answer {
    Answer::NoEffect {
        code: "authentication_failed".into(),
        denied: true,
    }
}

fn tried(scene: &Scene, standing: Standing, kind: TryKind, code: &str) -> Sighting {
    let mut seen = sighting(&scene.payment, standing);
    seen.tries = vec![failed_try(kind, code)];
    seen
}

#[test]
fn a_park_uses_up_the_rerun_that_led_to_it() {
    let mut scene = held("{}");
    scene.command(capture(1500));
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Parked);
    scene.command(rerun());
    let seen = tried(
        &scene,
        Standing::Held,
        TryKind::Capture,
        "acquirer_configuration_error",
    );
    scene.look_at(seen.clone());
    assert_eq!(scene.state(), StateName::Parked);
    scene.payment.nudged(1);
    scene.look_at(seen);
    assert_eq!(
        scene.state(),
        StateName::Parked,
        "a webhook took it up again"
    );
}

#[test]
fn a_rerun_that_meets_a_pending_purchase_sends_nothing() {
    for standing in [Standing::Pending, Standing::Other("new_status".into())] {
        let mut scene = charged(UnknownPolicy::Park);
        scene.answer(&denied());
        assert_eq!(scene.state(), StateName::Parked);
        scene.command(rerun());
        scene.look(standing.clone());
        assert!(!matches!(scene.next(), Next::Send(_)), "{standing:?}");
        scene.until_due();
        scene.look(Standing::Payable);
        assert_eq!(
            scene.next(),
            Next::Send(Step::Charge),
            "asked for, and free"
        );
    }
}

#[test]
fn nothing_is_sent_while_the_gateway_is_busy_with_it() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let seen = tried(
        &scene,
        Standing::Payable,
        TryKind::Pay,
        "insufficient_funds",
    );
    scene.look_at(seen);
    scene.payment.nudged(1);
    scene.look(Standing::Pending);
    scene.pass(TimeDelta::days(2));
    assert_eq!(scene.next(), Next::LookUp, "the ladder's next charge waits");
}

#[test]
fn a_new_plan_does_not_charge_a_parked_payment_again() {
    let mut scene = Scene::new(by_token("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.answer(&denied());
    let answer = scene.command(Command::Reschedule {
        capture_at: Some(scene.now + TimeDelta::days(2)),
        capture_amount: None,
        release_at: None,
    });
    assert_eq!(answer, CommandAnswer::Accepted);
    scene.until_due();
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn capture_on_parked_survives_one_failed_get_however_long_it_was_parked() {
    let mut scene = held(r#"{"before_expiry":"park"}"#);
    scene.until_due();
    scene.settle();
    scene.until_due();
    failed_get(&mut scene);
    for _ in 0..3 {
        scene.until_due();
        scene.look(Standing::Held);
    }
    assert_eq!(scene.command(capture(1500)), CommandAnswer::Accepted);
    failed_get(&mut scene);
    scene.until_due();
    scene.look(Standing::Held);
    assert!(matches!(scene.next(), Next::Send(Step::Capture { .. })));
}

#[test]
fn after_a_long_silence_the_machine_looks_before_it_gives_up() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.until_due();
    failed_get(&mut scene);
    scene.pass(TimeDelta::days(3));
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn after_a_long_silence_a_call_is_tried_before_the_gateway_is_called_unreachable() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    let away = Answer::NotSent {
        why: "refused".into(),
    };
    scene.answer(&away);
    scene.pass(TimeDelta::days(3));
    assert_eq!(scene.next(), Next::Send(Step::Create));
    scene.answer(&away);
    assert!(
        matches!(scene.next(), Next::WaitUntil(_)),
        "one failure now, and one days ago, are no reason to give up"
    );
    let end = scene.now + TimeDelta::days(2);
    while scene.now < end && !matches!(scene.next(), Next::Settle(_)) {
        scene.until_due();
        if matches!(scene.next(), Next::Send(_)) {
            scene.answer(&away);
        }
    }
    assert!(
        matches!(
            scene.next(),
            Next::Settle(Event::Stuck(ParkReason::GatewayUnreachable))
        ),
        "{:?}",
        scene.next()
    );
}

#[test]
fn a_rescheduled_release_starts_its_ladder_anew() {
    let mut scene = held(r#"{"release_at":"2027-02-01T06:00:00Z"}"#);
    scene.until_due();
    scene.answer(&Answer::NotSent {
        why: "refused".into(),
    });
    let later = scene.now + TimeDelta::days(3);
    let answer = scene.command(Command::Reschedule {
        capture_at: None,
        capture_amount: None,
        release_at: Some(later),
    });
    assert_eq!(answer, CommandAnswer::Accepted);
    scene.until_due();
    assert_eq!(
        (scene.now, scene.next()),
        (later, Next::Send(Step::Release))
    );
    scene.answer(&Answer::Conflict {
        code: "purchase_release_wrong_status".into(),
    });
    scene.look(Standing::Held);
    assert!(
        matches!(scene.next(), Next::WaitUntil(_)),
        "{:?}",
        scene.next()
    );
}

#[test]
fn an_accepted_capture_on_a_parked_hold_outlives_an_outage_of_look_ups() {
    for missing in [false, true] {
        let mut scene = held(r#"{"before_expiry":"park"}"#);
        scene.until_due();
        scene.settle();
        assert_eq!(scene.command(capture(1500)), CommandAnswer::Accepted);
        let end = scene.now + TimeDelta::hours(30);
        while scene.now < end {
            if missing && scene.now > end - TimeDelta::hours(29) {
                let policy = scene.policy.clone();
                let (look, now) = (LookUp::NotFound, scene.now);
                scene.payment.looked_up(&look, now, &policy);
            } else {
                failed_get(&mut scene);
            }
            scene.until_due();
        }
        scene.look(Standing::Held);
        assert!(
            matches!(scene.next(), Next::Send(Step::Capture { .. })),
            "missing: {missing}, {:?}",
            scene.next()
        );
    }
}

#[test]
fn looks_that_came_to_nothing_do_not_count_as_missing() {
    let mut scene = held(r#"{"capture_at":"2027-02-04T06:00:00Z"}"#);
    scene.payment.nudged(1);
    for _ in 0..7 {
        failed_get(&mut scene);
        scene.until_due();
    }
    let policy = scene.policy.clone();
    let now = scene.now;
    scene.payment.looked_up(&LookUp::NotFound, now, &policy);
    assert_eq!(scene.state(), StateName::Held);
}

#[test]
fn nothing_is_sent_on_a_purchase_last_seen_paid() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let seen = tried(
        &scene,
        Standing::Payable,
        TryKind::Pay,
        "insufficient_funds",
    );
    scene.look_at(seen);
    scene.payment.nudged(1);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.taken = None;
    scene.look_at(seen);
    scene.pass(TimeDelta::days(2));
    assert_eq!(scene.next(), Next::LookUp);
}

#[test]
fn a_listed_success_is_never_closed_as_did_not_happen() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![Try {
        kind: TryKind::Pay,
        successful: true,
        code: None,
    }];
    scene.look_at(seen);
    assert!(scene.payment.open_attempt().is_some());
    assert_ne!(scene.next(), Next::Send(Step::Cancel));
}

#[test]
fn a_release_in_doubt_is_sent_again_after_the_quiet_period() {
    let mut scene = held("{}");
    scene.command(Command::Release);
    scene.answer(&Scene::unknown());
    let seen = tried(&scene, Standing::Held, TryKind::Release, "timeout");
    scene.until_due();
    scene.look_at(seen.clone());
    assert!(
        !matches!(scene.next(), Next::Send(_)),
        "it may be under way"
    );
    scene.pass(QUIET);
    scene.look_at(seen);
    scene.until_due();
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_hold_that_came_and_went_unseen_ends_when_a_person_asks() {
    for (standing, state) in [
        (Standing::Released, StateName::Released),
        (Standing::Paid, StateName::Paid),
    ] {
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        scene.show(Standing::Payable);
        scene.payment.nudged(1);
        scene.look(standing.clone());
        assert_eq!(scene.state(), StateName::Parked, "nobody asked for it");
        scene.command(rerun());
        scene.look(standing);
        assert_eq!(scene.state(), state);
    }
}

#[test]
fn a_cancel_after_a_capture_or_a_release_was_sent_is_too_late() {
    for command in [capture(900), Command::Release] {
        let mut scene = held("{}");
        scene.command(command);
        scene.answer(&Scene::unknown());
        for late in [Command::Cancel, Command::Release, capture(900)] {
            assert_eq!(scene.command(late), CommandAnswer::TooLateInDoubt);
        }
    }
}

#[test]
fn an_accepted_cancel_is_carried_out_whatever_the_charge_turned_out_to_be() {
    for code in [
        "insufficient_funds",
        "acquirer_configuration_error",
        "stolen_card",
    ] {
        let mut scene = charged(UnknownPolicy::Park);
        scene.answer(&Scene::unknown());
        scene.pass(QUIET);
        scene.look(Standing::Payable);
        assert_eq!(scene.state(), StateName::Parked);
        assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
        let seen = tried(&scene, Standing::Payable, TryKind::Pay, code);
        scene.look_at(seen);
        assert_eq!(scene.next(), Next::Send(Step::Cancel), "{code}");
    }
}

#[test]
fn two_404s_days_apart_do_not_stop_a_planned_capture() {
    let mut scene = held(r#"{"capture_at":"2027-02-04T06:00:00Z"}"#);
    let missing = |scene: &mut Scene, nudge| {
        scene.payment.nudged(nudge);
        assert_eq!(scene.next(), Next::LookUp);
        let policy = scene.policy.clone();
        scene
            .payment
            .looked_up(&LookUp::NotFound, scene.now, &policy);
    };
    missing(&mut scene, 1);
    scene.until_due();
    scene.look(Standing::Held);
    scene.pass(TimeDelta::days(2));
    missing(&mut scene, 2);
    assert_eq!(scene.state(), StateName::Held);
    scene.until_due();
    scene.look(Standing::Held);
    scene.until_due();
    assert!(matches!(scene.next(), Next::Send(Step::Capture { .. })));
}

#[test]
fn a_look_at_a_hold_that_came_to_nothing_is_made_again() {
    let mut scene = held("{}");
    scene.payment.nudged(1);
    failed_get(&mut scene);
    let due = scene.payment.due(scene.now, &scene.policy).unwrap();
    assert!(due - scene.now <= TimeDelta::seconds(10), "{due}");
}

#[test]
fn a_refused_cancel_does_not_free_the_release_it_led_to() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.command(Command::Cancel);
    scene.answer(&denied());
    assert_eq!(scene.state(), StateName::Parked);
    scene.until_due();
    scene.look(Standing::Held);
    assert_eq!(scene.next(), Next::Send(Step::Release));
    assert_eq!(scene.command(capture(1500)), CommandAnswer::AlreadyDecided);
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_cancel_that_lost_to_a_saved_card_is_not_done() {
    let mut scene = Scene::new(save_card(), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.command(Command::Cancel);
    scene.answer(&Scene::unknown());
    scene.until_due();
    scene.look(Standing::CardSaved);
    assert_eq!(scene.state(), StateName::Saved);
    assert_eq!(last_verdict(&scene), Some(&Verdict::DidNotHappen));
}

#[test]
fn a_cancel_of_a_declined_payment_keeps_the_reason() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let seen = tried(&scene, Standing::Payable, TryKind::Pay, "stolen_card");
    scene.look_at(seen);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.show(Standing::Cancelled);
    scene.look(Standing::Cancelled);
    let State::Failed(FailReason::Declined { code }) = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    assert_eq!(code, "stolen_card");
}

#[test]
fn a_refusal_without_a_listed_try_is_a_decline_once_nothing_more_can_come() {
    for unknown in [UnknownPolicy::Park, UnknownPolicy::ResendSame] {
        let mut scene = charged(unknown);
        scene.answer(&Answer::Declined {
            code: "purchase_charge_error".into(),
        });
        scene.look(Standing::Payable);
        assert!(!matches!(scene.next(), Next::Send(_)));
        scene.pass(QUIET);
        scene.look(Standing::Payable);
        assert_eq!(scene.next(), Next::Send(Step::Cancel), "{unknown:?}");
    }
}

#[test]
fn a_call_the_gateway_will_not_take_is_parked_as_refused_and_not_sent_again() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Answer::Conflict {
        code: "purchase_charge_wrong_status".into(),
    });
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    let State::Parked { reason, .. } = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    let code = "purchase_charge_wrong_status".to_owned();
    assert_eq!(*reason, ParkReason::Refused { code });
}

#[test]
fn a_charge_that_was_seen_pending_is_never_sent_again_on_a_stale_sighting() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.until_due();
    scene.look(Standing::Pending);
    scene.pass(QUIET * 3);
    for _ in 0..3 {
        scene.look(Standing::Payable);
        assert!(!matches!(scene.next(), Next::Send(_)));
        scene.until_due();
    }
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn paid_without_a_word_of_how_much_is_looked_at_again() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.until_due();
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.taken = None;
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::New);
    scene.until_due();
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_link_whose_time_passed_before_it_was_made_is_never_made() {
    let link = r#"{"checkout":{"pay_by":"2027-01-31T07:00:00Z"}}"#;
    let mut scene = Scene::new(authorize(link, "{}"), UnknownPolicy::Park);
    scene.pass(TimeDelta::hours(1));
    scene.settle();
    assert_eq!(
        *scene.payment.state(),
        State::Failed(FailReason::Expired),
        "nothing was made, so nothing can be paid"
    );
}

#[test]
fn only_the_claim_that_opened_an_attempt_can_say_that_it_was_never_sent() {
    let mut scene = charged(UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let number = scene
        .payment
        .open(Step::Charge, scene.now, &policy)
        .unwrap();
    scene.payment.sign_open("one");
    assert!(!scene.payment.never_sent(number, "two", scene.now, &policy));
    assert!(
        !scene
            .payment
            .never_sent(number - 1, "one", scene.now, &policy)
    );
    assert!(scene.payment.never_sent(number, "one", scene.now, &policy));
    assert_eq!(last_verdict(&scene), Some(&Verdict::NotSent));
    scene.until_due();
    assert_eq!(scene.next(), Next::Send(Step::Charge), "nothing happened");
}

#[test]
fn a_payment_parked_a_moment_ago_is_looked_at_when_it_turns_out_that_nothing_was_sent() {
    for days in [0, 3] {
        let mut scene = parked_and_never_sent();
        scene.pass(TimeDelta::days(days));
        let (policy, now) = (scene.policy.clone(), scene.now);
        assert!(scene.payment.never_sent(2, "one", now, &policy));
        assert_eq!(scene.state(), StateName::Parked);
        if days > 0 {
            assert!(!scene.payment.asked().1, "a person may have settled it");
            continue;
        }
        scene.look(Standing::Payable);
        assert_eq!(scene.next(), Next::Send(Step::Charge), "after a look");
    }
}

fn parked_and_never_sent() -> Scene {
    let mut scene = charged(UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let number = scene
        .payment
        .open(Step::Charge, scene.now, &policy)
        .unwrap();
    scene.payment.sign_open("one");
    assert_eq!(number, 2);
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
    scene
}

#[test]
fn how_often_a_call_was_looked_for_and_what_was_seen_is_kept() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.until_due();
    scene.look(Standing::Payable);
    scene.until_due();
    failed_get(&mut scene);
    let looks = scene.payment.attempts().last().unwrap().looks.clone();
    let looks = looks.unwrap();
    assert_eq!((looks.count, looks.last_at), (2, scene.now));
    assert_eq!(looks.last_saw, "nothing");
}

#[test]
fn a_key_refused_after_an_unknown_call_proves_nothing() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.answer(&denied());
    assert_eq!(scene.state(), StateName::New, "not given up as refused");
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn the_quiet_period_begins_with_the_last_sign_of_the_call() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    let policy = scene.policy.clone();
    let number = scene
        .payment
        .open(Step::Charge, scene.now, &policy)
        .unwrap();
    scene.pass(TimeDelta::minutes(1));
    let unknown = Scene::unknown();
    scene.payment.answered(number, &unknown, scene.now, &policy);
    scene.pass(QUIET - MINUTE);
    scene.look(Standing::Payable);
    assert!(!matches!(scene.next(), Next::Send(_)), "a minute too early");
    scene.pass(MINUTE * 5);
    scene.look(Standing::Payable);
    assert_eq!(scene.next(), Next::Send(Step::Charge));
}

#[test]
fn a_gateway_that_shows_nothing_for_long_parks_an_adoption_and_keeps_a_planned_hold() {
    let failing = |scene: &mut Scene, end: Timestamp| {
        while scene.now < end {
            match scene.next() {
                Next::LookUp => failed_get(scene),
                Next::WaitUntil(_) => scene.until_due(),
                Next::Settle(_) => return scene.settle(),
                next => panic!("{next:?}"),
            }
        }
    };
    let mut adopted = Scene::new(adopt(), UnknownPolicy::Park);
    let end = adopted.now + TimeDelta::days(3);
    failing(&mut adopted, end);
    assert_eq!(adopted.state(), StateName::Parked);

    let mut planned = held(r#"{"capture_at":"2027-02-03T06:00:00Z"}"#);
    planned.payment.nudged(1);
    let end = planned.now + TimeDelta::days(2);
    failing(&mut planned, end);
    assert_eq!(planned.state(), StateName::Held);
    planned.until_due();
    assert!(matches!(planned.next(), Next::Send(Step::Capture { .. })));
}

#[test]
fn a_seal_over_a_charge_that_was_never_explained_is_read_again_a_quiet_period_later() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.command(Command::Cancel);
    scene.look(Standing::Payable);
    scene.show(Standing::Cancelled);
    let first = scene.now;
    // However often somebody asks for a look before.
    for nudge in 1..4 {
        scene.pass(MINUTE);
        scene.payment.nudged(nudge);
        scene.look(Standing::Cancelled);
        assert_eq!(scene.state(), StateName::New, "too early to be sure");
    }
    scene.until_due();
    assert_eq!(scene.now - first, QUIET);
    // The gateway had cancelled under a charge that went through after all.
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

/// A charge of which the acquirer's code leaves open what it did, parked after a day of looking.
fn parked_with_a_doubtful_code() -> Scene {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    while scene.state() != StateName::Parked {
        scene.until_due();
        match scene.next() {
            Next::LookUp => {
                let seen = tried(&scene, Standing::Payable, TryKind::Pay, "timeout");
                scene.look_at(seen);
            }
            Next::Settle(_) => scene.settle(),
            next => panic!("{next:?}"),
        }
    }
    scene
}

#[test]
fn a_seal_over_a_charge_that_is_in_doubt_is_read_again_a_quiet_period_later() {
    let mut scene = parked_with_a_doubtful_code();
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    let seen = tried(&scene, Standing::Payable, TryKind::Pay, "timeout");
    scene.look_at(seen);
    let code = "timeout".to_owned();
    assert_eq!(last_verdict(&scene), Some(&Verdict::Declined { code }));
    scene.show(Standing::Cancelled);
    let first = scene.now;
    scene.pass(MINUTE);
    scene.payment.nudged(1);
    scene.look(Standing::Cancelled);
    assert_eq!(scene.state(), StateName::New, "too early to be sure");
    scene.until_due();
    assert_eq!(scene.now - first, QUIET);
    // The acquirer's own check came in, and the gateway had cancelled under it.
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_seal_over_a_charge_that_was_declined_for_good_is_read_again_at_once() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.until_due();
    let seen = tried(&scene, Standing::Payable, TryKind::Pay, "stolen_card");
    scene.look_at(seen);
    scene.show(Standing::Cancelled);
    scene.look(Standing::Cancelled);
    assert_eq!(scene.state(), StateName::Failed);
}

#[test]
fn a_seal_beside_money_that_is_listed_as_taken_is_not_believed() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.command(Command::Cancel);
    scene.look(Standing::Payable);
    scene.answer(&Scene::unknown());
    let mut seen = sighting(&scene.payment, Standing::Cancelled);
    seen.tries = vec![Try {
        kind: TryKind::Pay,
        successful: true,
        code: None,
    }];
    let end = scene.now + TimeDelta::days(3);
    while scene.now < end && scene.state() != StateName::Parked {
        scene.until_due();
        match scene.next() {
            Next::LookUp => scene.look_at(seen.clone()),
            Next::Settle(_) => scene.settle(),
            next => panic!("{next:?}"),
        }
    }
    assert_eq!(scene.state(), StateName::Parked, "a person must look");
}
