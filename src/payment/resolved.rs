//! What people settle: by what the gateway shows, or by two people's word where it shows nothing. Each
//! condition has a test that fails if it is turned around.

use chrono::TimeDelta;

use super::scenes::*;
use super::*;

fn as_shown() -> Command {
    Command::ResolveAsShown {
        reason: "captured in the portal".into(),
        actor: "aina".into(),
    }
}

fn propose(outcome: StatedEnd, actor: &str) -> Command {
    Command::ProposeByHand {
        outcome,
        reason: "the bank says so".into(),
        actor: actor.into(),
    }
}

fn approve(outcome: StatedEnd, actor: &str) -> Command {
    Command::ApproveByHand {
        outcome,
        reason: "read the statement".into(),
        actor: actor.into(),
    }
}

/// A charge whose call left no trace, parked after the quiet period.
fn doubtful() -> Scene {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    scene.pass(QUIET);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
    scene
}

/// A hold that somebody else captured, in part.
fn taken_elsewhere(amount: u64) -> (Scene, Sighting) {
    let mut scene = held("{}");
    scene.payment.nudged(1);
    let mut seen = sighting(&scene.payment, Standing::Paid);
    seen.taken = Some(Taken {
        amount,
        currency: "MYR".into(),
    });
    scene.look_at(seen.clone());
    assert_eq!(scene.state(), StateName::Parked);
    (scene, seen)
}

/// A hold that is parked.
fn stuck_hold() -> Scene {
    let mut scene = held(r#"{"before_expiry":"park"}"#);
    scene.pass(TimeDelta::days(5));
    scene.settle();
    assert_eq!(scene.state(), StateName::Parked);
    scene
}

fn progress(scene: &Scene) -> &Progress {
    &scene.payment.resolution().unwrap().progress
}

fn void(shown: &str) -> Progress {
    let shown = shown.to_owned();
    Progress::Void { shown }
}

fn by_look(scene: &mut Scene, look: &LookUp) {
    assert_eq!(scene.next(), Next::LookUp);
    scene.payment.looked_up(look, scene.now, &scene.policy);
}

fn silent(denied: bool) -> LookUp {
    let denied = if denied { Denial::Said } else { Denial::No };
    failed(denied)
}

fn failed(denied: Denial) -> LookUp {
    LookUp::Failed {
        why: "away".into(),
        denied,
        retry_after_ms: None,
    }
}

/// Proposed by one and approved by another.
fn stated(scene: &mut Scene, outcome: StatedEnd) {
    assert_eq!(
        scene.command(propose(outcome, "aina")),
        CommandAnswer::Accepted
    );
    assert_eq!(
        scene.command(approve(outcome, "badrul")),
        CommandAnswer::Accepted
    );
}

#[test]
fn another_amount_that_was_taken_is_reported_once_a_person_says_so_and_as_it_was_taken() {
    let (mut scene, seen) = taken_elsewhere(900);
    scene.command(rerun());
    scene.look_at(seen.clone());
    assert_eq!(scene.state(), StateName::Parked, "a rerun is not enough");
    assert_eq!(scene.command(as_shown()), CommandAnswer::Accepted);
    assert_eq!(scene.payment.resolved(), None);
    scene.look_at(seen);
    let State::Paid(money) = scene.payment.state() else {
        panic!("{:?}", scene.payment.state());
    };
    assert_eq!(money.amount.minor(), 900);
    assert_eq!(scene.payment.resolved(), Some(ResolvedHow::AsShown));
    let said = &scene.payment.resolution().unwrap().said;
    let said: Vec<_> = said.iter().map(|said| said.actor.as_str()).collect();
    assert_eq!(said, ["aina"]);
}

#[test]
fn what_somebody_only_marked_as_paid_is_never_reported_paid_whoever_says_so() {
    let mut doubt = charged(UnknownPolicy::Park);
    doubt.answer(&Scene::unknown());
    doubt
        .payment
        .contradiction(Mismatch::Kind, doubt.now, &doubt.policy);
    for mut scene in [doubt, doubtful(), stuck_hold()] {
        let verdict = last_verdict(&scene).cloned();
        let marked = |scene: &Scene| {
            let mut seen = sighting(&scene.payment, Standing::Paid);
            seen.by_hand = true;
            seen
        };
        for command in [rerun(), as_shown()] {
            scene.command(command);
            scene.look_at(marked(&scene));
            assert_eq!(scene.state(), StateName::Parked);
        }
        assert_eq!(*progress(&scene), void("marked_by_hand"));
        assert_eq!(scene.payment.resolved(), None);
        let outcome = match scene.payment.state().active() {
            Some(Active::Held(_)) => StatedEnd::HoldGone,
            _ => StatedEnd::NeverPaid,
        };
        stated(&mut scene, outcome);
        scene.pass(QUIET);
        scene.look_at(marked(&scene));
        assert_eq!(scene.state(), StateName::Parked);
        assert_eq!(*progress(&scene), void("marked_by_hand"));
        assert_eq!(last_verdict(&scene), verdict.as_ref(), "it took nothing");
    }
}

#[test]
fn nothing_that_is_not_ours_or_in_another_currency_or_not_taken_is_taken_as_shown() {
    type Twist = fn(&mut Sighting);
    let twists: [Twist; 7] = [
        |seen| seen.reference = "another".into(),
        |seen| seen.purchase = PurchaseId::new(TOKEN).unwrap(),
        |seen| seen.brand = "another".into(),
        |seen| seen.test = false,
        |seen| seen.converted = true,
        |seen| seen.taken.as_mut().unwrap().currency = "SGD".into(),
        |seen| seen.taken.as_mut().unwrap().amount = 0,
    ];
    for twist in twists {
        let (mut scene, mut seen) = taken_elsewhere(900);
        scene.command(as_shown());
        twist(&mut seen);
        scene.look_at(seen);
        assert_eq!(scene.state(), StateName::Parked);
        assert_eq!(*progress(&scene), void("paid"));
    }
    let (mut scene, mut seen) = taken_elsewhere(900);
    scene.command(as_shown());
    seen.taken = None;
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Parked, "how much is not shown");
}

