//! Cases that are easy to get wrong: commands on parked payments, holds that others end, ladders
//! that must end.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

fn held_with(plan: &str, unknown: UnknownPolicy) -> Scene {
    let mut scene = Scene::new(by_token(plan), unknown);
    scene.show(Standing::Payable);
    scene.show(Standing::Held);
    assert_eq!(scene.state(), StateName::Held);
    scene
}
fn linked() -> Scene {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene
}
fn conflict() -> Answer {
    Answer::Conflict {
        code: "purchase_x_wrong_status".into(),
    }
}
fn days(n: i64) -> Timestamp {
    start() + TimeDelta::days(n)
}

#[test]
fn capture_on_parked_survives_one_failed_get() {
    let mut scene = held_with(r#"{"before_expiry":"park"}"#, UnknownPolicy::Park);
    scene.until_due();
    scene.settle();
    assert_eq!(scene.command(capture(1500)), CommandAnswer::Accepted);
    failed_get(&mut scene);
    let next = scene.next();
    assert!(
        !matches!(next, Next::WaitUntil(at) if at - scene.now >= TimeDelta::hours(23)),
        "{next:?}"
    );
}
#[test]
fn a_capture_on_a_parked_hold_is_carried_out_at_the_next_look_that_says_something() {
    let mut scene = held_with(r#"{"before_expiry":"park"}"#, UnknownPolicy::Park);
    scene.until_due();
    scene.settle();
    scene.command(capture(1500));
    failed_get(&mut scene);
    scene.until_due();
    scene.look(Standing::Held);
    assert!(
        matches!(scene.next(), Next::Send(Step::Capture { .. })),
        "{:?} {:?}",
        scene.state(),
        scene.next()
    );
}
#[test]
fn cancel_on_parked_survives_one_failed_get() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    failed_get(&mut scene);
    for _ in 0..10 {
        scene.until_due();
        if scene.next() == Next::LookUp {
            scene.look(Standing::Payable);
        }
    }
    assert_eq!(
        scene.next(),
        Next::Send(Step::Cancel),
        "{:?}",
        scene.payment.state()
    );
}
#[test]
fn reschedule_into_the_guards_time_is_not_accepted_and_released_instead() {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    let at = days(5) + TimeDelta::hours(12);
    let key = IdempotencyKey::new("r").unwrap();
    let command = Command::Reschedule {
        capture_at: Some(at),
        capture_amount: None,
        release_at: None,
    };
    let answer = scene.payment.command(key, command, scene.now);
    scene.until_due();
    assert!(
        answer.is_err() || scene.next() != Next::Send(Step::Release),
        "{answer:?} {:?}",
        scene.next()
    );
}
#[test]
fn old_technical_trouble_does_not_park_the_business_ladder() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::NotSent {
        why: "refused".into(),
    });
    scene.until_due();
    scene.answer(&Scene::unknown());
    scene.until_due();
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "insufficient_funds")];
    scene.look_at(seen);
    scene.until_due();
    assert_eq!(scene.next(), Next::Send(Step::Charge));
}
#[test]
fn cancel_does_not_wait_for_the_business_ladder() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "insufficient_funds")];
    scene.look_at(seen);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    assert_eq!(scene.next(), Next::Send(Step::Cancel));
}
fn loop_count(scene: &mut Scene, standing: &Standing, span: TimeDelta) -> usize {
    let end = scene.now + span;
    while scene.now < end && scene.state() != StateName::Parked {
        match scene.next() {
            Next::Send(_) => {
                scene.answer(&conflict());
            }
            Next::LookUp => scene.look(standing.clone()),
            Next::Settle(_) => scene.settle(),
            Next::WaitUntil(_) => scene.until_due(),
            Next::Nothing => break,
        }
    }
    scene.payment.attempts().len()
}
#[test]
fn a_refused_cancel_does_not_spin() {
    let mut scene = linked();
    scene.command(Command::Cancel);
    let n = loop_count(&mut scene, &Standing::Payable, TimeDelta::hours(1));
    assert!(
        n < 100,
        "{n} attempts in an hour, {} bytes",
        serde_json::to_vec(&scene.payment).unwrap().len()
    );
}
#[test]
fn a_refused_release_does_not_spin() {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    scene.command(Command::Release);
    let n = loop_count(&mut scene, &Standing::Held, TimeDelta::hours(1));
    assert!(
        n < 100,
        "{n} attempts in an hour, {} bytes",
        serde_json::to_vec(&scene.payment).unwrap().len()
    );
}
fn unknown_capture() -> Scene {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    scene.command(capture(1500));
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Parked);
    scene
}
#[test]
fn a_hold_released_by_hand_after_an_unknown_capture_ends() {
    let mut scene = unknown_capture();
    scene.command(rerun());
    scene.look(Standing::Released);
    assert!(scene.payment.is_finished(), "{:?}", scene.payment.state());
}
#[test]
fn done_only_if_it_is_so() {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    scene.command(capture(900));
    scene.show(Standing::Paid);
    assert_ne!(scene.command(capture(1500)), CommandAnswer::Done);
}
#[test]
fn an_accepted_capture_is_not_replaced() {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    let first = scene.command(capture(500));
    let second = scene.command(Command::Capture { amount: None });
    let third = scene.command(Command::Release);
    assert!(
        scene.next()
            == Next::Send(Step::Capture {
                amount: Amount::new(500).unwrap()
            }),
        "{first:?} {second:?} {third:?} {:?}",
        scene.next()
    );
}
#[test]
fn a_capture_nobody_asked_for_is_not_reported_as_ours() {
    let mut scene = held_with(
        r#"{"release_at":"2027-02-02T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.payment.nudged(1);
    scene.look(Standing::Paid);
    assert_ne!(scene.state(), StateName::Paid);
}
#[test]
fn a_release_nobody_asked_for_is_not_reported_as_ours() {
    let mut scene = held_with(
        r#"{"capture_at":"2027-02-02T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.payment.nudged(1);
    scene.look(Standing::Released);
    assert_ne!(scene.state(), StateName::Released);
}
#[test]
fn reschedule_on_parked_is_not_accepted_and_ignored() {
    let mut scene = held_with(r#"{"before_expiry":"park"}"#, UnknownPolicy::Park);
    scene.until_due();
    scene.settle();
    let at = scene.now + TimeDelta::hours(2);
    let answer = scene.command(Command::Reschedule {
        capture_at: Some(at),
        capture_amount: None,
        release_at: None,
    });
    scene.pass(TimeDelta::hours(3));
    assert!(
        answer != CommandAnswer::Accepted || matches!(scene.next(), Next::Send(_) | Next::LookUp),
        "{answer:?} {:?}",
        scene.next()
    );
}
#[test]
fn a_hold_whose_capture_was_refused_by_401_can_be_released() {
    let mut scene = held_with("{}", UnknownPolicy::Park);
    scene.command(capture(1500));
    scene.answer(&Answer::NoEffect {
        code: "authentication_failed".into(),
        denied: true,
    });
    assert_eq!(scene.state(), StateName::Parked);
    assert_eq!(scene.command(Command::Release), CommandAnswer::Accepted);
}
#[test]
fn resend_same_ends() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    while scene.state() == StateName::New {
        match scene.next() {
            Next::Send(_) => {
                scene.answer(&Scene::unknown());
            }
            Next::LookUp => scene.look(Standing::Payable),
            Next::Settle(_) => {
                scene.settle();
                return;
            }
            Next::WaitUntil(_) => scene.until_due(),
            Next::Nothing => return,
        }
        assert!(
            scene.payment.attempts().len() < 50,
            "50 charges by {}",
            scene.now
        );
    }
}
#[test]
fn a_cancel_of_a_parked_contradiction_seals() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.total = 1501;
    scene.answer(&Answer::Shown(Box::new(seen.clone())));
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.look_at(seen);
    assert_eq!(
        scene.next(),
        Next::Send(Step::Cancel),
        "{:?}",
        scene.payment.state()
    );
}
#[test]
fn a_contradicting_purchase_that_was_cancelled_ends() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.total = 1501;
    scene.answer(&Answer::Shown(Box::new(seen.clone())));
    seen.standing = Standing::Cancelled;
    scene.command(rerun());
    scene.look_at(seen.clone());
    scene.until_due();
    scene.look_at(seen);
    assert!(scene.payment.is_finished(), "{:?}", scene.payment.state());
}
#[test]
fn a_cancel_that_lost_is_not_recorded_as_done() {
    let mut scene = linked();
    scene.command(Command::Cancel);
    scene.answer(&conflict());
    scene.look(Standing::Held);
    let cancel = scene
        .payment
        .attempts()
        .iter()
        .find(|a| a.step == Step::Cancel)
        .unwrap();
    assert_ne!(cancel.closed.as_ref().unwrap().verdict, Verdict::Done);
}
#[test]
fn declined_captures_are_bounded() {
    let mut scene = held_with(
        r#"{"expires_at":"2027-03-02T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.command(capture(1500));
    let mut tries = Vec::new();
    for _ in 0..100_000 {
        match scene.next() {
            Next::LookUp => {
                let mut seen = sighting(&scene.payment, Standing::Held);
                seen.tries.clone_from(&tries);
                scene.look_at(seen);
            }
            Next::Send(_) => {
                scene.answer(&Answer::Declined {
                    code: "purchase_capture_error".into(),
                });
                tries.insert(0, failed_try(TryKind::Capture, "stolen_card"));
            }
            Next::WaitUntil(_) => scene.until_due(),
            Next::Settle(_) => break,
            Next::Nothing => panic!(),
        }
    }
    assert!(
        tries.len() < 100,
        "{} captures, {} bytes",
        tries.len(),
        serde_json::to_vec(&scene.payment).unwrap().len()
    );
}
#[test]
fn one_404_does_not_stop_a_planned_capture() {
    let mut scene = held_with(
        r#"{"capture_at":"2027-02-02T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.pass(TimeDelta::hours(1));
    scene.payment.nudged(1);
    scene
        .payment
        .looked_up(&LookUp::NotFound, scene.now, &scene.policy);
    for _ in 0..5 {
        scene.until_due();
        if scene.next() == Next::LookUp {
            scene.look(Standing::Held);
        }
    }
    assert!(
        matches!(scene.next(), Next::Send(Step::Capture { .. })),
        "{:?} {:?}",
        scene.payment.state(),
        scene.next()
    );
}
#[test]
fn a_cancelled_hold_command_refusal_after_notsent() {
    // capture commanded, never sent: reschedule says "in doubt" though nothing was sent
    let mut scene = held_with("{}", UnknownPolicy::Park);
    scene.command(capture(1500));
    let answer = scene.command(Command::Reschedule {
        capture_at: Some(days(2)),
        capture_amount: None,
        release_at: None,
    });
    assert_ne!(answer, CommandAnswer::TooLateInDoubt);
}
#[test]
fn commanded_capture_not_sent_after_release_at_is_not_hold_lost() {
    let mut scene = held_with(
        r#"{"release_at":"2027-02-01T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.pass(TimeDelta::hours(17));
    scene.command(capture(1500));
    scene.pass(TimeDelta::hours(2));
    scene.answer(&Answer::NotSent {
        why: "refused".into(),
    });
    let next = scene.next();
    assert!(!matches!(next, Next::Settle(_)), "{next:?}");
}

/// A hold whose planned capture is answered "too many requests" until its `release_at`.
fn captured_too_fast(plan: &str) -> Scene {
    let mut scene = held_with(plan, UnknownPolicy::Park);
    scene.until_due();
    let end = days(2);
    while scene.now < end {
        match scene.next() {
            Next::Send(step) => {
                assert!(matches!(step, Step::Capture { .. }), "{step:?}");
                scene.answer(&Answer::RateLimited {
                    retry_after_ms: None,
                });
            }
            Next::LookUp => scene.look(Standing::Held),
            Next::WaitUntil(_) => scene.until_due(),
            next => panic!("{next:?}"),
        }
    }
    scene
}

const IN_A_DAY_OR_NOT: &str =
    r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;

#[test]
fn a_capture_that_was_never_taken_on_leaves_the_plan_its_release() {
    let mut scene = captured_too_fast(IN_A_DAY_OR_NOT);
    if scene.next() == Next::LookUp {
        scene.look(Standing::Held);
    }
    scene.until_due();
    assert_eq!(scene.show(Standing::Released), Step::Release);
    assert_eq!(scene.state(), StateName::Released);
}

#[test]
fn a_capture_of_which_nothing_is_known_keeps_the_plan_from_its_release() {
    let mut scene = held_with(IN_A_DAY_OR_NOT, UnknownPolicy::Park);
    scene.until_due();
    scene.answer(&Answer::RateLimited {
        retry_after_ms: None,
    });
    // Too many requests, and no look yet: it may have been taken on.
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::TooLateInDoubt
    );
    scene.until_due();
    scene.look(Standing::Held);
    scene.until_due();
    scene.answer(&Scene::unknown());
    scene.now = days(2);
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::TooLateInDoubt,
        "one call of which nothing is known is enough"
    );
}

#[test]
fn a_capture_in_doubt_that_was_released_by_hand_ends_as_released() {
    let mut scene = held_with("{}", UnknownPolicy::ResendSame);
    scene.command(capture(1500));
    scene.answer(&Answer::Declined {
        code: "purchase_capture_error".into(),
    });
    while scene.state() != StateName::Parked {
        match scene.next() {
            Next::LookUp => {
                let mut seen = sighting(&scene.payment, Standing::Held);
                seen.tries = vec![failed_try(TryKind::Capture, "timeout")];
                scene.look_at(seen);
            }
            Next::Settle(_) => scene.settle(),
            Next::WaitUntil(_) => scene.until_due(),
            next => panic!("a capture in doubt was sent again: {next:?}"),
        }
    }
    scene.command(rerun());
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Released);
}
#[test]
fn an_unknown_capture_is_not_sent_again_under_park() {
    let mut scene = unknown_capture();
    assert_eq!(scene.command(capture(1500)), CommandAnswer::TooLateInDoubt);
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::TooLateInDoubt
    );
    scene.command(rerun());
    scene.look(Standing::Held);
    assert!(
        matches!(scene.next(), Next::WaitUntil(_)),
        "{:?}",
        scene.next()
    );
}
#[test]
fn money_in_another_currency_or_on_another_purchase_is_not_ours() {
    let mut scene = charged(UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.taken = Some(Taken {
        amount: 1500,
        currency: "SGD".into(),
    });
    scene.answer(&Answer::Shown(Box::new(seen)));
    assert_eq!(scene.state(), StateName::Parked);
    let mut scene = charged(UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.purchase = PurchaseId::new("another").unwrap();
    scene.answer(&Answer::Shown(Box::new(seen)));
    assert_eq!(scene.state(), StateName::Parked);
}
#[test]
fn what_a_person_marked_as_paid_was_not_charged() {
    let mut scene = charged(UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.by_hand = true;
    scene.answer(&Answer::Shown(Box::new(seen)));
    assert_eq!(scene.state(), StateName::Parked);
}
#[test]
fn a_hold_released_by_others_is_parked_until_a_person_has_looked() {
    let mut scene = held_with(
        r#"{"capture_at":"2027-02-02T00:00:00Z"}"#,
        UnknownPolicy::Park,
    );
    scene.payment.nudged(1);
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Parked);
    scene.command(rerun());
    scene.look(Standing::Released);
    assert_eq!(scene.state(), StateName::Released);
}
