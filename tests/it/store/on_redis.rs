//! Promises that only the store on Redis makes.

use std::time::Duration;

use holdfast::clock::Clock;
use holdfast::payment::{Command, IdempotencyKey, PaymentId};
use holdfast::store::redis::{OpenError, Profile, RedisStore, Settings};
use holdfast::store::{Claim, SaveError, Store, StoreError, Then, Tried};
use holdfast_rig::{Redis, RedisOptions};

use super::world::{LEASE_MS, World, adopted, called, payment, settings, start};

/// A connection of the test's own.
pub(crate) async fn raw(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

pub(crate) async fn configure(redis: &Redis, name: &str, value: &str) {
    let mut config = redis::cmd("CONFIG");
    config
        .arg("SET")
        .arg(name)
        .arg(value)
        .exec_async(&mut raw(redis).await)
        .await
        .unwrap();
}

/// Takes the face of a payment away, as an older version leaves it.
pub(crate) async fn forget_the_face_of(redis: &Redis, id: &PaymentId) {
    let mut raw = raw(redis).await;
    let (record, states) = (key(id), key(id).replace(&format!("payment:{id}"), "states"));
    let mut ask = redis::cmd("HGET");
    ask.arg(&record).arg("face");
    let face: String = ask.query_async(&mut raw).await.unwrap();
    let mut forget = redis::pipe();
    forget.hdel(&record, "face").zrem(&states, &face);
    forget.exec_async(&mut raw).await.unwrap();
}

fn key(id: &PaymentId) -> String {
    format!("{{hf:{}}}:payment:{id}", id.spread() % 8)
}

async fn on(world: &World<RedisStore>) -> redis::aio::MultiplexedConnection {
    raw(world.redis.as_ref().unwrap()).await
}

async fn refusal(options: RedisOptions, profile: Profile) -> OpenError {
    let redis = Redis::start(options).await.unwrap();
    let settings = Settings {
        profile,
        ..settings(redis.url())
    };
    let opened = RedisStore::connect(settings, Clock::manual(start())).await;
    opened.err().expect("it must not be opened")
}

fn names_the_fix(error: &OpenError, setting: &str, value: &str, fix: &str) {
    let text = error.to_string();
    assert!(matches!(error, OpenError::NotDurable(_)), "{text}");
    for part in [setting, value, fix] {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_whatever_the_profile() {
    for profile in [Profile::Dev, Profile::Solo] {
        let options = RedisOptions {
            eviction: "allkeys-lru",
            ..RedisOptions::default()
        };
        let error = refusal(options, profile).await;
        let fix = "CONFIG SET maxmemory-policy noeviction";
        names_the_fix(&error, "maxmemory-policy", "allkeys-lru", fix);
    }
}

#[tokio::test]
async fn solo_refuses_what_is_not_on_disk_before_it_is_answered() {
    let options = RedisOptions {
        append_fsync: "everysec",
        ..RedisOptions::default()
    };
    let error = refusal(options, Profile::Solo).await;
    names_the_fix(
        &error,
        "appendfsync",
        "everysec",
        "CONFIG SET appendfsync always",
    );
    let options = RedisOptions {
        append_only: false,
        ..RedisOptions::default()
    };
    let error = refusal(options, Profile::Solo).await;
    names_the_fix(&error, "appendonly", "no", "CONFIG SET appendonly yes");
}

#[tokio::test]
async fn solo_refuses_when_it_cannot_see_the_settings() {
    let options = RedisOptions {
        lines: vec!["rename-command CONFIG \"\"".to_owned()],
        ..RedisOptions::default()
    };
    let error = refusal(options, Profile::Solo).await;
    names_the_fix(
        &error,
        "appendfsync",
        "CONFIG is refused",
        "allow CONFIG GET",
    );
}

#[tokio::test]
async fn replicated_is_refused_until_it_is_built() {
    let error = refusal(RedisOptions::default(), Profile::Replicated).await;
    assert!(error.to_string().contains("not built yet"), "{error}");
}

#[tokio::test]
async fn dev_takes_any_redis_that_does_not_evict() {
    let options = RedisOptions {
        append_only: false,
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let settings = Settings {
        profile: Profile::Dev,
        ..settings(redis.url())
    };
    let store = RedisStore::connect(settings, Clock::system())
        .await
        .unwrap();
    store.durability().unwrap();
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let url = "redis://worker:opensesame@127.0.0.1:1/0".to_owned();
    let wrong = [
        Settings {
            url: url.clone(),
            ..Settings::default()
        },
        Settings {
            url: url.replace(":1/", ":no-port/"),
            ..Settings::default()
        },
        Settings {
            url: url.replace("redis://", "rediss://"),
            ..Settings::default()
        },
        Settings {
            url: url.replace("redis://", "http://"),
            ..Settings::default()
        },
    ];
    for settings in wrong {
        let printed = format!("{settings:?}");
        let error = RedisStore::connect(settings, Clock::system())
            .await
            .err()
            .unwrap();
        let all = format!("{printed} {error} {error:?}");
        assert!(!all.contains("opensesame"), "{all}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused_by_name() {
    let wrong = [
        (
            "response_timeout_ms",
            Settings {
                response_timeout_ms: 1_999,
                ..Settings::default()
            },
        ),
        (
            "prefix",
            Settings {
                prefix: "a}b".to_owned(),
                ..Settings::default()
            },
        ),
        (
            "lease_ms",
            Settings {
                lease_ms: 0,
                ..Settings::default()
            },
        ),
        (
            "TLS",
            Settings {
                url: "rediss://localhost".to_owned(),
                ..Settings::default()
            },
        ),
    ];
    for (name, settings) in wrong {
        let error = RedisStore::connect(settings, Clock::system())
            .await
            .err()
            .unwrap();
        assert!(
            matches!(&error, OpenError::Setting(text) if text.contains(name)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_falls_short_later_stops_money_and_nothing_else() {
    let world = World::on_redis().await;
    let redis = world.redis.as_ref().unwrap();
    let mut claim = claimed_open(&world).await;
    configure(redis, "appendfsync", "everysec").await;
    world.store.inspect().await.unwrap();
    assert!(
        world
            .store
            .durability()
            .unwrap_err()
            .problem
            .contains("everysec")
    );
    let refused = world.store.license(&mut claim).await;
    assert!(matches!(refused, Err(SaveError::NotDurable(_))));
    let stored = world.store.load(&claim.key.id).await.unwrap().unwrap();
    assert!(
        stored.payment.attempts().is_empty(),
        "nothing was written either"
    );
    configure(redis, "appendfsync", "always").await;
    world.store.inspect().await.unwrap();
    assert!(world.store.license(&mut claim).await.is_ok());
}

async fn claimed_open(world: &World<RedisStore>) -> Claim {
    let payment = adopted("adopted", world.now());
    world.store.create(&payment, world.now()).await.unwrap();
    let mut claim = world.claim_one().await;
    world.open(&mut claim);
    claim
}

#[tokio::test]
async fn a_record_that_cannot_be_read_blocks_no_other() {
    let world = World::on_redis().await;
    let mut raw = on(&world).await;
    let bodies = [
        "no json",
        r#"{"v":2}"#,
        r#"{"v":1,"id":"secret-looking"}"#,
        "",
    ];
    for (number, body) in bodies.iter().enumerate() {
        let bad = world.created(&format!("bad-{number}")).await;
        let mut set = redis::cmd("HSET");
        set.arg(key(bad.id())).arg("body").arg(*body);
        set.exec_async(&mut raw).await.unwrap();
        let error = world.store.load(bad.id()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unreadable { .. }));
        assert!(!error.to_string().contains("secret-looking"), "{error}");
    }
    let good = world.created("good").await;
    let claims = world.store.claim(10).await.unwrap();
    assert_eq!(claims.claims.len(), 1);
    assert_eq!(claims.claims[0].key.id, *good.id());
    let listed = world
        .store
        .list(&good.state().name().into(), None, 10)
        .await
        .unwrap();
    assert_eq!(listed.payments.len(), 1);
    // They are tried again, but not at once.
    assert_eq!(world.store.stats().await.unwrap().unfinished, 5);
    world.pass(LEASE_MS);
    assert_eq!(world.store.claim(10).await.unwrap().claims.len(), 1);
    let body: String = redis::cmd("HGET")
        .arg(key(payment("bad-1", world.now()).id()))
        .arg("body")
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(body, bodies[1], "it was left as it is");
}

#[tokio::test]
async fn a_due_entry_without_a_record_blocks_no_other() {
    let world = World::on_redis().await;
    let gone = world.created("gone").await;
    redis::cmd("DEL")
        .arg(key(gone.id()))
        .exec_async(&mut on(&world).await)
        .await
        .unwrap();
    let claim = world.claimed("good").await;
    assert_ne!(claim.key.id, *gone.id());
    world.claim_none().await;
}

#[tokio::test]
async fn only_what_is_finished_ever_expires() {
    let world = World::on_redis().await;
    let mut raw = on(&world).await;
    let mut claim = world.claimed("one").await;
    let id = claim.key.id.clone();
    let mut lives = async |after: &str| {
        let ttl: i64 = redis::cmd("PTTL")
            .arg(key(&id))
            .query_async(&mut raw)
            .await
            .unwrap();
        let due = format!("{{hf:{}}}:due", id.spread() % 8);
        let mut score = redis::cmd("ZSCORE");
        score.arg(due).arg(id.as_str());
        let score: Option<f64> = score.query_async(&mut raw).await.unwrap();
        assert_eq!((ttl, score.is_some()), (-1, true), "after {after}");
    };
    lives("claim").await;
    world.store.save(&mut claim, Then::Keep).await.unwrap();
    lives("save and keep").await;
    world.store.nudge(&claim.key.id).await.unwrap();
    lives("nudge").await;
    let mut asked = world.store.load(&claim.key.id).await.unwrap().unwrap();
    let stop = IdempotencyKey::new("stop").unwrap();
    asked
        .payment
        .command(stop, Command::Cancel, world.now())
        .unwrap();
    world.store.command(&asked, None, None).await.unwrap();
    lives("command").await;
    world
        .store
        .give_back(&claim.key, world.now(), Tried::Yes)
        .await
        .unwrap();
    lives("give back").await;
    let mut claim = world.claim_one().await;
    world.park(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    lives("park and rest").await;
    let mut claim = world.claim_one().await;
    world.fail(&mut claim.payment);
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
    let ttl: i64 = redis::cmd("PTTL")
        .arg(key(&id))
        .query_async(&mut raw)
        .await
        .unwrap();
    let days = i64::from(Settings::default().retention_days);
    assert!(
        ttl > (days - 1) * 86_400_000 && ttl <= days * 86_400_000,
        "{ttl}"
    );
}

#[tokio::test]
async fn the_sweep_takes_out_what_expired_and_nothing_else() {
    let world = World::on_redis().await;
    for name in ["kept", "gone"] {
        let payment = called(name, "main", "booking 7", world.now());
        world.store.create(&payment, world.now()).await.unwrap();
        let mut claim = world.claim_one().await;
        world.fail(&mut claim.payment);
        world
            .store
            .save(&mut claim, Then::Rest(None))
            .await
            .unwrap();
    }
    world.created("waiting").await;
    assert_eq!(world.store.sweep().await.unwrap(), 0);
    let gone = called("gone", "main", "booking 7", world.now());
    redis::cmd("DEL")
        .arg(key(gone.id()))
        .exec_async(&mut on(&world).await)
        .await
        .unwrap();
    assert_eq!(entries(&world).await, 6);
    assert_eq!(world.store.sweep().await.unwrap(), 1);
    assert_eq!(
        entries(&world).await,
        4,
        "kept twice, and waiting with its face"
    );
    let counts = world.store.stats().await.unwrap().by_state;
    assert_eq!(
        counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
        [1, 1]
    );
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_told_again() {
    let world = World::on_redis().await;
    let mut flush = redis::cmd("SCRIPT");
    flush
        .arg("FLUSH")
        .exec_async(&mut on(&world).await)
        .await
        .unwrap();
    let mut claim = world.claimed("one").await;
    world
        .store
        .save(&mut claim, Then::Rest(None))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_time_of_redis_is_the_time() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::system();
    clock.sync(start(), Duration::ZERO);
    let store = RedisStore::connect(settings(redis.url()), clock.clone())
        .await
        .unwrap();
    let (seconds, _): (i64, i64) = redis::cmd("TIME")
        .query_async(&mut raw(&redis).await)
        .await
        .unwrap();
    assert!((clock.now().timestamp() - seconds).abs() < 60);
    clock.sync(start(), Duration::ZERO);
    store.claim(1).await.unwrap();
    assert!((clock.now().timestamp() - seconds).abs() < 60);
}

#[tokio::test]
async fn it_works_over_tcp_too() {
    let options = RedisOptions {
        tcp: true,
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let settings = settings(redis.tcp_url().unwrap());
    let clock = Clock::manual(start());
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let world = World {
        store,
        clock,
        redis: Some(redis),
    };
    world.claimed("one").await;
}

#[tokio::test]
async fn workers_wake_each_other() {
    let world = World::on_redis().await;
    let url = world.redis.as_ref().unwrap().url();
    let other = RedisStore::connect(settings(url), world.clock.clone())
        .await
        .unwrap();
    let bound = Duration::from_secs(10);
    // The first wake-up is that of the listener having begun to listen.
    tokio::time::timeout(bound, other.woken())
        .await
        .expect("it listens");
    tokio::spawn({
        let store = world.store.clone();
        let now = world.now();
        async move {
            let payment = payment("one", now);
            store.create(&payment, now).await.unwrap();
        }
    });
    tokio::time::timeout(bound, other.woken())
        .await
        .expect("it was woken");
}

#[tokio::test]
async fn no_two_workers_ever_claim_under_the_same_nonce() {
    let world = World::on_redis().await;
    let payment = world.created("one").await;
    let mut nonces = std::collections::HashSet::new();
    for _ in 0..5 {
        // As a worker that was just started: whatever it counts begins anew.
        let url = world.redis.as_ref().unwrap().url();
        let store = RedisStore::connect(settings(url), world.clock.clone())
            .await
            .unwrap();
        let claim = store.claim(1).await.unwrap().claims.remove(0);
        assert_eq!(claim.key.id, *payment.id());
        assert!(nonces.insert(claim.key.nonce), "a nonce came again");
        world.pass(LEASE_MS);
    }
}

/// How many entries the indexes by state and reference have.
async fn entries(world: &World<RedisStore>) -> u64 {
    let mut connection = on(world).await;
    let mut sum = 0;
    for partition in 0..8 {
        let key = format!("{{hf:{partition}}}:states");
        let count: u64 = redis::cmd("ZCARD")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        sum += count;
    }
    sum
}

#[tokio::test]
async fn hints_are_listened_for_once_and_only_by_who_waits_for_them() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start());
    let mut raw = raw(&redis).await;
    let mut listening = async || {
        let mut ask = redis::cmd("PUBSUB");
        ask.arg("NUMSUB").arg("hf:wake");
        let (_, count): (String, usize) = ask.query_async(&mut raw).await.unwrap();
        count
    };
    let connect = || RedisStore::connect(settings(redis.url()), clock.clone());
    let (waits, looks) = (connect().await.unwrap(), connect().await.unwrap());
    looks.stats().await.unwrap();
    waits.stats().await.unwrap();
    assert_eq!(listening().await, 0);
    let bound = Duration::from_secs(10);
    for key in ["one", "two"] {
        // What came before it listened is a hint as well.
        let (woken, payment) = (waits.woken(), payment(key, start()));
        looks.create(&payment, start()).await.unwrap();
        tokio::time::timeout(bound, woken)
            .await
            .expect("it listens");
        assert_eq!(listening().await, 1);
    }
    drop(waits);
    while listening().await > 0 {
        tokio::task::yield_now().await;
    }
}
