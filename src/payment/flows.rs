//! How payments go, scene by scene. Each name is a promise.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

fn linked(request: Request) -> Scene {
    let mut scene = Scene::new(request, UnknownPolicy::Park);
    scene.show(Standing::Payable);
    assert_eq!(scene.state(), StateName::AwaitingPayer);
    scene
}

fn park_reason(scene: &Scene) -> &ParkReason {
    match scene.payment.state() {
        State::Parked { reason, .. } => reason,
        state => panic!("not parked: {state:?}"),
    }
}

#[test]
fn a_charge_is_created_then_charged_then_paid() {
    let mut scene = charged(UnknownPolicy::Park);
    assert_eq!(scene.show(Standing::Paid), Step::Charge);
    assert_eq!(scene.state(), StateName::Paid);
    assert_eq!(scene.next(), Next::Nothing);
}

#[test]
fn an_unknown_charge_is_looked_up_on_the_ladder_and_never_sent_again_under_park() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    for at_least in [2, 5, 15, 60, 300] {
        let Next::WaitUntil(at) = scene.next() else {
            panic!("{:?}", scene.next())
        };
        assert!(at - scene.now >= TimeDelta::seconds(at_least));
        assert!(at - scene.now <= TimeDelta::milliseconds(at_least * 1_200));
        scene.until_due();
        scene.look(Standing::Payable);
        assert_eq!(scene.state(), StateName::New);
    }
    scene.until_due();
    scene.look(Standing::Payable);
    assert_eq!(*park_reason(&scene), ParkReason::OutcomeUnknown);
}

#[test]
fn resend_same_sends_again_only_after_the_quiet_period_and_for_the_same_purchase() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    let sent_at = scene.now;
    while scene.next() != Next::Send(Step::Charge) {
        scene.until_due();
        if scene.next() == Next::LookUp {
            scene.look(Standing::Payable);
        }
    }
    assert!(scene.now - sent_at >= QUIET);
    let before = scene.payment.purchase().unwrap().id.clone();
    scene.show(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
    assert_eq!(scene.payment.purchase().unwrap().id, before);
}

#[test]
fn a_crash_after_the_note_is_looked_up_and_found_paid() {
    let mut scene = charged(UnknownPolicy::Park);
    scene
        .payment
        .open(Step::Charge, scene.now, &scene.policy)
        .unwrap();
    assert!(matches!(scene.next(), Next::WaitUntil(_)));
    scene.until_due();
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_refusal_after_an_unknown_call_proves_nothing() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.answer(&Answer::NoEffect {
        code: "invalid_recurring_token".into(),
        denied: false,
    });
    assert_eq!(
        scene.state(),
        StateName::New,
        "not failed, not parked: looked up first"
    );
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_missing_purchase_after_an_unknown_call_is_looked_up_too() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    scene.answer(&Answer::NoEffect {
        code: "not_found".into(),
        denied: false,
    });
    assert_eq!(scene.next(), Next::LookUp);
}

#[test]
fn a_decline_is_reported_only_when_the_purchase_is_sealed_and_read_twice() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "stolen_card")];
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::New);
    assert_eq!(scene.show(Standing::Cancelled), Step::Cancel);
    assert_eq!(
        scene.state(),
        StateName::New,
        "the answer to the cancel alone is not enough"
    );
    scene.look(Standing::Cancelled);
    let reason = FailReason::Declined {
        code: "stolen_card".into(),
    };
    assert_eq!(*scene.payment.state(), State::Failed(reason));
}

