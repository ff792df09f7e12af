//! The promises that depend on how a real Redis answers, or does not.

use std::collections::BTreeMap;

use holdfast::store::redis::{self, RedisStore};
use holdfast_rig::{Redis, RedisOptions};

use super::*;

const LEASE_MS: u64 = 30_000;
const ON_REDIS: Settings = Settings {
    concurrency: 32,
    batch: 64,
    lease_ms: LEASE_MS,
    renew_ms: 10_000,
    poll_ms: 1_000,
    shutdown_ms: 10_000,
    identity: 7,
};

type Seen = Arc<Mutex<BTreeMap<PaymentId, usize>>>;

async fn redis_with(count: usize) -> (Redis, Arc<Watched<RedisStore>>, Clock) {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::system();
    let settings = redis::Settings {
        url: redis.url(),
        lease_ms: LEASE_MS,
        response_timeout_ms: 2_000,
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let store = Arc::new(Watched::new(store));
    create_all(&store, &clock, 0..count).await;
    (redis, store, clock)
}

/// Creates many at once, so that they share what it costs to write to disk.
async fn create_all(
    store: &Arc<Watched<RedisStore>>,
    clock: &Clock,
    numbers: std::ops::Range<usize>,
) {
    let now = clock.now();
    let creations = numbers.map(async |number| {
        let created = store.create(&payment(number, now), now).await;
        created.unwrap();
    });
    futures_util::future::join_all(creations).await;
}

/// A handler that counts the saves that were done for each payment.
fn counting(store: &Arc<Watched<RedisStore>>) -> (impl Handler + use<>, Seen) {
    let seen = Seen::default();
    let (store, counts) = (Arc::clone(store), Arc::clone(&seen));
    let handler = move |mut claim: Claim| {
        let (store, counts) = (Arc::clone(&store), Arc::clone(&counts));
        async move {
            let far = claim.payment.created_at() + TimeDelta::days(30);
            while !claim.is_lost() {
                match store.save(&mut claim, Then::Rest(Some(far))).await {
                    Ok(_) => {
                        *counts.lock().unwrap().entry(claim.key.id).or_default() += 1;
                        return;
                    }
                    Err(SaveError::Lost) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
    };
    (handler, seen)
}

fn assert_each_once(seen: &Seen, count: usize) {
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), count);
    assert!(
        seen.values().all(|times| *times == 1),
        "something was turned twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_payments_due_at_once_in_redis_are_each_turned_once() {
    const COUNT: usize = 10_000;
    let (_redis, store, clock) = redis_with(COUNT).await;
    let (handler, seen) = counting(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            concurrency: 128,
            ..ON_REDIS
        },
        handler,
    );
    until("all are turned", || store.saves() == COUNT).await;
    create_all(&store, &clock, COUNT..COUNT + 1).await;
    until("the queue still runs", || store.saves() == COUNT + 1).await;
    running.stop().await;
    assert_each_once(&seen, COUNT + 1);
    let calls = store.claims();
    assert!(
        calls < COUNT / 4,
        "{calls} claim calls for {COUNT} payments"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_twice_loses_and_doubles_nothing() {
    const COUNT: usize = 3_000;
    let (mut redis, store, clock) = redis_with(COUNT).await;
    let (handler, seen) = counting(&store);
    let running = start(&store, &clock, ON_REDIS, handler);
    for part in [COUNT / 4, COUNT / 2] {
        until("it is under way", || store.saves() >= part).await;
        redis.restart().await.unwrap();
    }
    until("all are turned", || seen.lock().unwrap().len() == COUNT).await;
    assert!(!running.task.is_finished());
    let stopped = running.stop().await;
    assert_eq!((stopped.panicked, stopped.left_leased), (0, 0));
    assert_each_once(&seen, COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_ends_nothing() {
    let (redis, store, clock) = redis_with(1).await;
    let (handler, mut began, gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            renew_ms: 50,
            ..ON_REDIS
        },
        handler,
    );
    take(&mut began, 1).await;
    // Longer than the store waits for an answer.
    redis
        .freeze_for(Duration::from_millis(2_500))
        .await
        .unwrap();
    create_all(&store, &clock, 1..2).await;
    take(&mut began, 1).await;
    gate.add_permits(2);
    assert_eq!(running.stop().await.finished, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_full_load_leaves_nothing_leased_in_redis() {
    for concurrency in [1, 32, 128] {
        let count = concurrency * 3;
        let (_redis, store, clock) = redis_with(count).await;
        let (began, mut beginnings) = mpsc::unbounded_channel();
        let settings = Settings {
            concurrency,
            shutdown_ms: 50,
            ..ON_REDIS
        };
        let running = start(&store, &clock, settings, move |claim: Claim| {
            began.send(claim.key.id.clone()).unwrap();
            pending()
        });
        take(&mut beginnings, concurrency).await;
        let since = Instant::now();
        let stopped = running.stop().await;
        assert!(
            since.elapsed() < Duration::from_millis(3_050),
            "{:?}",
            since.elapsed()
        );
        assert_eq!(
            (stopped.given_back, stopped.left_leased),
            (concurrency as u64, 0)
        );
        assert_eq!(claimed(&*store, 0..count, clock.now()).await, 0);
        assert_eq!(store.stats().await.unwrap().due_now, count as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_in_time_while_redis_stands_still() {
    let (redis, store, clock) = redis_with(4).await;
    let (handler, mut began, _gate) = gated(&store);
    let running = start(
        &store,
        &clock,
        Settings {
            shutdown_ms: 50,
            ..ON_REDIS
        },
        handler,
    );
    take(&mut began, 4).await;
    redis.freeze().unwrap();
    let since = Instant::now();
    let stopped = running.stop().await;
    assert!(
        since.elapsed() < Duration::from_millis(3_050),
        "{:?}",
        since.elapsed()
    );
    assert_eq!((stopped.abandoned, stopped.left_leased), (4, 4));
    redis.thaw().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_from_redis_wakes_an_idle_queue() {
    let (_redis, store, clock) = redis_with(0).await;
    let (handler, mut began, gate) = gated(&store);
    gate.add_permits(20);
    let running = start(
        &store,
        &clock,
        Settings {
            poll_ms: NEVER_MS,
            ..ON_REDIS
        },
        handler,
    );
    for number in 0..20 {
        create_all(&store, &clock, number..number + 1).await;
        take(&mut began, 1).await;
    }
    assert_eq!(running.stop().await.finished, 20);
}
