//! What a worker answers at `/metrics`, whatever Redis does; and what is read from Redis for it.

use std::sync::Arc;
use std::time::Duration;

use chip_sandbox::{Effect, Operation, Rule};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::operate::Observer;
use holdfast::operate::overview::Overview;
use holdfast::operate::switches::stop;
use holdfast::payment::UnknownPolicy;
use holdfast::store::Store;
use holdfast::store::audit::Mandate;
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::store::switches::{Switch, SwitchName};
use holdfast::telemetry::Metrics;
use holdfast::worker::outbox::{Outbox, Schedule};
use holdfast_rig::{Redis, RedisOptions};
use tokio_util::sync::CancellationToken;

use super::Scrape;
use crate::stage::{Stage, start_time};

async fn connect(redis: &Redis, clock: &Clock) -> RedisStore {
    let settings = Settings {
        url: redis.url(),
        profile: Profile::Solo,
        ..Settings::default()
    };
    RedisStore::connect(settings, clock.clone()).await.unwrap()
}

/// What looks at Redis, with no endpoints, and counts whenever it is asked to.
async fn observer(redis: &Redis, clock: &Clock) -> (Observer, Metrics) {
    let settings = holdfast::worker::outbox::Settings {
        poll_ms: 10,
        in_flight: 4,
        schedule: Schedule {
            delays_ms: vec![5_000],
            jitter_percent: 0,
            retry_after_cap_ms: 60_000,
        },
    };
    let store = connect(redis, clock).await;
    let outbox = Outbox::new(store.clone(), clock.clone(), settings, Vec::new());
    let overview = Arc::new(Overview::new(Arc::new(store.clone()), clock.clone()));
    let counting = Arc::clone(&overview);
    tokio::spawn(async move { counting.count_on_demand(CancellationToken::new()).await });
    let (metrics, outbox) = (Metrics::default(), Arc::new(outbox.unwrap()));
    let observer = Observer::new(store, overview, outbox, clock.clone(), metrics.clone());
    (observer, metrics)
}

#[tokio::test]
async fn round_trips_are_timed_by_script_and_a_link_is_told_as_it_is() {
    let mut redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let metrics = Metrics::default();
    let store = connect(&redis, &clock).await.measured("worker", &metrics);
    let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
    stage.charge("k", 1500).await;
    stage.work().await;
    let told = Scrape::read(metrics.encode());
    for script in ["create", "claim", "save", "read"] {
        let labels = [("script", script), ("outcome", "answered")];
        let count = told.get("holdfast_redis_seconds_count", &labels);
        assert!(
            count.is_some_and(|count| count >= 1.0),
            "{script}: {told:?}"
        );
    }
    let link = [("link", "worker")];
    told.is("holdfast_redis_up", &link, 1.0);
    told.is("holdfast_redis_durable", &link, 1.0);
    told.is("holdfast_redis_connections_total", &link, 1.0);
    told.is("holdfast_redis_replaced_total", &link, 0.0);

    redis.kill().unwrap();
    stage.store.stats().await.unwrap_err();
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_up", &link, 0.0);
    let failed = [("script", "read"), ("outcome", "failed")];
    assert!(told.get("holdfast_redis_seconds_count", &failed) >= Some(1.0));

    redis.start_again().await.unwrap();
    while stage.store.stats().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_up", &link, 1.0);
    told.is("holdfast_redis_replaced_total", &link, 1.0);
    told.is("holdfast_redis_connections_total", &link, 2.0);
    drop(stage);
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_up", &link, 0.0);
}

#[tokio::test]
async fn a_look_that_finds_nothing_due_is_timed_as_the_one_round_trip_that_it_is() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let metrics = Metrics::default();
    let store = connect(&redis, &clock).await.measured("worker", &metrics);
    for _ in 0..3 {
        assert!(store.claim(8).await.unwrap().claims.is_empty());
    }
    let told = Scrape::read(metrics.encode());
    let read = [("script", "read"), ("outcome", "answered")];
    told.is("holdfast_redis_seconds_count", &read, 3.0);
    assert!(
        (told.sum("holdfast_redis_seconds_count") - 3.0).abs() < 1e-6,
        "{told:?}"
    );

    store.forget_workers(&["gone".to_owned()]).await.unwrap();
    let write = [("script", "write"), ("outcome", "answered")];
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_seconds_count", &write, 1.0);
    told.is("holdfast_redis_seconds_count", &read, 3.0);

    let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
    stage.charge("k", 1500).await;
    let claimed = stage.store.claim(1).await.unwrap().claims;
    assert_eq!(claimed.len(), 1);
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_seconds_count", &read, 4.0);
    let claim = [("script", "claim"), ("outcome", "answered")];
    told.is("holdfast_redis_seconds_count", &claim, 1.0);
    // The write and the create.
    assert!(
        (told.sum("holdfast_redis_seconds_count") - 7.0).abs() < 1e-6,
        "{told:?}"
    );
}