#[test]
fn money_that_moved_after_all_wins_over_a_decline_that_is_being_sealed() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "stolen_card")];
    scene.look_at(seen);
    scene.answer(&Answer::Conflict {
        code: "purchase_cancel_wrong_status".into(),
    });
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_soft_decline_is_charged_again_on_another_day_for_the_same_purchase_until_the_ladder_ends() {
    let mut scene = charged(UnknownPolicy::Park);
    let mut tries = Vec::new();
    for day in [1, 2, 2] {
        scene.answer(&Answer::Declined {
            code: "purchase_charge_error".into(),
        });
        tries.insert(0, failed_try(TryKind::Pay, "insufficient_funds"));
        let mut seen = sighting(&scene.payment, Standing::Payable);
        seen.tries.clone_from(&tries);
        scene.look_at(seen);
        let Next::WaitUntil(at) = scene.next() else {
            panic!("{:?}", scene.next())
        };
        assert!(at - scene.now >= TimeDelta::days(day));
        scene.until_due();
        assert_eq!(scene.next(), Next::Send(Step::Charge));
    }
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    tries.insert(0, failed_try(TryKind::Pay, "insufficient_funds"));
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = tries;
    scene.look_at(seen);
    assert_eq!(scene.next(), Next::Send(Step::Cancel));
}

#[test]
fn an_old_refusal_is_not_taken_for_the_answer_to_a_new_call() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let tries = vec![failed_try(TryKind::Pay, "insufficient_funds")];
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries.clone_from(&tries);
    scene.look_at(seen);
    scene.until_due();
    scene.answer(&Scene::unknown());
    scene.until_due();
    let mut stale = sighting(&scene.payment, Standing::Payable);
    stale.tries = tries;
    scene.look_at(stale);
    assert!(
        scene.payment.open_attempt().is_some(),
        "the new call is still unknown"
    );
}

#[test]
fn an_acquirer_time_out_is_in_doubt_and_parked_when_looking_brings_nothing() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    for _ in 0..60 {
        match scene.next() {
            Next::LookUp => {
                let mut seen = sighting(&scene.payment, Standing::Payable);
                seen.tries = vec![failed_try(TryKind::Pay, "timeout")];
                scene.look_at(seen);
            }
            Next::WaitUntil(_) => scene.until_due(),
            Next::Settle(_) => break,
            next => panic!("{next:?}"),
        }
    }
    scene.settle();
    assert_eq!(*park_reason(&scene), ParkReason::LookUpsExhausted);
}

