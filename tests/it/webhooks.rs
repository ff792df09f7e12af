//! `holdfast webhooks` against the sandbox: what is registered there, and that it can be done again
//! after any answer, or none.

use std::path::PathBuf;

use chip_sandbox::{Effect, Operation, Rule, Sandbox};
use clap::Parser;
use holdfast::cli::{Around, Cli, run};
use holdfast_rig::{Redis, RedisOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{KEY, sandbox_config};

const URL: &str = "https://pay.example.com/webhooks/chip/hotel";

struct Shop {
    sandbox: Sandbox,
    folder: TempDir,
    redis: Redis,
}

impl Shop {
    async fn open() -> Self {
        Self {
            sandbox: Sandbox::start(sandbox_config()).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
            redis: Redis::start(RedisOptions::default()).await.unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is answered, or the exit code and what is told; with the keys in `known` configured.
    async fn types(&self, line: &[&str], known: &[&str]) -> Result<Value, (u8, String)> {
        let brand = chip_sandbox::DEFAULT_BRAND_ID;
        let files: Vec<PathBuf> = known.iter().map(|name| self.file(name)).collect();
        let config = self.file("holdfast.toml");
        let text = format!(
            "[accounts.hotel]\nmode = \"test\"\nbrand_id = \"{brand}\"\nbase_url = \"{}\"\n\
             webhook_public_key_files = {files:?}\n",
            self.sandbox.base_url()
        );
        std::fs::write(&config, text).unwrap();
        let env = [
            ("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY.to_owned()),
            ("HOLDFAST__REDIS__URL", self.redis.url()),
            ("USER", "aina".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        let config = config.display().to_string();
        let mut before = vec!["holdfast", "--json", "--config", &config];
        if line[0] != "audit" {
            before.push("webhooks");
        }
        let cli = Cli::try_parse_from(before.iter().chain(line)).unwrap();
        let around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut std::io::sink(),
        };
        let mut out = Vec::new();
        match run(cli, around, &mut out).await {
            Ok(()) => Ok(serde_json::from_slice(&out).unwrap()),
            Err(failure) => Err((failure.exit_code(), failure.to_string())),
        }
    }

    async fn registers(
        &self,
        verb: &str,
        file: &str,
        known: &[&str],
    ) -> Result<Value, (u8, String)> {
        let file = self.file(file).display().to_string();
        let line = [
            verb,
            "--account",
            "hotel",
            "--url",
            URL,
            "--key-file",
            &file,
        ];
        self.types(&line, known).await
    }

    async fn listed(&self, known: &[&str]) -> Vec<Value> {
        let line = ["list", "--account", "hotel"];
        let all = self.types(&line, known).await.unwrap();
        all.as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_webhook_posts_what_matters_only_when_its_key_is_known() {
    let shop = Shop::open().await;
    let made = shop.registers("register", "one.pem", &[]).await.unwrap();
    for again in 0..2 {
        let listed = shop.listed(&[]).await;
        assert_eq!(listed.len(), 1, "{again}");
        assert_eq!(listed[0]["events"], json!(["payout.created"]));
        assert_eq!(listed[0]["key_configured"], false);
        shop.registers("register", "one.pem", &[]).await.unwrap();
    }
    let again = shop.registers("register", "one.pem", &["one.pem"]).await;
    let again = again.unwrap();
    assert_eq!(again["id"], made["id"]);
    assert_eq!(again["events_complete"], true);
    let listed = shop.listed(&["one.pem"]).await;
    assert_eq!(listed[0]["key_configured"], true);
    let heard = listed[0]["events"].as_array().unwrap();
    for event in ["purchase.hold", "purchase.preauthorized", "purchase.paid"] {
        assert!(heard.contains(&json!(event)), "{event}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_by_running_it_again() {
    let shop = Shop::open().await;
    let lost = Rule::on(Operation::WebhookCreate, Effect::reset_after_commit()).times(1);
    shop.sandbox.add_fault(lost);
    let lost = shop.registers("register", "one.pem", &[]).await;
    let (code, told) = lost.unwrap_err();
    assert_eq!(code, 1);
    assert!(told.contains("run it again"), "{told}");
    assert!(!shop.file("one.pem").exists(), "there is no key yet");
    shop.registers("register", "one.pem", &[]).await.unwrap();
    assert_eq!(shop.listed(&[]).await.len(), 1);
    assert!(shop.file("one.pem").exists());
}

#[tokio::test]
async fn a_key_is_replaced_and_the_old_one_goes_only_when_the_new_one_is_known() {
    let shop = Shop::open().await;
    shop.registers("register", "one.pem", &[]).await.unwrap();
    let old = shop.registers("register", "one.pem", &["one.pem"]).await;
    let old = old.unwrap();
    let end = ["rotate", "--account", "hotel", "--url", URL];
    let new = shop.registers("rotate", "two.pem", &["one.pem"]).await;
    let new = new.unwrap();
    assert_ne!(new["id"], old["id"]);
    assert_eq!(new["events"], json!(["payout.created"]));
    // Begun before and not ended: no third one.
    let again = shop.registers("rotate", "two.pem", &["one.pem"]).await;
    assert_eq!(again.unwrap()["id"], new["id"]);
    let (code, told) = shop.types(&end, &["one.pem"]).await.unwrap_err();
    assert_eq!(code, 3);
    assert!(told.contains("webhook_public_key_files"), "{told}");
    assert_eq!(shop.listed(&[]).await.len(), 2);
    let known = ["one.pem", "two.pem"];
    let ended = shop.types(&end, &known).await.unwrap();
    assert_eq!(ended["removed"], json!([old["id"]]));
    let left = shop.listed(&["two.pem"]).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], new["id"]);
    assert_eq!(left[0]["events_complete"], true);
    let again = shop.types(&end, &known).await.unwrap();
    assert_eq!(again["removed"], json!([]));
}

#[tokio::test]
async fn a_key_in_use_is_not_written_over_and_an_address_that_leads_nowhere_is_refused() {
    let shop = Shop::open().await;
    shop.registers("register", "one.pem", &[]).await.unwrap();
    let (code, told) = shop
        .registers("rotate", "one.pem", &["one.pem"])
        .await
        .unwrap_err();
    assert_eq!(code, 3);
    assert!(told.contains("file of its own"), "{told}");
    assert_eq!(shop.listed(&[]).await.len(), 1, "none without its key");
    for url in [
        "https://pay.example.com/",
        "https://pay.example.com/webhooks/chip/motel",
        "ftp://pay.example.com/webhooks/chip/hotel",
        "hotel",
    ] {
        let line = [
            "register",
            "--account",
            "hotel",
            "--url",
            url,
            "--key-file",
            "x",
        ];
        let (code, told) = shop.types(&line, &[]).await.unwrap_err();
        assert_eq!(code, 2, "{url}");
        assert!(told.contains("/webhooks/chip/hotel"), "{told}");
    }
}

#[tokio::test]
async fn what_is_changed_of_webhooks_at_the_gateway_is_in_the_audit_log_before() {
    let shop = Shop::open().await;
    shop.listed(&[]).await;
    let lost = Rule::on(Operation::WebhookCreate, Effect::reset_after_commit()).times(1);
    shop.sandbox.add_fault(lost);
    shop.registers("register", "one.pem", &[])
        .await
        .unwrap_err();
    shop.registers("register", "one.pem", &[]).await.unwrap();
    shop.registers("register", "one.pem", &["one.pem"])
        .await
        .unwrap();
    shop.registers("rotate", "two.pem", &["one.pem"])
        .await
        .unwrap();
    let end = ["rotate", "--account", "hotel", "--url", URL];
    let why = ["--actor", "farid", "--reason", "the year is over"];
    let end = [&end[..], &why[..]].concat();
    for _ in 0..2 {
        shop.types(&end, &["one.pem", "two.pem"]).await.unwrap();
    }
    let log = shop.types(&["audit", "list"], &[]).await.unwrap();
    let mut said: Vec<Value> = (log["audit"].as_array().unwrap().iter())
        .map(|one| &one["entry"])
        .map(|it| {
            json!([
                it["action"],
                it["subject"],
                it["actor"]["name"],
                it["reason"]
            ])
        })
        .collect();
    said.reverse();
    let expected = json!([
        ["webhook_register", "hotel", "aina", null],
        ["webhook_complete", "hotel", "aina", null],
        ["webhook_register", "hotel", "aina", null],
        ["webhook_complete", "hotel", "farid", "the year is over"],
        ["webhook_remove", "hotel", "farid", "the year is over"],
    ]);
    assert_eq!(json!(said), expected);
}

#[tokio::test]
async fn no_webhook_is_changed_that_cannot_be_written_down() {
    let mut shop = Shop::open().await;
    shop.redis.kill().unwrap();
    let refused = shop.registers("register", "one.pem", &[]).await;
    assert_eq!(refused.unwrap_err().0, 4);
    assert_eq!(shop.listed(&[]).await.len(), 0, "a list needs no Redis");
}