#[tokio::test]
async fn money_that_stands_still_is_told() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let metrics = Metrics::default();
    let store = connect(&redis, &clock).await.measured("worker", &metrics);
    crate::store::on_redis::configure(&redis, "appendfsync", "everysec").await;
    store.inspect().await.unwrap();
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_redis_durable", &[("link", "worker")], 0.0);
    told.is("holdfast_redis_up", &[("link", "worker")], 1.0);
}

#[tokio::test]
async fn what_redis_holds_is_told_with_its_age_and_stays_as_it_was_while_redis_is_away() {
    let mut redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let stage = Stage::over(
        connect(&redis, &clock).await,
        clock.clone(),
        UnknownPolicy::Park,
    );
    let stage = stage.await;
    let (observer, metrics) = observer(&redis, &clock).await;
    let before = Scrape::read(metrics.encode());
    assert_eq!(before.get("holdfast_observed_timestamp_seconds", &[]), None);
    stage.charge("paid", 1500).await;
    stage.work().await;
    stage.charge("waits", 1500).await;
    let mut raw = crate::store::on_redis::raw(&redis).await;
    for key in ["{hf:3}:intake", "{hf:4}:intake"] {
        let mut push = ::redis::cmd("LPUSH");
        let pushed = push.arg(key).arg("x").exec_async(&mut raw).await;
        pushed.unwrap();
    }
    observer.look().await.unwrap();
    let told = Scrape::read(metrics.encode());
    let now = f64::from(u32::try_from(start_time().timestamp()).unwrap());
    told.is("holdfast_observed_timestamp_seconds", &[], now);
    told.is("holdfast_next_due_timestamp_seconds", &[], now);
    told.is("holdfast_payments", &[("state", "new")], 1.0);
    told.is("holdfast_payments", &[("state", "paid")], 1.0);
    told.is("holdfast_payments", &[("state", "parked")], 0.0);
    told.is("holdfast_payments_unfinished", &[], 1.0);
    told.is("holdfast_payments_due", &[], 1.0);
    told.is("holdfast_pushes_waiting", &[], 2.0);
    told.is("holdfast_pushes_quarantined", &[], 0.0);
    told.is("holdfast_cards_wanted", &[], 0.0);

    redis.kill().unwrap();
    clock.advance(TimeDelta::minutes(5));
    observer.look().await.unwrap_err();
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_observed_timestamp_seconds", &[], now);
    told.is("holdfast_payments_due", &[], 1.0);
}

#[tokio::test]
async fn what_people_have_stopped_is_told_while_it_is() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let store = connect(&redis, &clock).await;
    let (observer, metrics) = observer(&redis, &clock).await;
    let look = async || {
        observer.look().await.unwrap();
        Scrape::read(metrics.encode())
    };
    let is = |told: &Scrape, all: f64, hotel: Option<f64>, drain: Option<f64>| {
        told.is("holdfast_stopped", &[("scope", "all")], all);
        let of = |scope| told.get("holdfast_stopped", &[("scope", scope)]);
        assert_eq!(of("account:hotel"), hotel);
        assert_eq!(of("drain"), drain);
    };
    is(&look().await, 0.0, None, None);
    let by = Mandate::typed_by("aina");
    for (name, until) in [
        ("account:hotel", None),
        ("drain", Some(start_time() + TimeDelta::minutes(2))),
    ] {
        let switch = Switch {
            since: start_time(),
            actor: "aina".to_owned(),
            reason: "a test".to_owned(),
            until,
        };
        let name = SwitchName::parse(name).unwrap();
        let stopping = stop(&store, &clock, ("pause", &name), &switch, &by);
        stopping.await.unwrap();
    }
    is(&look().await, 0.0, Some(1.0), Some(1.0));
    clock.advance(TimeDelta::minutes(3));
    is(&look().await, 0.0, Some(1.0), None);
    // What a newer version stopped stops everything.
    let mut raw = crate::store::on_redis::raw(&redis).await;
    let mut newer = ::redis::cmd("HSET");
    newer.arg("{hf:desk}:switches").arg("brand:x").arg("{}");
    newer.exec_async(&mut raw).await.unwrap();
    let told = look().await;
    is(&told, 1.0, Some(1.0), None);
    told.is("holdfast_stopped", &[("scope", "unknown")], 1.0);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted_when_it_is_set_aside() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let metrics = Metrics::default();
    let store = connect(&redis, &clock).await.measured("worker", &metrics);
    let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
    let mut raw = crate::store::on_redis::raw(&redis).await;
    for (key, body) in [("broken", "{}"), ("newer", r#"{"v":99}"#)] {
        let id = stage.charge(key, 1500).await;
        let key = format!("{{hf:{}}}:payment:{id}", id.spread() % 8);
        let mut write = ::redis::cmd("HSET");
        write.arg(key).arg("body").arg(body);
        write.exec_async(&mut raw).await.unwrap();
    }
    assert_eq!(stage.store.claim(16).await.unwrap().claims.len(), 0);
    let told = Scrape::read(metrics.encode());
    for reason in ["record_unreadable", "record_newer"] {
        told.is("holdfast_unworkable_total", &[("reason", reason)], 1.0);
    }
}