#[test]
fn pending_is_neither_success_nor_failure() {
    let mut scene = charged(UnknownPolicy::ResendSame);
    scene.show(Standing::Pending);
    for _ in 0..8 {
        scene.until_due();
        scene.look(Standing::Pending);
        assert_eq!(scene.state(), StateName::New);
    }
    scene.until_due();
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn another_amount_than_asked_is_never_reported_paid() {
    let mut scene = charged(UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.taken = Some(Taken {
        amount: 1499,
        currency: "MYR".into(),
    });
    scene.answer(&Answer::Shown(Box::new(seen)));
    assert_eq!(
        *park_reason(&scene),
        ParkReason::Contradiction {
            what: Mismatch::Amount
        }
    );
}

#[test]
fn nothing_is_charged_on_a_purchase_that_is_not_what_was_asked_for() {
    type Twist = fn(&mut Sighting);
    let twists: [(Twist, Mismatch); 6] = [
        (|s| s.total = 1, Mismatch::Amount),
        (|s| s.currency = "SGD".into(), Mismatch::Currency),
        (|s| s.converted = true, Mismatch::Currency),
        (|s| s.brand = "other".into(), Mismatch::Brand),
        (|s| s.test = false, Mismatch::Mode),
        (|s| s.reference = "pay_other".into(), Mismatch::Identity),
    ];
    for (twist, what) in twists {
        let mut scene = Scene::new(charge(), UnknownPolicy::Park);
        let mut seen = sighting(&scene.payment, Standing::Payable);
        twist(&mut seen);
        scene.answer(&Answer::Shown(Box::new(seen)));
        assert_eq!(*park_reason(&scene), ParkReason::Contradiction { what });
        assert!(
            matches!(scene.next(), Next::WaitUntil(_)),
            "{what:?} goes on"
        );
    }
}

#[test]
fn a_hold_is_captured_at_its_time_with_the_planned_amount() {
    let mut scene = held(r#"{"capture_at":"2027-02-01T06:00:00Z","capture_amount":900}"#);
    assert_eq!(scene.next(), Next::WaitUntil(start() + TimeDelta::days(1)));
    scene.until_due();
    let amount = Amount::new(900).unwrap();
    assert_eq!(scene.show(Standing::Paid), Step::Capture { amount });
    assert_eq!(
        *scene.payment.state(),
        State::Paid(Money {
            amount,
            currency: Currency::MYR
        })
    );
}

#[test]
fn a_hold_without_a_plan_is_released_before_it_lapses() {
    let mut scene = held("{}");
    assert_eq!(scene.next(), Next::WaitUntil(start() + TimeDelta::days(5)));
    scene.until_due();
    assert_eq!(scene.show(Standing::Released), Step::Release);
    assert_eq!(scene.state(), StateName::Released);
}

#[test]
fn the_guard_captures_or_asks_a_person_if_the_plan_says_so() {
    let mut scene = held(r#"{"before_expiry":"capture"}"#);
    scene.until_due();
    assert!(matches!(scene.next(), Next::Send(Step::Capture { .. })));
    let mut scene = held(r#"{"before_expiry":"park"}"#);
    scene.until_due();
    scene.settle();
    assert_eq!(*park_reason(&scene), ParkReason::BeforeExpiry);
}

#[test]
fn a_capture_that_could_not_be_sent_before_release_at_becomes_a_release() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;
    let mut scene = held(plan);
    scene.pass(TimeDelta::days(2));
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_capture_that_was_sent_is_never_followed_by_a_release() {
    let plan = r#"{"capture_at":"2027-02-01T06:00:00Z","release_at":"2027-02-02T06:00:00Z"}"#;
    let mut scene = held(plan);
    scene.until_due();
    scene.answer(&Answer::Declined {
        code: "purchase_capture_error".into(),
    });
    let mut tries = vec![failed_try(TryKind::Capture, "general_transaction_error")];
    for _ in 0..2_000 {
        match scene.next() {
            Next::LookUp => {
                let mut seen = sighting(&scene.payment, Standing::Held);
                seen.tries.clone_from(&tries);
                scene.look_at(seen);
            }
            Next::Send(step) => {
                assert!(matches!(step, Step::Capture { .. }), "{step:?}");
                scene.answer(&Answer::Declined {
                    code: "purchase_capture_error".into(),
                });
                tries.insert(0, failed_try(TryKind::Capture, "general_transaction_error"));
            }
            Next::WaitUntil(_) => scene.until_due(),
            Next::Settle(_) => break,
            Next::Nothing => panic!("finished"),
        }
    }
    scene.settle();
    assert_eq!(*park_reason(&scene), ParkReason::NotCaptured);
    assert_eq!(scene.now, start() + TimeDelta::days(2), "at the plan's end");
}

#[test]
fn once_a_capture_was_sent_commands_answer_too_late() {
    let mut scene = held("{}");
    assert_eq!(
        scene.command(Command::Capture { amount: None }),
        CommandAnswer::Accepted
    );
    scene.answer(&Scene::unknown());
    let reschedule = Command::Reschedule {
        capture_at: None,
        capture_amount: None,
        release_at: Some(start() + TimeDelta::days(2)),
    };
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::TooLateInDoubt
    );
    assert_eq!(scene.command(reschedule), CommandAnswer::TooLateInDoubt);
    assert_eq!(
        scene.command(Command::Capture { amount: None }),
        CommandAnswer::TooLateInDoubt
    );
    scene.until_due();
    scene.look(Standing::Paid);
    assert_eq!(
        scene.command(Command::Release),
        CommandAnswer::TooLateCaptured
    );
    assert_eq!(
        scene.command(Command::Capture { amount: None }),
        CommandAnswer::Done
    );
}

#[test]
fn a_command_repeated_under_its_key_answers_the_same_again() {
    let mut scene = held("{}");
    let key = IdempotencyKey::new("again").unwrap();
    let first = scene
        .payment
        .command(key.clone(), Command::Release, scene.now)
        .unwrap();
    scene.show(Standing::Released);
    let second = scene
        .payment
        .command(key.clone(), Command::Release, scene.now)
        .unwrap();
    assert_eq!(
        (first, second),
        (CommandAnswer::Accepted, CommandAnswer::Accepted)
    );
    let other = scene
        .payment
        .command(key, Command::Cancel, scene.now)
        .unwrap_err();
    assert!(other.to_string().contains("new key"), "{other}");
}

#[test]
fn a_capture_above_the_hold_is_refused() {
    let mut scene = held("{}");
    let command = Command::Capture {
        amount: Amount::new(1501).ok(),
    };
    let key = IdempotencyKey::new("c").unwrap();
    let error = scene.payment.command(key, command, scene.now).unwrap_err();
    assert!(error.to_string().contains("above the hold"), "{error}");
}

#[test]
fn a_link_that_is_never_paid_fails_after_its_grace_and_was_read_twice() {
    let mut scene = linked(by_checkout("{}"));
    let (end, grace) = (start() + TimeDelta::hours(1), TimeDelta::minutes(2));
    while scene.state() == StateName::AwaitingPayer {
        scene.until_due();
        let over = scene.now >= end;
        scene.look(if over {
            Standing::Expired
        } else {
            Standing::Payable
        });
    }
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Expired));
    assert_eq!(
        scene.now,
        end + grace,
        "told when no click can come any more"
    );
}

/// Half a minute after its end a link is seen expired, twice.
fn expired_just_now() -> Scene {
    let mut scene = linked(by_checkout("{}"));
    scene.now = start() + TimeDelta::hours(1) + TimeDelta::seconds(20);
    for nudge in 1..3 {
        scene.payment.nudged(nudge);
        scene.look(Standing::Expired);
        assert_eq!(scene.state(), StateName::AwaitingPayer);
        scene.pass(TimeDelta::seconds(5));
    }
    scene
}

#[test]
fn a_payers_last_click_that_arrives_within_the_grace_is_not_reported_failed() {
    let mut scene = expired_just_now();
    scene.pass(TimeDelta::seconds(30));
    scene.payment.nudged(3);
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Held);
    // Nobody had cancelled it: the hold is what was asked for, and its plan goes on.
    assert_eq!(scene.payment.decision(), None);
}

#[test]
fn a_link_that_expired_is_told_when_its_grace_is_over_and_not_a_moment_later() {
    let mut scene = expired_just_now();
    scene.until_due();
    assert_eq!(scene.now, start() + TimeDelta::minutes(62));
    scene.look(Standing::Expired);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Expired));
    let mut long_ago = linked(by_checkout("{}"));
    long_ago.now = start() + TimeDelta::minutes(62);
    long_ago.look(Standing::Expired);
    long_ago.look(Standing::Expired);
    assert_eq!(long_ago.state(), StateName::Failed, "seen when it was over");
}

