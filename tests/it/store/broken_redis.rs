//! What happens when Redis, or the way to it, breaks.

use std::time::Duration;

use holdfast::clock::Clock;
use holdfast::payment::StateName;
use holdfast::store::redis::{RedisStore, Settings};
use holdfast::store::{Created, Deed, Nudged, SaveError, Store, StoreError, Then, Tried};
use holdfast_rig::{FaultPoint, Redis, RedisOptions};

use super::on_redis::{configure, raw};
use super::world::{LEASE_MS, World, adopted, payment, settings, start};

/// A store that reaches its Redis only through a point where things go wrong.
async fn behind_a_fault() -> (World<RedisStore>, FaultPoint) {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let fault = FaultPoint::start(&redis.socket()).unwrap();
    let clock = Clock::manual(start());
    let store = RedisStore::connect(settings(fault.url()), clock.clone())
        .await
        .unwrap();
    (
        World {
            store,
            clock,
            redis: Some(redis),
        },
        fault,
    )
}

#[tokio::test]
async fn a_save_whose_reply_was_lost_is_answered_as_done() {
    let (world, fault) = behind_a_fault().await;
    let mut claim = world.claimed("one").await;
    world.park(&mut claim.payment);
    fault.lose_replies_to(claim.key.id.as_str(), 2);
    world
        .store
        .save(&mut claim, Then::Rest(Some(world.in_ms(70))))
        .await
        .unwrap();
    assert_eq!(fault.lost(), 2);
    let stored = world.store.load(&claim.key.id).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.due), (2, Some(world.in_ms(70))));
    let events = world.store.events(10).await.unwrap();
    assert_eq!(events.len(), 2, "one for the create, one for the save");
}

#[tokio::test]
async fn a_save_that_was_done_unheard_keeps_no_claim_that_another_has_by_now() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let fault = FaultPoint::start(&redis.socket()).unwrap();
    let clock = Clock::manual(start());
    let impatient = Settings {
        save_patience_ms: 100,
        ..settings(fault.url())
    };
    let store = RedisStore::connect(impatient, clock.clone()).await.unwrap();
    let other = RedisStore::connect(settings(redis.url()), clock.clone())
        .await
        .unwrap();
    let world = World {
        store,
        clock,
        redis: Some(redis),
    };
    for (key, then) in [("keep", Then::Keep), ("rest", Then::Rest(None))] {
        let mut claim = world.claimed(key).await;
        fault.lose_replies_to(claim.key.id.as_str(), usize::MAX);
        let unheard = world.store.save(&mut claim, then).await;
        assert!(matches!(
            unheard,
            Err(SaveError::Store(StoreError::Unavailable(_)))
        ));
        fault.lose_replies_to("", 0);
        let stored = other.load(&claim.key.id).await.unwrap().unwrap();
        assert_eq!(stored.version, 2, "it was done all the same");
        world.pass(LEASE_MS);
        let mut taken = other.claim(1).await.unwrap().claims.remove(0);
        let again = world.store.save(&mut claim, then).await;
        match then {
            Then::Keep => assert!(matches!(again, Err(SaveError::Lost))),
            Then::Rest(_) => assert!(again.is_ok(), "it was done, and nothing more is asked"),
        }
        other
            .save(&mut taken, Then::Rest(Some(world.in_ms(1_000_000))))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_create_whose_reply_was_lost_is_answered_as_new() {
    let (world, fault) = behind_a_fault().await;
    let payment = payment("one", world.now());
    fault.lose_replies_to(payment.id().as_str(), 1);
    assert_eq!(
        world.store.create(&payment, world.now()).await.unwrap(),
        Created::New
    );
    assert_eq!(fault.lost(), 1);
    let again = world.store.create(&payment, world.now()).await.unwrap();
    assert!(matches!(again, Created::Existing(_)));
}

#[tokio::test]
async fn a_license_whose_reply_was_lost_hands_out_one_permit() {
    let (world, fault) = behind_a_fault().await;
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    fault.lose_replies_to(payment.id().as_str(), 1);
    let permit = world.store.license(&mut claim).await.unwrap();
    assert_eq!((fault.lost(), permit.order().attempt), (1, 1));
    let stored = world.store.load(payment.id()).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.payment.attempts().len()), (2, 1));
}

