//! People look at what was refused, and decide.

use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use holdfast::cli::{Around, Cli, Failure, run};
use holdfast::store::redis::{Noted, PutRight};

use super::*;

impl Dock {
    /// What `holdfast` prints, and how it ended.
    async fn typed(&self, words: &[&str]) -> (Result<(), Failure>, String) {
        let (done, told, _) = self
            .line(&[&["intake", "quarantine"], words].concat())
            .await;
        (done, told)
    }

    /// The same of any verb, and what it warned of.
    pub(super) async fn line(&self, words: &[&str]) -> (Result<(), Failure>, String, String) {
        use clap::Parser as _;
        let cli = Cli::try_parse_from([&["holdfast"], words].concat());
        let env = [
            ("HOLDFAST__REDIS__URL".to_owned(), self.redis.url()),
            ("USER".to_owned(), "aina".to_owned()),
            (
                "HOLDFAST__ACCOUNTS__HOTEL__MODE".to_owned(),
                "test".to_owned(),
            ),
            (
                "HOLDFAST__ACCOUNTS__HOTEL__BRAND_ID".to_owned(),
                chip_sandbox::DEFAULT_BRAND_ID.to_string(),
            ),
            (
                "HOLDFAST__ACCOUNTS__HOTEL__SECRET_KEY".to_owned(),
                "key".to_owned(),
            ),
        ];
        let (mut out, mut input, mut warnings) = (Vec::new(), std::io::empty(), Vec::new());
        let around = Around {
            env: &env,
            input: &mut input,
            warnings: &mut warnings,
        };
        let done = run(cli.unwrap(), around, &mut out).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done, text(out), text(warnings))
    }

    async fn told(&self, words: &[&str]) -> String {
        let (done, told) = self.typed(words).await;
        done.unwrap();
        told
    }
}

const POISON: &str = r#"{"v":1,"push":"0c7b1f0e-push-of-a-test","type":"charge","account":"motel","idempotency_key":"one",
    "money":{"amount":1500,"currency":"MYR"},"token":"canary-token",
    "customer":{"email":"canary@test.example"}}"#;

