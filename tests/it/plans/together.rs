//! Many operators at once, on real Redis, beside workers that work.

use futures_util::future::{join, join_all};
use holdfast::api::intake::{self, Given};
use holdfast::operate::{Fate, LeftOut, switches};
use holdfast::store::redis::{self, RedisStore};
use holdfast::store::switches::{Switch, SwitchName};
use holdfast_rig::{Redis, RedisOptions};

use super::*;

const OPERATORS: usize = 100;

pub(super) async fn on_redis() -> (Redis, Room<RedisStore>) {
    let redis_process = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let settings = redis::Settings {
        url: redis_process.url(),
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let room = Room::over(store, clock).await;
    (redis_process, room)
}

/// Twenty payments that stopped: ten that a rerun charges, five that were charged late, and five whose
/// charge left no trace, which nothing may charge again.
async fn twenty(room: &Room<RedisStore>) -> [Vec<PaymentId>; 3] {
    let (mut declined, mut late, mut traceless) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..5 {
        let id = room.stage.charge(&format!("late-{at}"), 100).await;
        let rule = Rule::on(Operation::Charge, Effect::committed_late(25 * 60_000));
        room.stage.fault(rule.reference(id.as_str()).times(1));
        late.push(id);
        let id = room.stage.charge(&format!("traceless-{at}"), 100).await;
        let rule = Rule::on(Operation::Charge, Effect::timeout_before_commit());
        room.stage.fault(rule.reference(id.as_str()).times(1));
        traceless.push(id);
    }
    room.stage.work_for(TimeDelta::minutes(40)).await;
    for at in 0..10 {
        declined.push(room.parked_charge(&format!("declined-{at}"), 100).await);
    }
    for id in declined.iter().chain(&late).chain(&traceless) {
        assert_eq!(room.stage.state(id).await, StateName::Parked, "{id}");
    }
    [declined, late, traceless]
}

/// One operator: every third gives reruns one by one, the others plan and apply.
async fn operates(room: &Room<RedisStore>, number: usize, all: &[PaymentId]) {
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let by = format!("operator-{number}");
    if number.is_multiple_of(3) {
        let policies = Policies::from([(account(), policy(UnknownPolicy::Park))]);
        for id in all {
            let key = IdempotencyKey::new(by.clone()).unwrap();
            let command = rerun();
            let given = Given {
                to: id,
                key: &key,
                command: &command,
                by: &aina(),
            };
            let given = intake::command(store, clock, &policies, given).await;
            // Who finds it changing all the time is told so, and nothing was done.
            assert!(
                matches!(given, Ok(_) | Err(intake::IntakeError::Busy(_))),
                "{given:?}"
            );
        }
        return;
    }
    let plan = Plan::wanted(Selection::Payments(all.to_vec()), &by, clock.now());
    let plan = planning::ask(store, plan, &aina()).await.unwrap();
    let said = Said::new(&by, "all at once", &aina()).unwrap();
    loop {
        match planning::apply(store, clock, &plan.id, &said).await {
            Ok(_) | Err(PlanError::NotNow(NotNow::Empty | NotNow::Expired)) => return,
            Err(PlanError::NotNow(NotNow::NotReady) | PlanError::Busy(_)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_hundred_operators_at_once_cause_the_one_legal_effect() {
    let (_redis, room) = on_redis().await;
    let [declined, late, traceless] = twenty(&room).await;
    let all: Vec<PaymentId> = [&declined[..], &late, &traceless].concat();
    let operators = join_all((0..OPERATORS).map(|number| operates(&room, number, &all)));
    let over = AtomicBool::new(false);
    let planners = [UnknownPolicy::Park; 2].map(|unknown| planner(&room.stage, unknown));
    let working = async {
        while !over.load(Ordering::SeqCst) {
            for planner in &planners {
                planner.carry_out().await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let turning = async {
        while !over.load(Ordering::SeqCst) {
            let claims = room.stage.store.claim(4).await.unwrap().claims;
            join_all(
                claims
                    .into_iter()
                    .map(|claim| room.stage.worker.turn(claim)),
            )
            .await;
            room.stage.pass(TimeDelta::milliseconds(200));
            tokio::task::yield_now().await;
        }
    };
    let operating = async {
        operators.await;
        loop {
            let rests = |plan: &Plan| Some(plan.rests());
            let listed = planning::plans(&*room.stage.store, 1_000, rests);
            if listed.await.unwrap().plans.iter().all(|rests| *rests) {
                break over.store(true, Ordering::SeqCst);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    join(operating, join(working, turning)).await;
    room.stage.work_for(TimeDelta::hours(2)).await;
    for id in declined.iter().chain(&late) {
        assert_eq!(room.stage.taken(id), (100, 1), "{id}");
        assert_eq!(room.stage.state(id).await, StateName::Paid);
    }
    for id in &traceless {
        assert_eq!(room.stage.taken(id), (0, 0), "{id}");
        let charges = room.stage.payment(id).await;
        let charges = charges
            .attempts()
            .iter()
            .filter(|it| it.step == Step::Charge);
        assert_eq!(charges.count(), 1, "not sent again");
    }
}

#[tokio::test]
async fn a_plan_that_is_stopped_while_payments_are_told_says_which_were_and_tells_few_more() {
    let (_redis, room) = on_redis().await;
    let wrong = Effect::decline("acquirer_configuration_error");
    room.stage
        .fault(Rule::on(Operation::Charge, wrong).times(64));
    let mut ids = Vec::new();
    for at in 0..64 {
        ids.push(room.stage.charge(&format!("k{at}"), 100).await);
    }
    room.stage.work().await;
    let plan = room.plan_of(&ids).await;
    for id in ids.iter().skip(1).step_by(4) {
        room.stage.command(id, "by-hand", rerun()).await;
    }
    room.apply(&plan).await.unwrap();
    let store = &*room.stage.store;
    let found = store.plan(&plan.id).await.unwrap().unwrap();
    let mut applied = planning::read(&plan.id, &found).unwrap();
    // All of them are of one stage.
    applied.phase = Phase::Applying {
        stage: 2,
        odd_before: 0,
    };
    let write = planning::write(store, Some(&found), &applied, None);
    assert!(write.await.unwrap().is_some());

    let said = Said::new("badrul", "wait", &aina()).unwrap();
    let stopping = async {
        while room.stage.payment(&ids[0]).await.commands().is_empty() {}
        let stopped = planning::stop(store, &room.stage.clock, &plan.id, &said);
        stopped.await.unwrap();
    };
    let (told, ()) = join(room.planner.carry_out(), stopping).await;
    told.unwrap();
    let stopped = room.plan(&plan).await;
    assert!(
        matches!(stopped.phase, Phase::Stopped { .. }),
        "{stopped:?}"
    );
    let key = plan.key().unwrap();
    let mut told = 0;
    for (planned, fate) in stopped.payments.iter().zip(fates(&stopped)) {
        let payment = room.stage.payment(&planned.payment).await;
        let given = payment.commands().iter().any(|given| given.key == key);
        assert_eq!(given, fate == "told", "{fate}: {:?}", payment.commands());
        told += usize::from(given);
    }
    assert!((1..32).contains(&told), "{told} were told");
}

#[tokio::test]
async fn a_plan_says_when_people_have_stopped_what_it_would_send() {
    let (_redis, room) = on_redis().await;
    let id = room.parked_charge("k", 100).await;
    let (store, clock) = (&*room.stage.store, &room.stage.clock);
    let switch = Switch {
        since: clock.now(),
        actor: "aina".to_owned(),
        reason: "key replaced".to_owned(),
        until: None,
    };
    for (stopped, told) in [
        ("account:hotel", true),
        ("account:rental", false),
        ("step:charge", true),
        ("step:capture", false),
        ("all", true),
    ] {
        let name = SwitchName::parse(stopped).unwrap();
        for (stops, told) in [(true, told), (false, false)] {
            if stops {
                let by = aina();
                switches::stop(store, clock, ("pause", &name), &switch, &by)
                    .await
                    .unwrap();
            } else {
                let (found, by) = (store.switches().await.unwrap(), aina());
                switches::let_go(store, clock, ("resume", &name), &found, &by)
                    .await
                    .unwrap();
            }
            let plan = room.plan_of(std::slice::from_ref(&id)).await;
            assert_eq!(fates(&plan), ["waits"]);
            let warnings = plan.warnings().join("; ");
            let said = format!("have stopped {stopped}:");
            assert_eq!(warnings.contains(&said), told, "{stopped}: {warnings}");
        }
    }
}

#[tokio::test]
async fn a_plan_of_a_state_says_which_records_it_could_not_read() {
    let (redis, room) = on_redis().await;
    let read = room.parked_charge("read", 1_000).await;
    let id = room.parked_charge("unread", 1_000).await;
    let mut raw = crate::store::on_redis::raw(&redis).await;
    let mut set = ::redis::cmd("HSET");
    set.arg(format!("{{hf:{}}}:payment:{id}", id.spread() % 8));
    set.arg("body").arg("{}");
    set.exec_async(&mut raw).await.unwrap();
    let plan = room.ask(all_parked()).await;
    let unreadable = Fate::LeftOut {
        why: LeftOut::Unreadable,
    };
    let fates: Vec<_> = (plan.payments.iter())
        .map(|planned| (&planned.payment, planned.fate == unreadable))
        .collect();
    assert_eq!(fates.len(), 2, "{fates:?}");
    assert!(fates.contains(&(&id, true)), "{fates:?}");
    assert!(fates.contains(&(&read, false)), "{fates:?}");
    // Whose it is nobody knows, so it is nothing for who sees some accounts alone.
    let mut narrow = Plan::wanted(all_parked(), "aina", room.stage.clock.now());
    narrow.accounts = Some([account()].into());
    let by = aina();
    let asked = planning::ask(&*room.stage.store, narrow, &by);
    let asked = asked.await.unwrap();
    while room.planner.carry_out().await.unwrap() > 0 {}
    let narrow = room.plan(&asked).await;
    let named = narrow.payments.iter().map(|planned| &planned.payment);
    assert_eq!(named.collect::<Vec<_>>(), [&read]);
}