#[tokio::test]
async fn what_was_done_about_an_endpoint_is_noted_once_though_the_reply_was_lost() {
    let (world, fault) = behind_a_fault().await;
    let deed = |what: &str| Deed {
        at: world.now(),
        endpoint: "shop".to_owned(),
        what: what.to_owned(),
        event: None,
        by: "aina".to_owned(),
        why: "mended".to_owned(),
    };
    fault.lose_replies_to("mended", 2);
    world.store.note(&deed("skipped")).await.unwrap();
    assert_eq!(fault.lost(), 2);
    world.store.note(&deed("replayed")).await.unwrap();
    let noted = world.store.deeds(10).await.unwrap();
    let noted: Vec<&str> = noted.iter().map(|deed| deed.what.as_str()).collect();
    assert_eq!(noted, ["replayed", "skipped"]);
}

#[tokio::test]
async fn a_claim_whose_reply_was_lost_is_found_again_at_once() {
    let (world, fault) = behind_a_fault().await;
    let payment = world.created("one").await;
    fault.lose_replies_to("EVALSHA", 1);
    let lost = world.store.claim(1).await;
    assert!(
        matches!(lost, Err(StoreError::Unavailable(_))),
        "a claim is not repeated in silence"
    );
    let stored = world.store.load(payment.id()).await.unwrap().unwrap();
    assert!(stored.claimed, "it was done all the same");
    let mut claim = world.claim_one().await;
    assert_eq!((&claim.key.id, claim.barren), (payment.id(), 1));
    assert_eq!(claim.fell_due, None, "the lease stands where that stood");
    world.store.save(&mut claim, Then::Keep).await.unwrap();
}

#[tokio::test]
async fn a_claim_call_that_was_dropped_half_way_keeps_nobody_waiting() {
    let (world, fault) = behind_a_fault().await;
    let payment = world.created("one").await;
    // The look is answered in time, the claim is not.
    fault.delay_replies(Duration::from_millis(300));
    let dropped = tokio::time::timeout(Duration::from_millis(450), world.store.claim(1)).await;
    dropped.expect_err("nobody waited for the end of it");
    fault.delay_replies(Duration::ZERO);
    let stored = world.store.load(payment.id()).await.unwrap().unwrap();
    assert!(stored.claimed, "it was done all the same");
    let claim = world.claim_one().await;
    assert_eq!((&claim.key.id, claim.barren), (payment.id(), 1));
}

#[tokio::test]
async fn a_dropped_connection_ends_nothing() {
    let (world, fault) = behind_a_fault().await;
    let mut claim = world.claimed("one").await;
    for _ in 0..5 {
        fault.cut();
        world
            .store
            .load(&claim.key.id)
            .await
            .unwrap()
            .expect("it is there");
        fault.cut();
        world.store.save(&mut claim, Then::Keep).await.unwrap();
    }
    assert!(fault.connections() > 5);
    world
        .open_and_license(&mut claim)
        .await
        .expect_err("it has no purchase to call about");
    let adopted = adopted("adopted", world.now());
    world.store.create(&adopted, world.now()).await.unwrap();
    let mut held = world.claim_one().await;
    fault.cut();
    let same = world.open_and_license(&mut held).await;
    assert!(same.is_ok(), "the same Redis: its lineage has not changed");
}

#[tokio::test]
async fn hints_come_again_after_the_connection_dropped() {
    let (world, fault) = behind_a_fault().await;
    let bound = Duration::from_secs(10);
    tokio::time::timeout(bound, world.store.woken())
        .await
        .expect("it listens");
    fault.cut();
    tokio::time::timeout(bound, world.store.woken())
        .await
        .expect("it listens again");
}