#[tokio::test]
async fn an_operator_sees_why_and_the_bytes_only_on_demand() {
    let dock = Dock::open().await;
    dock.push(POISON).await;
    dock.push("\u{1b}[2J").await;
    dock.take_in().await;
    let list = dock.told(&["list"]).await;
    assert!(!list.contains("canary"), "{list}");
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
    assert!(
        shown.contains("***") && !shown.contains("is not configured"),
        "{shown}"
    );
    let json: Value = serde_json::from_str(&dock.told(&["list", "--json"]).await).unwrap();
    assert_eq!(
        (&json["count"], json["quarantine"][0]["bytes"].is_u64()),
        (&json!(2), true)
    );
    let as_json = dock.told(&["show", id, "--json"]).await;
    for told in [list.as_str(), &shown, &as_json, &json.to_string()] {
        assert!(!told.contains("canary"), "{told}");
    }
    let whole = dock.told(&["show", id, "--reveal"]).await;
    assert!(
        whole.contains("motel is not configured") && whole.contains("canary-token"),
        "{whole}"
    );
    let revealed = dock.told(&["show", id, "--reveal", "--json"]).await;
    let revealed: Value = serde_json::from_str(&revealed).unwrap();
    assert!(revealed["detail"].as_str().unwrap().contains("motel"));
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
async fn a_token_in_the_wrong_place_is_not_shown_by_why_it_was_refused() {
    let dock = Dock::open().await;
    let token = "canary-0123456789";
    let misplaced = [
        POISON.replace("\"money\"", &format!("\"{token}\": 1, \"money\"")),
        POISON.replace(
            "\"amount\"",
            &format!("\"{token}@x.example\": 1, \"amount\""),
        ),
        POISON.replace("\"motel\"", &format!("\"{token} \"")),
        POISON.replace("\"charge\"", &format!("\"{token}\"")),
        POISON.replace("\"MYR\"", &format!("\"{token}\"")),
        POISON.replace("1500", &format!("\"{token}\"")),
    ];
    for (number, element) in misplaced.iter().enumerate() {
        dock.push(&element.replace("push-of-a-test", &format!("push-of-a-test-{number}")))
            .await;
    }
    dock.take_in().await;
    let list = dock.told(&["list"]).await;
    assert_eq!(list.lines().count(), misplaced.len(), "{list}");
    let mut quoted = 0;
    for line in list.lines() {
        let id = line.split(' ').next().unwrap();
        for words in [&["show", id][..], &["show", id, "--json"]] {
            let told = dock.told(words).await;
            assert!(!told.contains("canary") && told.contains("***"), "{told}");
        }
        let revealed = dock.told(&["show", id, "--reveal", "--json"]).await;
        let revealed: Value = serde_json::from_str(&revealed).unwrap();
        quoted += usize::from(revealed["detail"].as_str().unwrap().contains("canary"));
    }
    assert!(
        quoted > 0,
        "no reason quotes what was pushed: there is nothing to mask"
    );
}

#[tokio::test]
async fn what_is_tried_again_is_done_once_the_cause_is_gone() {
    // The command line has the time of this machine.
    let now = Clock::system().now();
    let dock = Dock::from(now, Rules::default()).await;
    let json = charge("one", &dock.token(), 1_500);
    let signed = |json: &Value| {
        let payload = json.to_string();
        signed_with(SHOP_SEED, &header_at("shop", now), payload.as_bytes())
    };
    is_refused(&dock.answered(signed(&json)).await, "signature_invalid");
    let id = dock.quarantine().await.remove(0).0.to_string();
    // Too early: it comes back, and is still there once.
    for words in [&["--reason", " "][..], &["--reason", "x", "--actor", ""]] {
        let (done, _) = dock.typed(&[&["retry", &id], words].concat()).await;
        assert!(matches!(done, Err(Failure::Wrong(_))), "{done:?}");
    }
    let retry = [
        "retry",
        &id,
        "--reason",
        "the key is there",
        "--actor",
        "mei",
    ];
    dock.told(&retry).await;
    assert_eq!(
        (dock.waiting().await, dock.quarantine().await.len()),
        (1, 0)
    );
    // It may be done any moment: that it was refused is no longer told, from before then.
    assert_eq!(dock.answer("hotel", signed(&json)).await, None);
    dock.take_in().await;
    assert_eq!(dock.quarantine().await.remove(0).0.to_string(), id);
    dock.producers.replace(Rules {
        accept_unsigned: false,
        producers: vec![shop()],
    });
    dock.told(&retry).await;
    dock.take_in().await;
    is_recorded(&dock.answer("hotel", signed(&json)).await.unwrap());
    assert!(dock.quarantine().await.is_empty());
    let (gone, _) = dock.typed(&retry).await;
    assert!(matches!(gone, Err(Failure::Wrong(_))));
    // Why it was there, and who did what, is there to be read.
    let list = dock.told(&["list"]).await;
    assert!(list.contains(&id) && list.contains("  retried"), "{list}");
    let shown = dock.told(&["show", &id]).await;
    assert_eq!(
        shown.matches("by mei: the key is there").count(),
        2,
        "{shown}"
    );
    let purge = ["purge", "--older-than-days", "30"];
    assert_eq!(dock.told(&purge).await, "0 forgotten\n");
    let at = ["{hf:0}:quarantine", id.split_once('-').unwrap().1];
    let note: String = dock.ask(&["HGET", at[0], at[1]]).await;
    let older = note.replacen(r#""at":"20"#, r#""at":"19"#, 1);
    assert_ne!(note, older);
    dock.ask::<i64>(&["HSET", at[0], at[1], &older]).await;
    assert_eq!(dock.told(&purge).await, "1 forgotten\n");
    assert_eq!(dock.told(&["list"]).await, "");
}

#[tokio::test]
async fn what_was_signed_too_long_ago_is_not_tried_again_and_the_operator_is_told_what_to_do() {
    let now = Clock::system().now();
    let dock = Dock::from(now, Rules::default()).await;
    let signed = |key: &str, at: Timestamp| {
        let payload = charge(key, &dock.token(), 1_500).to_string();
        signed_with(SHOP_SEED, &header_at("shop", at), payload.as_bytes())
    };
    let week = TimeDelta::days(7);
    for (key, at, over) in [
        ("over", now - week - TimeDelta::minutes(1), true),
        ("in-time", now - week + TimeDelta::minutes(10), false),
    ] {
        dock.answered(signed(key, at)).await;
        let quarantine = dock.quarantine().await;
        let id = quarantine.iter().find(|(_, note)| {
            let named = note.idempotency_key.as_ref();
            named.is_some_and(|named| named.as_str() == key)
        });
        let id = id.unwrap().0.to_string();
        let (done, _) = dock.typed(&["retry", &id, "--reason", "x"]).await;
        if over {
            let told = format!("{:?}", done.unwrap_err());
            assert!(
                told.contains("7 days") && told.contains("sign and push it again"),
                "{told}"
            );
        } else {
            done.unwrap();
        }
        assert_eq!(dock.waiting().await, u64::from(!over), "{key}");
    }
    // It stays, and can be dropped.
    let left = dock.quarantine().await;
    assert_eq!(left.len(), 1);
    dock.told(&["drop", &left[0].0.to_string(), "--reason", "x"])
        .await;
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
    for words in ["drop", "retry"].map(|verb| [verb, &id, "--reason", "x"]) {
        let words = &words[..];
        let (gone, _) = dock.typed(words).await;
        assert!(matches!(gone, Err(Failure::Wrong(_))), "{words:?}");
    }
    // Pushed anew it is there anew, and what was done before is not forgotten.
    dock.push(POISON).await;
    dock.take_in().await;
    assert!(
        dock.told(&["show", &id, "--reveal"])
            .await
            .contains("canary")
    );
    dock.told(&["purge", "--older-than-days", "0"]).await;
    let shown = dock.told(&["show", &id]).await;
    assert!(shown.contains("  refused again"), "{shown}");
    assert!(shown.contains("by aina: asked for by mistake"), "{shown}");
    for id in ["", "0-1", "9-00000000000000000000000000000000", "0:x"] {
        let (wrong, _) = dock.typed(&["show", id]).await;
        assert!(matches!(wrong, Err(Failure::Wrong(_))), "{id}");
    }
}

#[tokio::test]
async fn stats_warn_of_what_nobody_takes_and_of_what_waits_for_people() {
    let dock = Dock::open().await;
    let (done, _, quiet) = dock.line(&["stats"]).await;
    done.unwrap();
    assert_eq!(quiet, "");
    dock.push(POISON).await;
    let (_, _, waits) = dock.line(&["stats"]).await;
    assert!(waits.contains("pushes not taken in yet: 1"), "{waits}");
    dock.take_in().await;
    let (_, _, refused) = dock.line(&["stats", "--json"]).await;
    let told: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(told["warning"]["kind"], "intake_quarantine", "{told}");
}

#[tokio::test]
async fn the_newest_are_listed_however_many_there_are() {
    let dock = Dock::open().await;
    for number in 0..30 {
        dock.push(format!("poison {number}")).await;
        dock.take_in().await;
        dock.stage.pass(chrono::TimeDelta::seconds(1));
    }
    let (found, count) = dock.store.quarantine(3).await.unwrap();
    let ages = found
        .iter()
        .map(|one| (dock.stage.clock.now() - one.note.at).num_seconds());
    assert_eq!((ages.collect::<Vec<_>>(), count), (vec![1, 2, 3], 30));
}

/// A file with what an operator writes.
fn written(dock: &Dock, json: &str) -> String {
    let path = dock.redis.folder().join("right.json");
    std::fs::write(&path, json).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_operator_puts_right_what_was_pushed_and_it_is_recorded_once_as_theirs() {
    let dock = Dock::open().await;
    dock.push(POISON).await;
    dock.take_in().await;
    let id = dock.quarantine().await.remove(0).0.to_string();
    let token = dock.token();
    let right = POISON
        .replace("motel", "hotel")
        .replace("canary-token", &token);
    let fix = |path: String| {
        let id = id.clone();
        let dock = &dock;
        async move {
            let line = ["fix", &id, "--with", &path, "--reason", "it is the hotel's"];
            dock.typed(&line).await
        }
    };
    for wrong in [
        "{".to_owned(),
        right.replace("\"one\"", "\"two\""),
        right.replace("1500", "-1500"),
        POISON.to_owned(),
    ] {
        let (done, told) = fix(written(&dock, &wrong)).await;
        assert!(matches!(done, Err(Failure::Wrong(_))), "{told} {done:?}");
    }
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (0, 1)
    );
    let (done, told) = fix(written(&dock, &right)).await;
    done.unwrap();
    assert!(told.contains("is fixed: pay_"), "{told}");
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 0)
    );
    let (again, _) = fix(written(&dock, &right)).await;
    assert!(matches!(again, Err(Failure::Wrong(_))), "{again:?}");
    dock.stage.work().await;
    let payment = PaymentId::derive(&account(), &IdempotencyKey::new("one").unwrap());
    assert_eq!(dock.stage.taken(&payment), (1_500, 1));
    // Both are kept, and shown on demand alone.
    let shown = dock.told(&["show", &id]).await;
    assert!(
        shown.contains("fixed") && shown.contains("by aina: it is the hotel's"),
        "{shown}"
    );
    let as_json = dock.told(&["show", &id, "--json"]).await;
    for hidden in [&shown, &as_json, &dock.told(&["list", "--json"]).await] {
        assert!(
            !hidden.contains("canary") && !hidden.contains(&token),
            "{hidden}"
        );
        assert!(
            !hidden.contains("base64") && !hidden.contains("\"pushed\""),
            "{hidden}"
        );
    }
    let whole = dock.told(&["show", &id, "--reveal"]).await;
    assert!(
        whole.contains("canary-token") && whole.contains(&token),
        "{whole}"
    );
    let (_, log, _) = dock.line(&["audit", "list"]).await;
    assert!(log.contains("quarantine_fix"), "{log}");
}