#[test]
fn to_resolve_as_shown_leads_to_no_call_whatever_is_shown() {
    let standings = [
        Standing::Payable,
        Standing::Pending,
        Standing::Held,
        Standing::Other("odd".into()),
    ];
    for standing in standings {
        for mut scene in [doubtful(), stuck_hold()] {
            let attempts = scene.payment.attempts().len();
            scene.command(as_shown());
            scene.look(standing.clone());
            for _ in 0..20 {
                match scene.next() {
                    Next::LookUp => scene.look(standing.clone()),
                    Next::WaitUntil(_) => scene.until_due(),
                    other => panic!("{other:?} on {standing:?}"),
                }
            }
            assert_eq!(scene.state(), StateName::Parked, "{standing:?}");
            assert_eq!(scene.payment.attempts().len(), attempts, "{standing:?}");
        }
    }
}

#[test]
fn a_look_that_is_older_than_the_word_settles_nothing_and_leaves_it_wanted() {
    let (mut scene, seen) = taken_elsewhere(900);
    let before = scene.now;
    scene.pass(TimeDelta::milliseconds(1));
    scene.command(as_shown());
    let old = LookUp::Shown(Box::new(seen.clone()));
    let asked = scene.payment.asked();
    scene.payment.looked_up(&old, before, &scene.policy);
    scene.payment.still_asked(asked);
    assert_eq!(scene.state(), StateName::Parked);
    assert_eq!(*progress(&scene), Progress::Wanted);
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Paid);
}

#[test]
fn a_word_is_used_up_by_the_first_look_that_shows_anything() {
    let (mut scene, seen) = taken_elsewhere(900);
    scene.command(as_shown());
    scene.look(Standing::Held);
    assert_eq!(*progress(&scene), void("held"));
    scene.payment.nudged(9);
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_look_that_shows_nothing_leaves_the_word_wanted_for_a_day() {
    for look in [silent(false), silent(true), LookUp::NotFound] {
        let (mut scene, seen) = taken_elsewhere(900);
        scene.command(as_shown());
        let began = scene.now;
        by_look(&mut scene, &look);
        assert_eq!(*progress(&scene), Progress::Wanted, "{look:?}");
        scene.until_due();
        assert!(scene.now - began < TimeDelta::minutes(10));
        scene.look_at(seen);
        assert_eq!(scene.payment.resolved(), Some(ResolvedHow::AsShown));
    }
    let (mut scene, seen) = taken_elsewhere(900);
    scene.command(as_shown());
    scene.pass(TimeDelta::hours(24) + TimeDelta::milliseconds(1));
    by_look(&mut scene, &silent(false));
    assert_eq!(*progress(&scene), void("nothing"), "the word is too old");
    scene.payment.nudged(9);
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Parked);
    let (mut scene, _) = taken_elsewhere(900);
    scene.command(as_shown());
    let began = scene.now;
    while *progress(&scene) == Progress::Wanted && scene.now - began < QUIET * 2 {
        by_look(&mut scene, &LookUp::NotFound);
        scene.until_due();
    }
    assert_eq!(*progress(&scene), void("not_found"), "it is not there");
}

