//! Promises of the settings.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use holdfast::config::{Config, DEFAULTS, Origin, Problems, unknown_account};
use holdfast::payment::*;
use holdfast::telemetry;
use serde_json::Value;
use tempfile::TempDir;

const BRAND: &str = "409eb80e-3782-4b1d-afa8-b779759266a5";
const KEY: &str = "canary-key-f00d";

/// A configuration file and the environment around it.
struct Given {
    dir: TempDir,
    file: Option<String>,
    env: Vec<(String, String)>,
}

impl Given {
    fn nothing() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            file: None,
            env: Vec::new(),
        }
    }

    /// A test account, as it is usually given: the brand in the file, the key in the environment.
    fn account() -> Self {
        Self::file(&format!(
            "[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\n"
        ))
        .env("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY)
    }

    fn file(text: &str) -> Self {
        Self {
            file: Some(text.to_owned()),
            ..Self::nothing()
        }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self) -> Result<Config, Problems> {
        let path = self
            .file
            .as_ref()
            .map(|text| self.path("holdfast.toml", text));
        Config::load(path.as_deref(), self.env.clone())
    }

    fn loaded(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Asserts that `setting` is refused for a reason that holds all of `words`.
    fn refused(&self, setting: &str, words: &[&str]) {
        let problems = self.load().expect_err("it was taken");
        let told = problems.to_string();
        let problem = problems.0.iter().find(|problem| problem.setting == setting);
        let problem = problem.unwrap_or_else(|| panic!("{setting} is not refused: {told}"));
        for word in words {
            assert!(
                problem.to_string().contains(word),
                "{word:?} is not in: {problem}"
            );
        }
    }
}

fn hotel() -> AccountName {
    AccountName::new("hotel").unwrap()
}

#[test]
fn the_commented_file_is_the_defaults() {
    let config = Given::nothing().loaded();
    assert_eq!(config.worker.lease_ms, 30_000);
    assert_eq!(config.policy.quiet_ms, 900_000);
    assert_eq!(config.policy.unknown, UnknownPolicy::Park);
    assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:8080");
    assert!(
        config
            .settings
            .iter()
            .all(|setting| setting.origin == Origin::Default)
    );
}

#[test]
fn every_setting_has_its_reason_above_it() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    let plain_deadlines = [
        "create_ms",
        "look_up_ms",
        "capture_ms",
        "release_ms",
        "cancel_ms",
    ];
    let plain_ladder = [
        "jitter_percent",
        "give_up_after_ms",
        "delays_ms",
        "base_url",
        "unknown",
    ];
    for (number, line) in lines.iter().enumerate() {
        let name = line.trim_start_matches('#').split(" = ").next().unwrap();
        let setting = line.contains(" = ") && !line.starts_with("# ");
        let covered = plain_deadlines.contains(&name) || plain_ladder.contains(&name);
        if setting && !covered {
            let above = lines[number - 1];
            let same_comment = above.contains(" = ") && name == "hold_lifetime_ms";
            assert!(
                above.starts_with('#') || same_comment,
                "{name} has no reason"
            );
        }
    }
}

#[test]
fn the_environment_stands_above_the_file_and_the_file_above_the_defaults() {
    let given = Given::file("[worker]\nconcurrency = 4\nbatch = 4\n")
        .env("HOLDFAST__WORKER__CONCURRENCY", "8")
        .env("HOLDFAST__POLICY__LOOKUP__DELAYS_MS", "1000, 2000,3000")
        .env("HOLDFAST__POLICY__UNKNOWN", "resend_same")
        .env("UNRELATED", "x");
    let config = given.loaded();
    assert_eq!((config.worker.concurrency, config.worker.batch), (8, 4));
    assert_eq!(config.policy.lookup.delays_ms, [1_000, 2_000, 3_000]);
    assert_eq!(config.policy.unknown, UnknownPolicy::ResendSame);
    let origin = |name: &str| {
        config
            .settings
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .origin
    };
    assert_eq!(origin("worker.concurrency"), Origin::Environment);
    assert_eq!(origin("worker.batch"), Origin::File);
    assert_eq!(origin("worker.lease_ms"), Origin::Default);
}

#[test]
fn an_account_can_come_from_the_environment_alone() {
    let config = Given::nothing()
        .env("HOLDFAST__ACCOUNTS__HOTEL__MODE", "test")
        .env("HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID", BRAND)
        .env("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", "123456")
        .loaded();
    // A key of digits stays text.
    assert_eq!(config.accounts[&hotel()].secret_key.reveal(), "123456");
    assert_eq!(
        config.accounts[&hotel()].base_url,
        "https://gate.chip-in.asia/api/v1/"
    );
}

#[test]
fn a_variable_finds_an_account_whose_name_it_cannot_spell() {
    let file = format!("[accounts.KL-hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\n");
    let given = Given::file(&file).env("HOLDFAST__ACCOUNTS__KL_HOTEL__SECRET_KEY", KEY);
    let name = AccountName::new("KL-hotel").unwrap();
    assert_eq!(given.loaded().accounts[&name].secret_key.reveal(), KEY);
    let two = given.file.clone().unwrap() + &file.replace("KL-hotel", "kl_hotel");
    let given = Given {
        file: Some(two),
        ..given
    };
    given.refused(
        "HOLDFAST__ACCOUNTS__KL_HOTEL__SECRET_KEY",
        &["more than one account"],
    );
}

#[test]
fn a_key_can_come_from_a_file_of_its_own() {
    let given = Given::nothing();
    let key = given.path("key", "key-from-a-file\n");
    let text = format!(
        "[accounts.hotel]\nmode = \"live\"\nbrand_id = \"{BRAND}\"\nsecret_key_file = {key:?}\n"
    );
    let config = Given {
        file: Some(text),
        ..given
    }
    .loaded();
    assert_eq!(
        config.accounts[&hotel()].secret_key.reveal(),
        "key-from-a-file"
    );
}

