//! Conditions that a small slip would turn around: each test fails if its one is.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

fn refused(code: &str) -> Answer {
    Answer::NoEffect {
        code: code.into(),
        denied: false,
    }
}

fn never_left() -> Answer {
    Answer::NotSent {
        why: "connection refused".into(),
    }
}

#[test]
fn a_refused_charge_is_what_its_code_says_at_the_next_look() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&refused("invalid_recurring_token"));
    scene.look(Standing::Payable);
    let code = "invalid_recurring_token".to_owned();
    let declined = FailReason::Declined { code };
    assert_eq!(scene.payment.ending(), Some(&declined));

    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&refused("amount.max_value"));
    scene.look(Standing::Payable);
    let State::Parked { reason, .. } = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    let code = "amount.max_value".to_owned();
    assert_eq!(*reason, ParkReason::Refused { code });
}

#[test]
fn a_charge_that_met_too_many_requests_waits_as_asked_and_for_no_quiet_period() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::RateLimited {
        retry_after_ms: Some(7_000),
    });
    scene.until_due();
    assert_eq!(scene.now - start(), TimeDelta::seconds(7));
    scene.look(Standing::Payable);
    scene.until_due();
    assert!(scene.now - start() < MINUTE);
    assert_eq!(scene.show(Standing::Paid), Step::Charge);
}

#[test]
fn nothing_is_charged_on_a_purchase_for_more_or_less_than_was_asked() {
    for total in [1499, 1501, 150_000] {
        let mut scene = Scene::new(charge(), UnknownPolicy::ResendSame);
        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.total = total;
        assert_eq!(scene.answer(&Answer::Shown(Box::new(seen))), Step::Create);
        let State::Parked { reason, .. } = scene.payment.state() else {
            panic!("{total}: {:?}", scene.payment.state());
        };
        let what = Mismatch::Amount;
        assert_eq!(*reason, ParkReason::Contradiction { what });
    }
}

#[test]
fn a_charge_waits_for_its_time() {
    let mut scene = Scene::new(
        request(&format!(
            r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
            "customer":{{"email":"a@b.example"}},"not_before":"2027-02-01T06:00:00Z""#
        )),
        UnknownPolicy::Park,
    );
    let begin = start() + TimeDelta::days(1);
    scene.pass(TimeDelta::days(1) - TimeDelta::milliseconds(1));
    assert_eq!(scene.next(), Next::WaitUntil(begin));
    scene.until_due();
    assert_eq!(scene.show(Standing::Payable), Step::Create);
    assert_eq!(scene.show(Standing::Paid), Step::Charge);
}

#[test]
fn a_conflict_is_not_believed_before_the_quiet_period_is_over() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Answer::Conflict {
        code: "purchase_charge_wrong_status".into(),
    });
    scene.pass(QUIET - MINUTE);
    scene.look(Standing::Payable);
    assert_eq!(
        scene.state(),
        StateName::New,
        "an earlier call may have won"
    );
    scene.until_due();
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn what_is_asked_for_while_an_older_look_is_under_way_is_not_answered_by_it() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
    assert_eq!(scene.payment.asked(), (false, false));
    scene.command(rerun());
    let asked = scene.payment.asked();
    assert_eq!(asked, (true, true));
    scene.look(Standing::Payable);
    assert_eq!(scene.payment.asked(), (false, false));
    scene.payment.still_asked(asked);
    assert_eq!(scene.payment.asked(), asked);
    scene.look(Standing::Paid);
    scene.payment.still_asked(asked);
    assert_eq!(scene.payment.asked(), (false, false), "it is finished");

    let mut scene = charged(UnknownPolicy::Park);
    scene.payment.still_asked((false, true));
    assert_eq!(scene.payment.asked(), (false, false), "nothing is parked");
    scene.payment.still_asked(asked);
    assert_eq!(scene.payment.asked(), (true, false));
}

#[test]
fn an_answer_to_another_attempt_is_no_answer_to_this_one() {
    let mut scene = charged(UnknownPolicy::Park);
    let policy = scene.policy.clone();
    let number = scene.payment.open(Step::Charge, scene.now, &policy);
    let number = number.unwrap();
    let (not_sent, now) = (never_left(), scene.now);
    scene.payment.answered(number - 1, &not_sent, now, &policy);
    assert_eq!(scene.payment.open_attempt().unwrap().note, None);
    scene.payment.answered(number, &not_sent, now, &policy);
    let before = scene.payment.clone();
    scene
        .payment
        .answered(number, &Scene::unknown(), now, &policy);
    assert_eq!(scene.payment, before, "it was closed before");
}

