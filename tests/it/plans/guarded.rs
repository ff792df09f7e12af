//! What a run guards against: money that nobody was told of, a first stage that proves nothing, a Redis
//! that may forget, and writes that say nothing new.

use futures_util::FutureExt as _;
use holdfast::gateway::Gateway;
use holdfast::operate::timeline::{RerunWanted, rerun_wanted_since};
use holdfast::operate::{Fate, Fit, Foreseen, PlanCommand, Then};
use holdfast::store::Permit;

use super::*;

#[tokio::test]
async fn since_when_a_rerun_is_wanted_is_told_by_what_had_it_looked_at_again_and_by_no_word() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    room.stage.pass(TimeDelta::minutes(1));
    let given = room.stage.clock.now();
    let (reason, actor) = ("mended".to_owned(), "aina".to_owned());
    let rerun = Command::Rerun { reason, actor };
    room.stage.command(&id, "r", rerun).await;
    room.stage.pass(TimeDelta::seconds(1));
    let propose = Command::ProposeByHand {
        outcome: StatedEnd::NeverPaid,
        reason: "the bank says so".to_owned(),
        actor: "aina".to_owned(),
    };
    let answer = room.stage.command(&id, "p", propose).await;
    assert_eq!(answer, CommandAnswer::Accepted);
    let waits = room.stage.payment(&id).await;
    assert_eq!(RerunWanted::of(&waits), Some(RerunWanted::Asked(given)));
    assert_eq!(rerun_wanted_since(&waits), Some(given));

    // Where the call was never made the machine looks again, whatever was asked for before it was parked.
    let policy = crate::stage::policy(UnknownPolicy::Park);
    let mut payment = Payment::new(waits.request().clone(), given).unwrap();
    let key = IdempotencyKey::new("c").unwrap();
    payment.command(key, Command::Cancel, given).unwrap();
    let parked = given + TimeDelta::seconds(5);
    let number = payment.open(Step::Create, parked, &policy).unwrap();
    payment.sign_open("ours");
    let doubt = Event::Stuck(ParkReason::OutcomeUnknown);
    payment.settled(doubt, parked, &policy);
    assert_eq!(RerunWanted::of(&payment), None);
    assert!(payment.never_sent(number, "ours", parked, &policy));
    assert_eq!(RerunWanted::of(&payment), Some(RerunWanted::Parked(parked)));
}

#[tokio::test]
async fn a_link_that_is_cancelled_came_out_as_foreseen_before_its_end_is_told() {
    let room = Room::open().await;
    let id = room.stage.authorize_by_checkout("k", 1_400, "{}").await;
    room.stage.work().await;
    let cancels = Foreseen {
        then: Then::Sends { step: Step::Cancel },
        touches: None,
    };
    let policy = crate::stage::policy(UnknownPolicy::Park);
    let fits = async || {
        let payment = room.stage.payment(&id).await;
        assert_eq!(payment.state().name(), StateName::AwaitingPayer);
        cancels.fits(&payment, room.stage.clock.now(), Some(&policy))
    };
    assert_ne!(fits().await, Fit::AsForeseen, "it can be paid still");
    room.stage.command(&id, "c", Command::Cancel).await;
    room.stage.work().await;
    assert_eq!(fits().await, Fit::AsForeseen);
}

impl Room<MemoryStore> {
    fn charges(&self) -> u64 {
        self.stage.ledger().counts(Operation::Charge).arrived
    }

    /// One whose charge left no trace: parked, and nothing may charge it again.
    async fn traceless(&self, key: &str) -> PaymentId {
        let id = self.stage.charge(key, 1_500).await;
        let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
        self.stage.fault(lost.reference(id.as_str()).times(1));
        self.stage.work_for(TimeDelta::minutes(40)).await;
        assert_eq!(self.stage.state(&id).await, StateName::Parked);
        id
    }

    /// Carries plans out and works, second by second.
    async fn live(&self, seconds: usize) {
        for _ in 0..seconds {
            while self.planner.carry_out().await.unwrap() > 0 {}
            self.stage.work().await;
            self.stage.pass(TimeDelta::seconds(1));
        }
    }

    /// How often it is called under this name from now on.
    fn counted(&self, name: &'static str) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        self.stage.store.disturb(move |call| {
            counted.fetch_add(usize::from(call == name), Ordering::SeqCst);
            None
        });
        count
    }
}