#[test]
fn a_cancel_is_told_when_no_click_can_be_under_way_any_more() {
    let cancelled = || {
        let mut scene = linked(by_checkout("{}"));
        scene.pass(MINUTE);
        assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
        scene.show(Standing::Cancelled);
        let first = scene.now;
        scene.pass(TimeDelta::seconds(5));
        scene.payment.nudged(1);
        scene.look(Standing::Cancelled);
        assert_eq!(scene.state(), StateName::AwaitingPayer);
        (scene, first)
    };
    let (mut scene, first) = cancelled();
    scene.until_due();
    assert_eq!(scene.now - first, TimeDelta::minutes(2));
    scene.look(Standing::Cancelled);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Cancelled));
    // A click that was under way: the hold that it makes is given back.
    let (mut scene, _) = cancelled();
    scene.pass(MINUTE);
    scene.payment.nudged(2);
    scene.look(Standing::Held);
    assert_eq!(scene.show(Standing::Released), Step::Release);
}

#[test]
fn a_link_that_the_gateway_does_not_expire_is_cancelled_after_its_time() {
    let mut scene = linked(by_checkout("{}"));
    while scene.next() != Next::Send(Step::Cancel) {
        scene.until_due();
        if scene.next() == Next::LookUp {
            scene.look(Standing::Payable);
        }
    }
    assert!(scene.now >= start() + TimeDelta::minutes(62));
    scene.show(Standing::Cancelled);
    scene.look(Standing::Cancelled);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Expired));
}

#[test]
fn a_payer_who_is_quicker_than_the_cancel_gets_the_hold_back() {
    let mut scene = linked(by_checkout("{}"));
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.answer(&Answer::Conflict {
        code: "purchase_cancel_wrong_status".into(),
    });
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Held);
    assert_eq!(scene.show(Standing::Released), Step::Release);
}

