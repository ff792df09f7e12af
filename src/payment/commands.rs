//! Commands: how many are taken, whom they are taken from, and what they change at once.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

/// Gives so many commands, each under a key of its own.
fn give(scene: &mut Scene, command: &Command, times: usize) -> Result<(), InvalidRequest> {
    for _ in 0..times {
        let key = format!("c{}", scene.payment.commands().len());
        let key = IdempotencyKey::new(key).unwrap();
        scene.payment.command(key, command.clone(), scene.now)?;
    }
    Ok(())
}

#[test]
fn a_payment_takes_two_hundred_commands_and_a_thousand_that_decide_or_are_an_operators() {
    let mut scene = held("{}");
    let reschedule = reschedule(None, None);
    assert_eq!(give(&mut scene, &reschedule, 200), Ok(()));
    let problem = give(&mut scene, &reschedule, 1).unwrap_err();
    assert!(problem.to_string().contains("200"), "{problem}");
    let (outcome, reason, actor) = (StatedEnd::HoldGone, "why".to_owned(), "who".to_owned());
    let as_shown = Command::ResolveAsShown {
        reason: reason.clone(),
        actor: actor.clone(),
    };
    let propose = Command::ProposeByHand {
        outcome,
        reason: reason.clone(),
        actor: actor.clone(),
    };
    let approve = Command::ApproveByHand {
        outcome,
        reason,
        actor,
    };
    let taken = [
        (rerun(), 300),
        (as_shown, 400),
        (propose, 500),
        (approve, 600),
        (Command::Cancel, 700),
        (Command::Release, 800),
        (capture(1500), 1_000),
    ];
    for (decides, in_all) in &taken {
        let times = in_all - scene.payment.commands().len();
        assert_eq!(give(&mut scene, decides, times), Ok(()), "{decides:?}");
    }
    for (decides, _) in taken {
        let problem = give(&mut scene, &decides, 1).unwrap_err();
        assert!(problem.to_string().contains("1000"), "{problem}");
    }
}

#[test]
fn a_rerun_says_why_and_who() {
    for (reason, actor) in [("", "aina"), ("key mended", ""), (" ", "aina")] {
        let mut scene = held("{}");
        let command = Command::Rerun {
            reason: reason.into(),
            actor: actor.into(),
        };
        let problem = give(&mut scene, &command, 1).unwrap_err();
        assert_eq!(problem.field, "reason");
        assert!(scene.payment.commands().is_empty());
    }
}

#[test]
fn a_command_tells_by_its_answer_whether_it_changed_anything() {
    assert!(CommandAnswer::Accepted.is_accepted());
    for answer in [
        CommandAnswer::Done,
        CommandAnswer::TooLateInDoubt,
        CommandAnswer::NotApplicable,
    ] {
        assert!(!answer.is_accepted(), "{answer:?}");
    }
}

#[test]
fn an_ended_payment_answers_each_command_with_what_became_of_it() {
    use CommandAnswer::{Done, Ended, TooLateCaptured, TooLateReleased};
    let mut paid = held("{}");
    paid.command(capture(900));
    paid.show(Standing::Paid);
    let mut released = held("{}");
    released.command(Command::Release);
    released.show(Standing::Released);
    let mut cancelled = Scene::new(charge(), UnknownPolicy::Park);
    cancelled.command(Command::Cancel);
    cancelled.settle();
    let mut charged = charged(UnknownPolicy::Park);
    charged.show(Standing::Paid);
    let all = Command::Capture { amount: None };
    for (scene, command, answer) in [
        (&paid, all.clone(), Done),
        (&paid, capture(900), Done),
        (&paid, capture(901), TooLateCaptured),
        (&paid, Command::Release, TooLateCaptured),
        (&released, Command::Release, Done),
        (&released, capture(900), TooLateReleased),
        (&cancelled, Command::Cancel, Done),
        (&cancelled, Command::Release, Ended),
        (&charged, all, TooLateCaptured),
        (&charged, Command::Cancel, TooLateCaptured),
    ] {
        let mut payment = scene.payment.clone();
        let key = IdempotencyKey::new("late").unwrap();
        let told = payment.command(key, command.clone(), scene.now);
        assert_eq!(told, Ok(answer), "{command:?}");
        assert_eq!(payment, scene.payment, "nothing is noted any more");
    }
}