#[tokio::test]
async fn a_redis_that_is_killed_loses_nothing_it_answered() {
    let mut world = World::on_redis().await;
    let mut parked = world.claimed("parked").await;
    world.park(&mut parked.payment);
    world
        .store
        .save(&mut parked, Then::Rest(Some(world.in_ms(10))))
        .await
        .unwrap();
    let mut held = world.claimed("held").await;
    world.created("waiting").await;
    world.redis.as_mut().unwrap().restart().await.unwrap();
    let stats = world.store.stats().await.unwrap();
    assert_eq!(
        stats.by_state,
        [(StateName::New, 2), (StateName::Parked, 1)]
    );
    assert_eq!((stats.unfinished, stats.due_now), (3, 1));
    let stored = world.store.load(&parked.key.id).await.unwrap().unwrap();
    assert_eq!(stored.payment, parked.payment);
    // What is in hand can still be written: version and nonce say that nobody else has.
    world
        .store
        .save(&mut held, Then::Rest(Some(world.now())))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_claim_from_before_a_restart_licenses_nothing() {
    let mut world = World::on_redis().await;
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.redis.as_mut().unwrap().restart().await.unwrap();
    world
        .store
        .load(payment.id())
        .await
        .unwrap()
        .expect("it is there");
    let lost = world.open_and_license(&mut claim).await;
    assert!(matches!(lost, Err(SaveError::Lost)));
    let stored = world.store.load(payment.id()).await.unwrap().unwrap();
    assert!(stored.payment.attempts().is_empty(), "nothing was written");
    world.pass(LEASE_MS);
    let mut anew = world.claim_one().await;
    assert!(world.open_and_license(&mut anew).await.is_ok());
}

/// All that Redis keeps, as it is now.
fn kept(redis: &Redis) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = std::fs::read_dir(redis.folder().join("appendonlydir")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let files = paths.map(|path| (path.clone(), std::fs::read(path).unwrap()));
    files.collect()
}

#[tokio::test]
async fn whoever_claimed_what_a_restart_undid_saves_nothing_over_the_next_claim() {
    let mut world = World::on_redis().await;
    world.created("one").await;
    let before = kept(world.redis.as_ref().unwrap());
    let mut first = world.claim_one().await;
    let redis = world.redis.as_mut().unwrap();
    redis.kill().unwrap();
    for (path, bytes) in before {
        std::fs::write(path, bytes).unwrap();
    }
    redis.start_again().await.unwrap();
    // Another worker, which was just started: whatever it counts begins anew.
    let other = RedisStore::connect(settings(redis.url()), world.clock.clone());
    let other = other.await.unwrap();
    let mut second = other.claim(1).await.unwrap().claims.remove(0);
    assert_eq!(second.key.id, first.key.id, "its claim was undone");
    let late = world.store.save(&mut first, Then::Rest(None)).await;
    assert!(matches!(late, Err(SaveError::Lost)), "{late:?}");
    let keys = [first.key.clone(), second.key.clone()];
    assert_eq!(other.renew(&keys).await.unwrap(), [first.key.clone()]);
    other.save(&mut second, Then::Keep).await.unwrap();
}

#[tokio::test]
async fn a_license_across_a_restart_is_written_but_sends_nothing() {
    let mut world = World::on_redis().await;
    let payment = adopted("one", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    // The store has not noticed yet that this Redis is another one: the write goes through and
    // the attempt stands in the record, to be looked up, but there is no permit for it.
    world.redis.as_mut().unwrap().restart().await.unwrap();
    let lost = world.open_and_license(&mut claim).await;
    assert!(matches!(lost, Err(SaveError::Lost)));
    let stored = world.store.load(payment.id()).await.unwrap().unwrap();
    assert!(stored.payment.open_attempt().is_some());
}

#[tokio::test]
async fn a_save_waits_for_a_redis_that_is_away() {
    let mut world = World::on_redis().await;
    let mut claim = world.claimed("one").await;
    world.redis.as_mut().unwrap().kill().unwrap();
    let store = world.store.clone();
    let saving = tokio::spawn(async move {
        let saved = store.save(&mut claim, Then::Rest(None)).await;
        (claim, saved)
    });
    let away = world.store.claim(1).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))));
    world.redis.as_mut().unwrap().start_again().await.unwrap();
    let (claim, saved) = saving.await.unwrap();
    saved.unwrap();
    assert_eq!(
        world
            .store
            .load(&claim.key.id)
            .await
            .unwrap()
            .unwrap()
            .version,
        2
    );
}