/// A push that has no idempotency key that can be read, and what an operator writes for it.
async fn keyless(dock: &Dock) -> (String, impl Fn(&str) -> String) {
    dock.push(POISON.replace("idempotency_key", "idempotency"))
        .await;
    dock.take_in().await;
    let id = dock.quarantine().await.remove(0).0.to_string();
    let right = POISON
        .replace("motel", "hotel")
        .replace("canary-token", &dock.token());
    let folder = dock.redis.folder();
    let with = move |key: &str| {
        let path = folder.join(format!("{key}.json"));
        std::fs::write(&path, right.replace("\"one\"", &format!("\"{key}\""))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    (id, with)
}

#[tokio::test]
async fn whoever_puts_a_push_without_a_key_right_and_however_often_makes_one_payment() {
    let dock = Dock::open().await;
    let (id, with) = keyless(&dock).await;
    let (one, other) = (with("fix-a"), with("fix-f"));
    let fix = |path| ["fix", &id, "--reason", "no key", "--with", path];
    let (one_line, other_line) = (fix(&one), fix(&other));
    let both = tokio::join!(dock.typed(&one_line), dock.typed(&other_line));
    let done = [&both.0, &both.1].map(|(done, _)| done.is_ok());
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{both:?}");
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 0)
    );
    // Pushed once more, it is what it was put right as.
    dock.push(POISON.replace("idempotency_key", "idempotency"))
        .await;
    dock.take_in().await;
    let (same, another) = if done[0] {
        (&one, &other)
    } else {
        (&other, &one)
    };
    let (refused, _) = dock.typed(&fix(another)).await;
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    dock.told(&fix(same)).await;
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 0)
    );
}

