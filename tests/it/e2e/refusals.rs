//! What a worker refuses to start with: it says why and what to do, and ends.

use std::time::Duration;

use holdfast_rig::{Pace, Redis, RedisOptions, Works};

use super::stage::{until, works};

/// Connecting may be tried for a while before it is given up.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// Starts a worker with these settings; it must end by itself, fail, and say all of `told`.
async fn refuses(settings: &[(&str, &str)], told: &[&str]) {
    let (mut works, _) = works(Pace::QUICK).await;
    for (name, value) in settings {
        works.set(name, *value);
    }
    assert_refused(&works, told);
}

fn assert_refused(works: &Works, told: &[&str]) {
    let mut worker = works.worker("refused").unwrap();
    let ended = worker.ended_within(REFUSED_WITHIN).unwrap();
    let said = worker.tail(1_000);
    assert!(ended.is_some(), "it goes on working: {said}");
    assert!(
        ended.is_some_and(|status| !status.success()),
        "it ended as if all were well: {said}"
    );
    for words in told {
        assert!(said.contains(words), "nothing of {words:?} in: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_start_on_a_redis_that_throws_payments_away() {
    let options = RedisOptions {
        eviction: "allkeys-lru",
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let told = [
        "maxmemory-policy",
        "allkeys-lru",
        "CONFIG SET maxmemory-policy noeviction",
    ];
    refuses(&[("HOLDFAST__REDIS__URL", &redis.url())], &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_start_on_a_redis_that_may_forget_its_last_second() {
    let options = RedisOptions {
        append_fsync: "everysec",
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let told = ["solo", "appendfsync", "everysec", "always"];
    refuses(&[("HOLDFAST__REDIS__URL", &redis.url())], &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_account_does_not_start_on_the_profile_for_development() {
    let settings = [
        ("HOLDFAST__REDIS__DURABILITY", "dev"),
        ("HOLDFAST__ACCOUNTS__HOTEL__MODE", "live"),
        (
            "HOLDFAST__ACCOUNTS__HOTEL__BASE_URL",
            "https://gate.test.example/api/v1/",
        ),
    ];
    refuses(
        &settings,
        &["redis.durability", "accounts.hotel is live", "use solo"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_on_the_profile_for_development_says_so_loudly() {
    let options = RedisOptions {
        append_fsync: "everysec",
        ..RedisOptions::default()
    };
    let redis = Redis::start(options).await.unwrap();
    let (mut works, _) = works(Pace::QUICK).await;
    works.set("HOLDFAST__REDIS__URL", redis.url());
    works.set("HOLDFAST__REDIS__DURABILITY", "dev");
    let worker = works.worker("dev").unwrap();
    until(&works, "the worker works", async || {
        worker.tail(100).contains("\"working\"")
    })
    .await;
    let said = worker.tail(100);
    let banner = said
        .lines()
        .find(|line| line.contains("Redis may lose payments"));
    assert!(
        banner.is_some_and(|line| line.contains("WARN") && line.contains("development only")),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_speak_json_logs_json_whatever_the_settings_say() {
    let (works, _) = works(Pace::QUICK).await;
    let command = works.command();
    let ended = std::process::Command::new(&command.binary)
        .args(["--json", "worker", "--config"])
        .arg(&command.config)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .env("HOLDFAST__LOG__FORMAT", "pretty")
        .env("HOLDFAST__REDIS__DURABILITY", "dev")
        .env("HOLDFAST__REDIS__URL", "unix:///nowhere/redis.sock")
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("Redis may lose payments"), "{said}");
    for line in said.lines() {
        let told: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(told.is_ok(), "{line} is no JSON");
    }
    assert_eq!(ended.status.code(), Some(4), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_on_one_machine_is_told_how_to_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [("HOLDFAST__HTTP__LISTEN", address.as_str())];
    let told = ["http.listen", &address, "set HOLDFAST__HTTP__LISTEN= for"];
    refuses(&settings, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_period_that_a_call_can_outlast_is_refused() {
    let settings = [("HOLDFAST__POLICY__QUIET_MS", "700")];
    refuses(
        &settings,
        &["policy.quiet_ms", "700", "must be longer", "set it above"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_redis_says_so_and_ends() {
    let settings = [
        ("HOLDFAST__REDIS__URL", "unix:///nowhere/redis.sock"),
        ("HOLDFAST__REDIS__CONNECT_TIMEOUT_MS", "500"),
    ];
    refuses(&settings, &["Redis cannot be reached", "Is it running"]).await;
}
