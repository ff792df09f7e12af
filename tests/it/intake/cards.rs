//! A push on a card that is known dead.

use holdfast::store::Cards;
use holdfast::worker::cards::CardKeeper;

use super::*;
use crate::stage::gateway;

#[tokio::test]
async fn a_push_on_a_dead_card_is_refused_and_is_taken_once_a_look_has_revived_it() {
    use chip_sandbox::{Effect, Operation, Rule};
    let dock = Dock::open().await;
    let (stage, token) = (&dock.stage, dock.token());
    let expired = Rule::on(
        Operation::Charge,
        Effect::decline("invalid_recurring_token"),
    );
    stage.fault(expired.times(1));
    let first = charge("one", &token, 1_500).to_string();
    let id = is_recorded(&dock.answered(&first).await);
    stage.work_for(chrono::TimeDelta::minutes(5)).await;
    assert_eq!(stage.state(&id).await, StateName::Failed);
    let keeper = || {
        let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
        CardKeeper::new(
            Arc::clone(&dock.store),
            Arc::new(gateway),
            stage.clock.clone(),
        )
    };
    // Two workers read the same, at the same time; a third one comes later.
    let (one, two, three) = (keeper(), keeper(), keeper());
    let (mut from_one, mut from_two) = (None, None);
    let (read, also) = tokio::join!(one.follow(&mut from_one), two.follow(&mut from_two));
    assert!(read.unwrap() + also.unwrap() >= 2);
    assert_eq!(three.follow(&mut None).await.unwrap(), 0);

    let second = charge("two", &token, 1_500).to_string();
    let refused = dock.answered(&second).await;
    is_refused(&refused, "card_dead");
    assert_eq!(refused["problem"]["field"], "token");
    let told = refused["problem"]["detail"].as_str().unwrap();
    assert!(
        told.contains("invalid_recurring_token") && !told.contains(&token),
        "{told}"
    );
    let again = dock.answered(&first).await;
    assert_eq!(
        is_recorded(&again),
        id,
        "what was recorded before is answered as before"
    );
    let kept = dock.quarantine().await;
    assert_eq!(kept[0].1.code, "card_dead");

    let card = CardId::derive(&account(), &CardToken::new(token).unwrap());
    let wish =
        holdfast::api::cards::order(&*dock.store, &stage.clock, &card, &CardOrder::Look, None);
    wish.await.unwrap();
    let (done, other) = tokio::join!(one.carry_out(), two.carry_out());
    assert_eq!(done.unwrap() + other.unwrap(), 1, "one of them has it");
    let mut retried: Value = serde_json::from_str(&second).unwrap();
    retried["push"] = "0c7b1f0e-another-push".into();
    is_recorded(&dock.answered(retried.to_string()).await);
}

#[tokio::test]
async fn a_card_that_cannot_be_read_keeps_nobody_from_asking() {
    let dock = Dock::open().await;
    let token = dock.token();
    let card = CardId::derive(&account(), &CardToken::new(token.as_str()).unwrap());
    let at = format!("{{hf:{}}}:card:{card}", card.spread() % 8);
    dock.ask::<()>(&["HSET", &at, "something", "else"]).await;
    is_recorded(&dock.answered(charge("k", &token, 1_500).to_string()).await);
    dock.stage.work().await;
    let gateway = gateway(&dock.stage.sandbox.base_url(), &dock.stage.clock);
    let store = Arc::clone(&dock.store);
    let keeper = CardKeeper::new(store, Arc::new(gateway), dock.stage.clock.clone());
    assert!(
        keeper.follow(&mut None).await.unwrap() > 0,
        "it is passed over"
    );
    assert_eq!(keeper.follow(&mut None).await.unwrap(), 0);
}

#[tokio::test]
async fn cards_that_cannot_be_read_stand_in_the_way_of_no_other_card() {
    let dock = Dock::open().await;
    let token = dock.token();
    is_recorded(&dock.answered(charge("k", &token, 1_500).to_string()).await);
    let (stage, store) = (&dock.stage, Arc::clone(&dock.store));
    stage.work().await;
    let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
    let keeper = CardKeeper::new(Arc::clone(&store), Arc::new(gateway), stage.clock.clone());
    while keeper.follow(&mut None).await.unwrap() > 0 {}
    let broken = |name: &str| {
        let token = CardToken::new(name).unwrap();
        let id = CardId::derive(&account(), &token);
        let partition = id.spread() % 8;
        let at = format!("{{hf:{partition}}}:card:{id}");
        (at, format!("{{hf:{partition}}}:cards:due"), id.to_string())
    };
    for nth in 0..4 {
        let (at, due, id) = broken(&format!("text-{nth}"));
        dock.ask::<()>(&["SET", &at, "something else"]).await;
        dock.ask::<()>(&["ZADD", &due, "1", &id]).await;
        let (at, due, id) = broken(&format!("hash-{nth}"));
        dock.ask::<()>(&["HSET", &at, "something", "else"]).await;
        dock.ask::<()>(&["ZADD", &due, "1", &id]).await;
        let (_, due, id) = broken(&format!("gone-{nth}"));
        dock.ask::<()>(&["ZADD", &due, "1", &id]).await;
    }
    let card = CardId::derive(&account(), &CardToken::new(token.as_str()).unwrap());
    let looking = CardOrder::Look;
    let look = holdfast::api::cards::order(&*store, &stage.clock, &card, &looking, None);
    look.await.unwrap();
    for _ in 0..7 {
        keeper.carry_out().await.unwrap();
    }
    let known = store.card(&card).await.unwrap().unwrap().card;
    assert_eq!(
        (known.wanted(), known.looked_at()),
        (None, Some(stage.clock.now()))
    );
    assert_eq!(
        store.due_cards(20).await.unwrap(),
        [],
        "none comes up again at once"
    );
    stage.pass(chrono::TimeDelta::minutes(10));
    let due = store.due_cards(20).await.unwrap();
    assert_eq!(
        due.len(),
        8,
        "what can be read by then is carried out; what is gone is gone"
    );
}