/// Ways in which the gateway does not show for a while that a charge is free to be made.
enum Silence {
    Missing,
    Pending,
}

#[tokio::test]
async fn a_plan_never_says_stays_parked_of_what_it_goes_on_to_charge() {
    for (silence, shown) in [
        (Silence::Missing, "not_found"),
        (Silence::Pending, "pending"),
    ] {
        let room = Room::open().await;
        let id = room.parked_charge("k", 1_500).await;
        let other = room.parked_charge("l", 1_500).await;
        assert!(room.stage.payment(&id).await.open_attempt().is_none());
        let purchase = room.stage.payment(&id).await.purchase().unwrap().id.clone();
        let purchase = purchase.as_str().parse().unwrap();
        let before = room.stage.sandbox.status_of(purchase).unwrap();
        let pending = chip_sandbox::Status::PendingCharge;
        match silence {
            Silence::Missing => {
                let missing = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
                room.stage.fault(missing.purchase(purchase).times(1_000));
            }
            Silence::Pending => room.stage.sandbox.force_status(purchase, pending),
        }
        let plan = room.plan_of(std::slice::from_ref(&id)).await;
        let planned = &plan.payments[0];
        assert_eq!(planned.shown.as_deref(), Some(shown));
        let word = foreseen_word(planned.foreseen.as_ref().unwrap());
        assert!(word.starts_with("looks on, parked for"), "{word}");
        assert!(word.ends_with("MYR 15.00 may move"), "{word}");
        let touches = whole(&plan, room.stage.clock.now())["payments"][0]["touches"].clone();
        assert_eq!(
            (&touches["how"], &touches["amount"]),
            (&"takes".into(), &1_500.into())
        );
        assert_eq!(plan.largest_moved(), 1_500);
        let warnings = plan.warnings().join("; ");
        assert!(warnings.contains("go on by themselves"), "{warnings}");
        assert!(!warnings.contains("stay parked as they are"), "{warnings}");

        room.apply(&plan).await.unwrap();
        room.live(30).await;
        assert_eq!(fates(&room.plan(&plan).await), ["told"], "{shown}");
        let waiting = room.stage.payment(&id).await;
        assert_eq!(waiting.state().name(), StateName::Parked);
        let given = waiting.commands().last().unwrap().at;
        assert_eq!(rerun_wanted_since(&waiting), Some(given));
        assert_eq!(room.stage.taken(&id), (0, 0));

        room.stage.sandbox.clear_faults();
        room.stage.sandbox.force_status(purchase, before);
        room.live(80).await;
        assert_eq!(fates(&room.plan(&plan).await), ["as_foreseen"], "{shown}");
        assert_eq!(room.stage.taken(&id), (1_500, 1));
        let done = room.stage.payment(&id).await;
        assert_eq!(rerun_wanted_since(&done), None);
        let untouched = room.stage.payment(&other).await;
        assert_eq!(rerun_wanted_since(&untouched), None, "nobody asked for it");
    }
}

#[tokio::test]
async fn a_run_over_payments_that_the_gateway_does_not_show_stops_at_the_first() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..5 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let missing = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
    room.stage.fault(missing.times(10_000));
    let plan = room.plan_of(&ids).await;
    let stopped = room.applied(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    let expected = ["looks_on", "waits", "waits", "waits", "waits"];
    assert_eq!(fates(&stopped), expected);
    let Phase::Stopped { why } = &stopped.phase else {
        panic!("{stopped:?}");
    };
    assert_eq!(why, "1 still looked on after two minutes");
    let shown = whole(&stopped, room.stage.clock.now());
    assert_eq!(shown["payments"][0]["came_to"], "parked");
}

/// What a plan says that a rerun may come to move, by what becomes of it.
fn may_move(plan: &Plan) -> Vec<(&'static str, u64)> {
    let touches = plan.touches().into_iter();
    let touches = touches.map(|((_, how), minor)| (how.as_str(), minor));
    touches.collect()
}