#[test]
fn a_hold_that_somebody_else_released_or_captured_as_planned_is_taken_as_shown() {
    for (standing, end) in [
        (Standing::Released, StateName::Released),
        (Standing::Paid, StateName::Paid),
    ] {
        let mut scene = held("{}");
        scene.payment.nudged(1);
        scene.look(standing.clone());
        assert_eq!(scene.state(), StateName::Parked);
        scene.command(as_shown());
        scene.look(standing);
        assert_eq!(scene.state(), end);
        assert_eq!(scene.payment.resolved(), Some(ResolvedHow::AsShown));
    }
}

#[test]
fn only_what_is_parked_and_has_a_purchase_is_settled_by_people() {
    let commands = || {
        [
            as_shown(),
            propose(StatedEnd::NeverPaid, "aina"),
            approve(StatedEnd::NeverPaid, "badrul"),
        ]
    };
    let mut unmade = Scene::new(charge(), UnknownPolicy::Park);
    let refused = Answer::NoEffect {
        code: "bad".into(),
        denied: false,
    };
    unmade.answer(&refused);
    assert_eq!(unmade.state(), StateName::Parked);
    for mut scene in [charged(UnknownPolicy::Park), held("{}"), unmade] {
        for command in commands() {
            assert_eq!(scene.command(command), CommandAnswer::NotApplicable);
        }
        assert_eq!(scene.payment.resolution(), None);
    }
}

#[test]
fn who_and_why_are_demanded_of_every_word() {
    for (reason, actor) in [("", "aina"), ("why", " ")] {
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        let outcome = StatedEnd::NeverPaid;
        let (why, who) = (reason.clone(), actor.clone());
        for command in [
            Command::ResolveAsShown {
                reason: reason.clone(),
                actor: actor.clone(),
            },
            Command::ProposeByHand {
                outcome,
                reason,
                actor,
            },
            Command::ApproveByHand {
                outcome,
                reason: why,
                actor: who,
            },
        ] {
            let mut scene = doubtful();
            let key = IdempotencyKey::new("k").unwrap();
            let problem = scene.payment.command(key, command, scene.now).unwrap_err();
            assert_eq!(problem.field, "reason");
            assert_eq!(scene.payment.resolution(), None);
        }
    }
}

#[test]
fn one_person_alone_settles_nothing_however_the_name_is_written() {
    for again in ["aina", "AINA", " Aina ", "key:aina", "Key: Aina"] {
        let mut scene = doubtful();
        scene.command(propose(StatedEnd::NeverPaid, "aina"));
        let key = IdempotencyKey::new("again").unwrap();
        let again = approve(StatedEnd::NeverPaid, again);
        let problem = scene.payment.command(key, again, scene.now).unwrap_err();
        assert_eq!(problem.field, "actor");
        assert_eq!(*progress(&scene), Progress::Proposed);
        assert!(matches!(scene.next(), Next::WaitUntil(_)), "no look");
        scene.payment.nudged(5);
        by_look(&mut scene, &LookUp::NotFound);
        assert_eq!(scene.state(), StateName::Parked);
        assert_eq!(*progress(&scene), Progress::Proposed);
    }
    let mut scene = doubtful();
    scene.command(propose(StatedEnd::NeverPaid, "key:aina"));
    let key = IdempotencyKey::new("again").unwrap();
    let again = approve(StatedEnd::NeverPaid, "aina");
    let problem = scene.payment.command(key, again, scene.now).unwrap_err();
    assert_eq!(problem.field, "actor", "the other way round");
}

#[test]
fn another_outcome_or_none_that_was_proposed_is_not_approved() {
    let mut scene = doubtful();
    let nothing = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
    assert_eq!(nothing, CommandAnswer::NotApplicable);
    for outcome in [StatedEnd::NeverPaid, StatedEnd::HoldGone] {
        let fits = outcome == StatedEnd::NeverPaid;
        let answer = scene.command(propose(outcome, "aina"));
        assert_eq!(answer == CommandAnswer::Accepted, fits, "{outcome:?}");
    }
    let other = scene.command(approve(StatedEnd::HoldGone, "badrul"));
    assert_eq!(other, CommandAnswer::NotApplicable);
    assert_eq!(*progress(&scene), Progress::Proposed);
    scene.command(as_shown());
    let replaced = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
    assert_eq!(replaced, CommandAnswer::NotApplicable, "it was withdrawn");
}

