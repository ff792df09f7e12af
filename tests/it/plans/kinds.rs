//! What a plan says is what applying it then does, over every kind of unfinished payment.

use holdfast::operate::rerun_moves;

use super::*;

/// Payments that stopped, each for another reason; and what is said of each.
async fn stopped(room: &Room<MemoryStore>) -> Vec<(PaymentId, &'static str, &'static str)> {
    let stage = &room.stage;
    let on = |operation, effect, id: &PaymentId| {
        stage.fault(Rule::on(operation, effect).reference(id.as_str()).times(1));
    };
    let wrong = || Effect::decline("acquirer_configuration_error");
    let bad = || Effect::status_before_commit(400);

    let declined = stage.charge("declined", 1_100).await;
    on(Operation::Charge, wrong(), &declined);
    let hold = stage.authorize_by_token("hold", 1_200, "{}").await;
    on(Operation::Charge, wrong(), &hold);
    let unmade = stage.charge("unmade", 1_300).await;
    on(Operation::Create, bad(), &unmade);
    let no_link = stage.authorize_by_checkout("no-link", 1_400, "{}").await;
    on(Operation::Create, bad(), &no_link);
    let traceless = stage.charge("traceless", 1_500).await;
    on(
        Operation::Charge,
        Effect::timeout_before_commit(),
        &traceless,
    );
    let late = stage.charge("late", 1_600).await;
    on(
        Operation::Charge,
        Effect::committed_late(25 * 60_000),
        &late,
    );
    let released = stage.authorize_by_token("released", 1_700, "{}").await;
    let held_back = r#"{"before_expiry":"park","expires_at":"2027-01-31T06:10:00Z"}"#;
    let asks = stage.authorize_by_token("asks", 1_800, held_back).await;
    stage.work().await;
    assert_eq!(stage.state(&released).await, StateName::Held);
    let purchase = stage
        .payment(&released)
        .await
        .purchase()
        .unwrap()
        .id
        .clone();
    let purchase = purchase.as_str().parse().unwrap();
    stage
        .sandbox
        .force_status(purchase, chip_sandbox::Status::Released);
    stage.store.nudge(&released).await.unwrap();
    stage.work_for(TimeDelta::minutes(40)).await;
    vec![
        (declined, "declined_for_operator", "charges"),
        (hold, "declined_for_operator", "charges"),
        (unmade, "refused", "makes a purchase and charges"),
        (no_link, "refused", "makes a link for the payer"),
        (
            traceless,
            "outcome_unknown",
            "stays parked: outcome_unknown",
        ),
        (late, "outcome_unknown", "is reported paid"),
        (released, "contradiction", "is reported released"),
        (asks, "before_expiry", "stays parked: before_expiry"),
    ]
}

#[tokio::test]
async fn a_plan_says_what_applying_it_then_does() {
    use StateName::{AwaitingPayer, Held, Paid, Parked, Released};

    let room = Room::open().await;
    let all = stopped(&room).await;
    let plan = room.ask(all_parked()).await;
    assert_eq!(plan.payments.len(), all.len());
    for (id, reason, told) in &all {
        let planned = plan.payments.iter().find(|it| it.payment == *id).unwrap();
        let seen = planned.seen.as_ref().unwrap().reason.as_ref().unwrap();
        assert_eq!(seen.as_str(), *reason);
        let foreseen = foreseen_word(planned.foreseen.as_ref().unwrap());
        assert!(foreseen.starts_with(told), "{reason}: {foreseen:?}");
    }
    let touches = plan.touches();
    let touches: Vec<_> = touches
        .iter()
        .map(|((_, how), minor)| (how.as_str(), *minor))
        .collect();
    let expected = [
        ("takes", 1_100 + 1_300),
        ("reserves", 1_200),
        ("records_taken", 1_600),
    ];
    assert_eq!(touches, expected);

    let moved = |kind| -> i64 {
        let ledger = room.stage.ledger();
        let moved = ledger.movements().iter().filter(|moved| moved.kind == kind);
        moved.map(|moved| moved.amount).sum()
    };
    let before = [MovementKind::Charge, MovementKind::Hold].map(moved);
    let done = room.applied(&plan).await;
    assert_eq!(done.phase, Phase::Done, "{done:?}");
    assert_eq!(fates(&done), ["as_foreseen"; 8], "{done:?}");
    let after = [MovementKind::Charge, MovementKind::Hold].map(moved);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [2_400, 1_200]);
    let ends = [
        Paid,
        Held,
        Paid,
        AwaitingPayer,
        Parked,
        Paid,
        Released,
        Parked,
    ];
    for ((id, ..), end) in all.iter().zip(ends) {
        assert_eq!(room.stage.state(id).await, end, "{id}");
        assert!(room.stage.taken(id).1 <= 1);
    }
}