#[tokio::test]
async fn a_hold_that_nobody_has_seen_yet_is_told_as_taken_if_it_will_be_captured() {
    let due = r#"{"capture_at":"2027-01-31T06:10:00Z","capture_amount":700}"#;
    let room = Room::open().await;
    let id = room.stage.authorize_by_checkout("k", 1_400, due).await;
    room.stage.work().await;
    assert_eq!(room.stage.state(&id).await, StateName::AwaitingPayer);
    let missing = Rule::on(Operation::Retrieve, Effect::status_before_commit(404));
    room.stage.fault(missing.times(10_000));
    room.stage.payer_pays(&id).await;
    room.stage.work_for(TimeDelta::minutes(50)).await;
    assert_eq!(room.stage.state(&id).await, StateName::Parked);
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    let word = foreseen_word(plan.payments[0].foreseen.as_ref().unwrap());
    assert!(word.ends_with("MYR 14.00 may move"), "{word}");
    assert_eq!(may_move(&plan), [("takes", 700), ("reserves", 1_400)]);
    assert_eq!(plan.largest_moved(), 1_400);
    room.apply(&plan).await.unwrap();
    room.live(10).await;
    assert_eq!(room.stage.taken(&id), (0, 0));
    room.stage.sandbox.clear_faults();
    room.stage.store.nudge(&id).await.unwrap();
    room.live(30).await;
    assert_eq!(fates(&room.plan(&plan).await), ["as_foreseen"]);
    assert_eq!(room.stage.taken(&id), (700, 1));
}

#[tokio::test]
async fn an_adoption_that_the_gateway_does_not_show_is_told_as_taken_if_it_will_be_captured() {
    let later = r#"{"capture_at":"2027-02-03T06:10:00Z","capture_amount":700}"#;
    for (given, touched) in [(later, ("takes", 700)), ("{}", ("reserves", 1_400))] {
        let room = Room::open().await;
        let adopt = format!(
            r#""type":"adopt","purchase":"{}","money":{{"amount":1400,"currency":"MYR"}},
            "plan":{given}"#,
            uuid::Uuid::new_v4()
        );
        let id = room.stage.enqueue("adopt", &adopt).await;
        room.stage.work().await;
        assert_eq!(room.stage.state(&id).await, StateName::Parked);
        let plan = room.plan_of(std::slice::from_ref(&id)).await;
        let word = foreseen_word(plan.payments[0].foreseen.as_ref().unwrap());
        assert!(word.starts_with("looks on"), "{word}");
        assert_eq!(may_move(&plan), [touched]);
        assert_eq!(plan.largest_moved(), 1_400);
    }
}

#[tokio::test]
async fn a_payment_whose_call_is_in_doubt_proves_nothing_while_it_may_be_made_again() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..2 {
        ids.push(room.stage.charge(&format!("k{at}"), 100).await);
    }
    let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
    room.stage.fault(lost.times(2));
    room.stage.work().await;
    let plan = room.plan_of(&ids).await;
    for planned in &plan.payments {
        let word = foreseen_word(planned.foreseen.as_ref().unwrap());
        assert!(word.starts_with("goes on as new"), "{word}");
    }
    let stopped = room.applied(&plan).await;
    assert_eq!(fates(&stopped), ["looks_on", "waits"]);
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn a_run_whose_last_ones_come_out_otherwise_stops_and_is_not_done() {
    for (many, odd) in [(1, 1), (4, 3)] {
        let room = Room::open().await;
        let mut ids = Vec::new();
        for at in 0..many {
            ids.push(room.parked_charge(&format!("k{at}"), 100).await);
        }
        for id in &ids[many - odd..] {
            room.refuse_for_the_operator(id, 1);
        }
        let plan = room.plan_of(&ids).await;
        let stopped = room.applied(&plan).await;
        let Phase::Stopped { why } = &stopped.phase else {
            panic!("{stopped:?}");
        };
        assert_eq!(*why, format!("{odd} came out otherwise than foreseen"));
        let (store, clock) = (&*room.stage.store, &room.stage.clock);
        let said = Said::new("badrul", "go on", &aina()).unwrap();
        let none = planning::resume(store, clock, &plan.id, &said).await;
        assert!(matches!(none, Err(PlanError::NotNow(NotNow::Empty))));
    }
}