/// A charge that the acquirer would not make, parked with its call explained; and how it is shown since.
fn declined_for_operator() -> (Scene, Sighting) {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Answer::Declined {
        code: "purchase_charge_error".into(),
    });
    let mut seen = sighting(&scene.payment, Standing::Payable);
    seen.tries = vec![failed_try(TryKind::Pay, "acquirer_configuration_error")];
    scene.look_at(seen.clone());
    assert_eq!(scene.state(), StateName::Parked);
    assert!(scene.payment.open_attempt().is_none());
    (scene, seen)
}

#[test]
fn a_word_about_a_payment_that_went_on_since_is_approved_by_nobody() {
    let (mut scene, seen) = declined_for_operator();
    scene.command(propose(StatedEnd::NeverPaid, "aina"));
    scene.command(rerun());
    scene.look_at(seen.clone());
    assert_eq!(scene.answer(&Scene::unknown()), Step::Charge);
    scene.pass(QUIET);
    scene.look_at(seen);
    assert_eq!(
        scene.state(),
        StateName::Parked,
        "of that charge nobody spoke"
    );
    assert_eq!(
        *progress(&scene),
        void("payable"),
        "what let it go on is told"
    );
    let late = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
    assert_eq!(late, CommandAnswer::NotApplicable);
    // Of what is true now people can speak anew.
    stated(&mut scene, StatedEnd::NeverPaid);

    let mut scene = stuck_hold();
    scene.command(propose(StatedEnd::HoldGone, "aina"));
    scene.command(capture(1500));
    scene.look(Standing::Held);
    assert!(matches!(
        scene.answer(&Scene::unknown()),
        Step::Capture { .. }
    ));
    scene.pass(QUIET);
    scene.look(Standing::Held);
    assert_eq!(scene.state(), StateName::Parked);
    let late = scene.command(approve(StatedEnd::HoldGone, "badrul"));
    assert_eq!(late, CommandAnswer::NotApplicable);
}

#[test]
fn what_two_people_stated_is_not_wanted_of_a_payment_that_went_on_by_an_older_look() {
    let (mut scene, seen) = declined_for_operator();
    let began = scene.now;
    scene.pass(TimeDelta::milliseconds(1));
    stated(&mut scene, StatedEnd::NeverPaid);
    scene.command(rerun());
    let old = LookUp::Shown(Box::new(seen));
    scene.payment.looked_up(&old, began, &scene.policy);
    assert_eq!(scene.state(), StateName::New);
    assert_eq!(*progress(&scene), void("payable"));
}

#[test]
fn a_rerun_that_was_wanted_before_people_settled_it_leads_to_no_call() {
    type Word = fn(&mut Scene);
    let words: [Word; 2] = [
        |scene| stated(scene, StatedEnd::NeverPaid),
        |scene| assert_eq!(scene.command(as_shown()), CommandAnswer::Accepted),
    ];
    for word in words {
        let (mut scene, seen) = declined_for_operator();
        scene.command(rerun());
        by_look(&mut scene, &LookUp::NotFound);
        assert!(scene.payment.asked().1, "it was not seen: still wanted");
        let attempts = scene.payment.attempts().len();
        word(&mut scene);
        scene.look_at(seen.clone());
        assert_eq!(*progress(&scene), void("payable"));
        for _ in 0..5 {
            assert_eq!(scene.state(), StateName::Parked);
            scene.until_due();
            scene.look_at(seen.clone());
        }
        assert_eq!(scene.payment.attempts().len(), attempts);
        // One that is asked for after it counts.
        word(&mut scene);
        scene.command(rerun());
        scene.look_at(seen);
        assert_eq!(scene.next(), Next::Send(Step::Charge));
    }
    // Nothing follows from one person's word, nor is a rerun called off by it.
    let (mut scene, seen) = declined_for_operator();
    scene.command(rerun());
    scene.command(propose(StatedEnd::NeverPaid, "aina"));
    scene.look_at(seen);
    assert_eq!(scene.next(), Next::Send(Step::Charge));
}

