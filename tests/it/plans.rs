//! Reruns of many payments, planned and applied: what a plan says is what applying it then does, and a
//! hundred operators at once cause the one legal effect. The sandbox's ledger is the judge.

mod guarded;
mod kinds;
mod listed;
mod terminal;
mod together;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chip_sandbox::{Effect, MovementKind, Operation, Rule};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::ChipGateway;
use holdfast::operate::planning::{self, PlanError, Said};
use holdfast::operate::shown::{fate_word, foreseen_word, whole};
use holdfast::operate::{Filter, NotNow, Phase, Plan, PlanCommand, Selection};
use holdfast::payment::*;
use holdfast::store::audit::Mandate;
use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::store::{PlanId, Plans, Store};
use holdfast::worker::Policies;
use holdfast::worker::plans::Planner;

use crate::stage::{Stage, account, gateway, policy, start_time};

/// The stage, and whoever carries plans out, one step at a time.
struct Room<S: Store> {
    stage: Stage<S>,
    planner: Planner<S, ChipGateway>,
}

impl Room<MemoryStore> {
    async fn open() -> Self {
        let clock = Clock::manual(start_time());
        Self::over(MemoryStore::new(clock.clone(), 30_000), clock).await
    }
}

impl<S: Store + Plans> Room<S> {
    async fn over(store: S, clock: Clock) -> Self {
        let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
        let planner = planner(&stage, UnknownPolicy::Park);
        Self { stage, planner }
    }

    /// A charge that is parked because the acquirer said that the shop's set-up is wrong.
    async fn parked_charge(&self, key: &str, amount: u64) -> PaymentId {
        let id = self.stage.charge(key, amount).await;
        self.refuse_for_the_operator(&id, 1);
        self.stage.work().await;
        assert_eq!(self.stage.state(&id).await, StateName::Parked);
        id
    }

    fn refuse_for_the_operator(&self, id: &PaymentId, times: u64) {
        let refusal = Effect::decline("acquirer_configuration_error");
        let rule = Rule::on(Operation::Charge, refusal).reference(id.as_str());
        self.stage.fault(rule.times(times));
    }

    async fn ask(&self, of: Selection) -> Plan {
        let plan = Plan::wanted(of, "aina", self.stage.clock.now());
        let plan = planning::ask(&*self.stage.store, plan, &aina())
            .await
            .unwrap();
        while self.planner.carry_out().await.unwrap() > 0 {}
        self.plan(&plan).await
    }

    async fn plan_of(&self, payments: &[PaymentId]) -> Plan {
        self.ask(Selection::Payments(payments.to_vec())).await
    }

    async fn plan(&self, plan: &Plan) -> Plan {
        planning::plan(&*self.stage.store, &plan.id).await.unwrap()
    }

    async fn apply(&self, plan: &Plan) -> Result<Plan, PlanError> {
        let said = Said::new("aina", "key replaced", &aina()).unwrap();
        planning::apply(&*self.stage.store, &self.stage.clock, &plan.id, &said).await
    }

    /// Works and lets plans be carried out, until this one rests.
    async fn run(&self, plan: &Plan) -> Plan {
        for _ in 0..1_000 {
            while self.planner.carry_out().await.unwrap() > 0 {}
            self.stage.work().await;
            let now = self.plan(plan).await;
            if now.rests() {
                return now;
            }
            self.stage.pass(TimeDelta::seconds(1));
        }
        panic!("it does not come to rest: {:?}", self.plan(plan).await);
    }

    async fn applied(&self, plan: &Plan) -> Plan {
        self.apply(plan).await.unwrap();
        self.run(plan).await
    }

    fn calls(&self) -> u64 {
        let counts = [Operation::Create, Operation::Charge, Operation::Capture]
            .map(|operation| self.stage.ledger().counts(operation).arrived);
        counts.iter().sum()
    }
}

