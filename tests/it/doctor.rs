//! `holdfast doctor`: what is broken by hand is found, named and put right where that is safe; what
//! works is left in peace; and nothing that is told gives anything away.

mod door;
mod indexes;

use std::time::Duration;

use chip_sandbox::Sandbox;
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::gateway::{Account, Accounts, ChipGateway};
use holdfast::operate::doctor::{Check, Doctor, Found, Group, MOST_SUSPECTS, Repair, Report};
use holdfast::operate::switches::stop;
use holdfast::payment::*;
use holdfast::store::audit::{AuditStream, Mandate};
use holdfast::store::redis::{AuditOrder, RedisStore, Settings};
use holdfast::store::switches::{Switch, SwitchName, WorkerNote};
use holdfast_rig::{Redis, RedisOptions};
use redis::FromRedisValue;

use crate::stage::{KEY, Stage, sandbox_config, start_time};

/// A Redis with which nothing is wrong, a worker that is driven by hand, and settings.
pub(crate) struct Ward {
    pub(crate) redis: Redis,
    pub(crate) stage: Stage<RedisStore>,
    pub(crate) lines: String,
}

fn settings(url: String) -> Settings {
    Settings {
        url,
        ..Settings::default()
    }
}

/// A worker that says something until long after the test.
async fn works(store: &RedisStore) {
    let now = Clock::system().now();
    let note = WorkerNote {
        started: now,
        seen: now + TimeDelta::hours(1),
        program: "1".to_owned(),
        switches: 0,
        concurrency: 32,
        under_way: [].into(),
        longest_call_ms: 60_000,
    };
    store.note_worker("one", &note).await.unwrap();
}

/// On whose word things are put right.
fn aina() -> Mandate {
    Mandate::typed_by("aina").because(Some("restored"))
}

fn well() -> RedisOptions {
    RedisOptions {
        lines: vec!["maxmemory 1gb".to_owned()],
        ..RedisOptions::default()
    }
}

impl Ward {
    async fn open() -> Self {
        Self::with(well()).await
    }

    async fn with(options: RedisOptions) -> Self {
        let redis = Redis::start(options).await.unwrap();
        let clock = Clock::manual(start_time());
        let store = RedisStore::connect(settings(redis.url()), clock.clone());
        let stage = Stage::over(store.await.unwrap(), clock, UnknownPolicy::Park).await;
        works(&stage.store).await;
        let lines = String::new();
        Self {
            redis,
            stage,
            lines,
        }
    }

    fn env(&self) -> Vec<(String, String)> {
        let env = [
            ("HOLDFAST__REDIS__URL", self.redis.url()),
            ("HOLDFAST__HTTP__LISTEN", String::new()),
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY.to_owned()),
        ];
        env.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn config(&self) -> Config {
        configured(&self.stage.sandbox, &self.lines, self.env())
    }

    async fn examine(&self, repair: Repair<'_>) -> Report {
        self.examine_with(repair, &Clock::system(), &Clock::system())
            .await
    }

    async fn examine_with(&self, repair: Repair<'_>, clock: &Clock, machine: &Clock) -> Report {
        let config = self.config();
        let gateway = gateway(&config, clock);
        let doctor = Doctor {
            config: &config,
            gateway: &gateway,
            store: Ok(&self.stage.store),
            clock,
            machine,
            between: Duration::ZERO,
            most: MOST_SUSPECTS,
        };
        doctor.examine(repair, &mut |_| {}).await
    }

    /// Types something to Redis.
    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        let mut connection = crate::store::on_redis::raw(&self.redis).await;
        command.query_async(&mut connection).await.unwrap()
    }
}

fn configured(sandbox: &Sandbox, lines: &str, env: Vec<(String, String)>) -> Config {
    let brand = chip_sandbox::DEFAULT_BRAND_ID;
    let text = format!(
        "[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{brand}\"\nbase_url = \"{}\"\n{lines}",
        sandbox.base_url()
    );
    Config::read("holdfast.toml", &text, env).unwrap()
}

fn gateway(config: &Config, clock: &Clock) -> ChipGateway {
    let accounts = config.gateway_accounts().into_iter();
    let accounts: Accounts = accounts
        .map(|(name, account)| (name, Account::new(account).unwrap()))
        .collect();
    ChipGateway::new(accounts, config.gateway_settings(), clock.clone()).unwrap()
}

