//! What must not be known from a log is not in any.

use std::collections::BTreeSet;

use chip_sandbox::{Account, Config, DEFAULT_BRAND_ID, Effect, Operation, Rule, TestCard};
use holdfast::payment::{PaymentId, StateName};
use holdfast::store::Store;
use holdfast_rig::{PARKS, Pace, RESENDS, Works};

use super::stage::{arrived, until, works_with};

const KEY: &str = "canary-secret-key-7f3a";
const EMAIL: &str = "canary.person@secret.example";
const NAME: &str = "Canary Bird Person";
const PHONE: &str = "60 123498765";
const REDIRECT: &str = "https://shop.example/canary-redirect";

async fn mixed(works: &Works, token: &str) -> Vec<PaymentId> {
    let customer =
        format!(r#""customer":{{"email":"{EMAIL}","full_name":"{NAME}","phone":"{PHONE}"}}"#);
    let money = r#""money":{"amount":1500,"currency":"MYR"}"#;
    let link = format!(r#"{{"success_redirect":"{REDIRECT}","failure_redirect":"{REDIRECT}"}}"#);
    let plan = r#""plan":{"capture_at":"2026-01-01T00:00:00Z"}"#;
    let bodies = [
        format!(r#""type":"charge",{money},"token":"{token}",{customer}"#),
        format!(r#""type":"authorize",{money},"source":{{"token":"{token}"}},{plan},{customer}"#),
        format!(r#""type":"authorize",{money},"source":{{"checkout":{link}}},{plan},{customer}"#),
        format!(r#""type":"save_card","checkout":{link},{customer}"#),
    ];
    let mut ids = Vec::new();
    for account in [PARKS, RESENDS] {
        for number in 0..10 {
            for (kind, body) in bodies.iter().enumerate() {
                let key = format!("{account}-{kind}-{number}");
                let json =
                    format!(r#"{{"v":1,"account":"{account}","idempotency_key":"{key}",{body}}}"#);
                ids.push(works.enqueue(&json).await.unwrap());
            }
        }
    }
    ids
}

fn go_wrong(works: &Works) {
    let effects = [
        Effect::timeout_after_commit(),
        Effect::status_after_commit(500),
        Effect::reset_before_commit(),
        Effect::truncated(),
        Effect::rate_limited(1),
        Effect::decline("do_not_honour"),
    ];
    for (nth, effect) in (2..).step_by(2).zip(effects) {
        for operation in [Operation::Charge, Operation::Create, Operation::Retrieve] {
            works
                .sandbox
                .add_fault(Rule::on(operation, effect.clone()).nth(nth));
        }
    }
    // Once: the account whose key is refused is left alone for a minute, and the other one goes on.
    let denied = Effect::status_before_commit(401);
    works
        .sandbox
        .add_fault(Rule::on(Operation::Charge, denied).nth(3));
}

async fn pay_links(works: &Works) {
    let waiting = works
        .store
        .list(&StateName::AwaitingPayer.into(), None, 100)
        .await
        .unwrap();
    for loaded in waiting.payments {
        let purchase = loaded
            .payment
            .purchase()
            .unwrap()
            .id
            .as_str()
            .parse()
            .unwrap();
        works.sandbox.pay(purchase, TestCard::Plain, false);
    }
}

/// Everything that must not be told: what was planted, and what the gateway made of it.
fn canaries(works: &Works, token: &str) -> BTreeSet<String> {
    let planted = [KEY, EMAIL, NAME, "123498765", "canary-redirect", token];
    let mut canaries: BTreeSet<_> = planted.into_iter().map(str::to_owned).collect();
    let ledger = works.sandbox.ledger();
    canaries.extend(
        ledger
            .requests()
            .iter()
            .filter_map(|row| row.purchase_id)
            .map(|id| id.to_string()),
    );
    // Whatever the gateway links to begins with its address and these.
    canaries.extend([
        "/p/".to_owned(),
        "/direct_post".to_owned(),
        "Bearer ".to_owned(),
    ]);
    canaries
}

async fn logs_nothing_secret(filter: &str) {
    let account = Account::new("Canary Sdn. Bhd.", KEY, DEFAULT_BRAND_ID);
    let sandbox = Config {
        accounts: vec![account],
        silence_cap: std::time::Duration::from_secs(2),
        ..Config::default()
    };
    let (mut works, token) = works_with(Pace::QUICK, sandbox).await;
    works.set("HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY", KEY);
    works.set("HOLDFAST__ACCOUNTS__SHOP__SECRET_KEY", KEY);
    works.set("HOLDFAST__LOG__FILTER", filter);
    let ids = mixed(&works, &token).await;
    go_wrong(&works);
    let mut first = works.worker("first").unwrap();
    until(&works, "calls", async || {
        arrived(&works, Operation::Charge) > 5
    })
    .await;
    first.kill().unwrap();
    let _second = works.worker("second").unwrap();
    // Enough of every kind of turn; not all of them need to have ended.
    until(&works, "a third of them finished", async || {
        pay_links(&works).await;
        works.store.stats().await.unwrap().unfinished < u64::try_from(ids.len() * 2 / 3).unwrap()
    })
    .await;

    let canaries = canaries(&works, &token);
    assert!(canaries.len() > ids.len() / 2, "no purchases were made");
    let mut lines = 0;
    for entry in std::fs::read_dir(works.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "log") {
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                lines += 1;
                for canary in &canaries {
                    assert!(
                        !line.contains(canary.as_str()),
                        "{canary:?} is in the log: {line}"
                    );
                }
            }
        }
    }
    assert!(lines > ids.len(), "only {lines} lines were logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_logs() {
    logs_nothing_secret("holdfast=info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_logs_however_much_the_worker_tells() {
    logs_nothing_secret("holdfast=trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_logs_however_much_the_libraries_tell() {
    logs_nothing_secret("trace").await;
}