#[test]
fn failures_before_a_long_silence_say_nothing_of_the_gateway_now() {
    let mut scene = charged(UnknownPolicy::Park);
    for _ in 0..2 {
        scene.answer(&never_left());
        let Next::WaitUntil(at) = scene.next() else {
            panic!("{:?}", scene.next());
        };
        assert!(at - scene.now < TimeDelta::seconds(2), "the first rung");
        scene.pass(TimeDelta::days(2));
    }
}

fn not_found(scene: &mut Scene) {
    assert_eq!(scene.next(), Next::LookUp);
    scene
        .payment
        .looked_up(&LookUp::NotFound, scene.now, &scene.policy);
}

fn is_parked_as_not_found(scene: &Scene) -> bool {
    let code = "not_found".to_owned();
    matches!(scene.payment.state(), State::Parked { reason, .. }
        if *reason == ParkReason::Refused { code })
}

#[test]
fn a_purchase_that_was_named_to_us_and_is_not_there_does_not_exist() {
    let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
    not_found(&mut scene);
    assert!(is_parked_as_not_found(&scene));
}

#[test]
fn a_purchase_that_we_made_is_missing_only_after_looks_for_a_whole_quiet_period() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.until_due();
    let first = scene.now;
    while scene.now - first < QUIET {
        not_found(&mut scene);
        assert_eq!(scene.state(), StateName::New);
        scene.until_due();
    }
    not_found(&mut scene);
    assert!(is_parked_as_not_found(&scene));
}

#[test]
fn a_hold_that_is_missing_again_and_again_within_minutes_is_not_gone() {
    let mut scene = held("{}");
    for nudges in 1..=5 {
        scene.payment.nudged(nudges);
        not_found(&mut scene);
        assert_eq!(scene.state(), StateName::Held);
        scene.pass(TimeDelta::seconds(1));
    }
}

#[test]
fn a_rerun_that_sees_nothing_for_a_day_looks_less_often_then() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.command(rerun());
    let asked = scene.now;
    while scene.now - asked <= TimeDelta::days(1) {
        failed_get(&mut scene);
        assert!(wait(&scene) < TimeDelta::hours(2));
        scene.until_due();
    }
    failed_get(&mut scene);
    assert_eq!(wait(&scene), TimeDelta::days(1));
}

#[test]
fn a_parked_payment_that_nobody_asked_about_rests_whatever_a_look_comes_to() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
    scene.until_due();
    failed_get(&mut scene);
    assert_eq!(wait(&scene), TimeDelta::days(1));
    scene.command(rerun());
    failed_get(&mut scene);
    assert!(wait(&scene) < MINUTE, "somebody waits for it");
}

#[test]
fn a_payer_is_waited_for_at_leisure_and_a_call_is_not() {
    let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    assert_eq!(scene.state(), StateName::AwaitingPayer);
    scene.until_due();
    failed_get(&mut scene);
    assert!(wait(&scene) >= MINUTE);
    scene.command(Command::Cancel);
    assert_eq!(scene.answer(&Scene::unknown()), Step::Cancel);
    scene.until_due();
    failed_get(&mut scene);
    assert!(wait(&scene) < MINUTE / 4);
}

#[test]
fn what_a_look_showed_is_kept_in_a_word_of_its_own() {
    let words = [
        (Standing::Payable, "payable"),
        (Standing::Pending, "pending"),
        (Standing::Other("new_status".into()), "unknown_status"),
    ];
    for (standing, word) in words {
        let mut scene = charged(UnknownPolicy::Park);
        scene.answer(&Scene::unknown());
        scene.until_due();
        scene.look(standing);
        let looks = scene.payment.open_attempt().unwrap().looks.clone();
        assert_eq!(looks.unwrap().last_saw, word);
    }
}

#[test]
fn the_name_of_a_state_reads_back_as_it_is_written() {
    for name in StateName::ALL {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    let problem = "done".parse::<StateName>().unwrap_err();
    assert!(problem.contains("awaiting_payer"), "{problem}");
}

#[test]
fn what_cannot_happen_is_told_by_state_and_event() {
    let problem = State::Released.on(Event::Resumed).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the event `resumed` cannot happen to a payment that is `released`"
    );
}