#[test]
fn a_saved_card_ends_with_its_token() {
    let mut scene = linked(save_card());
    scene.payment.nudged(1);
    scene.look(Standing::CardSaved);
    assert!(matches!(scene.payment.state(), State::Saved(token) if token.as_str() == PURCHASE));
}

#[test]
fn an_adopted_hold_is_looked_up_before_anything_else() {
    let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.reference = "order-77".into();
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Held);
    assert_eq!(
        scene.command(Command::Capture { amount: None }),
        CommandAnswer::Accepted
    );
    assert!(matches!(scene.next(), Next::Send(Step::Capture { .. })));
}

#[test]
fn a_hold_of_another_payment_cannot_be_adopted() {
    let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Held);
    seen.reference = "pay_00000000000000000000000000000000".into();
    scene.look_at(seen);
    assert_eq!(
        *park_reason(&scene),
        ParkReason::Contradiction {
            what: Mismatch::Identity
        }
    );
}

#[test]
fn two_keys_cannot_adopt_one_hold_twice() {
    let adopt = |key: &str, purchase: &str| {
        let json = format!(
            r#"{{"v":1,"account":"hotel","idempotency_key":"{key}","type":"adopt",
            "purchase":"{purchase}","money":{{"amount":1500,"currency":"MYR"}}}}"#
        );
        Request::from_json(json.as_bytes()).unwrap()
    };
    let (one, other) = (adopt("k1", PURCHASE), adopt("k2", PURCHASE));
    assert_eq!(one.payment_id(), other.payment_id());
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert_ne!(one.payment_id(), adopt("k1", TOKEN).payment_id());
}

#[test]
fn a_rerun_looks_first_and_then_takes_the_legal_next_step() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    let refused = Answer::NoEffect {
        code: "authentication_failed".into(),
        denied: true,
    };
    scene.show(Standing::Payable);
    scene.answer(&refused);
    assert!(matches!(park_reason(&scene), ParkReason::Refused { .. }));
    let rerun = Command::Rerun {
        reason: "key mended".into(),
        actor: "aina".into(),
    };
    assert_eq!(scene.command(rerun), CommandAnswer::Accepted);
    assert_eq!(
        scene.state(),
        StateName::Parked,
        "a rerun changes no state by itself"
    );
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::New);
    assert_eq!(scene.show(Standing::Paid), Step::Charge);
}

#[test]
fn a_rerun_never_sends_an_unknown_charge_again_under_park() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    for _ in 0..5 {
        let rerun = Command::Rerun {
            reason: "again".into(),
            actor: "aina".into(),
        };
        scene.command(rerun);
        scene.look(Standing::Payable);
        assert_eq!(*park_reason(&scene), ParkReason::OutcomeUnknown);
        assert!(matches!(scene.next(), Next::WaitUntil(_)));
    }
}

#[test]
fn a_person_who_gives_up_on_an_unknown_charge_gets_it_sealed_not_just_written_off() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.look(Standing::Payable);
    assert_eq!(scene.show(Standing::Cancelled), Step::Cancel);
    scene.until_due();
    scene.look(Standing::Cancelled);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Cancelled));
}

#[test]
fn a_cancel_while_a_charge_is_unknown_is_too_late() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    assert_eq!(
        scene.command(Command::Cancel),
        CommandAnswer::TooLateInDoubt
    );
}

#[test]
fn a_charge_never_starts_after_its_time() {
    let mut scene = Scene::new(
        request(&format!(
            r#""type":"charge","money":{{"amount":1500,"currency":"MYR"}},"token":"{TOKEN}",
            "customer":{{"email":"a@b.example"}},"not_before":"2027-02-01T06:00:00Z",
            "not_after":"2027-02-01T07:00:00Z""#
        )),
        UnknownPolicy::Park,
    );
    assert_eq!(scene.next(), Next::WaitUntil(start() + TimeDelta::days(1)));
    scene.pass(TimeDelta::days(2));
    scene.settle();
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Expired));
}