#[tokio::test]
async fn a_run_that_goes_on_tries_one_first_of_those_that_were_noted_and_never_told() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..12 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    room.apply(&plan).await.unwrap();
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let said = Said::new("badrul", "wait", &aina()).unwrap();
    planning::stop(store, clock, &plan.id, &said).await.unwrap();
    // A worker noted these, and died.
    let found = store.plan(&plan.id).await.unwrap().unwrap();
    let mut noted = planning::read(&plan.id, &found).unwrap();
    for planned in &mut noted.payments[..8] {
        planned.fate = Fate::Given { at: clock.now() };
    }
    let written = planning::write(store, Some(&found), &noted, None).await;
    assert!(written.unwrap().is_some());
    room.stage.pass(TimeDelta::seconds(1));
    for odd in [true, false] {
        if odd {
            for id in &ids {
                room.refuse_for_the_operator(id, 1);
            }
        } else {
            room.stage.sandbox.clear_faults();
        }
        let before = room.charges();
        planning::resume(store, clock, &plan.id, &said)
            .await
            .unwrap();
        let rests = room.run(&plan).await;
        if odd {
            assert_eq!(room.charges() - before, 1, "one was declined, and no other");
            assert!(matches!(rests.phase, Phase::Stopped { .. }), "{rests:?}");
            assert_eq!(fates(&rests)[..2], ["odd", "told"]);
        } else {
            assert_eq!(rests.phase, Phase::Done);
            assert_eq!(fates(&rests)[1..], ["as_foreseen"; 11]);
            assert_eq!(room.charges() - before, 11);
        }
    }
}

#[tokio::test]
async fn the_first_that_is_tried_is_one_that_takes_money_if_any_does() {
    let room = Room::open().await;
    let mut ids = vec![room.traceless("stays").await];
    for at in 0..10 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    for id in &ids[1..] {
        room.refuse_for_the_operator(id, 1);
    }
    let before = room.charges();
    let stopped = room.applied(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    assert_eq!(room.charges() - before, 1, "one was declined, and no other");
    assert_eq!(fates(&stopped)[..3], ["waits", "odd", "waits"]);
}

#[tokio::test]
async fn a_first_one_that_changed_since_proves_nothing_of_the_others() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..12 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    for id in &ids {
        room.refuse_for_the_operator(id, 1);
    }
    for id in &ids[..2] {
        room.stage.command(id, "by-hand", rerun()).await;
    }
    room.stage.work().await;
    let before = room.charges();
    let stopped = room.applied(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    assert_eq!(room.charges() - before, 1, "one was declined, and no other");
    let expected = ["changed_since", "changed_since", "odd", "waits"];
    assert_eq!(fates(&stopped)[..4], expected);
}

#[tokio::test]
async fn a_plan_of_payments_that_all_changed_since_is_done_at_once_and_tells_none() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..30 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    for id in &ids {
        room.stage.command(id, "by-hand", rerun()).await;
    }
    room.apply(&plan).await.unwrap();
    let written = room.counted("keep_plan");
    assert_eq!(room.planner.carry_out().await.unwrap(), 1);
    let done = room.plan(&plan).await;
    assert_eq!(done.phase, Phase::Done);
    assert_eq!(fates(&done), ["changed_since"; 30]);
    assert_eq!(written.load(Ordering::SeqCst), 1, "not once for each");
}

#[tokio::test]
async fn a_look_that_shows_nothing_new_writes_nothing_and_they_become_rare() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 100).await;
    let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
    room.stage.fault(lost.times(1));
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    room.apply(&plan).await.unwrap();
    room.live(1).await;
    let written = room.counted("keep_plan");
    room.live(100).await;
    assert_eq!(fates(&room.plan(&plan).await), ["told"]);
    assert_eq!(written.load(Ordering::SeqCst), 0);
    let looked = room.counted("postpone_plan");
    room.live(15).await;
    assert!(
        (1..=2).contains(&looked.load(Ordering::SeqCst)),
        "{looked:?}"
    );
    let stopped = room.run(&plan).await;
    assert_eq!(
        fates(&stopped),
        ["odd"],
        "two minutes are over all the same"
    );
}

