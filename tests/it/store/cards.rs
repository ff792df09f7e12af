//! What is known of cards: the same promises of both stores, and those of the one on Redis alone.

use chrono::TimeDelta;
use holdfast::payment::{
    AccountName, CardEvidence, CardId, CardSign, CardToken, IdempotencyKey, KnownCard, PaymentId,
    Wish,
};
use holdfast::store::redis::RedisStore;
use holdfast::store::{CardKept, Cards, News, Store, StoreError, Then, change_card};

use holdfast_rig::RedisOptions;

use super::on_redis::raw;
use super::world::{Watched, World};

const TOKEN: &str = "5a9e3c1c-0000-4000-8000-00000000cafe";

fn live<S: Store>(world: &World<S>) -> KnownCard {
    let account = AccountName::new("hotel").unwrap();
    KnownCard::first(&CardEvidence {
        payment: PaymentId::derive(&account, &IdempotencyKey::new("k").unwrap()),
        account,
        token: CardToken::new(TOKEN).unwrap(),
        face: None,
        sign: CardSign::Saved,
        at: world.now(),
    })
}

fn wished<S: Store>(world: &World<S>, card: &KnownCard) -> KnownCard {
    let mut card = card.clone();
    card.wish(Wish::Delete, world.now());
    card
}

macro_rules! promises {
    ($($name:ident)*) => {
        mod in_memory {
            use super::World;
            $(#[tokio::test] async fn $name() { super::$name(World::in_memory()).await; })*
        }
        mod on_redis {
            use super::World;
            $(#[tokio::test] async fn $name() { super::$name(World::on_redis().await).await; })*
        }
    };
}

promises! {
    a_card_is_written_only_over_what_was_read
    what_is_wanted_of_a_card_is_due_until_it_is_done
    of_many_that_change_a_card_at_once_none_is_lost
    what_happened_is_heard_from_the_beginning_and_passed_once
}

async fn a_card_is_written_only_over_what_was_read<S: Watched + Cards>(world: World<S>) {
    let (store, card) = (&world.store, live(&world));
    let id = card.id();
    assert_eq!(store.card(&id).await.unwrap(), None);
    assert_eq!(store.keep_card(None, &card).await.unwrap(), CardKept::Now);
    assert_eq!(
        store.keep_card(None, &card).await.unwrap(),
        CardKept::Outdated
    );
    let found = store.card(&id).await.unwrap().unwrap();
    assert_eq!(found.card, card);
    assert!(
        !format!("{found:?}").contains(TOKEN),
        "a token is never printed"
    );
    let wished = wished(&world, &card);
    // The same once more is another write: whoever read before it has an old card.
    assert_eq!(
        store.keep_card(Some(&found), &card).await.unwrap(),
        CardKept::Now
    );
    let late = store.keep_card(Some(&found), &wished).await.unwrap();
    assert_eq!(late, CardKept::Outdated);
    assert_eq!(store.card(&id).await.unwrap().unwrap().card, card);
}

async fn what_is_wanted_of_a_card_is_due_until_it_is_done<S: Watched + Cards>(world: World<S>) {
    let (store, card) = (&world.store, live(&world));
    let id = card.id();
    store.keep_card(None, &card).await.unwrap();
    assert_eq!(store.due_cards(9).await.unwrap(), []);
    let change = async |change: &(dyn Fn(&mut KnownCard) + Sync)| {
        let changed = change_card(store, &id, |card| {
            let mut card = card?.clone();
            change(&mut card);
            Some(card)
        });
        changed.await.unwrap().unwrap()
    };
    let now = world.now();
    change(&|card| card.wish(Wish::Delete, now)).await;
    let only = [id.clone()];
    assert_eq!(store.due_cards(9).await.unwrap(), only);
    assert_eq!(store.due_cards(0).await.unwrap(), []);
    let lease = world.in_ms(5_000);
    change(&|card| card.take(lease)).await;
    assert_eq!(store.due_cards(9).await.unwrap(), [], "it is somebody's");
    world.pass(5_000);
    assert_eq!(store.due_cards(9).await.unwrap(), only, "nobody ended it");
    change(&|card| {
        card.was_sent(now);
        card.looked(false, now);
    })
    .await;
    assert_eq!(store.due_cards(9).await.unwrap(), []);
}

async fn of_many_that_change_a_card_at_once_none_is_lost<S: Watched + Cards>(world: World<S>) {
    let card = live(&world);
    world.store.keep_card(None, &card).await.unwrap();
    let mut changing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, id, now) = (world.store.clone(), card.id(), world.now());
        changing.spawn(async move {
            let wish = change_card(&store, &id, |card| {
                let mut card = card?.clone();
                card.wish(Wish::Delete, now);
                card.missed((now, now), TimeDelta::zero());
                Some(card)
            });
            wish.await.unwrap().unwrap();
        });
    }
    changing.join_all().await;
    let card = world.store.card(&card.id()).await.unwrap().unwrap().card;
    assert_eq!(card.wanted().unwrap().tries, 8);
}