#[tokio::test]
async fn money_held_and_lapsing_is_told_and_what_is_in_doubt_or_parked_with_its_age() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let store = connect(&redis, &clock).await;
    let stage = Stage::over(store, clock.clone(), UnknownPolicy::Park).await;
    // One that has counted rests, so each count is another one's.
    let tally = async || {
        let (observer, metrics) = observer(&redis, &clock).await;
        observer.tally().await;
        Scrape::read(metrics.encode())
    };
    let hotel = ("account", "hotel");
    let myr = [hotel, ("currency", "MYR")];
    let lapses = |within| [myr[0], myr[1], ("within", within)];

    stage.authorize_by_token("room 1", 45_000, "{}").await;
    stage.authorize_by_token("room 2", 30_000, "{}").await;
    stage.work().await;
    // They lapse six days later; until a day before, nothing is done about them.
    stage.pass(TimeDelta::hours(5 * 24 - 1));
    let declined = Effect::decline("acquirer_configuration_error");
    stage.fault(Rule::on(Operation::Charge, declined).times(1));
    stage.charge("parked", 1_500).await;
    stage.work().await;
    stage.fault(Rule::on(Operation::Charge, Effect::timeout_after_commit()).times(1));
    stage.charge("in doubt", 1_500).await;
    stage.work().await;
    let noted = f64::from(u32::try_from(clock.now().timestamp()).unwrap());
    let told = tally().await;
    told.is("holdfast_tallied_timestamp_seconds", &[], noted);
    told.is("holdfast_held_minor", &myr, 75_000.0);
    told.is("holdfast_holds", &myr, 2.0);
    assert_eq!(told.get("holdfast_lapsing_minor", &lapses("24h")), None);
    told.is("holdfast_lapsing_minor", &lapses("48h"), 75_000.0);
    told.is("holdfast_lapsing_holds", &lapses("72h"), 2.0);
    let doubt = [hotel, ("step", "charge")];
    told.is("holdfast_unknown_payments", &doubt, 1.0);
    told.is("holdfast_oldest_unknown_timestamp_seconds", &[], noted);
    let parked = [hotel, ("reason", "declined_for_operator")];
    told.is("holdfast_parked_payments", &parked, 1.0);
    told.is("holdfast_uncounted_payments", &[], 0.0);

    clock.advance(TimeDelta::hours(2));
    let told = tally().await;
    told.is("holdfast_lapsing_minor", &lapses("24h"), 75_000.0);
    told.is("holdfast_oldest_unknown_timestamp_seconds", &[], noted);
    clock.advance(TimeDelta::days(2));
    let told = tally().await;
    told.is("holdfast_lapsed_holds", &myr, 2.0);
    assert_eq!(told.get("holdfast_lapsing_minor", &lapses("24h")), None);
}

#[tokio::test]
async fn payments_that_no_figure_knows_are_told_as_that() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let store = connect(&redis, &clock).await;
    let stage = Stage::over(store, clock.clone(), UnknownPolicy::Park).await;
    let id = stage.authorize_by_token("room 1", 45_000, "{}").await;
    stage.authorize_by_token("room 2", 30_000, "{}").await;
    stage.work().await;
    // As a version from before the faces would have saved it.
    crate::store::on_redis::forget_the_face_of(&redis, &id).await;
    let (observer, metrics) = observer(&redis, &clock).await;
    observer.tally().await;
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_uncounted_payments", &[], 1.0);
    let myr = [("account", "hotel"), ("currency", "MYR")];
    told.is("holdfast_holds", &myr, 1.0);
}