fn planner<S: Store + Plans>(stage: &Stage<S>, unknown: UnknownPolicy) -> Planner<S, ChipGateway> {
    let gateway = Arc::new(gateway(&stage.sandbox.base_url(), &stage.clock));
    let policies = Policies::from([(account(), policy(unknown))]);
    Planner::new(
        Arc::clone(&stage.store),
        gateway,
        stage.clock.clone(),
        policies,
    )
}

fn all_parked() -> Selection {
    Selection::Matching(Filter {
        state: StateName::Parked,
        account: None,
        reason: None,
        older_than_ms: None,
    })
}

fn aina() -> Mandate {
    Mandate::typed_by("aina")
}

fn fates(plan: &Plan) -> Vec<&'static str> {
    let fates = plan.payments.iter().map(|planned| &planned.fate);
    fates.map(fate_word).collect()
}

fn rerun() -> Command {
    Command::Rerun {
        reason: "by hand".into(),
        actor: "badrul".into(),
    }
}

#[tokio::test]
async fn making_a_plan_changes_nothing_and_sends_nothing() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let (before, calls) = (room.stage.loaded(&id).await, room.calls());
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    let Phase::Ready { until } = plan.phase else {
        panic!("{plan:?}");
    };
    assert_eq!(until - room.stage.clock.now(), TimeDelta::minutes(15));
    assert_eq!(fates(&plan), ["waits"]);
    room.stage.work().await;
    assert_eq!(room.stage.loaded(&id).await, before);
    assert_eq!(room.calls(), calls);
}

#[tokio::test]
async fn a_plan_is_applied_within_a_quarter_of_an_hour_and_once() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let late = room.plan_of(std::slice::from_ref(&id)).await;
    room.stage
        .pass(TimeDelta::minutes(15) + TimeDelta::milliseconds(1));
    let refused = room.apply(&late).await.unwrap_err();
    assert!(
        matches!(refused, PlanError::NotNow(NotNow::Expired)),
        "{refused}"
    );
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    room.stage.pass(TimeDelta::minutes(15));
    let done = room.applied(&plan).await;
    assert_eq!(
        (&done.phase, fates(&done)),
        (&Phase::Done, vec!["as_foreseen"])
    );
    let again = room.apply(&plan).await.unwrap_err();
    assert!(
        matches!(again, PlanError::NotNow(NotNow::AppliedBefore)),
        "{again}"
    );
    assert_eq!(room.stage.taken(&id), (1_500, 1));
}

#[tokio::test]
async fn who_and_why_are_demanded_and_stand_in_the_record() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    for (by, reason) in [("", "why"), ("who", " "), ("who", &"x".repeat(501))] {
        assert!(Said::new(by, reason, &aina()).is_err(), "{by:?} {reason:?}");
    }
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    room.applied(&plan).await;
    let payment = room.stage.payment(&id).await;
    let given = payment.commands().last().unwrap();
    let expected = Command::Rerun {
        reason: "key replaced".into(),
        actor: "aina".into(),
    };
    assert_eq!(given.command, expected);
    assert_eq!(given.key.as_str(), plan.id.as_str());
    let audit = room.stage.store.audit();
    let told: Vec<_> = audit
        .iter()
        .map(|it| (it.action.as_str(), it.reason.as_deref()))
        .collect();
    let because = Some("key replaced");
    let expected = [
        ("plan_make", None),
        ("plan_apply", because),
        ("rerun", because),
    ];
    assert_eq!(told, expected);
    assert!(audit.iter().all(|it| it.actor.name == "aina"));
}