#[tokio::test]
async fn nothing_is_told_while_redis_may_lose_it_and_a_stop_stands() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..3 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    room.apply(&plan).await.unwrap();
    let told = |id: PaymentId| {
        let payment = room.stage.store.stored(&id).unwrap();
        payment.commands().len()
    };
    let all_told = || ids.iter().cloned().map(told).collect::<Vec<_>>();
    let short = Some("appendfsync is everysec");
    room.stage.store.fall_short(short);
    room.live(30).await;
    assert_eq!(all_told(), [0, 0, 0]);
    room.stage.store.fall_short(None);
    room.live(6).await;
    assert_eq!(all_told()[0], 1, "it goes on by itself");
    assert_eq!(room.run(&plan).await.phase, Phase::Done);
    // What was told is looked after all the same, and nothing new is told.
    let ids = [
        room.parked_charge("first", 100).await,
        room.parked_charge("second", 100).await,
    ];
    let plan = room.plan_of(&ids).await;
    room.apply(&plan).await.unwrap();
    assert_eq!(room.planner.carry_out().await.unwrap(), 1);
    room.stage.work().await;
    assert_eq!(room.stage.state(&ids[0]).await, StateName::Paid);
    room.stage.store.fall_short(short);
    room.live(15).await;
    assert_eq!(fates(&room.plan(&plan).await), ["as_foreseen", "waits"]);
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let said = Said::new("badrul", "wait", &aina()).unwrap();
    let stopped = planning::stop(store, clock, &plan.id, &said).await.unwrap();
    assert!(matches!(stopped.phase, Phase::Stopped { .. }));
}

#[tokio::test]
async fn a_plan_is_judged_anew_when_it_changed_after_it_was_judged() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let little = |most: u64| {
        let found = store
            .plan(&plan.id)
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap();
        let mut plan = planning::read(&plan.id, &found).unwrap();
        plan.payments[0].most = Some(most);
        let written = planning::write(store, Some(&found), &plan, None).now_or_never();
        assert!(written.unwrap().unwrap().is_some());
    };
    little(1);
    let judged = AtomicUsize::new(0);
    let judge = |plan: &Plan| {
        if judged.fetch_add(1, Ordering::SeqCst) == 0 {
            assert_eq!(plan.largest_moved(), 1);
            little(1_500);
        }
        match plan.largest_moved() {
            ..=1_000 => Ok(()),
            _ => Err(PlanError::NotNow(NotNow::Empty)),
        }
    };
    let said = Said::new("aina", "key replaced", &aina()).unwrap();
    let apply = (&plan.id, PlanCommand::Apply);
    let refused = planning::command_if(store, clock, apply, &said, judge).await;
    assert!(
        matches!(refused, Err(PlanError::NotNow(NotNow::Empty))),
        "{refused:?}"
    );
    assert_eq!(judged.load(Ordering::SeqCst), 2);
    assert!(room.plan(&plan).await.applied.is_none());
}

#[tokio::test]
async fn what_says_nothing_of_how_much_it_moves_may_move_any() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let mut plan = room.plan_of(std::slice::from_ref(&id)).await;
    assert_eq!(plan.largest_moved(), 1_500);
    plan.payments[0].most = None;
    assert_eq!(plan.largest_moved(), u64::MAX);
    plan.payments[0].fate = Fate::ChangedSince;
    assert_eq!(plan.largest_moved(), 0, "it is not told any more");
}