async fn what_happened_is_heard_from_the_beginning_and_passed_once<S>(world: World<S>)
where
    S: Watched + News,
{
    let mut claim = world.claimed("one").await;
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let store = &world.store;
    let (one, two) = (
        store.followed().await.unwrap(),
        store.followed().await.unwrap(),
    );
    let heard = store.news(&one).await.unwrap();
    assert_eq!(heard.read, 2, "from before anybody read");
    assert!(heard.happened.is_empty(), "none says anything of a card");
    let other = store.news(&two).await.unwrap();
    assert!(store.passed(&one, &heard.to).await.unwrap());
    assert!(
        !store.passed(&two, &other.to).await.unwrap(),
        "somebody was quicker"
    );
    let next = store.followed().await.unwrap();
    assert_eq!(store.news(&next).await.unwrap().read, 0);
    world.created("two").await;
    assert_eq!(store.news(&next).await.unwrap().read, 1);
}

fn key(id: &CardId) -> String {
    format!("{{hf:{}}}:card:{id}", id.spread() % 8)
}

async fn ask<T: redis::FromRedisValue>(world: &World<RedisStore>, words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let mut connection = raw(world.redis.as_ref().unwrap()).await;
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_card_that_nobody_sees_is_forgotten_after_two_years_but_not_what_is_wanted() {
    let world = World::on_redis().await;
    let card = live(&world);
    world.store.keep_card(None, &card).await.unwrap();
    let key = key(&card.id());
    let lives: i64 = ask(&world, &["PTTL", &key]).await;
    let days = TimeDelta::milliseconds(lives).num_days();
    assert!((729..=730).contains(&days), "{days}");
    let found = world.store.card(&card.id()).await.unwrap();
    let wished = wished(&world, &card);
    world
        .store
        .keep_card(found.as_ref(), &wished)
        .await
        .unwrap();
    assert_eq!(ask::<i64>(&world, &["PTTL", &key]).await, -1);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_without_a_word_of_it_and_left_as_it_is() {
    let world = World::on_redis().await;
    let card = live(&world);
    let key = key(&card.id());
    let newer = format!(r#"{{"nonce":"x","card":{{"v":2,"token":"{TOKEN}"}}}}"#);
    for text in ["something else", newer.as_str()] {
        ask::<()>(&world, &["SET", &key, text]).await;
        let error = world.store.card(&card.id()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
        let kept = world.store.keep_card(None, &card).await.unwrap();
        assert_eq!(kept, CardKept::Outdated);
    }
}

#[tokio::test]
async fn nobody_is_told_of_an_endpoint_that_reads_what_is_known_of_cards() {
    let world = World::on_redis().await;
    world.created("one").await;
    world.store.followed().await.unwrap();
    assert!(world.store.known_endpoints().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_known_of_cards_holds_back_no_event_that_is_older_than_is_kept() {
    let lines = vec!["stream-node-max-entries 1".to_owned()];
    let options = RedisOptions {
        lines,
        ..RedisOptions::default()
    };
    let world = World::on(options).await;
    world.created("one").await;
    let from = world.store.followed().await.unwrap();
    let trimmed = world.store.trim_events(TimeDelta::days(1)).await.unwrap();
    assert_eq!(trimmed.events, 0);
    let trimmed = world.store.trim_events(TimeDelta::days(-1)).await.unwrap();
    assert_eq!((trimmed.events, trimmed.pinned.len()), (1, 0));
    world.created("two").await;
    assert_eq!(world.store.news(&from).await.unwrap().read, 1, "it goes on");
}

#[tokio::test]
async fn a_full_memory_keeps_no_worker_from_going_on_with_what_it_read_of_cards() {
    let world = World::on_redis().await;
    world.created("one").await;
    let from = world.store.followed().await.unwrap();
    let heard = world.store.news(&from).await.unwrap();
    ask::<()>(&world, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(world.store.passed(&from, &heard.to).await.unwrap());
    let card = live(&world);
    assert_eq!(
        world.store.keep_card(None, &card).await.unwrap(),
        CardKept::Now
    );
    world
        .store
        .postpone_card(&card.id(), world.now())
        .await
        .unwrap();
}