#[track_caller]
fn check<'a>(report: &'a Report, group: Group, name: &str) -> &'a Check {
    let mut those = report.checks.iter();
    let found = those.find(|(of, check)| *of == group && check.name == name);
    &found
        .unwrap_or_else(|| panic!("{name} was not looked at: {report:?}"))
        .1
}

/// Asserts what was found, and that words stand in what is told of it.
#[track_caller]
fn is(report: &Report, (group, name): (Group, &str), found: Found, words: &[&str]) {
    let check = check(report, group, name);
    assert_eq!(check.found, found, "{check:?}");
    let told = format!(
        "{} {}",
        check.what,
        check.fix.as_deref().unwrap_or_default()
    );
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told:?}");
    }
    let broken = matches!(found, Found::Wrong | Found::Warning);
    assert!(
        !broken || check.fix.is_some(),
        "it says nothing to be done: {check:?}"
    );
}

fn troubles(report: &Report) -> Vec<&Check> {
    let trouble = |check: &&Check| matches!(check.found, Found::Wrong | Found::Warning);
    report
        .checks
        .iter()
        .map(|(_, check)| check)
        .filter(trouble)
        .collect()
}

#[tokio::test]
async fn an_installation_with_which_nothing_is_wrong_is_told_so() {
    let ward = Ward::open().await;
    ward.stage.charge("paid", 1500).await;
    ward.stage.authorize_by_token("held", 1500, "{}").await;
    ward.stage.authorize_by_checkout("waits", 1500, "{}").await;
    ward.stage.work().await;
    let report = ward.examine(Repair::Tell).await;
    assert_eq!(troubles(&report), Vec::<&Check>::new());
    is(&report, (Group::Index, "walk"), Found::Fine, &["3 records"]);
    is(&report, (Group::Gateway, "key"), Found::Fine, &[]);
    is(&report, (Group::Gateway, "brand"), Found::Fine, &["visa"]);
    is(&report, (Group::Gateway, "mode"), Found::Fine, &["test"]);
    is(&report, (Group::Work, "workers"), Found::Fine, &["1 said"]);
    is(&report, (Group::Work, "stopped"), Found::Fine, &[]);
    is(&report, (Group::Work, "overdue"), Found::Fine, &[]);
    assert!(report.is_whole());
    is(&report, (Group::Redis, "rights"), Found::Fine, &[]);
    let ledger = ward.stage.ledger();
    let report = ward.examine(Repair::Mend(&aina())).await;
    assert_eq!(report.count(Found::Mended), 0);
    assert_eq!(
        ward.stage.ledger().movements().len(),
        ledger.movements().len()
    );
}

#[tokio::test]
async fn a_redis_that_may_lose_what_it_answered_is_found_with_what_to_do() {
    for (name, value, check, fix) in [
        (
            "appendfsync",
            "everysec",
            "fsync",
            "CONFIG SET appendfsync always",
        ),
        (
            "no-appendfsync-on-rewrite",
            "yes",
            "fsync_on_rewrite",
            "no-appendfsync-on-rewrite no",
        ),
        ("maxmemory-policy", "allkeys-lru", "eviction", "noeviction"),
        (
            "appendonly",
            "no",
            "append_only",
            "CONFIG SET appendonly yes",
        ),
    ] {
        let ward = Ward::open().await;
        ward.ask::<()>(&["CONFIG", "SET", name, value]).await;
        let report = ward.examine(Repair::Tell).await;
        is(&report, (Group::Redis, check), Found::Wrong, &[name, fix]);
        assert_eq!(report.count(Found::Wrong), 1, "{report:?}");
    }
    let ward = Ward::open().await;
    ward.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let report = ward.examine(Repair::Tell).await;
    is(
        &report,
        (Group::Redis, "memory"),
        Found::Warning,
        &["CONFIG SET maxmemory"],
    );
}

#[tokio::test]
async fn clocks_that_differ_are_found() {
    let ward = Ward::open().await;
    let now = Clock::system().now();
    let (late, right) = (Clock::manual(now - TimeDelta::minutes(5)), Clock::system());
    let report = ward.examine_with(Repair::Tell, &right, &late).await;
    is(
        &report,
        (Group::Redis, "clock"),
        Found::Wrong,
        &["ahead of us", "NTP"],
    );
    is(&report, (Group::Gateway, "clock"), Found::Fine, &[]);
    let early = Clock::manual(now + TimeDelta::seconds(20));
    let report = ward.examine_with(Repair::Tell, &early, &right).await;
    is(&report, (Group::Redis, "clock"), Found::Fine, &[]);
    is(
        &report,
        (Group::Gateway, "clock"),
        Found::Warning,
        &["behind us"],
    );
}

