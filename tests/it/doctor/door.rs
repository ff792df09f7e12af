//! The doctor as it is typed: exit codes, words, JSON, and what the gateway says of keys and webhooks.

use chip_sandbox::{
    Answer, Config as SandboxConfig, Effect, ErrorBody, Operation, Rule, WebhookConfig,
};
use clap::Parser;
use holdfast::cli::{Around, Cli, run};
use serde_json::Value;

use super::*;

const HERE: &str = "http://127.0.0.1:9/webhooks/chip/hotel";

/// What came out, and the exit code with what was told.
async fn types(line: &[&str], env: &[(String, String)]) -> (String, u8, String) {
    let line = ["holdfast"].iter().chain(line);
    let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
    let around = Around {
        env,
        input: &mut std::io::empty(),
        warnings: &mut std::io::sink(),
    };
    let mut out = Vec::new();
    let failure = run(cli, around, &mut out).await.err();
    let told = failure.as_ref().map(ToString::to_string);
    let code = failure.map_or(0, |failure| failure.exit_code());
    (
        String::from_utf8(out).unwrap(),
        code,
        told.unwrap_or_default(),
    )
}

impl Ward {
    /// The same as the settings of this ward, all by the environment.
    fn typed_env(&self) -> Vec<(String, String)> {
        let mut env = self.env();
        let brand = chip_sandbox::DEFAULT_BRAND_ID.to_string();
        for (name, value) in [
            ("MODE", "test".to_owned()),
            ("BRAND_ID", brand),
            ("BASE_URL", self.stage.sandbox.base_url()),
        ] {
            env.push((format!("HOLDFAST__ACCOUNTS__HOTEL__{name}"), value));
        }
        env.push(("USER".to_owned(), "aina".to_owned()));
        env
    }

    async fn types(&self, line: &[&str]) -> (String, u8, String) {
        types(line, &self.typed_env()).await
    }
}

#[tokio::test]
async fn exit_code_and_words_say_whether_something_is_wrong() {
    let ward = Ward::open().await;
    let (out, code, told) = ward.types(&["doctor"]).await;
    assert_eq!((code, told.as_str()), (0, ""), "{out}");
    assert!(out.contains("✓") && out.contains("0 wrong"), "{out}");
    ward.ask::<()>(&["CONFIG", "SET", "appendfsync", "everysec"])
        .await;
    let (out, code, told) = ward.types(&["doctor"]).await;
    assert_eq!((code, told.as_str()), (7, "one thing is wrong"), "{out}");
    let (_, after) = out.split_once("appendfsync is \"everysec\"").unwrap();
    let fix = after.lines().nth(1).unwrap();
    assert!(fix.contains("→ run CONFIG SET appendfsync always"), "{out}");
    let (out, code, _) = ward.types(&["doctor", "--json"]).await;
    assert_eq!(code, 7);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["wrong"], 1);
    let checks = told["checks"].as_array().unwrap();
    let fsync = checks
        .iter()
        .find(|check| check["name"] == "fsync")
        .unwrap();
    assert_eq!(
        (&fsync["group"], &fsync["found"]),
        (&"redis".into(), &"wrong".into())
    );
    let key = checks.iter().find(|check| check["name"] == "key").unwrap();
    assert_eq!(
        (&key["group"], &key["account"]),
        (&"gateway".into(), &"hotel".into())
    );
    let refused = Cli::try_parse_from(["holdfast", "doctor", "--dry-run"]);
    assert!(refused.is_err(), "a plan of nothing");
}