#[test]
fn what_a_command_decided_before_people_settled_it_is_sent_once_somebody_has_it_rerun() {
    let mut scene = stuck_hold();
    assert_eq!(scene.command(Command::Release), CommandAnswer::Accepted);
    scene.command(as_shown());
    scene.look(Standing::Held);
    assert_eq!(*progress(&scene), void("held"));
    assert!(!matches!(scene.next(), Next::Send(_)));
    scene.command(rerun());
    scene.look(Standing::Held);
    assert_eq!(scene.next(), Next::Send(Step::Release));
}

#[test]
fn a_call_that_was_never_made_has_nothing_go_on_that_people_settle() {
    let mut scene = charged(UnknownPolicy::Park);
    let number = scene
        .payment
        .open(Step::Charge, scene.now, &scene.policy)
        .unwrap();
    scene.payment.sign_open("ours");
    let doubt = ParkReason::OutcomeUnknown;
    scene.payment.park(doubt, scene.now, &scene.policy);
    scene.command(as_shown());
    let ours = scene
        .payment
        .never_sent(number, "ours", scene.now, &scene.policy);
    assert!(ours);
    scene.look(Standing::Payable);
    assert_eq!(scene.state(), StateName::Parked);
}

/// As a version leaves a word that does not take it from a payment that goes on.
fn carried_on(scene: &mut Scene, progress: Progress) {
    scene.payment.resolution.as_mut().unwrap().progress = progress;
}

#[test]
fn what_was_stated_of_a_payment_before_its_last_call_counts_with_nobody_whoever_carried_it_on() {
    let again = || {
        let (mut scene, seen) = declined_for_operator();
        scene.command(propose(StatedEnd::NeverPaid, "aina"));
        scene.command(rerun());
        scene.look_at(seen.clone());
        assert_eq!(scene.answer(&Scene::unknown()), Step::Charge);
        scene.pass(QUIET);
        scene.look_at(seen);
        assert_eq!(scene.state(), StateName::Parked);
        scene
    };
    let mut scene = again();
    carried_on(&mut scene, Progress::Proposed);
    let late = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
    assert_eq!(late, CommandAnswer::NotApplicable);
    let mut scene = again();
    carried_on(&mut scene, Progress::Wanted);
    scene.payment.nudged(9);
    scene.look(Standing::Other("odd".into()));
    assert_eq!(scene.state(), StateName::Parked);
    assert_eq!(*progress(&scene), void("unknown_status"));
    // One that does not know of which record it was said leaves that out.
    let mut scene = doubtful();
    scene.command(propose(StatedEnd::NeverPaid, "aina"));
    scene.payment.resolution.as_mut().unwrap().said_of = None;
    let unknown = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
    assert_eq!(unknown, CommandAnswer::NotApplicable);
    stated(&mut scene, StatedEnd::NeverPaid);
}

#[test]
fn what_was_proposed_of_a_payment_that_ends_is_approved_by_nobody_and_says_what_was_shown() {
    let mut scene = doubtful();
    scene.command(propose(StatedEnd::NeverPaid, "aina"));
    scene.payment.nudged(9);
    scene.look(Standing::Paid);
    assert_eq!(scene.state(), StateName::Paid);
    assert_eq!(*progress(&scene), void("paid"));
    assert_eq!(scene.payment.resolved(), None);
}

#[test]
fn a_word_names_what_the_look_showed_by_which_the_payment_went_on() {
    let mistyped = || {
        let mut scene = Scene::new(by_checkout("{}"), UnknownPolicy::Park);
        scene.show(Standing::Payable);
        scene.payment.nudged(1);
        let mut seen = sighting(&scene.payment, Standing::Held);
        seen.total = 1_600;
        scene.look_at(seen);
        assert_eq!(scene.state(), StateName::Parked);
        scene
    };
    for word in [as_shown(), propose(StatedEnd::NeverPaid, "aina")] {
        let mut scene = mistyped();
        scene.command(word);
        scene.payment.nudged(9);
        scene.look(Standing::Held);
        assert_eq!(scene.state(), StateName::Held);
        assert_eq!(*progress(&scene), void("held"));
    }
    // An answer that came late is no look.
    let mut scene = mistyped();
    scene.command(propose(StatedEnd::NeverPaid, "aina"));
    let late = scene.shown(Standing::Held);
    scene.payment.answered(99, &late, scene.now, &scene.policy);
    assert_eq!(scene.state(), StateName::Held);
    assert_eq!(*progress(&scene), void("went_on"));
}