/// How much is held by those that `holds_to_come` is about.
const HELD: u64 = 1_200;

/// The plan of a hold, what a plan of its rerun says that is moved, its end, and how much is taken then.
type ToCome = (String, Vec<(&'static str, u64)>, StateName, u64);

fn holds_to_come() -> [ToCome; 8] {
    let soon = r#""capture_at":"2027-01-31T06:10:00Z""#;
    let all = HELD;
    let taken = |amount| vec![("takes", amount), ("reserves", all)];
    let reserved = || vec![("reserves", all)];
    let (held, paid) = (StateName::Held, StateName::Paid);
    [
        (format!("{{{soon}}}"), taken(all), paid, all),
        (
            format!(r#"{{{soon},"capture_amount":700}}"#),
            taken(700),
            paid,
            700,
        ),
        // Its time is over: it is given back instead.
        (
            format!(r#"{{{soon},"release_at":"2027-01-31T06:15:00Z"}}"#),
            reserved(),
            StateName::Released,
            0,
        ),
        // While the plan can be applied, it comes; or while its run can be resumed.
        (
            r#"{"capture_at":"2027-01-31T06:30:00Z"}"#.to_owned(),
            taken(all),
            held,
            0,
        ),
        (
            r#"{"capture_at":"2027-02-01T06:19:00Z"}"#.to_owned(),
            taken(all),
            held,
            0,
        ),
        // It comes and goes meanwhile.
        (
            r#"{"capture_at":"2027-01-31T07:00:00Z","release_at":"2027-01-31T08:00:00Z"}"#
                .to_owned(),
            taken(all),
            held,
            0,
        ),
        (
            r#"{"capture_at":"2027-02-01T06:21:00Z"}"#.to_owned(),
            reserved(),
            held,
            0,
        ),
        (
            r#"{"before_expiry":"capture","expires_at":"2027-01-31T12:00:00Z"}"#.to_owned(),
            taken(all),
            paid,
            all,
        ),
    ]
}

#[tokio::test]
async fn a_plan_says_takes_of_a_hold_that_is_captured_as_soon_as_it_stands() {
    for (given, touched, end, moved) in holds_to_come() {
        for operation in [Operation::Create, Operation::Charge] {
            let room = Room::open().await;
            let id = room.stage.authorize_by_token("k", HELD, &given).await;
            if operation == Operation::Create {
                room.stage
                    .fault(Rule::on(operation, Effect::status_before_commit(400)).times(1));
            } else {
                room.refuse_for_the_operator(&id, 1);
            }
            room.stage.work().await;
            assert_eq!(room.stage.state(&id).await, StateName::Parked);
            room.stage.pass(TimeDelta::minutes(20));
            let plan = room.plan_of(std::slice::from_ref(&id)).await;
            let touches = plan.touches().into_iter();
            let touches: Vec<_> = touches
                .map(|((_, how), minor)| (how.as_str(), minor))
                .collect();
            assert_eq!(touches, touched, "{given}");
            assert_eq!(plan.about().into_values().collect::<Vec<_>>(), [HELD]);
            assert_eq!(plan.largest_moved(), HELD, "{given}");
            let parked = room.stage.payment(&id).await;
            assert_eq!(rerun_moves(&parked), HELD, "whatever is foreseen");
            let done = room.applied(&plan).await;
            assert_eq!(fates(&done), ["as_foreseen"], "{given}");
            assert_eq!(room.stage.state(&id).await, end, "{given}");
            assert_eq!(room.stage.taken(&id).0, moved, "{given}");
        }
    }
}

#[tokio::test]
async fn a_plan_that_charges_in_doubt_again_never_says_that_it_does_not() {
    let mut room = Room::open().await;
    let id = room.stage.charge("traceless", 1_500).await;
    let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
    room.stage.fault(lost.times(1));
    room.stage.work_for(TimeDelta::minutes(40)).await;
    for (unknown, foreseen, told, untold) in [
        (
            UnknownPolicy::Park,
            "stays parked: outcome_unknown",
            "not made again",
            "charged or captured again",
        ),
        (
            UnknownPolicy::ResendSame,
            "charges",
            "charged or captured again",
            "not made again",
        ),
    ] {
        room.planner = planner(&room.stage, unknown);
        let plan = room.plan_of(std::slice::from_ref(&id)).await;
        assert!(plan.payments[0].seen.as_ref().unwrap().in_doubt);
        let word = foreseen_word(plan.payments[0].foreseen.as_ref().unwrap());
        assert!(word.starts_with(foreseen), "{word}");
        let warnings = plan.warnings().join("; ");
        assert!(warnings.contains(told), "{warnings}");
        assert!(!warnings.contains(untold), "{warnings}");
    }
}

#[tokio::test]
async fn a_filter_narrows_down_by_reason_account_and_age() {
    let room = Room::open().await;
    let all = stopped(&room).await;
    let matching = |filter: Filter| Selection::Matching(filter);
    let any = Filter {
        state: StateName::Parked,
        account: None,
        reason: None,
        older_than_ms: None,
    };
    let refused = Filter {
        reason: Some("refused".to_owned()),
        ..any.clone()
    };
    let plan = room.ask(matching(refused)).await;
    let mut found: Vec<_> = plan.payments.iter().map(|it| it.payment.clone()).collect();
    let mut expected = vec![all[2].0.clone(), all[3].0.clone()];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let elsewhere = Filter {
        account: Some(AccountName::new("rental").unwrap()),
        ..any.clone()
    };
    assert_eq!(room.ask(matching(elsewhere)).await.payments, []);
    // Those in doubt were parked after the quiet period, the others before.
    let old = Filter {
        older_than_ms: Some(30 * 60_000),
        ..any
    };
    let plan = room.ask(matching(old)).await;
    let found: Vec<_> = plan.payments.iter().map(|it| &it.payment).collect();
    assert!(found.contains(&&all[0].0) && !found.contains(&&all[4].0));
}

#[tokio::test]
async fn what_a_key_does_not_see_is_not_in_its_plans() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 100).await;
    let mine = [AccountName::new("rental").unwrap()];
    for (of, found) in [
        (Selection::Payments(vec![id]), vec!["left_out"]),
        (all_parked(), vec![]),
    ] {
        let mut plan = Plan::wanted(of, "key:rental", room.stage.clock.now());
        plan.accounts = Some(mine.iter().cloned().collect());
        let plan = planning::ask(&*room.stage.store, plan, &aina())
            .await
            .unwrap();
        while room.planner.carry_out().await.unwrap() > 0 {}
        let plan = room.plan(&plan).await;
        assert_eq!(fates(&plan), found);
        assert!(
            plan.payments
                .iter()
                .all(|it| it.seen.is_none() && it.account.is_none())
        );
    }
}