#[test]
fn a_secret_in_the_configuration_file_is_refused_with_the_variable_to_set() {
    let file = format!(
        "[accounts.kl-hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\nsecret_key = \"{KEY}\"\n\
         [redis]\nurl = \"redis://:canary-password@localhost/\"\n"
    );
    let given = Given::file(&file);
    let words = [
        "HOLDFAST__ACCOUNTS__KL_HOTEL__SECRET_KEY",
        "secret_key_file",
        "***",
    ];
    given.refused("accounts.kl-hotel.secret_key", &words);
    given.refused("redis.url", &["HOLDFAST__REDIS__URL", "***"]);
    let told = given.load().unwrap_err().to_string();
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn a_secret_in_the_file_is_refused_whatever_the_environment_says() {
    let file = format!(
        "[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{BRAND}\"\nsecret_key = \"canary-1\"\n\
         success_callback = \"https://canary-2.example/\"\n\
         [redis]\nurl = \"redis://:canary-3@localhost/\"\n"
    );
    let given = Given::file(&file)
        .env("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY)
        .env("HOLDFAST__REDIS__URL", "redis://127.0.0.1:6379/0")
        .env(
            "HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK",
            "https://shop.example/",
        );
    for (setting, file) in [
        ("accounts.hotel.secret_key", "secret_key_file"),
        ("accounts.hotel.success_callback", "success_callback_file"),
        ("redis.url", "url_file"),
    ] {
        given.refused(setting, &["***", "remove it there", file]);
    }
    let told = given.load().unwrap_err().to_string();
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn what_stands_in_the_wrong_place_is_never_quoted() {
    let file = "[accounts.hotel]\nsecretkey = \"canary-1\"\n\
                [accounts]\nshop = \"canary-2\"\n[redis]\npassword = \"canary-3\"\n";
    // TOML wants the table first.
    let (hotel, rest) = file.split_once("[accounts]\n").unwrap();
    let given = Given::file(&format!("accounts.{rest}{hotel}"));
    let redis = Given::file("[redis]\nurl = \"user:canary-4@localhost:6379\"\n");
    let mixed_up = Given::account()
        .env("HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID", "canary-5")
        .env(
            "HOLDFAST__ACCOUNTS__HOTEL__BASE_URL",
            "https://user:canary-6@gate.example/",
        );
    for (given, settings) in [
        (
            given,
            &[
                "accounts.hotel.secretkey",
                "accounts.shop",
                "redis.password",
            ][..],
        ),
        (redis, &["redis.url"]),
        (
            mixed_up,
            &["accounts.hotel.brand_id", "accounts.hotel.base_url"],
        ),
    ] {
        let told = given.load().unwrap_err().to_string();
        assert!(!told.contains("canary"), "{told}");
        for setting in settings {
            given.refused(setting, &["***"]);
        }
    }
}

#[test]
fn an_address_that_is_a_secret_can_come_from_a_file_of_its_own() {
    let given = Given::account();
    let redis = given.path("redis", "redis://:canary-password@localhost:6379/0\n");
    let callback = given.path("callback", "https://canary-callback.example/cb\n");
    let given = given
        .env("HOLDFAST__REDIS__URL_FILE", redis.to_str().unwrap())
        .env(
            "HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK_FILE",
            callback.to_str().unwrap(),
        );
    let config = given.loaded();
    assert_eq!(
        config.store_settings().url,
        "redis://:canary-password@localhost:6379/0"
    );
    let account = &config.accounts[&hotel()];
    assert_eq!(
        account.success_callback.as_ref().unwrap().reveal(),
        "https://canary-callback.example/cb"
    );
    let url = config.settings.iter().find(|s| s.name == "redis.url");
    let url = url.unwrap();
    assert_eq!(
        (&url.value, url.origin),
        (&"***".into(), Origin::Environment)
    );
    assert!(!format!("{config:?}").contains("canary-"));

    let twice = given.env("HOLDFAST__REDIS__URL", "redis://localhost/").env(
        "HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK",
        "https://shop.example/",
    );
    twice.refused("redis.url", &["given twice"]);
    twice.refused("accounts.hotel.success_callback", &["given twice"]);
}

#[test]
fn a_secret_where_the_name_of_its_file_belongs_is_not_quoted() {
    let mut given = Given::account()
        .env("HOLDFAST__REDIS__URL_FILE", "redis://:canary@localhost/")
        .env("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY_FILE", "canary-key");
    given
        .env
        .retain(|(name, _)| !name.ends_with("__SECRET_KEY"));
    for setting in ["redis.url_file", "accounts.hotel.secret_key_file"] {
        given.refused(setting, &["***", "whole path"]);
    }
    assert!(!given.load().unwrap_err().to_string().contains("canary"));
}

#[test]
fn a_live_account_is_told_of_payments_over_https_only() {
    let callback = |mode: &str, url: &str| {
        Given::account()
            .env("HOLDFAST__ACCOUNTS__HOTEL__MODE", mode)
            .env("HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK", url)
    };
    callback("live", "http://shop.example/cb")
        .refused("accounts.hotel.success_callback", &["https", "***"]);
    callback("live", "https://shop.example/cb").loaded();
    callback("test", "http://shop.example/cb").loaded();
}

#[test]
fn secrets_are_never_shown() {
    let config = Given::account()
        .env(
            "HOLDFAST__REDIS__URL",
            "redis://user:canary-password@localhost:6379/0",
        )
        .env(
            "HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK",
            "https://canary-callback.example/cb",
        )
        .loaded();
    let shown = serde_json::to_string(&config.settings).unwrap();
    let printed = format!(
        "{config:?} {shown} {}",
        config.accounts[&hotel()].secret_key
    );
    assert!(!printed.contains("canary"), "{printed}");
    assert!(shown.contains("accounts.hotel.secret_key") && shown.contains("***"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_without_quoting_it() {
    let given = Given::file("[accounts.hotel]\nsecret_key = \"canary-key\n");
    let told = given.load().unwrap_err().to_string();
    assert!(
        told.contains("line 2") && !told.contains("canary"),
        "{told}"
    );
}

#[test]
fn all_problems_are_reported_together() {
    let given = Given::file(
        "[worker]\nconcurrency = \"many\"\npoll_ms = 0\nlease = 5\n\
         [policy]\nunknown = \"hope\"\n[http]\nlisten = \"8080\"\n\
         [accounts.hotel]\nmode = \"prod\"\nbrand_id = \"mine\"\n",
    );
    let problems = given.load().unwrap_err();
    let settings: BTreeSet<&str> = problems.0.iter().map(|p| p.setting.as_str()).collect();
    let expected = [
        "worker.concurrency",
        "worker.poll_ms",
        "worker.lease",
        "policy.unknown",
        "http.listen",
        "accounts.hotel.mode",
        "accounts.hotel.brand_id",
        "accounts.hotel.secret_key",
    ];
    assert_eq!(settings, BTreeSet::from(expected), "{problems}");
    given.refused("policy.unknown", &["hope", "park", "resend_same"]);
    given.refused("worker.concurrency", &["many", "32"]);
    given.refused("http.listen", &["127.0.0.1:8080"]);
    given.refused("worker.lease", &["is no setting", "config defaults"]);
}

#[test]
fn an_account_that_is_not_whole_is_told_what_is_missing() {
    let given = Given::file("[accounts.hotel]\nmode = \"test\"\n");
    given.refused("accounts.hotel.brand_id", &["is missing"]);
    given.refused(
        "accounts.hotel.secret_key",
        &["HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY"],
    );
    let given = Given::file("[accounts.\"kl hotel\"]\nmode = \"test\"\n");
    given.refused("accounts.\"kl hotel\"", &["letters, digits"]);
}

#[test]
fn a_variable_that_names_no_setting_is_refused() {
    let given = Given::nothing().env("HOLDFAST__WORKER__CONCURENCY", "8");
    given.refused(
        "HOLDFAST__WORKER__CONCURENCY",
        &["names no setting", "worker.concurency"],
    );
    let given = Given::nothing().env("HOLDFAST__WORKER", "8");
    given.refused("HOLDFAST__WORKER", &["names no setting"]);
}

#[test]
fn a_quiet_period_that_a_call_can_outlive_is_refused() {
    let quiet = |ms: &str| {
        Given::nothing()
            .env("HOLDFAST__POLICY__QUIET_MS", ms)
            .env("HOLDFAST__GATEWAY__DEADLINES__CAPTURE_MS", "70000")
    };
    quiet("140000").refused("policy.quiet_ms", &["140000", "70000", "30000"]);
    quiet("140001").loaded();
}

#[test]
fn a_live_account_over_a_store_that_may_forget_is_refused() {
    let live = |mode: &str| {
        Given::account()
            .env("HOLDFAST__ACCOUNTS__HOTEL__MODE", mode)
            .env("HOLDFAST__REDIS__DURABILITY", "dev")
    };
    live("live").refused("redis.durability", &["dev", "accounts.hotel", "solo"]);
    live("test").loaded();
}

#[test]
fn a_live_key_never_travels_in_the_clear() {
    let to = |mode: &str, url: &str| {
        Given::account()
            .env("HOLDFAST__ACCOUNTS__HOTEL__MODE", mode)
            .env("HOLDFAST__ACCOUNTS__HOTEL__BASE_URL", url)
    };
    to("live", "http://127.0.0.1:9/api/v1/").refused("accounts.hotel.base_url", &["https"]);
    to("test", "http://gate.example/api/v1/").refused("accounts.hotel.base_url", &["this machine"]);
    to("test", "ftp://gate.example/").refused("accounts.hotel.base_url", &["https://"]);
    to("test", "http://127.0.0.1:9/api/v1/").loaded();
    to("live", "https://gate.example/api/v1/").loaded();
}

/// Variable, value, the setting that is refused, and what its problem says.
const OUT_OF_RANGE: &[(&str, &str, &str, &str)] = &[
    (
        "WORKER__CONCURRENCY",
        "0",
        "worker.concurrency",
        "1 to 1024",
    ),
    (
        "WORKER__CONCURRENCY",
        "1025",
        "worker.concurrency",
        "1 to 1024",
    ),
    ("WORKER__BATCH", "0", "worker.batch", "1 to 1024"),
    ("WORKER__RENEW_MS", "10001", "worker.lease_ms", "30003"),
    ("WORKER__POLL_MS", "0", "worker.poll_ms", "above 0"),
    ("WORKER__SHUTDOWN_MS", "0", "worker.shutdown_ms", "above 0"),
    ("WORKER__LEASE_MS", "-1", "worker.lease_ms", "-1"),
    (
        "REDIS__URL",
        "localhost",
        "redis.url",
        "redis://host:port/db",
    ),
    ("REDIS__URL", "rediss://localhost/", "redis.url", "TLS"),
    ("REDIS__PREFIX", "a:b", "redis.prefix", "letters and digits"),
    ("REDIS__DURABILITY", "maybe", "redis.durability", "solo"),
    (
        "REDIS__DURABILITY",
        "replicated",
        "redis.durability",
        "is not built yet; use solo",
    ),
    (
        "REDIS__RESPONSE_TIMEOUT_MS",
        "1999",
        "redis.response_timeout_ms",
        "2000",
    ),
    (
        "REDIS__RETENTION_DAYS",
        "0",
        "redis.retention_days",
        "1 or more",
    ),
    (
        "GATEWAY__CONNECT_TIMEOUT_MS",
        "15000",
        "gateway.connect_timeout_ms",
        "15000",
    ),
    (
        "GATEWAY__DEADLINES__CHARGE_MS",
        "0",
        "gateway.deadlines.charge_ms",
        "above 0",
    ),
    (
        "GATEWAY__CARD_WHITELIST",
        "visa,fpx",
        "gateway.card_whitelist",
        "maestro",
    ),
    (
        "HTTP__LISTEN",
        "localhost:8080",
        "http.listen",
        "127.0.0.1:8080",
    ),
    (
        "HTTP__LIMITS__REQUEST_TIMEOUT_MS",
        "5000",
        "http.limits.request_timeout_ms",
        "5000",
    ),
    (
        "POLICY__LOOKUP__DELAYS_MS",
        "",
        "policy.lookup.delays_ms",
        "one wait at least",
    ),
    (
        "POLICY__PAYER__DELAYS_MS",
        "2000,1000",
        "policy.payer.delays_ms",
        "shorter",
    ),
    (
        "POLICY__TECHNICAL__DELAYS_MS",
        "0",
        "policy.technical.delays_ms",
        "above 0",
    ),
    (
        "POLICY__TECHNICAL__DELAYS_MS",
        "soon",
        "policy.technical.delays_ms",
        "soon",
    ),
    (
        "POLICY__BUSINESS__JITTER_PERCENT",
        "101",
        "policy.business.jitter_percent",
        "0 to 100",
    ),
    (
        "POLICY__LOOKUP__GIVE_UP_AFTER_MS",
        "900000",
        "policy.lookup.give_up_after_ms",
        "900000",
    ),
    (
        "POLICY__HOLD_LIFETIME_MS",
        "43200000",
        "policy.hold_lifetime_ms",
        "43200000",
    ),
    (
        "POLICY__PURCHASE_LIFETIME_MS",
        "86400000",
        "policy.purchase_lifetime_ms",
        "ladder",
    ),
    (
        "POLICY__BEFORE_EXPIRY",
        "shrug",
        "policy.before_expiry",
        "release",
    ),
    (
        "POLICY__POISON_CLAIMS",
        "0",
        "policy.poison_claims",
        "above 0",
    ),
    (
        "ACCOUNTS__HOTEL__HOLD_LIFETIME_MS",
        "1",
        "accounts.hotel.hold_lifetime_ms",
        "43200000",
    ),
    (
        "ACCOUNTS__HOTEL__BRAND_ID",
        "brand",
        "accounts.hotel.brand_id",
        "UUID",
    ),
    (
        "ACCOUNTS__HOTEL__SECRET_KEY",
        " ",
        "accounts.hotel.secret_key",
        "copy it again",
    ),
    (
        "ACCOUNTS__HOTEL__SECRET_KEY_FILE",
        "/k",
        "accounts.hotel.secret_key",
        "twice",
    ),
    (
        "ACCOUNTS__HOTEL__WEBHOOK_PUBLIC_KEYS",
        "x",
        "accounts.hotel.webhook_public_keys",
        "PEM",
    ),
    (
        "ACCOUNTS__HOTEL__SUCCESS_CALLBACK",
        "x",
        "accounts.hotel.success_callback",
        "https",
    ),
    ("LOG__FORMAT", "xml", "log.format", "pretty"),
    ("LOG__FILTER", "=loud=", "log.filter", "info"),
];

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn a_value_out_of_its_range_is_refused_with_the_range() {
    for &(variable, value, setting, word) in OUT_OF_RANGE {
        let mut given = Given::account();
        given.env.retain(|(name, _)| !name.ends_with(variable));
        given
            .env(&format!("HOLDFAST__{variable}"), value)
            .refused(setting, &[word]);
    }
}

#[test]
fn what_an_account_says_stands_above_the_policy() {
    let config = Given::account()
        .env("HOLDFAST__ACCOUNTS__HOTEL__UNKNOWN", "resend_same")
        .env("HOLDFAST__ACCOUNTS__HOTEL__HOLD_LIFETIME_MS", "86400000")
        .loaded();
    let policies = config.policies();
    let policy = &policies[&hotel()];
    assert_eq!(policy.unknown, UnknownPolicy::ResendSame);
    assert_eq!(policy.account.hold_lifetime_ms, 86_400_000);
    assert_eq!(policy.account.brand, BRAND);
    assert!(policy.account.test);
}

#[test]
fn an_unknown_account_is_refused_with_those_there_are() {
    let config = Given::account().loaded();
    let motel = AccountName::new("motel").unwrap();
    let told = unknown_account(&motel, config.accounts.keys());
    assert!(told.contains("motel") && told.contains("hotel"), "{told}");
}

#[test]
fn a_worker_without_an_account_is_refused_but_its_settings_can_be_checked() {
    let config = Given::nothing().loaded();
    let told = config.require_accounts().unwrap_err().to_string();
    assert!(told.contains("[accounts.hotel]"), "{told}");
}

/// A payment, and all that is made of it, full of what must never be printed.
#[allow(clippy::too_many_lines, reason = "one of everything")]
fn planted() -> (Payment, String) {
    let config = Given::account()
        .env(
            "HOLDFAST__REDIS__URL",
            "redis://:canary-password@localhost/",
        )
        .env(
            "HOLDFAST__ACCOUNTS__HOTEL__SUCCESS_CALLBACK",
            "https://canary-callback.example/",
        )
        .loaded();
    let policies = config.policies();
    let policy = &policies[&hotel()];
    let request = Request::from_json(
        br#"{"v":1,"type":"authorize","account":"hotel","idempotency_key":"k1",
        "money":{"amount":1500,"currency":"MYR"},
        "source":{"checkout":{"success_redirect":"https://canary-redirect.example/"}},
        "customer":{"email":"canary@mail.example","full_name":"Canary Name","phone":"60 canary"}}"#,
    )
    .unwrap();
    let charge = Request::from_json(
        br#"{"v":1,"type":"charge","account":"hotel","idempotency_key":"k2",
        "money":{"amount":1500,"currency":"MYR"},"token":"canary-token",
        "customer":{"email":"canary@mail.example"}}"#,
    )
    .unwrap();
    let now: Timestamp = "2027-01-31T06:00:00Z".parse().unwrap();
    let mut payment = Payment::new(request, now).unwrap();
    let order = payment.create_order(now, policy).unwrap();
    let link = |name: &str| Some(Private::new(format!("https://canary-{name}.example/")));
    let seen = Sighting {
        by_hand: false,
        purchase: PurchaseId::new("canary-purchase").unwrap(),
        standing: Standing::Payable,
        total: 1500,
        currency: "MYR".into(),
        converted: false,
        brand: BRAND.into(),
        test: true,
        reference: payment.id().to_string(),
        taken: None,
        card: Some(CardToken::new("canary-saved").unwrap()),
        face: None,
        tries: Vec::new(),
        held_since: None,
        due: None,
        links: Links {
            checkout: link("checkout"),
            direct_post: link("direct"),
        },
    };
    let number = payment.open(Step::Create, now, policy).unwrap();
    let answer = Answer::Shown(Box::new(seen));
    payment.answered(number, &answer, now, policy);
    assert_eq!(
        payment
            .purchase()
            .unwrap()
            .checkout_url
            .as_ref()
            .unwrap()
            .reveal(),
        "https://canary-checkout.example/"
    );
    let saved = State::Saved(CardToken::new("canary-token").unwrap());
    let wiring = (
        config.gateway_accounts(),
        config.gateway_settings(),
        config.store_settings(),
    );
    let printed = format!(
        "{payment:?} {order:?} {answer:?} {:?} {charge:?} {saved:?} {config:?} {policies:?} {wiring:?}",
        LookUp::Failed {
            why: "x".into(),
            denied: Denial::No,
            retry_after_ms: None
        },
    );
    (payment, printed)
}

#[test]
fn no_debug_form_holds_what_must_not_be_printed() {
    let (_, printed) = planted();
    let printed = printed.to_lowercase();
    let around = printed
        .find("canary")
        .map(|at| &printed[at.saturating_sub(80)..at + 20]);
    assert_eq!(around, None);
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: &str, filter: &str) -> String {
    let config = Given::nothing()
        .env("HOLDFAST__LOG__FORMAT", format)
        .env("HOLDFAST__LOG__FILTER", filter)
        .loaded();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = telemetry::subscriber(&config.log, move || writer.clone()).unwrap();
    let (payment, _) = planted();
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("turn", payment.id = %payment.id());
        let _in = span.enter();
        tracing::info!(
            step = "charge",
            attempt = 2,
            duration_ms = 31,
            ?payment,
            "answered"
        );
        tracing::debug!("a detail");
    });
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_of_the_log_says_which_payment_in_fields_and_holds_no_secret() {
    let text = logged("json", "info");
    let line: Value = serde_json::from_str(&text).unwrap();
    assert!(
        line["span"]["payment.id"]
            .as_str()
            .unwrap()
            .starts_with("pay_"),
        "{line}"
    );
    assert_eq!(
        (&line["step"], &line["attempt"]),
        (&"charge".into(), &2.into())
    );
    assert_eq!(
        (&line["duration_ms"], &line["message"]),
        (&31.into(), &"answered".into())
    );
    assert!(!text.to_lowercase().contains("canary"), "{text}");
}

#[test]
fn the_filter_and_the_format_of_the_log_are_settings() {
    assert!(logged("json", "debug").contains("a detail"));
    assert_eq!(logged("json", "off"), "");
    let text = logged("pretty", "info");
    assert!(
        text.contains("answered") && !text.starts_with('{'),
        "{text}"
    );
}

/// What a careless hand may put where it does not belong: a key of the API, the private half of an
/// Ed25519 key, a signing secret of an endpoint, a secret key of CHIP, an address with a password.
const CANARIES: [&str; 5] = [
    "hf_canaryAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "MC4CAQAwBQYDK2VwBCIEIAcHBwcanaryBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH",
    "whsec_canaryAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "canary-0123456789abcdef0123456789abcdef0123456789abcdef==",
    "https://user:canary@hooks.example/T000/B000?token=canary",
];

/// A file with a secret in the wrong place, and the setting of which the report tells.
const MISPLACED: &[(&str, &str)] = &[
    ("[redis]\nprefix = \"@!\"", "redis.prefix"),
    ("[log]\nfilter = \"=@=\"", "log.filter"),
    ("[http]\nlisten = \"@\"", "http.listen"),
    ("[api]\nlisten = \"@\"", "api.listen"),
    (
        "[gateway]\ncard_whitelist = [\"@\"]",
        "gateway.card_whitelist",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nkey = \"@\"",
        "api.keys[0].key",
    ),
    ("[[api.keys]]\nname = \"shop\"\n\"@\" = 1", "api.keys[0]"),
    ("[api]\n\"@\" = 1", "api"),
    ("[accounts.shop]\n\"@\" = 1", "accounts.shop"),
    (
        "[[api.keys]]\nname = \"@\"\nsha256 = \"@\"\nscopes = []",
        "api.keys[0].sha256",
    ),
    (
        "[[api.keys]]\nname = \"@\"\nsha256 = \"0\"\nscopes = []",
        "api.keys[0].name",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nsha256 = [\"@\"]",
        "api.keys[0].sha256",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nscopes = [\"@\"]",
        "api.keys[0].scopes[0]",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nscopes = \"@\"",
        "api.keys[0].scopes",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nsha256 = \"0\"\nscopes = []\naccounts = [\"@\"]",
        "api.keys[0].accounts",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nexpires_at = \"@\"",
        "api.keys[0].expires_at",
    ),
    (
        "[[api.keys]]\nname = \"shop\"\nlargest_amount_minor = \"@\"",
        "api.keys[0].largest_amount_minor",
    ),
    ("[api]\nkeys = \"@\"", "api.keys"),
    ("[api]\nkeys = [\"@\"]", "api.keys[0]"),
    ("[api]\nburst = \"@\"", "api.burst"),
    (
        "[[intake.producers]]\nkid = \"shop\"\nprivate_key = \"@\"",
        "intake.producers[0].private_key",
    ),
    (
        "[[intake.producers]]\nkid = \"@:\"",
        "intake.producers[0].kid",
    ),
    (
        "[[intake.producers]]\nkid = \"shop\"\npublic_key = \"@\"",
        "intake.producers[0].public_key",
    ),
    (
        "[[intake.producers]]\nkid = \"shop\"\npublic_key_file = \"@\"",
        "intake.producers[0].public_key_file",
    ),
    (
        "[[intake.producers]]\nkid = \"shop\"\ntypes = [\"@\"]",
        "intake.producers[0].types[0]",
    ),
    (
        "[[intake.producers]]\nkid = \"shop\"\ncurrencies = [\"@\"]\naccounts = [\"@\"]",
        "intake.producers[0].currencies",
    ),
    ("[intake]\nproducers = [\"@\"]", "intake.producers[0]"),
    ("[endpoints.shop]\nurl = [\"@\"]", "endpoints.shop.url"),
    (
        "[endpoints.shop]\nsecrets = \"@\"",
        "endpoints.shop.secrets",
    ),
    (
        "[endpoints.shop]\nsecret_files = \"@\"",
        "endpoints.shop.secret_files",
    ),
    (
        "[endpoints.shop]\nsecret_files = [\"@\"]",
        "endpoints.shop.secret_files",
    ),
    (
        "[endpoints.shop]\naccounts = [\"@\"]",
        "endpoints.shop.accounts",
    ),
    ("[endpoints.shop]\ntypes = [\"@\"]", "endpoints.shop.types"),
    ("[endpoints.shop]\ntypes = \"@\"", "endpoints.shop.types"),
    (
        "[endpoints.shop]\ntimeout_ms = \"@\"",
        "endpoints.shop.timeout_ms",
    ),
    ("[endpoints.\"@ \"]\ntypes = []", "endpoints.***"),
    ("[accounts.shop]\nmode = \"@\"", "accounts.shop.mode"),
    (
        "[accounts.shop]\nmode = \"test\"\nbrand_id = [\"@\"]",
        "accounts.shop.brand_id",
    ),
    (
        "[accounts.shop]\nmode = \"test\"\nbrand_id = \"0\"\nbase_url = \"@\"",
        "accounts.shop.base_url",
    ),
    (
        "[accounts.shop]\nmode = \"test\"\nbrand_id = \"0\"\nwebhook_public_keys = [\"@\"]",
        "accounts.shop.webhook_public_keys",
    ),
    (
        "[accounts.shop]\nmode = \"test\"\nbrand_id = \"0\"\nwebhook_public_keys = \"@\"",
        "accounts.shop.webhook_public_keys",
    ),
    (
        "[accounts.shop]\nlargest_amount_minor = \"@\"",
        "accounts.shop.largest_amount_minor",
    ),
    ("[accounts.\"@ \"]\nmode = \"test\"", "accounts.***"),
];

#[test]
fn a_secret_in_the_wrong_place_is_told_by_the_place_and_never_quoted() {
    for (file, setting) in MISPLACED {
        for canary in CANARIES {
            let given = Given::file(&file.replace('@', canary));
            let problems = given.load().expect_err(file);
            let told = format!("{problems} {}", serde_json::to_string(&problems).unwrap());
            assert!(!told.contains("canary"), "{file}: {told}");
            // A name that nobody knows is masked itself.
            let unnamed = format!("{setting}.***");
            let at = |problem: &holdfast::config::Problem| {
                problem.setting == *setting || problem.setting.starts_with(&unnamed)
            };
            let all = problems.0.iter().any(at);
            // What is a name by its letters may be one; what is no list is told of otherwise.
            let could_be = setting.ends_with("name") && !canary.starts_with("hf_");
            assert!(all || could_be, "{file} with {canary}: {told}");
        }
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_told_by_its_name_and_its_field_with_what_to_do() {
    let key = "hf_canaryAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let fine = format!(
        "[[api.keys]]\nname = \"till\"\nsha256 = \"{}\"\nscopes = [\"read\"]\n",
        "0".repeat(64)
    );
    let given = Given::file(&format!(
        "{fine}[[api.keys]]\nname = \"shop\"\nkey = \"{key}\"\n"
    ));
    let words = [
        "***",
        "\"shop\"",
        "unknown field `key`",
        "`sha256`",
        "config defaults",
        "make another",
    ];
    given.refused("api.keys[1].key", &words);
    let given = Given::file("[[intake.producers]]\nkid = \"shop\"\ntypes = [\"refund\"]\n");
    given.refused(
        "intake.producers[0].types[0]",
        &["\"shop\"", "`refund`", "`charge`"],
    );
}

/// The public half of the key of RFC 8037's example.
const PRODUCER_KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn with_intake(text: &str) -> Given {
    let given = Given::account();
    let file = given.file.clone().unwrap_or_default();
    Given {
        file: Some(format!("{file}{text}")),
        ..given
    }
}

fn with_producer(lines: &str) -> Given {
    with_intake(&format!(
        "[intake]\nenabled = true\n[[intake.producers]]\nkid = \"shop\"\n{lines}\n"
    ))
}

#[test]
fn producers_are_known_by_key_or_file_and_reach_as_far_as_they_say() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
               MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
               -----END PUBLIC KEY-----\n";
    let given = with_intake("");
    let file = given.path("shop.pem", pem);
    let limits = "types = [\"charge\", \"capture\"]\naccounts = [\"hotel\"]\n\
                  currencies = [\"MYR\"]\nlargest_amount_minor = 1500\n\
                  expires_at = \"2027-06-30T00:00:00+08:00\"";
    let written = [
        format!("public_key = \"{PRODUCER_KEY}\"\n{limits}"),
        format!("public_key = '''{pem}'''"),
        format!("public_key_file = \"{}\"", file.display()),
    ];
    let read = written.map(|lines| with_producer(&lines).loaded().intake);
    for config in &read {
        assert!(config.enabled && !config.rules.accept_unsigned);
        let producer = &config.rules.producers[0];
        assert_eq!(producer.public_key, read[0].rules.producers[0].public_key);
    }
    let limited = &read[0].rules.producers[0];
    assert_eq!(limited.types.as_ref().unwrap().len(), 2);
    assert_eq!(limited.largest_amount_minor, Some(1_500));
    let end = limited.expires_at.unwrap();
    assert_eq!(end.to_rfc3339(), "2027-06-29T16:00:00+00:00");
    assert!(read[1].rules.producers[0].types.is_none());
    let off = Given::account().loaded().intake;
    assert!(!off.enabled && off.rules.producers.is_empty());
}

#[test]
fn a_producer_that_cannot_be_right_is_told_with_the_fix() {
    let key = format!("public_key = \"{PRODUCER_KEY}\"");
    let at = |field: &str| format!("intake.producers[0].{field}");
    let private = "MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
    for (lines, field, word) in [
        (String::new(), "public_key", "is missing"),
        (
            format!("{key}\npublic_key_file = \"/x\""),
            "public_key",
            "twice",
        ),
        (
            format!("public_key = \"{private}\""),
            "public_key",
            "openssl pkey",
        ),
        (
            "public_key = \"c2hvcnQ=\"".to_owned(),
            "public_key",
            "32 bytes",
        ),
        (
            "public_key_file = \"/nowhere\"".to_owned(),
            "public_key_file",
            "cannot be read",
        ),
        (format!("{key}\ntypes = []"), "types", "leave it out"),
        (
            format!("{key}\naccounts = [\"motel\"]"),
            "accounts",
            "not configured",
        ),
        (
            format!("{key}\ncurrencies = [\"ringgit\"]"),
            "currencies",
            "three capital letters",
        ),
    ] {
        let given = with_producer(&lines);
        given.refused(&at(field), &[word]);
        assert!(!given.load().unwrap_err().to_string().contains(private));
    }
    with_producer(&format!("{key}\ntypes = [\"refund\"]"))
        .refused("intake.producers[0].types[0]", &["refund", "\"shop\""]);
    let again = format!("{key}\n[[intake.producers]]\nkid = \"shop\"\n{key}");
    with_producer(&again).refused("intake.producers[1].kid", &["twice"]);
    let spaced = with_intake(&format!("[[intake.producers]]\nkid = \"a b\"\n{key}\n"));
    spaced.refused(&at("kid"), &["letters, digits"]);
    let week = with_intake(&format!(
        "[redis]\nretention_days = 7\n[[intake.producers]]\nkid = \"shop\"\n{key}\n"
    ));
    week.refused("redis.retention_days", &["above 7"]);
    let nobody = with_intake("[intake]\nenabled = true\n");
    let told = nobody.loaded().require_callers().unwrap_err().to_string();
    assert!(
        told.contains("intake.producers") && told.contains("accept_unsigned"),
        "{told}"
    );
    let never = with_intake("[intake]\npoll_ms = 0\nanswer_ttl_ms = 0\n");
    never.refused("intake.poll_ms", &["above 0"]);
    never.refused("intake.answer_ttl_ms", &["34560000000"]);
}

#[test]
fn whatever_is_not_exchanged_is_told_to_wait_for_a_restart() {
    let config = |intake: &str| {
        let text = format!("[intake]\naccept_unsigned = true\n{intake}");
        Config::read("holdfast.toml", &text, []).unwrap()
    };
    let now = config("");
    for setting in ["enabled = true", "poll_ms = 500", "answer_ttl_ms = 1000"] {
        let name = setting.split(' ').next().unwrap();
        let waiting = now.waiting(&config(&format!("{setting}\n")));
        assert_eq!(waiting, [format!("intake.{name}")]);
    }
    let producer = "[[intake.producers]]\nkid = \"shop\"\n\
        public_key = \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n";
    let next = config(producer);
    assert!(now.is_exchanged_by(&next));
    assert_eq!(now.waiting(&next), [""; 0]);
}

/// What `holdfast api-key` prints, for a key whose hash is nothing but `digit`.
fn api_key(name: &str, digit: char, more: &str) -> String {
    let hash = digit.to_string().repeat(64);
    let scopes = if more.contains("scopes") {
        ""
    } else {
        "scopes = [\"read\"]\n"
    };
    format!("[[api.keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{scopes}{more}\n")
}

/// Lines of the section `[api]`, the setting that is refused for them, and what its problem says.
#[allow(clippy::too_many_lines, reason = "one table")]
fn api_that_cannot_be_right() -> Vec<(String, &'static str, &'static str)> {
    let section = |lines: &str| format!("[api]\n{lines}\n");
    let limits = |lines: &str| format!("[api.limits]\n{lines}\n");
    let two = |one: String, other: String| format!("{one}{other}");
    vec![
        (
            section("listen = \"8081\""),
            "api.listen",
            "address and a port",
        ),
        // A wait, and the store twice: not shorter than 15000.
        (
            section("longest_wait_ms = 11000"),
            "api.longest_wait_ms",
            "store_timeout_ms",
        ),
        (section("per_second = 0"), "api.per_second", "above 0"),
        (section("burst = 0"), "api.burst", "above 0"),
        (
            limits("connections = 0"),
            "api.limits.connections",
            "api.listen",
        ),
        (
            limits("header_timeout_ms = 0"),
            "api.limits.header_timeout_ms",
            "above 0",
        ),
        (
            limits("store_timeout_ms = 0"),
            "api.limits.store_timeout_ms",
            "above 0",
        ),
        (
            limits("drain_timeout_ms = 0"),
            "api.limits.drain_timeout_ms",
            "above 0",
        ),
        (
            limits("store_timeout_ms = 15000"),
            "api.limits.request_timeout_ms",
            "15000",
        ),
        (
            api_key("a b", '1', ""),
            "api.keys[0].name",
            "letters, digits",
        ),
        (
            api_key("shop", 'g', ""),
            "api.keys[0].sha256",
            "64 hexadecimal",
        ),
        (
            api_key("shop", '1', "scopes = []"),
            "api.keys[0].scopes",
            "enqueue, read",
        ),
        (
            api_key("shop", '1', "accounts = []"),
            "api.keys[0].accounts",
            "names none",
        ),
        (
            api_key("shop", '1', "accounts = [\"hotel\", \"motel\"]"),
            "api.keys[0].accounts",
            "\"motel\": is not configured",
        ),
        (
            api_key("shop", '1', "accounts = [\"a b\"]"),
            "api.keys[0].accounts",
            "is not configured",
        ),
        (
            two(api_key("old", '1', ""), api_key("new", '1', "")),
            "api.keys[1].sha256",
            "of old too",
        ),
        (
            two(api_key("shop", '1', ""), api_key("shop", '2', "")),
            "api.keys[1].name",
            "twice",
        ),
    ]
}

#[test]
fn an_api_that_cannot_be_right_is_told_with_the_fix() {
    for (lines, setting, word) in api_that_cannot_be_right() {
        let given = with_intake(&lines);
        given.refused(setting, &[word]);
        let problems = given.load().unwrap_err();
        let others = |p: &&holdfast::config::Problem| !p.setting.starts_with("api.");
        assert_eq!(problems.0.iter().find(others), None, "{lines}");
    }
}

#[test]
fn an_api_that_is_right_reaches_as_far_as_it_says() {
    let more = "scopes = [\"enqueue\", \"read\", \"command\", \"operate\"]\naccounts = [\"hotel\"]\n\
                largest_amount_minor = 1500\nexpires_at = \"2027-06-30T00:00:00+08:00\"";
    let file = format!(
        "[api]\nlisten = \"127.0.0.1:8081\"\ndesk = false\nlongest_wait_ms = 10999\nper_second = 1\n\
         burst = 1\n{}{}",
        api_key("old", '1', more),
        api_key("new", '2', "")
    );
    let api = with_intake(&file).loaded().api;
    assert_eq!(api.listen.unwrap().port(), 8_081);
    assert!(!api.desk);
    assert_eq!(
        (api.longest_wait_ms, api.pace.per_second, api.pace.burst),
        (10_999, 1, 1)
    );
    let [old, new] = &api.keys[..] else {
        panic!("{api:?}")
    };
    assert_eq!((old.scopes.len(), new.scopes.len()), (4, 1));
    assert_eq!(old.accounts, Some([hotel()].into()));
    assert_eq!(old.largest_amount_minor, Some(1_500));
    let end = old.expires_at.unwrap().to_rfc3339();
    assert_eq!(end, "2027-06-29T16:00:00+00:00");
    assert_eq!(
        (&new.accounts, new.largest_amount_minor, new.expires_at),
        (&None, None, None)
    );
}

#[test]
fn a_worker_serves_no_api_without_a_key_but_on_this_machine_in_development() {
    for (listen, durability, key, fine) in [
        ("127.0.0.1:8081", "dev", "", true),
        ("[::1]:8081", "dev", "", true),
        ("0.0.0.0:8081", "dev", "", false),
        ("192.168.0.7:8081", "dev", "", false),
        ("[::]:8081", "dev", "", false),
        ("127.0.0.1:8081", "solo", "", false),
        ("[::1]:8081", "solo", "", false),
        ("0.0.0.0:8081", "solo", "", false),
        ("", "solo", "", true),
        ("0.0.0.0:8081", "solo", "a key", true),
    ] {
        let key = if key.is_empty() {
            String::new()
        } else {
            api_key("shop", '1', "")
        };
        let section = format!("[api]\nlisten = \"{listen}\"\n{key}");
        let told = with_intake(&section)
            .env("HOLDFAST__REDIS__DURABILITY", durability)
            .loaded()
            .require_callers();
        let named = told.clone().is_ok_and(|()| fine)
            || told.is_err_and(|told| !fine && told.to_string().contains("`holdfast api-key`"));
        assert!(named, "{listen} {durability} {key}");
    }
}