#[test]
fn what_never_left_is_sent_again_on_the_technical_ladder() {
    let mut scene = charged(UnknownPolicy::Park);
    let not_sent = Answer::NotSent {
        why: "connection refused".into(),
    };
    scene.answer(&not_sent);
    let Next::WaitUntil(at) = scene.next() else {
        panic!("{:?}", scene.next())
    };
    assert!(at - scene.now < MINUTE);
    scene.until_due();
    assert_eq!(scene.show(Standing::Paid), Step::Charge);
}

#[test]
fn a_created_answer_that_was_lost_leaves_an_orphan_and_a_new_purchase_is_made() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    assert!(scene.payment.purchase().is_none());
    scene.until_due();
    assert_eq!(scene.show(Standing::Payable), Step::Create);
}

#[test]
fn a_cancelled_purchase_is_not_believed_while_a_charge_may_be_on_its_way() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    for _ in 0..3 {
        scene.until_due();
        scene.look(Standing::Cancelled);
        assert_eq!(scene.state(), StateName::New);
    }
    scene.pass(QUIET);
    scene.look(Standing::Cancelled);
    scene.until_due();
    scene.look(Standing::Cancelled);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Cancelled));
}

#[test]
fn a_cancel_that_the_gateway_keeps_refusing_is_tried_on_the_ladder_and_then_parked() {
    let mut scene = linked(by_checkout("{}"));
    scene.command(Command::Cancel);
    for _ in 0..2_000 {
        match scene.next() {
            Next::Send(step) => {
                assert_eq!(step, Step::Cancel);
                let code = "purchase_cancel_wrong_status".into();
                scene.answer(&Answer::Conflict { code });
            }
            Next::LookUp => scene.look(Standing::Payable),
            Next::WaitUntil(_) => scene.until_due(),
            Next::Settle(_) => break,
            Next::Nothing => panic!("finished"),
        }
    }
    scene.settle();
    let refused = ParkReason::Refused {
        code: "purchase_cancel_wrong_status".into(),
    };
    assert_eq!(*park_reason(&scene), refused);
    assert!(
        scene.payment.attempts().len() < 400,
        "{}",
        scene.payment.attempts().len()
    );
}

#[test]
fn a_capture_of_another_amount_than_was_taken_is_not_answered_done() {
    let mut scene = held("{}");
    scene.command(Command::Capture {
        amount: Amount::new(900).ok(),
    });
    scene.show(Standing::Paid);
    let capture = |minor| Command::Capture {
        amount: Amount::new(minor).ok(),
    };
    assert_eq!(scene.command(capture(900)), CommandAnswer::Done);
    assert_eq!(scene.command(capture(1500)), CommandAnswer::TooLateCaptured);
}

#[test]
fn a_new_plan_wakes_a_hold_that_was_parked_before_it_lapses() {
    let mut scene = held(r#"{"before_expiry":"park"}"#);
    scene.until_due();
    scene.settle();
    let at = scene.now + TimeDelta::minutes(5);
    let reschedule = Command::Reschedule {
        capture_at: Some(at),
        capture_amount: None,
        release_at: None,
    };
    assert_eq!(scene.command(reschedule), CommandAnswer::Accepted);
    scene.look(Standing::Held);
    assert_eq!(
        scene.next(),
        Next::WaitUntil(at),
        "the person's time counts, not the guard's"
    );
    scene.until_due();
    assert!(matches!(scene.show(Standing::Paid), Step::Capture { .. }));
}

#[test]
fn what_is_not_as_asked_can_still_be_sealed() {
    let mut scene = Scene::new(charge(), UnknownPolicy::Park);
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.brand = "other".into();
    scene.answer(&Answer::Shown(Box::new(seen.clone())));
    assert_eq!(scene.command(Command::Cancel), CommandAnswer::Accepted);
    scene.look_at(seen.clone());
    seen.standing = Standing::Cancelled;
    assert_eq!(
        scene.answer(&Answer::Shown(Box::new(seen.clone()))),
        Step::Cancel
    );
    scene.look_at(seen);
    assert_eq!(*scene.payment.state(), State::Failed(FailReason::Cancelled));
}