#[tokio::test]
async fn a_user_that_may_not_do_what_a_worker_does_is_found() {
    let ward = Ward::open().await;
    let as_user = async |name: &str, rule: &str| {
        let mut words = vec!["ACL", "SETUSER", name, "reset", "on", ">pw"];
        words.extend(rule.split(' '));
        ward.ask::<()>(&words).await;
        let url = format!("{}?user={name}&pass=pw", ward.redis.url());
        let store = RedisStore::connect_for_reading(settings(url), Clock::system());
        let store = store.await.unwrap();
        let (config, clock) = (ward.config(), Clock::system());
        let gateway = gateway(&config, &clock);
        let doctor = Doctor {
            config: &config,
            gateway: &gateway,
            store: Ok(&store),
            clock: &clock,
            machine: &clock,
            between: Duration::ZERO,
            most: MOST_SUSPECTS,
        };
        doctor.examine(Repair::Mend(&aina()), &mut |_| {}).await
    };
    let looks = "%R~{hf:[0-7]}:* %R~hf:* &hf:wake -@all +@read +@connection +info +config|get +time \
                 +script|load +subscribe +unsubscribe";
    let id = ward.stage.authorize_by_checkout("waits", 1500, "{}").await;
    ward.stage.work().await;
    let due = format!("{{hf:{}}}:due", id.spread() % 8);
    ward.ask::<()>(&["ZREM", &due, id.as_str()]).await;
    let report = as_user("operator", looks).await;
    is(
        &report,
        (Group::Redis, "rights"),
        Found::NotChecked,
        &["ACL DRYRUN"],
    );
    is(&report, (Group::Redis, "hints"), Found::Wrong, &["PUBLISH"]);
    is(
        &report,
        (Group::Index, "due"),
        Found::Wrong,
        &["could not be put right", "NOPERM"],
    );
    let asks = format!("{looks} +acl|whoami +acl|dryrun");
    let report = as_user("curious", &asks).await;
    is(
        &report,
        (Group::Redis, "rights"),
        Found::Warning,
        &["HSET", "XADD", "producer.acl"],
    );
    let all = "~* &* +@all";
    let report = as_user("admin", all).await;
    is(&report, (Group::Redis, "rights"), Found::Fine, &[]);
    is(&report, (Group::Index, "due"), Found::Mended, &[]);
}

#[tokio::test]
async fn a_user_that_may_not_use_the_keys_of_the_desk_or_of_one_partition_is_found() {
    let ward = Ward::open().await;
    let as_user = async |name: &str, keys: &str| {
        let mut words = vec![
            "ACL", "SETUSER", name, "reset", "on", ">pw", "+@all", "&hf:wake",
        ];
        words.extend(keys.split(' '));
        ward.ask::<()>(&words).await;
        let url = format!("{}?user={name}&pass=pw", ward.redis.url());
        let store = RedisStore::connect_for_reading(settings(url), Clock::system());
        let vitals = store.await.unwrap().vitals(&Clock::system()).await.unwrap();
        format!("{:?}", vitals.rights)
    };
    let told = as_user("old", "~{hf:[0-7]}:* ~hf:*").await;
    assert!(told.contains("{hf:desk}:*"), "{told}");
    assert!(told.contains("audit log of the desk"), "{told}");
    let told = as_user("partly", "~{hf:[0-6]}:* %R~{hf:7}:* ~{hf:desk}:* ~hf:*").await;
    assert!(
        told.contains("\"HSET\"") && told.contains("on the audit log\""),
        "{told}"
    );
    let told = as_user("worker", "~{hf:[0-7]}:* ~{hf:desk}:* ~hf:*").await;
    assert_eq!(told, "Enough");
}

