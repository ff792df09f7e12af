//! Which plans a list has, of more than it shows.

use super::together::on_redis;
use super::*;

/// Keeps a plan that is done, or one that a worker is to carry out.
async fn keep<S: Store + Plans>(room: &Room<S>, phase: Phase, of: Option<&str>) -> PlanId {
    room.stage.pass(TimeDelta::minutes(1));
    let mut plan = Plan::wanted(all_parked(), "aina", room.stage.clock.now());
    plan.accounts = of.map(|name| [AccountName::new(name).unwrap()].into());
    if phase == Phase::Done {
        plan.due_at = plan.made_at + TimeDelta::days(30);
    }
    plan.phase = phase;
    let kept = planning::write(&*room.stage.store, None, &plan, None);
    assert!(kept.await.unwrap().is_some());
    plan.id
}

async fn lists<S: Store + Plans>(room: &Room<S>) {
    let running = keep(room, Phase::Wanted, None).await;
    let narrow = keep(room, Phase::Done, Some("rental")).await;
    let mut done = Vec::new();
    for _ in 0..5 {
        done.push(keep(room, Phase::Done, None).await);
    }
    let store = &*room.stage.store;
    let all = |plan: &Plan| Some(plan.id.clone());
    let some = planning::plans(store, 3, all).await.unwrap();
    let expected = [done[4].clone(), done[3].clone(), running];
    assert_eq!((&some.plans[..], some.more), (&expected[..], true));
    let whole = planning::plans(store, 7, all).await.unwrap();
    assert_eq!((whole.plans.len(), whole.more), (7, false));
    let mine = |plan: &Plan| plan.accounts.as_ref().map(|_| plan.id.clone());
    let seen = planning::plans(store, 1, mine).await.unwrap();
    assert_eq!(
        seen.plans,
        [narrow],
        "it is not cut off by what nobody sees"
    );
}

#[tokio::test]
async fn a_list_has_what_runs_and_then_the_newest_and_cuts_off_what_is_seen_alone() {
    lists(&Room::open().await).await;
    let (_redis, room) = on_redis().await;
    lists(&room).await;
}

#[tokio::test]
async fn a_list_ends_where_too_much_was_read_and_says_so() {
    let room = Room::open().await;
    keep(&room, Phase::Done, None).await;
    let mut long = Plan::wanted(all_parked(), "aina", room.stage.clock.now());
    long.made_by = "a".repeat(16 * 1024 * 1024);
    planning::ask(&*room.stage.store, long.clone(), &aina())
        .await
        .unwrap();
    let listed = planning::plans(&*room.stage.store, 10, |plan| Some(plan.id.clone()));
    let listed = listed.await.unwrap();
    assert_eq!((listed.plans, listed.more), (vec![long.id], true));
}