#[tokio::test]
async fn what_somebody_has_begun_to_put_right_is_put_right_under_the_same_key_or_dropped() {
    let dock = Dock::open().await;
    let (id, with) = keyless(&dock).await;
    let fix = |path| ["fix", &id, "--reason", "no key", "--with", path];
    // What was refused can be asked for in another way.
    let path = with("fix-a");
    let motel = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, motel.replace("hotel", "motel")).unwrap();
    let (unknown, _) = dock.typed(&fix(&path)).await;
    assert!(matches!(unknown, Err(Failure::Wrong(_))), "{unknown:?}");
    // A terminal that died before what was pushed was out of quarantine.
    let begun = PutRight {
        account: account(),
        idempotency_key: IdempotencyKey::new("fix-a").unwrap(),
        of: None,
    };
    let quarantined = QuarantineId::parse(&id).unwrap();
    let noted = dock.store.note_put_right(&quarantined, &begun).await;
    assert_eq!(noted.unwrap(), Noted::Now);
    let path = with("fix-f");
    for line in [&fix(&path)[..], &["retry", &id, "--reason", "x"]] {
        let (refused, _) = dock.typed(line).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("idempotency_key fix-a"), "{told}");
    }
    assert_eq!((dock.payments().await, dock.waiting().await), (0, 0));
    dock.told(&fix(&with("fix-a"))).await;
    assert_eq!(
        (dock.payments().await, dock.quarantine().await.len()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_command_is_put_right_only_for_a_payment_of_its_account() {
    let dock = Dock::open().await;
    dock.push(charge("k", &dock.token(), 1_500).to_string())
        .await;
    dock.take_in().await;
    let command = json!({"v": 1, "push": PUSH, "command": "cancel", "account": "hotel",
        "idempotency_key": "never", "payment_key": "another"});
    dock.push(command.to_string()).await;
    dock.take_in().await;
    let id = dock.quarantine().await.remove(0).0.to_string();
    let payment = PaymentId::derive(&account(), &IdempotencyKey::new("k").unwrap());
    let mut right = command;
    right.as_object_mut().unwrap().remove("payment_key");
    right["payment"] = json!(payment);
    let mut elsewhere = right.clone();
    elsewhere["account"] = json!("motel");
    for (json, fine) in [(elsewhere, false), (right, true)] {
        let path = written(&dock, &json.to_string());
        let line = ["fix", &id, "--with", &path, "--reason", "the wrong key"];
        let (done, told) = dock.typed(&line).await;
        assert_eq!(done.is_ok(), fine, "{told} {done:?}");
    }
    dock.stage.work().await;
    assert_eq!(dock.stage.state(&payment).await, StateName::Failed);
    assert_eq!(dock.stage.taken(&payment), (0, 0));
}
