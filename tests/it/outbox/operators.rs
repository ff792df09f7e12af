//! What operators see and do: replays, lists, reasons; and how long events are kept.

use clap::Parser;
use holdfast::cli::{Around, Cli, Failure, run};
use holdfast::store::{Kept, Range};

use super::*;

fn all() -> Range {
    Range::default()
}

async fn kept(store: &RedisStore, range: &Range) -> Vec<Kept> {
    let mut kept = Vec::new();
    let each = |event| kept.push(event);
    store.visit_events(range, each).await.unwrap();
    kept
}

impl Mail {
    async fn replay(&self, range: &Range) -> u64 {
        let store = &self.stage.store;
        let wanted = |head: &_| self.endpoint.wants(head);
        let name = &self.endpoint.name;
        store.replay(name, range, wanted).await.unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let heard = self.receiver.heard();
        heard
            .iter()
            .map(|one| one.header("webhook-id").to_owned())
            .collect()
    }

    /// Types a command over the same Redis, which has its own time.
    async fn types(&self, line: &[&str]) -> Result<Value, Failure> {
        let env = [
            ("HOLDFAST__REDIS__URL", self.redis.url()),
            ("HOLDFAST__ENDPOINTS__SHOP__URL", self.receiver.url()),
            ("HOLDFAST__ENDPOINTS__SHOP__SECRETS", SECRET.to_owned()),
            ("USER", "aina".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        let around = Around {
            env: &env,
            input: &mut std::io::empty(),
            warnings: &mut std::io::sink(),
        };
        let line = ["holdfast", "--json"].iter().chain(line);
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        run(cli, around, &mut out).await?;
        Ok(serde_json::from_slice(&out).unwrap())
    }
}

#[tokio::test]
async fn a_range_is_sent_again_under_the_same_names() {
    let mail = Mail::start().await;
    let (one, two) = (mail.paid("one").await, mail.paid("two").await);
    mail.deliver().await;
    let mut before = mail.ids();
    assert_eq!(before.len(), 4);
    assert_eq!(mail.replay(&all()).await, 4);
    mail.deliver().await;
    let mut again = mail.ids().split_off(4);
    for id in [&one, &two] {
        let told = ["payment.new", "payment.paid"];
        assert_eq!(mail.told(id), [told, told].concat());
    }
    before.sort();
    again.sort();
    assert_eq!(before, again);
    let of_one = Range {
        payment: Some(one.clone()),
        ..all()
    };
    assert_eq!(mail.replay(&of_one).await, 2);
    assert_eq!(
        mail.replay(&of_one).await,
        2,
        "what is pending is pending once"
    );
    assert_eq!(mail.pending().await, 2);
    mail.deliver().await;
    assert_eq!((mail.told(&one).len(), mail.told(&two).len()), (6, 4));
}

#[tokio::test]
async fn a_replay_keeps_the_order_of_what_is_pending() {
    let mail = Mail::start().await;
    let id = mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    mail.receiver.answer(&[Answer::Status(500)]);
    mail.stage.work().await;
    mail.deliver().await;
    assert_eq!(mail.replay(&all()).await, 2);
    mail.pass_s(5);
    mail.deliver().await;
    assert_eq!(
        mail.told(&id),
        ["payment.new", "payment.paid", "payment.new", "payment.paid"]
    );
}

#[tokio::test]
async fn a_range_ends_where_it_is_told_to() {
    let mail = Mail::start().await;
    let store = &mail.stage.store;
    let one = mail.paid("one").await;
    let last = kept(store, &all()).await;
    let last = last.iter().map(|event| event.written_at).max().unwrap();
    // Redis dates what it writes itself, to the millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    mail.paid("two").await;
    let up_to = Range {
        to: Some(last),
        ..all()
    };
    let before = kept(store, &up_to).await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|event| event.head.payment == one));
    let from = Range {
        from: Some(last + TimeDelta::milliseconds(1)),
        ..all()
    };
    let after = kept(store, &from).await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|event| event.head.payment != one));
}

#[tokio::test]
async fn trimming_passes_no_cursor_and_takes_nothing_from_what_is_pending() {
    let options = RedisOptions {
        // Streams are trimmed by whole nodes.
        lines: vec!["stream-node-max-entries 1".to_owned()],
        ..RedisOptions::default()
    };
    let mail = Mail::on(options).await;
    let store = &mail.stage.store;
    let id = mail.paid("one").await;
    let (none, days) = (TimeDelta::zero(), TimeDelta::days(30));
    let count = async || kept(store, &all()).await.len();
    assert_eq!(
        store.trim_events(none).await.unwrap(),
        0,
        "nobody has them yet"
    );
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    // The endpoint has its copies; another one, which is not served, stands where it stood.
    let idle = endpoint("idle", "http://127.0.0.1:9/");
    mail.outbox.spread(&idle).await.unwrap();
    mail.paid("two").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    assert_eq!(store.trim_events(days).await.unwrap(), 0, "they are young");
    assert!(store.trim_events(none).await.unwrap() >= 1);
    assert!(count().await >= 2, "what the idle one has not is kept");
    store.forget(&idle.name).await.unwrap();
    store.trim_events(none).await.unwrap();
    // An entry at the cursor itself may stay.
    assert!(count().await <= 8, "{}", count().await);
    mail.deliver().await;
    assert_eq!(mail.told(&id), ["payment.new", "payment.paid"]);
    assert_eq!(mail.receiver.heard().len(), 4);
}