#[tokio::test]
async fn that_nobody_works_that_something_is_stopped_and_that_work_waits_is_told_with_who_did_it() {
    let ward = Ward::open().await;
    let id = ward.stage.authorize_by_checkout("waits", 1500, "{}").await;
    ward.stage.work().await;
    let workers = (Group::Work, "workers");
    ward.ask::<()>(&["HSET", "{hf:desk}:workers", "newer", "{}"])
        .await;
    let report = ward.examine(Repair::Tell).await;
    is(&report, workers, Found::Warning, &["cannot read"]);
    ward.ask::<()>(&["DEL", "{hf:desk}:workers"]).await;
    let due = format!("{{hf:{}}}:due", id.spread() % 8);
    let long_ago = (Clock::system().now() - TimeDelta::minutes(3)).timestamp_millis();
    ward.ask::<()>(&["ZADD", &due, &long_ago.to_string(), id.as_str()])
        .await;
    let hotel = SwitchName::parse("account:hotel").unwrap();
    let switch = Switch {
        since: start_time(),
        actor: "aisyah".to_owned(),
        reason: "amounts are wrong".to_owned(),
        until: None,
    };
    let (store, clock) = (&ward.stage.store, &ward.stage.clock);
    let by = aina();
    let stopping = stop(store, clock, ("pause", &hotel), &switch, &by);
    stopping.await.unwrap();
    let report = ward.examine(Repair::Tell).await;
    is(
        &report,
        workers,
        Found::Wrong,
        &["nobody works", "start one"],
    );
    let who = ["hotel", "aisyah", "amounts are wrong", "holdfast go"];
    is(&report, (Group::Work, "stopped"), Found::Warning, &who);
    let overdue = ["1 payments", "for 3 min"];
    is(&report, (Group::Work, "overdue"), Found::Wrong, &overdue);
}

#[tokio::test]
async fn when_something_was_last_posted_is_told_and_never_is_only_a_warning() {
    let mut ward = Ward::open().await;
    ward.stage.charge("paid", 1500).await;
    ward.stage.work().await;
    let url = "http://127.0.0.1:9/webhooks/chip/hotel";
    let hook = chip_sandbox::WebhookConfig::all(url);
    let config = chip_sandbox::Config {
        webhooks: vec![hook],
        ..sandbox_config()
    };
    ward.stage.sandbox = Sandbox::start(config).await.unwrap();
    let config = ward.config();
    let hotel = crate::stage::account();
    let all = gateway(&config, &Clock::system())
        .registered(&hotel)
        .await
        .unwrap();
    let key = all[0].public_key.clone().unwrap();
    ward.lines = format!("webhook_public_keys = [{key:?}]\n[http]\nlisten = \"127.0.0.1:0\"\n");
    // The environment would win over the file.
    let examine = async || {
        let env = ward
            .env()
            .into_iter()
            .filter(|(name, _)| !name.contains("LISTEN"));
        let config = configured(&ward.stage.sandbox, &ward.lines, env.collect());
        let clock = Clock::system();
        let gateway = gateway(&config, &clock);
        let doctor = Doctor {
            config: &config,
            gateway: &gateway,
            store: Ok(&ward.stage.store),
            clock: &clock,
            machine: &clock,
            between: Duration::ZERO,
            most: MOST_SUSPECTS,
        };
        doctor.examine(Repair::Tell, &mut |_| {}).await
    };
    let report = examine().await;
    is(
        &report,
        (Group::Gateway, "webhook"),
        Found::Fine,
        &["all that matters", "127.0.0.1:9"],
    );
    let heard = (Group::Gateway, "heard");
    let never = ["none ever arrived", "http.listen"];
    is(&report, heard, Found::Warning, &never);
    let posted = |ago| [(hotel.clone(), start_time() - ago)].into();
    let store = &ward.stage.store;
    store
        .note_heard(&posted(TimeDelta::hours(9)))
        .await
        .unwrap();
    // The gateway may be about to tell of what happened a moment ago.
    for waits in [TimeDelta::zero(), TimeDelta::minutes(9)] {
        ward.stage.clock.advance(waits);
        is(&examine().await, heard, Found::Fine, &["last posted"]);
    }
    ward.stage.clock.advance(TimeDelta::minutes(2));
    is(&examine().await, heard, Found::Warning, &["do not arrive"]);
    for (ago, found, words) in [
        (TimeDelta::minutes(3), Found::Warning, "do not arrive"),
        (TimeDelta::minutes(1), Found::Fine, "last posted something"),
        (TimeDelta::seconds(-1), Found::Fine, "last posted something"),
    ] {
        store.note_heard(&posted(ago)).await.unwrap();
        is(&examine().await, heard, found, &[words]);
    }
}
