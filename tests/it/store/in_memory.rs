//! The troubles that the store in memory makes on demand.

use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::store::{Created, SaveError, Store, StoreError, Then};

use super::world::{LEASE_MS, World, adopted, payment, start};
use holdfast::clock::Clock;

/// The next call of `method` goes wrong, and only that one.
fn once(store: &MemoryStore, method: &'static str, trouble: Trouble) {
    let mut left = Some(trouble);
    store.disturb(move |call| if call == method { left.take() } else { None });
}

#[tokio::test]
async fn a_write_that_did_not_arrive_was_not_done() {
    let world = World::in_memory();
    let one = payment("one", world.now());
    once(&world.store, "create", Trouble::Unreached);
    let lost = world.store.create(&one, world.now()).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))));
    assert_eq!(
        world.store.create(&one, world.now()).await.unwrap(),
        Created::New
    );
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_was_done_and_can_be_repeated() {
    let world = World::in_memory();
    let mut claim = world.claimed("one").await;
    once(&world.store, "save", Trouble::ReplyLost);
    let lost = world.store.save(&mut claim, Then::Keep).await;
    assert!(matches!(
        lost,
        Err(SaveError::Store(StoreError::Unavailable(_)))
    ));
    assert_eq!(world.store.all()[0].version, 2);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    assert_eq!(world.store.all()[0].version, 2);
    once(&world.store, "save", Trouble::ReplyLost);
    world.store.save(&mut claim, Then::Keep).await.unwrap_err();
    world.pass(LEASE_MS);
    world.claim_one().await;
    let late = world.store.save(&mut claim, Then::Keep).await;
    assert!(matches!(late, Err(SaveError::Lost)));
}

#[tokio::test]
async fn what_falls_short_or_changes_its_lineage_licenses_nothing() {
    let world = World::in_memory();
    let one = adopted("one", world.now());
    world.store.create(&one, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    world.store.fall_short(Some("the disk is full"));
    assert!(world.store.durability().is_err());
    let refused = world.store.license(&mut claim).await;
    assert!(matches!(refused, Err(SaveError::NotDurable(_))));
    world.store.fall_short(None);
    world.store.change_lineage();
    let lost = world.store.license(&mut claim).await;
    assert!(matches!(lost, Err(SaveError::Lost)));
    assert!(world.store.all()[0].payment.attempts().is_empty());
    world.store.save(&mut claim, Then::Keep).await.unwrap();
}

#[tokio::test]
async fn the_same_seed_gives_the_same_nonces() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let clock = Clock::manual(start());
        let store = MemoryStore::seeded(clock.clone(), LEASE_MS, seed);
        let world = World {
            store,
            clock,
            redis: None,
        };
        runs.push([
            world.claimed("one").await.key.nonce,
            world.claimed("two").await.key.nonce,
        ]);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert_ne!(runs[0][0], runs[0][1]);
}

#[tokio::test]
async fn whoever_claimed_what_a_failover_undid_saves_nothing_over_the_next_claim() {
    let world = World::in_memory();
    world.created("one").await;
    world.store.replicate();
    let mut first = world.claim_one().await;
    // The claim had not reached the server that takes over, and the payment is due there as before.
    world.store.fail_over();
    let mut second = world.claim_one().await;
    assert_eq!(second.key.id, first.key.id);
    let late = world.store.save(&mut first, Then::Rest(None)).await;
    assert!(matches!(late, Err(SaveError::Lost)), "{late:?}");
    let keys = [first.key.clone(), second.key.clone()];
    assert_eq!(world.store.renew(&keys).await.unwrap(), [first.key.clone()]);
    world.store.save(&mut second, Then::Keep).await.unwrap();
}