#[test]
fn a_door_whose_clock_is_behind_undoes_nothing_of_what_two_people_stated() {
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    scene.now -= MINUTE;
    let third = scene.command(propose(StatedEnd::NeverPaid, "citra"));
    assert_eq!(third, CommandAnswer::AlreadyDecided);
    assert_eq!(*progress(&scene), Progress::Wanted);
}

#[test]
fn what_two_people_stated_is_undone_by_no_third_proposal_while_it_counts() {
    let third = || propose(StatedEnd::NeverPaid, "citra");
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    assert_eq!(scene.command(third()), CommandAnswer::AlreadyDecided);
    assert_eq!(*progress(&scene), Progress::Wanted);
    assert_eq!(scene.payment.resolution().unwrap().said.len(), 2);
    // Once their word is too old, somebody else's counts.
    scene.pass(TimeDelta::hours(24));
    assert_eq!(scene.command(third()), CommandAnswer::AlreadyDecided);
    scene.pass(TimeDelta::milliseconds(1));
    assert_eq!(scene.command(third()), CommandAnswer::Accepted);
    // And whoever knows better may stop it alone: then nothing is reported on their word.
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    assert_eq!(scene.command(as_shown()), CommandAnswer::Accepted);
    scene.look(Standing::Other("odd".into()));
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_word_waits_a_day_for_another_one() {
    let day = TimeDelta::hours(24);
    for (wait, answer) in [
        (day, CommandAnswer::Accepted),
        (
            day + TimeDelta::milliseconds(1),
            CommandAnswer::NotApplicable,
        ),
    ] {
        let mut scene = doubtful();
        scene.command(propose(StatedEnd::NeverPaid, "aina"));
        scene.pass(wait);
        let told = scene.command(approve(StatedEnd::NeverPaid, "badrul"));
        assert_eq!(told, answer);
    }
}

#[test]
fn what_two_people_state_is_reported_where_the_gateway_shows_nothing_of_it() {
    for look in [LookUp::NotFound, silent(true)] {
        let mut scene = doubtful();
        stated(&mut scene, StatedEnd::NeverPaid);
        assert_eq!(scene.state(), StateName::Parked, "a look comes first");
        let began = scene.now;
        by_look(&mut scene, &look);
        while scene.now - began < QUIET {
            let waits = *progress(&scene) == Progress::Wanted;
            assert!(
                waits,
                "a stale copy may not know it, a refusal may be a slip"
            );
            scene.until_due();
            by_look(&mut scene, &look);
        }
        assert_eq!(
            *scene.payment.state(),
            State::Failed(FailReason::StatedByHand)
        );
        assert_eq!(scene.payment.resolved(), Some(ResolvedHow::ByHand));
        assert_eq!(scene.payment.resolution().unwrap().said.len(), 2);
        assert_eq!(last_verdict(&scene), Some(&Verdict::DidNotHappen));
        assert_eq!(scene.next(), Next::Nothing);
    }
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    scene.look(Standing::Other("odd".into()));
    assert_eq!(scene.state(), StateName::Failed);
}

#[test]
fn what_the_gateway_shows_outranks_two_people() {
    for (standing, end) in [
        (Standing::Paid, StateName::Paid),
        (Standing::Payable, StateName::Parked),
        (Standing::Pending, StateName::Parked),
        (Standing::Cancelled, StateName::Parked),
        (Standing::Held, StateName::Parked),
        (Standing::CardSaved, StateName::Parked),
    ] {
        let mut scene = doubtful();
        stated(&mut scene, StatedEnd::NeverPaid);
        scene.look(standing.clone());
        assert_eq!(scene.state(), end, "{standing:?}");
        assert_eq!(*progress(&scene), void(standing.as_str()));
        assert_eq!(scene.payment.resolved(), None);
        assert!(!matches!(scene.next(), Next::Send(_)));
    }
    // In whatever status, money that is listed as taken was taken.
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    let mut seen = sighting(&scene.payment, Standing::Other("odd".into()));
    seen.taken = Some(Taken {
        amount: 1_500,
        currency: "MYR".into(),
    });
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_try_that_is_listed_as_done_outranks_two_people_though_no_amount_is_shown() {
    let listed = |scene: &Scene, standing: &Standing, kind| {
        let mut seen = sighting(&scene.payment, standing.clone());
        let done = |successful| Try {
            kind,
            successful,
            code: None,
        };
        // One that failed since does not undo it.
        seen.tries = vec![done(false), done(true)];
        seen
    };
    let odd = Standing::Other("odd".into());
    for kind in [TryKind::Pay, TryKind::Capture] {
        let mut scene = doubtful();
        stated(&mut scene, StatedEnd::NeverPaid);
        scene.look_at(listed(&scene, &odd, kind));
        assert_eq!(scene.state(), StateName::Parked, "{kind:?}");
        assert_eq!(*progress(&scene), void("unknown_status"), "{kind:?}");
    }
    let lapsed = start() + TimeDelta::days(6);
    for standing in [odd, Standing::Held, Standing::Cancelled, Standing::Expired] {
        for (kind, end) in [
            (TryKind::Capture, StateName::Parked),
            (TryKind::Pay, StateName::Released),
        ] {
            let mut scene = stuck_hold();
            scene.now = lapsed;
            stated(&mut scene, StatedEnd::HoldGone);
            scene.look_at(listed(&scene, &standing, kind));
            assert_eq!(scene.state(), end, "{kind:?} in {standing:?}");
        }
    }
}

#[test]
fn what_was_held_unknown_to_us_and_given_back_is_stated_never_paid() {
    let released = |scene: &Scene, kind| {
        let mut seen = sighting(&scene.payment, Standing::Released);
        seen.total = 1_600;
        seen.tries = vec![Try {
            kind,
            successful: true,
            code: None,
        }];
        seen
    };
    let mistyped = || {
        let mut scene = Scene::new(adopt(), UnknownPolicy::Park);
        let mut seen = sighting(&scene.payment, Standing::Held);
        seen.total = 1_600;
        scene.look_at(seen);
        assert_eq!(scene.state(), StateName::Parked);
        scene
    };
    for (kind, end) in [
        (TryKind::Pay, StateName::Failed),
        (TryKind::Release, StateName::Failed),
        (TryKind::Capture, StateName::Parked),
    ] {
        for mut scene in [mistyped(), doubtful()] {
            stated(&mut scene, StatedEnd::NeverPaid);
            scene.look_at(released(&scene, kind));
            assert_eq!(scene.state(), end, "{kind:?}");
        }
    }
    let mut scene = mistyped();
    stated(&mut scene, StatedEnd::NeverPaid);
    let mut seen = released(&scene, TryKind::Release);
    seen.taken = Some(Taken {
        amount: 1_600,
        currency: "MYR".into(),
    });
    scene.look_at(seen);
    assert_eq!(scene.state(), StateName::Parked);
}

#[test]
fn a_card_that_was_verified_and_not_kept_is_stated_never_paid() {
    let mut scene = Scene::new(save_card(), UnknownPolicy::Park);
    scene.show(Standing::Payable);
    scene.payment.nudged(1);
    let mut none = sighting(&scene.payment, Standing::CardSaved);
    none.card = None;
    scene.look_at(none.clone());
    assert_eq!(scene.state(), StateName::Parked);
    stated(&mut scene, StatedEnd::NeverPaid);
    scene.look_at(none);
    assert_eq!(
        *scene.payment.state(),
        State::Failed(FailReason::StatedByHand)
    );
}

#[test]
fn a_look_that_says_nothing_is_made_again_for_as_long_as_the_word_counts() {
    let mut scene = doubtful();
    stated(&mut scene, StatedEnd::NeverPaid);
    let begin = scene.now;
    by_look(&mut scene, &silent(false));
    assert_eq!(*progress(&scene), Progress::Wanted);
    scene.until_due();
    assert!(scene.now - begin < TimeDelta::minutes(10));
    while scene.now - begin <= TimeDelta::hours(24) {
        by_look(&mut scene, &silent(false));
        scene.until_due();
    }
    by_look(&mut scene, &silent(true));
    assert_eq!(scene.state(), StateName::Parked, "their word is too old");
    assert_eq!(*progress(&scene), void("nothing"));
}

#[test]
fn nothing_is_stated_while_a_call_may_be_on_its_way() {
    let mut scene = charged(UnknownPolicy::Park);
    scene.answer(&Scene::unknown());
    let contradicts = Mismatch::Kind;
    scene
        .payment
        .contradiction(contradicts, scene.now, &scene.policy);
    assert!(scene.payment.open_attempt().is_some());
    stated(&mut scene, StatedEnd::NeverPaid);
    let odd = Standing::Other("odd".into());
    scene.look(odd.clone());
    assert_eq!(scene.state(), StateName::Parked);
    assert_eq!(*progress(&scene), Progress::Wanted);
    scene.pass(QUIET);
    scene.look(odd);
    assert_eq!(scene.state(), StateName::Failed);
}

#[test]
fn a_hold_is_stated_gone_only_once_it_must_have_lapsed_or_is_shown_ended() {
    let lapses = start() + TimeDelta::days(6);
    for (at, end) in [
        (lapses - TimeDelta::milliseconds(1), StateName::Parked),
        (lapses, StateName::Released),
    ] {
        let mut scene = stuck_hold();
        scene.now = at;
        stated(&mut scene, StatedEnd::HoldGone);
        scene.look(Standing::Held);
        assert_eq!(scene.state(), end);
    }
    for (standing, end) in [
        (Standing::Released, StateName::Released),
        (Standing::Cancelled, StateName::Released),
        (Standing::Expired, StateName::Released),
        (Standing::Payable, StateName::Parked),
        (Standing::Pending, StateName::Parked),
        (Standing::Paid, StateName::Parked),
    ] {
        let mut scene = stuck_hold();
        stated(&mut scene, StatedEnd::HoldGone);
        scene.look(standing.clone());
        assert_eq!(scene.state(), end, "{standing:?}");
    }
    let mut scene = stuck_hold();
    let never = scene.command(propose(StatedEnd::NeverPaid, "aina"));
    assert_eq!(never, CommandAnswer::NotApplicable, "there was a hold");
}

#[test]
fn a_hold_of_which_the_gateway_tells_nothing_is_stated_gone_only_once_it_must_have_lapsed() {
    let lapses = start() + TimeDelta::days(6);
    for look in [LookUp::NotFound, silent(true)] {
        let mut scene = stuck_hold();
        scene.now = lapses - TimeDelta::hours(2);
        stated(&mut scene, StatedEnd::HoldGone);
        while scene.now < lapses {
            by_look(&mut scene, &look);
            assert_eq!(*progress(&scene), Progress::Wanted, "at {}", scene.now);
            scene.until_due();
        }
        by_look(&mut scene, &look);
        assert_eq!(scene.state(), StateName::Released);
        assert_eq!(scene.payment.resolved(), Some(ResolvedHow::ByHand));
    }
}

#[test]
fn a_refused_key_counts_once_it_was_refused_in_three_looks_over_the_quiet_period() {
    let after = |looks: &[LookUp], apart: TimeDelta| {
        let mut scene = doubtful();
        stated(&mut scene, StatedEnd::NeverPaid);
        for look in looks {
            scene.payment.nudged(scene.payment.nudges_seen + 1);
            by_look(&mut scene, look);
            scene.pass(apart);
        }
        scene.state()
    };
    let denied = || silent(true);
    assert_eq!(after(&[denied()], QUIET), StateName::Parked, "one look");
    let twice = [denied(), denied()];
    assert_eq!(after(&twice, QUIET), StateName::Parked, "two looks");
    let thrice = [denied(), denied(), denied()];
    assert_eq!(after(&thrice, QUIET / 2), StateName::Failed);
    assert_eq!(after(&thrice, MINUTE), StateName::Parked, "too soon");
    let heard = [denied(), denied(), LookUp::NotFound, denied()];
    assert_eq!(
        after(&heard, QUIET),
        StateName::Parked,
        "it spoke meanwhile"
    );
    let away = [denied(), silent(false), denied(), silent(false), denied()];
    assert_eq!(after(&away, QUIET / 4), StateName::Failed);
    let bare = || failed(Denial::Bare);
    let by_a_proxy = [bare(), denied(), bare(), denied(), bare(), bare()];
    assert_eq!(after(&by_a_proxy, QUIET), StateName::Parked, "not its word");
    let not_told = [silent(false), silent(false), silent(false), silent(false)];
    assert_eq!(after(&not_told, QUIET), StateName::Parked);
}

#[test]
fn a_record_of_before_reads_as_one_that_nobody_settled() {
    let scene = doubtful();
    let stored = serde_json::to_value(&scene.payment).unwrap();
    assert!(stored.get("resolution").is_none());
    let read: Payment = serde_json::from_value(stored).unwrap();
    assert_eq!(read.resolved(), None);
    let mut settled = scene;
    stated(&mut settled, StatedEnd::NeverPaid);
    let stored = serde_json::to_value(&settled.payment).unwrap();
    let read: Payment = serde_json::from_value(stored).unwrap();
    assert_eq!(read, settled.payment);
}
