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
    pub(super) async fn types(&self, line: &[&str]) -> Result<Value, Failure> {
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
async fn what_is_sent_again_is_not_given_up_for_its_earlier_tries() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    let (store, name) = (&mail.stage.store, &mail.endpoint.name);
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    let taken = store.take_events(name, 1, 1_000).await.unwrap();
    let due = mail.stage.clock.now() + TimeDelta::hours(1);
    store.postpone(&taken[0], due, 8).await.unwrap();
    mail.stage.clock.advance(TimeDelta::hours(1));
    let again = store.take_events(name, 1, 1_000).await.unwrap();
    assert_eq!(again[0].tries, 8);
    store.postpone(&again[0], due, 9).await.unwrap();
    assert_eq!(mail.replay(&all()).await, 2);
    let again = store.take_events(name, 1, 1_000).await.unwrap();
    assert_eq!((again[0].tries, again[0].first_tried_at), (0, None));
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

/// Streams are trimmed by whole nodes: here, by single entries.
async fn finely() -> Mail {
    Mail::on(RedisOptions {
        lines: vec!["stream-node-max-entries 1".to_owned()],
        ..RedisOptions::default()
    })
    .await
}

#[tokio::test]
async fn trimming_passes_no_cursor_and_takes_nothing_from_what_is_pending() {
    let mail = finely().await;
    let store = &mail.stage.store;
    let (none, days) = (TimeDelta::zero(), TimeDelta::days(30));
    let trim = async |keep| store.trim_events(keep).await.unwrap();
    let count = async || kept(store, &all()).await.len();
    let one = mail.paid("one").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(trim(none).await.events, 0, "nobody has them yet");
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    // The endpoint has its copies; another one, which is not served, stands where it stood.
    let idle = endpoint("idle", "http://127.0.0.1:9/");
    mail.outbox.spread(&idle).await.unwrap();
    let two = mail.paid("two").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let young = trim(days).await;
    assert_eq!((young.events, young.pinned.len()), (0, 0), "they are young");
    let old = trim(none).await;
    assert_eq!(old.pinned, BTreeSet::from([idle.name.clone()]));
    let left = kept(store, &all()).await;
    let of_two = left.iter().filter(|event| event.head.payment == two);
    assert_eq!(of_two.count(), 2, "what the idle one has not is kept");
    let mark = holdfast::store::Mark {
        sends: holdfast::store::Sends::Forgotten,
        at: mail.stage.clock.now(),
        why: "it is gone".to_owned(),
        by: "aina".to_owned(),
        address: None,
    };
    store.forget(&idle.name, &mark).await.unwrap();
    let rest = trim(none).await;
    assert_eq!(rest.pinned, BTreeSet::new());
    // The entry at a cursor itself stays, in the one or two streams that have any.
    assert!(count().await <= 2, "{}", count().await);
    assert!(rest.events >= 1);
    mail.deliver().await;
    for id in [one, two] {
        assert_eq!(mail.told(&id), ["payment.new", "payment.paid"]);
    }
}

#[tokio::test]
async fn a_replay_goes_only_as_far_as_what_was_copied_so_that_the_order_stays() {
    let mail = Mail::start().await;
    let id = mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    mail.stage.work().await;
    // Its end stands in the stream, behind the cursor, with whatever else may stand before it.
    assert_eq!(mail.replay(&all()).await, 1);
    assert_eq!(mail.pending().await, 1);
    mail.deliver().await;
    assert_eq!(
        mail.told(&id),
        ["payment.new", "payment.new", "payment.paid"]
    );
}

#[tokio::test]
async fn a_forgotten_endpoint_is_begun_anew_by_no_worker_that_has_it_still() {
    let mail = Mail::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    let one = mail.paid("one").await;
    until("it is told", async || mail.told(&one).len() == 2).await;
    let store = &mail.stage.store;
    let mark = holdfast::store::Mark {
        sends: holdfast::store::Sends::Forgotten,
        at: mail.stage.clock.now(),
        why: "it is gone".to_owned(),
        by: "aina".to_owned(),
        address: None,
    };
    store.forget(&mail.endpoint.name, &mark).await.unwrap();
    let two = mail.paid("two").await;
    mail.outbox.replace(vec![mail.endpoint.clone()]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(store.known_endpoints().await.unwrap(), BTreeSet::new());
    assert_eq!(mail.told(&two), Vec::<String>::new());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn stats_warn_of_endpoints_that_keep_events_and_are_not_served() {
    let mail = Mail::start().await;
    let gone = endpoint("gone", "http://127.0.0.1:9/");
    mail.outbox.spread(&gone).await.unwrap();
    let env = [
        ("HOLDFAST__REDIS__URL", mail.redis.url()),
        ("HOLDFAST__ENDPOINTS__SHOP__URL", mail.receiver.url()),
        ("HOLDFAST__ENDPOINTS__SHOP__SECRETS", SECRET.to_owned()),
        ("HOLDFAST__ENDPOINTS__SHOP__ENABLED", "false".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value));
    let mut warnings = Vec::new();
    let around = Around {
        env: &env,
        input: &mut std::io::empty(),
        warnings: &mut warnings,
    };
    let cli = Cli::try_parse_from(["holdfast", "stats"]).unwrap();
    run(cli, around, &mut Vec::new()).await.unwrap();
    let told = String::from_utf8(warnings).unwrap();
    assert!(told.contains("endpoint gone is not configured"), "{told}");
    assert!(told.contains("endpoint shop is off"), "{told}");
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

#[tokio::test]
async fn whoever_decides_about_endpoints_and_events_is_logged_before_it_is_done() {
    let mail = Mail::start().await;
    mail.paid("one").await;
    mail.outbox.spread(&mail.endpoint).await.unwrap();
    let listed = mail.types(&["events", "list", "--from", "2020-01-01T00:00:00Z"]);
    let listed = listed.await.unwrap();
    let event = listed["events"][0]["id"].as_str().unwrap();
    for line in [
        &["endpoints", "disable", "shop", "--reason", "moving"][..],
        &["endpoints", "enable", "shop", "--reason", "mended"],
        &[
            "events",
            "skip",
            "--endpoint",
            "shop",
            "--id",
            event,
            "--reason",
            "too old",
        ],
        &[
            "events",
            "replay",
            "--endpoint",
            "shop",
            "--from",
            "2020-01-01T00:00:00Z",
            "--reason",
            "restored",
        ],
    ] {
        mail.types(line).await.unwrap();
    }
    let log = mail.types(&["audit", "list"]).await.unwrap();
    let said: Vec<_> = log["audit"].as_array().unwrap().iter().rev().collect();
    let said: Vec<_> = said
        .iter()
        .map(|one| &one["entry"])
        .map(|entry| {
            [
                &entry["action"],
                &entry["actor"]["name"],
                &entry["reason"],
                &entry["answer"],
            ]
        })
        .map(|four| four.map(|value| value.as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        ["endpoint_disable", "aina", "moving", "asked"],
        ["endpoint_enable", "aina", "mended", "asked"],
        ["event_skip", "aina", "too old", "asked"],
        ["events_replay", "aina", "restored", "asked"],
    ];
    assert_eq!(said, expected);
}