#[test]
fn a_capture_takes_what_it_says_or_what_was_decided_planned_or_held() {
    let all = || Command::Capture { amount: None };
    let next = |scene: &Scene| match scene.next() {
        Next::Send(Step::Capture { amount }) => amount.minor(),
        next => panic!("{next:?}"),
    };
    let mut scene = held("{}");
    scene.command(all());
    assert_eq!(next(&scene), 1500);
    let mut scene = held(r#"{"capture_amount":900}"#);
    scene.command(all());
    assert_eq!(next(&scene), 900);
    let mut scene = held(r#"{"capture_amount":900}"#);
    scene.command(capture(700));
    assert_eq!(scene.command(all()), CommandAnswer::Accepted);
    assert_eq!(next(&scene), 700);
}

#[test]
fn a_capture_that_was_refused_may_be_decided_anew_and_one_that_was_not_sent_may_not() {
    let mut scene = held("{}");
    scene.command(capture(1500));
    scene.answer(&Answer::NotSent {
        why: "connection refused".into(),
    });
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::AlreadyDecided
    );
    assert_eq!(scene.command(capture(1500)), CommandAnswer::Accepted);
    assert!(
        matches!(scene.next(), Next::Send(Step::Capture { .. })),
        "a repeated command does not wait for the ladder"
    );
}

fn reschedule(capture_at: Option<Timestamp>, release_at: Option<Timestamp>) -> Command {
    Command::Reschedule {
        capture_at,
        capture_amount: None,
        release_at,
    }
}

#[test]
fn a_new_time_at_or_after_the_end_of_the_hold_is_refused() {
    let end = start() + TimeDelta::days(6);
    let before = end - TimeDelta::milliseconds(1);
    for (at, taken) in [
        (end, false),
        (end + TimeDelta::days(1), false),
        (before, true),
    ] {
        for command in [reschedule(Some(at), None), reschedule(None, Some(at))] {
            let mut scene = held("{}");
            let given = give(&mut scene, &command, 1);
            assert_eq!(given.is_ok(), taken, "{command:?}");
            let kept = *scene.payment.plan() == Plan::default();
            assert_eq!(kept, !taken, "what is refused changes nothing");
        }
    }
}

#[test]
fn a_new_plan_is_for_holds_that_nothing_was_decided_about() {
    let at = Some(start() + TimeDelta::days(2));
    let mut scene = held("{}");
    scene.command(Command::Release);
    assert_eq!(
        scene.command(reschedule(at, None)),
        CommandAnswer::AlreadyDecided
    );
    for request in [charge(), save_card()] {
        let mut scene = Scene::new(request, UnknownPolicy::Park);
        assert_eq!(
            scene.command(reschedule(at, None)),
            CommandAnswer::NotApplicable
        );
    }
    for request in [by_token("{}"), by_checkout("{}"), adopt()] {
        let mut scene = Scene::new(request, UnknownPolicy::Park);
        assert_eq!(scene.command(reschedule(at, None)), CommandAnswer::Accepted);
    }
}

#[test]
fn what_is_not_given_of_a_new_plan_stays_as_it_was() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","capture_amount":900,
        "release_at":"2027-02-04T06:00:00Z"}"#;
    let mut scene = held(plan);
    let before = scene.payment.plan().clone();
    scene.command(reschedule(None, None));
    assert_eq!(*scene.payment.plan(), before);
    let later = Some(start() + TimeDelta::days(2));
    scene.command(reschedule(later, None));
    let expected = Plan {
        capture_at: later,
        ..before
    };
    assert_eq!(*scene.payment.plan(), expected);
}

#[test]
fn a_plan_given_before_the_hold_leaves_the_guard_in_place() {
    let late = start() + TimeDelta::days(5) + TimeDelta::hours(12);
    let mut scene = Scene::new(by_token("{}"), UnknownPolicy::Park);
    scene.command(reschedule(None, Some(late)));
    scene.show(Standing::Payable);
    scene.show(Standing::Held);
    let guard = start() + TimeDelta::days(5);
    assert_eq!(scene.next(), Next::WaitUntil(guard));
    scene.command(reschedule(None, Some(late)));
    assert_eq!(scene.next(), Next::WaitUntil(late));
}

#[test]
fn a_hold_or_an_adoption_is_not_cancelled_and_a_charge_under_way_is_in_doubt() {
    assert_eq!(
        held("{}").command(Command::Cancel),
        CommandAnswer::NotApplicable
    );
    let mut adopted = Scene::new(adopt(), UnknownPolicy::Park);
    assert_eq!(
        adopted.command(Command::Cancel),
        CommandAnswer::NotApplicable
    );
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    assert_eq!(
        scene.command(Command::Cancel),
        CommandAnswer::TooLateInDoubt
    );
    assert_eq!(scene.payment.ending(), None);
}

#[test]
fn a_cancel_is_taken_while_a_call_that_takes_no_money_is_under_way() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let number = scene.payment.open(Step::Create, scene.now, &policy);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    let made = scene.shown(Standing::Payable);
    let (number, now) = (number.unwrap(), scene.now);
    scene.payment.answered(number, &made, now, &policy);
    assert_eq!(scene.answer(&Scene::unknown()), Step::Cancel);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
}