/// Many payments of a hotel, and one of a rental among them, at the end.
async fn many(room: &Room<MemoryStore>) -> Selection {
    for at in 0..2_300 {
        room.stage.charge(&format!("k{at}"), 100).await;
    }
    room.stage.pass(TimeDelta::minutes(1));
    let body = crate::stage::charge_of("a-token", 100);
    let json = format!(r#"{{"v":1,"account":"rental","idempotency_key":"last",{body}}}"#);
    let request = Request::from_json(json.as_bytes()).unwrap();
    let now = room.stage.clock.now();
    let payment = Payment::new(request, now).unwrap();
    room.stage.store.create(&payment, now).await.unwrap();
    Selection::Matching(Filter {
        state: StateName::New,
        account: Some(AccountName::new("rental").unwrap()),
        reason: None,
        older_than_ms: None,
    })
}

#[tokio::test]
async fn payments_are_looked_for_until_all_were_looked_at_or_it_is_told_that_not_all_were() {
    let room = Room::open().await;
    let of = many(&room).await;
    let plan = Plan::wanted(of, "aina", room.stage.clock.now());
    let store = &*room.stage.store;
    let plan = planning::ask(store, plan, &aina()).await.unwrap();
    let listed = room.counted("list");
    room.planner.carry_out().await.unwrap();
    assert_eq!(listed.load(Ordering::SeqCst), 10, "some in a step");
    assert_eq!(room.plan(&plan).await.phase, Phase::Wanted);
    while room.planner.carry_out().await.unwrap() > 0 {}
    let whole = room.plan(&plan).await;
    assert!(matches!(whole.phase, Phase::Ready { .. }), "{whole:?}");
    assert_eq!(
        (
            whole.payments.len(),
            whole.warnings()[0].contains("not all")
        ),
        (1, false)
    );

    // A worker that died in between had it for two minutes, in which nobody looked.
    let plan = Plan::wanted(whole.of.clone(), "aina", room.stage.clock.now());
    let plan = planning::ask(store, plan, &aina()).await.unwrap();
    room.stage.pass(TimeDelta::minutes(3));
    while room.planner.carry_out().await.unwrap() > 0 {}
    let whole = room.plan(&plan).await;
    assert_eq!((whole.payments.len(), whole.cut_off), (1, false));

    // Where there are too many it is given up in the end.
    let plan = Plan::wanted(whole.of.clone(), "aina", room.stage.clock.now());
    let mut looked = serde_json::to_value(plan).unwrap();
    looked["looks"] = 499.into();
    let plan = serde_json::from_value(looked).unwrap();
    let plan = planning::ask(store, plan, &aina()).await.unwrap();
    while room.planner.carry_out().await.unwrap() > 0 {}
    let cut = room.plan(&plan).await;
    assert_eq!(
        (cut.payments.len(), cut.cut_off, cut.more),
        (0, true, false)
    );
    let warnings = cut.warnings();
    assert!(
        warnings[0].starts_with("not all in that state were looked at"),
        "{warnings:?}"
    );
    assert!(
        !warnings.join(" ").contains("more than 1000"),
        "{warnings:?}"
    );
}

/// A gateway that the program breaks on when it shows this purchase.
struct BreaksAt {
    gateway: ChipGateway,
    purchase: PurchaseId,
}

impl Gateway for BreaksAt {
    async fn create(&self, order: &CreateOrder) -> Answer {
        self.gateway.create(order).await
    }

    async fn send(&self, permit: Permit) -> Answer {
        self.gateway.send(permit).await
    }

    async fn look_up(&self, account: &AccountName, purchase: &PurchaseId) -> LookUp {
        assert_ne!(*purchase, self.purchase, "of this test");
        self.gateway.look_up(account, purchase).await
    }
}

#[tokio::test]
async fn a_plan_that_breaks_its_step_keeps_no_other_from_being_carried_out() {
    let room = Room::open().await;
    let bad = room.parked_charge("bad", 1_500).await;
    let good = room.parked_charge("good", 1_500).await;
    let purchase = room
        .stage
        .payment(&bad)
        .await
        .purchase()
        .unwrap()
        .id
        .clone();
    let (sandbox, clock) = (&room.stage.sandbox, &room.stage.clock);
    let breaks = BreaksAt {
        gateway: gateway(&sandbox.base_url(), clock),
        purchase,
    };
    let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
    let store = Arc::clone(&room.stage.store);
    let planner = Planner::new(store, Arc::new(breaks), clock.clone(), policies);
    let ask = async |id: &PaymentId| {
        let of = Selection::Payments(vec![id.clone()]);
        let plan = Plan::wanted(of, "aina", clock.now());
        let asked = planning::ask(&*room.stage.store, plan, &aina()).await;
        asked.unwrap()
    };
    let (bad, good) = (ask(&bad).await, ask(&good).await);
    while planner.carry_out().await.unwrap() > 0 {}
    let is_ready = async |plan: &Plan| matches!(room.plan(plan).await.phase, Phase::Ready { .. });
    assert!(is_ready(&good).await);
    assert!(!is_ready(&bad).await);
    assert_eq!(planner.carry_out().await.unwrap(), 0, "it rests");

    // By a program that does not break on it.
    room.stage.pass(TimeDelta::minutes(10));
    while room.planner.carry_out().await.unwrap() > 0 {}
    assert!(is_ready(&bad).await);
}