#[tokio::test]
async fn a_payment_that_changed_since_is_left_alone_and_one_that_was_only_looked_at_is_not() {
    let room = Room::open().await;
    let [looked_at, commanded, settled] = ["looked", "commanded", "settled"];
    let looked_at = room.parked_charge(looked_at, 100).await;
    let commanded = room.parked_charge(commanded, 200).await;
    let settled = room.parked_charge(settled, 300).await;
    let all = [looked_at.clone(), commanded.clone(), settled.clone()];
    let plan = room.plan_of(&all).await;
    room.stage.store.nudge(&looked_at).await.unwrap();
    room.refuse_for_the_operator(&commanded, 1);
    for id in [&commanded, &settled] {
        room.stage.command(id, "by-hand", rerun()).await;
    }
    room.stage.work().await;
    assert!(
        room.stage.loaded(&looked_at).await.version
            > plan.payments[0].seen.as_ref().unwrap().version
    );
    assert_eq!(
        room.stage.state(&commanded).await,
        StateName::Parked,
        "as it was"
    );
    let done = room.applied(&plan).await;
    assert_eq!(
        fates(&done),
        ["as_foreseen", "changed_since", "changed_since"]
    );
    assert_eq!(room.stage.state(&commanded).await, StateName::Parked);
    let taken = all.each_ref().map(|id| room.stage.taken(id));
    assert_eq!(taken, [(100, 1), (0, 0), (300, 1)]);
}

#[tokio::test]
async fn what_cannot_be_planned_is_left_out_and_says_why() {
    let room = Room::open().await;
    let paid = room.stage.charge("paid", 100).await;
    room.stage.work().await;
    let silent = room.parked_charge("silent", 200).await;
    let deaf = Rule::on(Operation::Retrieve, Effect::timeout_before_commit());
    room.stage.fault(deaf.times(1));
    let none = PaymentId::derive(&account(), &IdempotencyKey::new("none").unwrap());
    let plan = room.plan_of(&[silent, paid, none]).await;
    let shown = whole(&plan, room.stage.clock.now());
    let why: Vec<_> = (0..3)
        .map(|at| &shown["payments"][at]["left_out"])
        .collect();
    assert_eq!(why, ["gateway_silent", "finished", "missing"]);
    assert!(plan.warnings()[0].contains("could not be asked about"));
    let refused = room.apply(&plan).await.unwrap_err();
    assert!(
        matches!(refused, PlanError::NotNow(NotNow::Empty)),
        "{refused}"
    );
}