#[tokio::test]
async fn repairs_are_typed_planned_and_done() {
    let ward = Ward::open().await;
    let id = ward.stage.authorize_by_checkout("waits", 1500, "{}").await;
    ward.stage.work().await;
    let due = format!("{{hf:{}}}:due", id.spread() % 8);
    ward.ask::<()>(&["ZREM", &due, id.as_str()]).await;
    for line in [&["doctor"][..], &["doctor", "--repair", "--dry-run"]] {
        let (out, code, _) = ward.types(line).await;
        assert_eq!(code, 7, "{out}");
        assert!(out.contains(id.as_str()), "{out}");
        assert_eq!(ward.ask::<u64>(&["ZCARD", &due]).await, 0);
    }
    let (out, code, _) = ward.types(&["doctor", "--repair"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("1 put right"), "{out}");
    assert_eq!(ward.ask::<u64>(&["ZCARD", &due]).await, 1);
}

#[tokio::test]
async fn what_was_not_looked_at_is_never_called_fine() {
    let ward = Ward::open().await;
    let rule = "~* &* +@all -scan";
    let mut words = vec!["ACL", "SETUSER", "blind", "reset", "on", ">pw"];
    words.extend(rule.split(' '));
    ward.ask::<()>(&words).await;
    let mut env = ward.typed_env();
    env.retain(|(name, _)| name != "HOLDFAST__REDIS__URL");
    let url = format!("{}?user=blind&pass=pw", ward.redis.url());
    env.push(("HOLDFAST__REDIS__URL".to_owned(), url));
    let (out, code, told) = types(&["doctor"], &env).await;
    assert_eq!(code, 8, "{out}");
    assert!(told.contains("not all was looked at"), "{told}");
    assert!(out.contains("records") && out.contains("NOPERM"), "{out}");
    // What is wrong is told before what is not known.
    ward.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
        .await;
    assert_eq!(types(&["doctor"], &env).await.1, 7);
}

#[tokio::test]
async fn nothing_is_put_right_on_a_redis_that_may_lose_it() {
    let ward = Ward::open().await;
    let id = ward.stage.authorize_by_checkout("waits", 1500, "{}").await;
    ward.stage.work().await;
    let due = format!("{{hf:{}}}:due", id.spread() % 8);
    ward.ask::<()>(&["ZREM", &due, id.as_str()]).await;
    ward.ask::<()>(&["CONFIG", "SET", "appendfsync", "everysec"])
        .await;
    let (out, code, _) = ward.types(&["doctor", "--repair"]).await;
    assert_eq!(code, 7, "{out}");
    assert!(out.contains("it could not be put right"), "{out}");
    assert_eq!(ward.ask::<u64>(&["ZCARD", &due]).await, 0);
    ward.ask::<()>(&["CONFIG", "SET", "appendfsync", "always"])
        .await;
    assert_eq!(ward.types(&["doctor", "--repair"]).await.1, 0);
    assert_eq!(ward.ask::<u64>(&["ZCARD", &due]).await, 1);
}

#[tokio::test]
async fn without_redis_the_gateway_is_still_looked_at() {
    let mut ward = Ward::open().await;
    ward.stage.sandbox.revoke_key(KEY);
    let env = ward.typed_env();
    ward.redis.kill().unwrap();
    let (out, code, told) = types(&["doctor", "--json"], &env).await;
    assert_eq!(code, 4, "{out}");
    assert!(told.contains("cannot be reached"), "{told}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let found = |name: &str| {
        let checks = told["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("{name}: {out}"))["found"].clone()
    };
    assert_eq!(found("reach"), "wrong");
    assert_eq!(found("key"), "wrong");
    assert_eq!(found("records"), "not_checked");
}

#[tokio::test]
async fn what_answers_and_is_no_redis_to_work_with_is_named() {
    let other = Redis::start(RedisOptions {
        lines: vec!["cluster-enabled yes".to_owned()],
        ..well()
    });
    let other = other.await.unwrap();
    let ward = Ward::open().await;
    let mut env = ward.typed_env();
    env.retain(|(name, _)| name != "HOLDFAST__REDIS__URL");
    env.push(("HOLDFAST__REDIS__URL".to_owned(), other.url()));
    let (out, code, _) = types(&["doctor"], &env).await;
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("cluster"), "{out}");
}

async fn at_a_gateway(webhooks: Vec<WebhookConfig>) -> Ward {
    let mut ward = Ward::open().await;
    let config = SandboxConfig {
        webhooks,
        ..sandbox_config()
    };
    ward.stage.sandbox = Sandbox::start(config).await.unwrap();
    ward
}

#[tokio::test]
async fn a_key_that_is_refused_and_a_brand_that_is_unknown_are_found() {
    let ward = Ward::open().await;
    let unknown = Effect::answered(Answer::Status {
        status: 400,
        retry_after_s: None,
        body: ErrorBody::List,
    });
    let rule = ward
        .stage
        .sandbox
        .add_fault(Rule::on(Operation::PaymentMethods, unknown));
    let report = ward.examine(Repair::Tell).await;
    is(&report, (Group::Gateway, "key"), Found::Fine, &[]);
    is(
        &report,
        (Group::Gateway, "brand"),
        Found::Wrong,
        &["accounts.hotel.brand_id"],
    );
    ward.stage.sandbox.remove_fault(rule);
    ward.stage.sandbox.revoke_key(KEY);
    let report = ward.examine(Repair::Tell).await;
    is(
        &report,
        (Group::Gateway, "key"),
        Found::Wrong,
        &["401", "accounts.hotel.secret_key"],
    );
    is(&report, (Group::Gateway, "webhook"), Found::NotChecked, &[]);
    ward.stage.sandbox.stop().await;
    let report = ward.examine(Repair::Tell).await;
    is(
        &report,
        (Group::Gateway, "key"),
        Found::Wrong,
        &["cannot be asked", "base_url"],
    );
}

#[tokio::test]
async fn webhooks_that_are_missing_foreign_or_deaf_are_found() {
    let listening = |ward: &mut Ward, lines: &str| {
        ward.lines = format!("{lines}\n[http]\nlisten = \"127.0.0.1:0\"\n");
    };
    let examine = async |ward: &Ward| {
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
    let webhook = (Group::Gateway, "webhook");
    let elsewhere = WebhookConfig::all("http://127.0.0.1:9/somewhere/else");
    let mut none = at_a_gateway(vec![elsewhere]).await;
    listening(&mut none, "");
    is(
        &examine(&none).await,
        webhook,
        Found::Warning,
        &["none is registered"],
    );

    let mut foreign = at_a_gateway(vec![WebhookConfig::all(HERE)]).await;
    listening(&mut foreign, "");
    let report = examine(&foreign).await;
    is(
        &report,
        webhook,
        Found::Wrong,
        &["not in these settings", "webhook_public_key_files"],
    );

    let some = WebhookConfig {
        events: vec!["purchase.paid".to_owned()],
        ..WebhookConfig::all(HERE)
    };
    let mut deaf = at_a_gateway(vec![some]).await;
    let hotel = crate::stage::account();
    let all = gateway(&deaf.config(), &Clock::system())
        .registered(&hotel)
        .await;
    let key = all.unwrap()[0].public_key.clone().unwrap();
    listening(&mut deaf, &format!("webhook_public_keys = [{key:?}]"));
    is(
        &examine(&deaf).await,
        webhook,
        Found::Warning,
        &["but not all that matters"],
    );
}

#[tokio::test]
async fn nothing_that_the_doctor_says_gives_anything_away() {
    let mut ward = at_a_gateway(vec![WebhookConfig::all(HERE)]).await;
    let clock = Clock::system();
    let config = ward.config();
    // The payments were made at another sandbox, which is gone: their secrets are in Redis.
    ward.lines = String::new();
    let token = "canary-token-5a9e";
    let id = ward
        .stage
        .enqueue("canary", &crate::stage::charge_of(token, 1500))
        .await;
    let due = format!("{{hf:{}}}:due", id.spread() % 8);
    ward.ask::<()>(&["ZREM", &due, id.as_str()]).await;
    let rubbish = r#"{"v":1,"email":"canary@secret.example"}"#;
    let key = format!("{{hf:{}}}:payment:{id}", id.spread() % 8);
    ward.ask::<()>(&["HSET", &key, "body", rubbish]).await;
    let all = gateway(&config, &clock)
        .registered(&crate::stage::account())
        .await
        .unwrap();
    let pem = all[0].public_key.clone().unwrap();
    for line in [&["doctor"][..], &["doctor", "--json"]] {
        let (out, code, told) = ward.types(line).await;
        assert_eq!(code, 7);
        let socket = ward.redis.url();
        let brand = chip_sandbox::DEFAULT_BRAND_ID.to_string();
        let base = ward.stage.sandbox.base_url();
        for canary in [
            KEY, token, "canary", "payer@", HERE, &pem, &socket, &brand, &base,
        ] {
            assert!(!out.contains(canary), "{canary}: {out}");
            assert!(!told.contains(canary), "{canary}: {told}");
        }
        assert!(
            out.contains(id.as_str()),
            "it looked at what holds them: {out}"
        );
    }
}

#[tokio::test]
async fn completions_are_made_for_every_shell_and_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (out, code, _) = types(&["completions", shell], &[]).await;
        assert_eq!(code, 0);
        for verb in ["doctor", "enqueue", "completions"] {
            assert!(out.contains(verb), "{shell} does not know {verb}");
        }
    }
}

/// The program itself, with its output read by another program.
fn piped(env: &[(&str, &str)]) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"));
    program.arg("doctor").env_clear().envs(env.iter().copied());
    let nobody = "unix:///nonexistent/holdfast-doctor.sock";
    program.env("HOLDFAST__REDIS__URL", nobody);
    let done = program.output().unwrap();
    assert_eq!(done.status.code(), Some(4));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let plain = piped(&[]);
    assert!(plain.contains("✗ reach"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let forced = piped(&[("CLICOLOR_FORCE", "1")]);
    assert!(forced.contains("\u{1b}["), "it has none at all: {forced:?}");
    let refused = piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
    assert_eq!(refused, plain);
}
