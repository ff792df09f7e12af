//! People look at what was refused, and decide.

use base64::engine::general_purpose::STANDARD;
use holdfast::cli::{Around, Cli, Failure, run};

use super::*;

impl Dock {
    /// What `holdfast` prints, and how it ended.
    async fn typed(&self, words: &[&str]) -> (Result<(), Failure>, String) {
        use clap::Parser as _;
        let cli = Cli::try_parse_from([&["holdfast", "intake", "quarantine"], words].concat());
        let env = [
            ("HOLDFAST__REDIS__URL".to_owned(), self.redis.url()),
            ("USER".to_owned(), "aina".to_owned()),
        ];
        let (mut out, mut input, mut warnings) = (Vec::new(), std::io::empty(), Vec::new());
        let around = Around {
            env: &env,
            input: &mut input,
            warnings: &mut warnings,
        };
        let done = run(cli.unwrap(), around, &mut out).await;
        (done, String::from_utf8(out).unwrap())
    }

    async fn told(&self, words: &[&str]) -> String {
        let (done, told) = self.typed(words).await;
        done.unwrap();
        told
    }
}

const POISON: &str = r#"{"v":1,"type":"charge","account":"motel","idempotency_key":"one",
    "money":{"amount":1500,"currency":"MYR"},"token":"canary-token",
    "customer":{"email":"canary@test.example"}}"#;

#[tokio::test]
async fn an_operator_sees_why_and_the_bytes_only_on_demand() {
    let dock = Dock::open().await;
    dock.push(POISON).await;
    dock.push("\u{1b}[2J").await;
    dock.take_in().await;
    let list = dock.told(&["list"]).await;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.contains("invalid_request (account)  unsigned  motel  one"),
        "{list}"
    );
    let (id, _) = list
        .lines()
        .find(|line| line.contains("motel"))
        .unwrap()
        .split_once(' ')
        .unwrap();
    let shown = dock.told(&["show", id]).await;
    assert!(shown.contains("motel is not configured"), "{shown}");
    let json: Value = serde_json::from_str(&dock.told(&["list", "--json"]).await).unwrap();
    assert_eq!(
        (&json["count"], json["quarantine"][0]["bytes"].is_u64()),
        (&json!(2), true)
    );
    let as_json = dock.told(&["show", id, "--json"]).await;
    for told in [list.as_str(), &shown, &as_json, &json.to_string()] {
        assert!(!told.contains("canary"), "{told}");
    }
    assert!(
        dock.told(&["show", id, "--reveal"])
            .await
            .contains("canary-token")
    );
    let revealed = dock.told(&["show", id, "--reveal", "--json"]).await;
    let revealed: Value = serde_json::from_str(&revealed).unwrap();
    let bytes = STANDARD
        .decode(revealed["base64"].as_str().unwrap())
        .unwrap();
    assert_eq!(bytes, POISON.as_bytes());
    for line in list.lines() {
        let id = line.split(' ').next().unwrap();
        let shown = dock.told(&["show", id, "--reveal"]).await;
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[tokio::test]
async fn what_is_tried_again_is_done_once_the_cause_is_gone() {
    let dock = Dock::with(Rules::default()).await;
    let json = charge("one", &dock.token(), 1_500);
    is_refused(
        &dock.answered(signed(&json), "one").await,
        "signature_invalid",
    );
    let id = dock.quarantine().await.remove(0).0.to_string();
    // Too early: it comes back, and is still there once.
    dock.told(&["retry", &id]).await;
    assert_eq!(
        (dock.waiting().await, dock.quarantine().await.len()),
        (1, 0)
    );
    dock.take_in().await;
    assert_eq!(dock.quarantine().await.remove(0).0.to_string(), id);
    dock.producers.replace(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    });
    dock.told(&["retry", &id]).await;
    dock.take_in().await;
    is_recorded(&dock.answer("hotel", "one", signed(&json)).await.unwrap());
    assert!(dock.quarantine().await.is_empty());
    let (gone, _) = dock.typed(&["retry", &id]).await;
    assert!(matches!(gone, Err(Failure::Wrong(_))));
}

#[tokio::test]
async fn what_is_thrown_away_says_by_whom_and_why() {
    let dock = Dock::open().await;
    dock.push(POISON).await;
    dock.take_in().await;
    let id = dock.quarantine().await.remove(0).0.to_string();
    dock.told(&["drop", &id, "--reason", "asked for by mistake"])
        .await;
    let shown = dock.told(&["show", &id, "--reveal"]).await;
    assert!(shown.contains("by aina: asked for by mistake"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    for words in [&["drop", &id, "--reason", "x"][..], &["retry", &id]] {
        let (gone, _) = dock.typed(words).await;
        assert!(matches!(gone, Err(Failure::Wrong(_))), "{words:?}");
    }
    // Pushed anew it is there anew.
    dock.push(POISON).await;
    dock.take_in().await;
    assert!(
        dock.told(&["show", &id, "--reveal"])
            .await
            .contains("canary")
    );
    for id in ["", "0-1", "9-00000000000000000000000000000000", "0:x"] {
        let (wrong, _) = dock.typed(&["show", id]).await;
        assert!(matches!(wrong, Err(Failure::Wrong(_))), "{id}");
    }
}