#[tokio::test]
async fn an_account_that_the_gateway_turns_away_is_asked_about_no_further() {
    for (turned_away, why) in [
        (Effect::status_before_commit(401), "key_refused"),
        (Effect::status_before_commit(403), "key_refused"),
        (Effect::rate_limited(30), "rate_limited"),
    ] {
        let room = Room::open().await;
        let mut ids = Vec::new();
        for at in 0..12 {
            ids.push(room.parked_charge(&format!("k{at}"), 100).await);
        }
        let unmade = room.stage.charge("unmade", 100).await;
        let wrong = Rule::on(Operation::Create, Effect::status_before_commit(400));
        room.stage.fault(wrong.times(1));
        room.stage.work().await;
        ids.push(unmade);
        room.stage
            .fault(Rule::on(Operation::Retrieve, turned_away).times(100));
        let asked = || room.stage.ledger().counts(Operation::Retrieve).arrived;
        let before = asked();
        let plan = room.plan_of(&ids).await;
        assert_eq!(asked() - before, 4, "as many as are asked about at once");
        let shown = whole(&plan, room.stage.clock.now());
        for at in 0..12 {
            assert_eq!(shown["payments"][at]["left_out"], why);
        }
        assert_eq!(fates(&plan)[12], "waits", "nothing is asked about it");
        let warnings = plan.warnings();
        assert!(warnings[0].starts_with("12 are "), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_run_stops_at_the_first_odd_result_and_goes_on_when_a_person_says_so() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..12 {
        ids.push(room.parked_charge(&format!("k{at}"), 100 + at).await);
    }
    room.refuse_for_the_operator(&ids[0], 1);
    let plan = room.plan_of(&ids).await;
    let charges = |room: &Room<MemoryStore>| room.stage.ledger().counts(Operation::Charge).arrived;
    let before = charges(&room);
    let stopped = room.applied(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    assert_eq!(fates(&stopped)[0], "odd");
    assert!(fates(&stopped)[1..].iter().all(|fate| *fate == "waits"));
    assert_eq!(charges(&room) - before, 1, "one was tried, and no other");
    let takes = |plan: &Plan| plan.touches().into_values().sum::<u64>();
    assert_eq!(takes(&plan), (100..112).sum::<u64>());
    assert_eq!(takes(&stopped), (101..112).sum::<u64>(), "what is left");
    let badrul = Mandate::typed_by("badrul");
    let said = Said::new("badrul", "looked at it", &badrul).unwrap();
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    planning::resume(store, clock, &plan.id, &said)
        .await
        .unwrap();
    let done = room.run(&plan).await;
    assert_eq!(done.phase, Phase::Done);
    assert!(fates(&done)[1..].iter().all(|fate| *fate == "as_foreseen"));
    for id in &ids[1..] {
        assert_eq!(room.stage.taken(id).1, 1);
    }
    assert_eq!(room.stage.taken(&ids[0]), (0, 0));
    let audit = room.stage.store.audit();
    let reruns = audit.iter().filter(|entry| entry.action == "rerun");
    let actors: Vec<_> = reruns.map(|entry| entry.actor.name.as_str()).collect();
    assert_eq!(actors[0], "aina");
    assert_eq!(actors[1..], ["badrul"; 11], "on whose word they were told");
}

#[tokio::test]
async fn later_stages_bear_two_odd_results_and_stop_at_the_third() {
    for (odd, stops) in [(2, false), (3, true)] {
        let room = Room::open().await;
        let mut ids = Vec::new();
        for at in 0..14 {
            ids.push(room.parked_charge(&format!("k{at}"), 100).await);
        }
        for id in &ids[1..=odd] {
            room.refuse_for_the_operator(id, 1);
        }
        let plan = room.plan_of(&ids).await;
        let run = room.applied(&plan).await;
        assert_eq!(matches!(run.phase, Phase::Stopped { .. }), stops, "{run:?}");
        let waits = fates(&run).iter().filter(|fate| **fate == "waits").count();
        assert_eq!(waits, if stops { 3 } else { 0 }, "one, then ten");
    }
}

#[tokio::test]
async fn a_payment_that_does_not_come_to_rest_is_odd_and_stops_the_run() {
    let room = Room::open().await;
    let first = room.parked_charge("first", 100).await;
    let second = room.parked_charge("second", 200).await;
    let lost = Rule::on(Operation::Charge, Effect::timeout_before_commit());
    room.stage.fault(lost.reference(first.as_str()).times(1));
    let plan = room.plan_of(&[first.clone(), second.clone()]).await;
    let stopped = room.applied(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    assert_eq!(fates(&stopped), ["odd", "waits"]);
    assert!(room.stage.payment(&first).await.open_attempt().is_some());
    assert_eq!(room.stage.state(&second).await, StateName::Parked);
}

#[tokio::test]
async fn a_person_stops_a_run_and_nothing_more_is_told() {
    let room = Room::open().await;
    let mut ids = Vec::new();
    for at in 0..3 {
        ids.push(room.parked_charge(&format!("k{at}"), 100).await);
    }
    let plan = room.plan_of(&ids).await;
    let said = Said::new("badrul", "wait", &aina()).unwrap();
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let none = planning::stop(store, clock, &plan.id, &said).await;
    assert!(matches!(
        none,
        Err(PlanError::NotNow(NotNow::NothingToStop))
    ));
    room.apply(&plan).await.unwrap();
    // The first one is told.
    assert_eq!(room.planner.carry_out().await.unwrap(), 1);
    planning::stop(store, clock, &plan.id, &said).await.unwrap();
    let stopped = room.run(&plan).await;
    let Phase::Stopped { why } = &stopped.phase else {
        panic!("{stopped:?}");
    };
    assert_eq!(why, "by badrul: wait");
    room.stage.work_for(TimeDelta::hours(1)).await;
    let taken: Vec<_> = ids.iter().map(|id| room.stage.taken(id).1).collect();
    assert_eq!(taken, [1, 0, 0]);
}

/// Makes the call number `nth` on the store fail that the planner makes from now on, and all that come
/// after it in the same step, as they do when it dies.
fn dies_at(
    store: &MemoryStore,
    nth: usize,
    how: Trouble,
    on: &Arc<AtomicBool>,
) -> Arc<AtomicUsize> {
    let (made, seen, on) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::clone(on),
    );
    let counted = Arc::clone(&made);
    store.disturb(move |_| {
        if !on.load(Ordering::SeqCst) {
            return None;
        }
        let at = seen.fetch_add(1, Ordering::SeqCst);
        counted.store(at + 1, Ordering::SeqCst);
        if at != nth {
            return None;
        }
        Some(how)
    });
    made
}

#[tokio::test]
async fn wherever_a_worker_dies_while_it_applies_a_plan_another_goes_on_and_each_is_charged_once() {
    for how in [Trouble::Unreached, Trouble::ReplyLost] {
        for nth in 0.. {
            let room = Room::open().await;
            let mut ids = Vec::new();
            for at in 0..3 {
                ids.push(room.parked_charge(&format!("k{at}"), 100).await);
            }
            let plan = Plan::wanted(all_parked(), "aina", room.stage.clock.now());
            planning::ask(&*room.stage.store, plan.clone(), &aina())
                .await
                .unwrap();
            let on = Arc::new(AtomicBool::new(false));
            let made = dies_at(&room.stage.store, nth, how, &on);
            for _ in 0..400 {
                on.store(true, Ordering::SeqCst);
                // It dies with what it had in hand; another one starts.
                while room.planner.carry_out().await.is_ok_and(|done| done > 0) {}
                on.store(false, Ordering::SeqCst);
                room.stage.work().await;
                let now = room.plan(&plan).await;
                match now.phase {
                    Phase::Ready { .. } => drop(room.apply(&plan).await.unwrap()),
                    Phase::Done => break,
                    _ => room.stage.pass(TimeDelta::seconds(10)),
                }
            }
            let done = room.plan(&plan).await;
            assert_eq!(
                fates(&done),
                ["as_foreseen"; 3],
                "{how:?} at call {nth}: {done:?}"
            );
            for id in &ids {
                assert_eq!(room.stage.taken(id), (100, 1), "{how:?} at call {nth}");
                assert_eq!(room.stage.payment(id).await.commands().len(), 1);
            }
            if made.load(Ordering::SeqCst) <= nth {
                assert!(nth > 20, "there was nothing to die at");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_plan_is_forgotten_after_thirty_days() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let plan = room.plan_of(&[id]).await;
    let store = &*room.stage.store;
    room.stage.pass(TimeDelta::days(30) - TimeDelta::minutes(1));
    while room.planner.carry_out().await.unwrap() > 0 {}
    let listed = || planning::plans(store, 10, |plan| Some(plan.clone()));
    assert_eq!(listed().await.unwrap().plans.len(), 1);
    room.stage.pass(TimeDelta::minutes(1));
    while room.planner.carry_out().await.unwrap() > 0 {}
    assert_eq!(listed().await.unwrap().plans, []);
    let gone = planning::plan(store, &plan.id).await.unwrap_err();
    assert!(matches!(gone, PlanError::Missing(_)), "{gone}");
}

#[tokio::test]
async fn a_plan_that_is_judged_against_is_left_as_it_is() {
    let room = Room::open().await;
    let id = room.parked_charge("k", 1_500).await;
    let plan = room.plan_of(std::slice::from_ref(&id)).await;
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let said = Said::new("aina", "key replaced", &aina()).unwrap();
    // What is judged is the plan that would be changed, with all that it moves.
    let judge = |plan: &Plan| match plan.largest_moved() {
        1_500 => Err(PlanError::NotNow(NotNow::Empty)),
        _ => Ok(()),
    };
    let apply = (&plan.id, PlanCommand::Apply);
    let refused = planning::command_if(store, clock, apply, &said, judge).await;
    assert!(
        matches!(refused, Err(PlanError::NotNow(NotNow::Empty))),
        "{refused:?}"
    );
    assert_eq!(room.plan(&plan).await, plan);
    let audit = room.stage.store.audit();
    assert!(audit.iter().all(|entry| entry.action != "plan_apply"));
    room.applied(&plan).await;
    assert_eq!(room.stage.taken(&id), (1_500, 1));
}
