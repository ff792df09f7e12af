//! What a worker answers at `/metrics`, whatever Redis does; and what is read from Redis for it.

use std::sync::Arc;
use std::time::Duration;

use holdfast::clock::Clock;
use holdfast::operate::Observer;
use holdfast::payment::UnknownPolicy;
use holdfast::store::Store;
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::telemetry::Metrics;
use holdfast::worker::outbox::{Outbox, Schedule};
use holdfast_rig::{Redis, RedisOptions};

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
    let settings = holdfast::worker::outbox::Settings {
        poll_ms: 10,
        in_flight: 4,
        schedule: Schedule {
            delays_ms: vec![5_000],
            jitter_percent: 0,
            retry_after_cap_ms: 60_000,
        },
    };
    let none = Outbox::new(
        connect(&redis, &clock).await,
        clock.clone(),
        settings,
        Vec::new(),
    );
    let metrics = Metrics::default();
    let observer = Observer::new(
        connect(&redis, &clock).await,
        Arc::new(none.unwrap()),
        clock.clone(),
        metrics.clone(),
    );
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
    clock.advance(chrono::TimeDelta::minutes(5));
    observer.look().await.unwrap_err();
    let told = Scrape::read(metrics.encode());
    told.is("holdfast_observed_timestamp_seconds", &[], now);
    told.is("holdfast_payments_due", &[], 1.0);
}