#[tokio::test]
async fn patience_ends_and_says_that_the_outcome_is_unknown() {
    let mut redis = Redis::start(RedisOptions::default()).await.unwrap();
    let settings = Settings {
        save_patience_ms: 300,
        connect_timeout_ms: 100,
        ..settings(redis.url())
    };
    let clock = Clock::manual(start());
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    redis.kill().unwrap();
    let created = store
        .create(&payment("one", clock.now()), clock.now())
        .await;
    assert!(
        matches!(created, Err(StoreError::Unavailable(_))),
        "{created:?}"
    );
}

#[tokio::test]
async fn a_redis_that_stands_still_for_a_while_ends_nothing() {
    let world = World::on_redis().await;
    let mut claim = world.claimed("one").await;
    let redis = world.redis.as_ref().unwrap();
    let (frozen, saved) = tokio::join!(
        redis.freeze_for(Duration::from_millis(700)),
        world.store.save(&mut claim, Then::Keep),
    );
    frozen.unwrap();
    saved.unwrap();
}

#[tokio::test]
async fn a_full_memory_refuses_what_is_new_and_brings_what_exists_to_its_end() {
    let world = World::on_redis().await;
    let mut claim = world.claimed("one").await;
    world.created("two").await;
    configure(world.redis.as_ref().unwrap(), "maxmemory", "1").await;
    let refused = world
        .store
        .create(&payment("three", world.now()), world.now())
        .await;
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.starts_with("OOM")));

    let renewed = world.store.renew(std::slice::from_ref(&claim.key)).await;
    assert_eq!(renewed.unwrap(), []);
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let other = world.claim_one().await;
    world
        .store
        .give_back(&other.key, world.now(), Tried::Yes)
        .await
        .unwrap();
    let nudged = world.store.nudge(&other.key.id).await.unwrap();
    assert_eq!(nudged, Nudged::Due);
    let mut asked = world.store.load(&other.key.id).await.unwrap().unwrap();
    world.park(&mut asked.payment);
    world
        .store
        .command(&asked, Some(world.now()), None)
        .await
        .unwrap();
    assert_eq!(world.store.stats().await.unwrap().unfinished, 1);
}

#[tokio::test]
async fn a_user_without_the_wake_up_channel_is_told_so_and_no_write_fails_after_it_was_done() {
    let redis = Redis::start(RedisOptions {
        lines: vec![
            "user deaf on nopass ~* resetchannels +@all".to_owned(),
            "user holdfast on nopass ~hf* ~{hf* resetchannels &hf:* +@all".to_owned(),
        ],
        ..RedisOptions::default()
    })
    .await
    .unwrap();
    let as_user = |user: &str| settings(format!("{}?user={user}&pass=x", redis.url()));
    let clock = Clock::manual(start());
    let told = RedisStore::connect(as_user("deaf"), clock.clone()).await;
    let told = told.err().expect("it could wake nobody").to_string();
    assert!(told.contains("PUBLISH") && told.contains("&hf:*"), "{told}");

    let store = RedisStore::connect(as_user("holdfast"), clock.clone())
        .await
        .unwrap();
    let mut deafen = redis::cmd("ACL");
    deafen.arg(&["SETUSER", "holdfast", "resetchannels"]);
    deafen.exec_async(&mut raw(&redis).await).await.unwrap();
    let now = clock.now();
    let created = store.create(&payment("one", now), now).await.unwrap();
    assert_eq!(created, Created::New, "a hint is only a hint");
}

/// Opening an attempt and asking for the permit, as a turn does.
trait License {
    async fn open_and_license(
        &self,
        claim: &mut holdfast::store::Claim,
    ) -> Result<holdfast::store::Permit, SaveError>;
}

impl License for World<RedisStore> {
    async fn open_and_license(
        &self,
        claim: &mut holdfast::store::Claim,
    ) -> Result<holdfast::store::Permit, SaveError> {
        self.open(claim);
        self.store.license(claim).await
    }
}