#[tokio::test]
async fn operators_see_and_command_endpoints_with_a_reason() {
    let mail = Mail::start().await;
    let id = mail.paid("one").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    let listed = mail.types(&["endpoints", "list"]).await.unwrap();
    let shop = &listed["endpoints"][0];
    assert_eq!(shop["name"], "shop");
    assert_eq!(shop["status"], "enabled");
    assert_eq!(shop["pending_events"], 2);
    assert!(shop["oldest_pending_at"].is_string());
    let off = ["endpoints", "disable", "shop", "--reason", "moving house"];
    mail.types(&off).await.unwrap();
    let listed = mail.types(&["endpoints", "list"]).await.unwrap();
    let shop = &listed["endpoints"][0];
    assert_eq!(
        (&shop["status"], &shop["by"]),
        (&"disabled".into(), &"aina".into())
    );
    assert_eq!(shop["why"], "moving house");
    let on = [
        "endpoints",
        "enable",
        "shop",
        "--reason",
        "moved",
        "--actor",
        "budi",
    ];
    let enabled = mail.types(&on).await.unwrap();
    assert_eq!(enabled["payments_due_now"], 1);
    let log = mail.types(&["endpoints", "log"]).await.unwrap();
    assert_eq!(log["log"][0]["by"], "budi");
    assert_eq!(log["log"][1]["why"], "moving house");
    let refused = mail
        .types(&["endpoints", "forget", "shop", "--reason", "old"])
        .await;
    assert_eq!(refused.unwrap_err().exit_code(), 3);
    let unknown = ["endpoints", "enable", "shpo", "--reason", "x"];
    let told = mail.types(&unknown).await.unwrap_err();
    assert_eq!(told.exit_code(), 2);
    assert!(told.to_string().contains("shop"), "{told}");
    let line = ["events", "list", "--payment", id.as_str()];
    let events = mail.types(&line).await.unwrap();
    let kinds: Vec<_> = events["events"].as_array().unwrap().iter().collect();
    assert_eq!(kinds.len(), 2);
    assert_eq!(kinds[1]["type"], "payment.paid");
    assert_eq!(kinds[1]["data"]["taken"]["amount"], 1500);
}

#[tokio::test]
async fn a_replay_says_how_many_before_it_is_done() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    mail.deliver().await;
    let line = [
        "events",
        "replay",
        "--endpoint",
        "shop",
        "--from",
        "2020-01-01T00:00:00Z",
        "--reason",
        "restored",
    ];
    let dry = [&line[..], &["--dry-run"]].concat();
    let told = mail.types(&dry).await.unwrap();
    assert_eq!((&told["events"], &told["payments"]), (&2.into(), &1.into()));
    assert_eq!(mail.pending().await, 0, "nothing was done");
    let told = mail.types(&line).await.unwrap();
    assert_eq!(told["events"], 2);
    assert_eq!(mail.pending().await, 2);
    let log = mail.types(&["endpoints", "log"]).await.unwrap();
    assert_eq!(
        (&log["log"][0]["what"], &log["log"][0]["why"]),
        (&"replayed".into(), &"restored".into())
    );
    // Nobody replays everything by forgetting to say what.
    let everything = [
        "holdfast",
        "events",
        "replay",
        "--endpoint",
        "shop",
        "--reason",
        "x",
    ];
    assert!(Cli::try_parse_from(everything).is_err());
}

#[tokio::test]
async fn stats_warn_of_a_disabled_endpoint() {
    let mail = Mail::start().await;
    mail.types(&["endpoints", "disable", "shop", "--reason", "moving"])
        .await
        .unwrap();
    let env = [("HOLDFAST__REDIS__URL".to_owned(), mail.redis.url())];
    let mut warnings = Vec::new();
    let around = Around {
        env: &env,
        input: &mut std::io::empty(),
        warnings: &mut warnings,
    };
    let cli = Cli::try_parse_from(["holdfast", "stats"]).unwrap();
    run(cli, around, &mut Vec::new()).await.unwrap();
    let told = String::from_utf8(warnings).unwrap();
    assert!(told.contains("endpoint shop is disabled"), "{told}");
}

#[tokio::test]
async fn a_new_secret_is_one_that_the_settings_take() {
    let mail = Mail::start().await;
    let made = mail.types(&["endpoints", "new-secret"]).await.unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert!(SigningSecret::parse(secret).is_some());
}
