//! `/metrics` of a real worker: right while it works, at once while Redis is away, without a secret.

use std::time::Duration;

use chip_sandbox::Operation;
use holdfast::payment::{Command, IdempotencyKey, StateName};
use holdfast::store::Store;
use holdfast_rig::{PARKS, Pace, Works};
use tokio::time::{Instant, timeout};

use super::stage::{arrived, charge, count_in, until, until_paid, works};
use crate::metrics::Scrape;

/// How long an answer from memory may take on a busy machine; Redis is given up after far longer.
const AT_ONCE: Duration = Duration::from_millis(1_500);

struct Worker {
    address: String,
    client: reqwest::Client,
}

impl Worker {
    fn at_a_free_address() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: port.local_addr().unwrap().to_string(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn listens(&self) -> (String, String) {
        ("HOLDFAST__HTTP__LISTEN".to_owned(), self.address.clone())
    }

    async fn asks(&self, path: &str) -> Option<reqwest::Response> {
        let url = format!("http://{}{path}", self.address);
        self.client.get(url).send().await.ok()
    }

    async fn scrape(&self) -> Option<(String, Scrape)> {
        let answer = self.asks("/metrics").await?;
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let text = answer.text().await.ok()?;
        Some((text.clone(), Scrape::read(text)))
    }
}

/// Each part that has a connection of its own is told of.
fn assert_links(told: &Scrape) {
    for link in [
        "worker", "doorman", "plans", "overview", "events", "observer", "cards",
    ] {
        told.is("holdfast_redis_up", &[("link", link)], 1.0);
        told.is("holdfast_redis_durable", &[("link", link)], 1.0);
    }
    let gate = [("script", "note_worker"), ("outcome", "answered")];
    assert!(told.get("holdfast_redis_seconds_count", &gate) >= Some(1.0));
}

/// How many listen for hints.
fn listening(works: &Works) -> usize {
    let mut redis = redis::Client::open(works.redis.url()).unwrap();
    let mut ask = redis::cmd("PUBSUB");
    let (_, count): (String, usize) = ask.arg("NUMSUB").arg("hf:wake").query(&mut redis).unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_what_it_did_without_a_secret_and_at_once_while_redis_is_away() {
    let (mut works, token) = works(Pace::QUICK).await;
    let door = Worker::at_a_free_address();
    let request = format!(
        r#"{{"v":1,"account":"{PARKS}","idempotency_key":"canary-key","reference":"canary room",
        "type":"authorize","money":{{"amount":45000,"currency":"MYR"}},"source":{{"token":"{token}"}},
        "plan":{{}},"customer":{{"email":"canary@secret.example","full_name":"Canary Bird"}}}}"#
    );
    let held = works.enqueue(&request).await.unwrap();
    let paid = works.enqueue(&charge(PARKS, "k", &token)).await.unwrap();
    let _worker = works.worker_with("one", &[door.listens()]).unwrap();
    until(&works, "the hold", async || {
        count_in(&works, StateName::Held).await == 1
    })
    .await;
    let mut loaded = works.load(&held).await.unwrap();
    let (key, now) = (IdempotencyKey::new("take").unwrap(), works.clock.now());
    let capture = Command::Capture { amount: None };
    loaded.payment.command(key, capture, now).unwrap();
    works.store.command(&loaded, Some(now), None).await.unwrap();
    until_paid(&works, 2).await;
    assert_eq!(arrived(&works, Operation::Capture), 1);

    let hotel = ("account", PARKS);
    until(&works, "all of it is counted", async || {
        let Some((_, told)) = door.scrape().await else {
            return false;
        };
        let paid = [hotel, ("state", "paid")];
        told.get("holdfast_payment_changes_total", &paid) == Some(2.0)
            && told
                .get("holdfast_observed_timestamp_seconds", &[])
                .is_some()
    })
    .await;
    let (text, told) = door.scrape().await.unwrap();
    for (step, count) in [("create", 2.0), ("charge", 2.0), ("capture", 1.0)] {
        let done = [hotel, ("step", step), ("verdict", "done")];
        told.is("holdfast_attempts_total", &done, count);
        let answer = [hotel, ("operation", step), ("class", "done")];
        told.is("holdfast_gateway_answers_total", &answer, count);
    }
    assert_links(&told);
    told.is("holdfast_turns_limit", &[], 32.0);
    let never = [hotel, ("reason", "poison")];
    told.is("holdfast_parkings_total", &never, 0.0);
    told.is("holdfast_stopped", &[("scope", "all")], 0.0);
    let ledger = works.sandbox.ledger();
    let purchases = ledger.requests().iter().filter_map(|row| row.purchase_id);
    let mut canaries: Vec<String> = purchases.map(|id| id.to_string()).collect();
    assert!(canaries.len() >= 5);
    canaries.extend([held.to_string(), paid.to_string(), token]);
    // The queue and the doorman, and nobody who never waits.
    assert_eq!(listening(&works), 2);
    let planted = [
        "canary",
        "Canary",
        chip_sandbox::DEFAULT_SECRET_KEY,
        "127.0.0.1",
    ];
    canaries.extend(planted.map(str::to_owned));
    for canary in canaries {
        assert!(!text.contains(&canary), "{canary} is told: {text}");
    }

    works.redis.kill().unwrap();
    let away = async || {
        let asked = Instant::now();
        let (_, told) = timeout(AT_ONCE, door.scrape()).await.unwrap().unwrap();
        assert!(asked.elapsed() < AT_ONCE);
        told.get("holdfast_redis_up", &[("link", "worker")]) == Some(0.0)
    };
    until(&works, "it is told that Redis is away", away).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_address_is_taken_ends_before_it_takes_anything_or_says_that_it_is_there() {
    let (works, token) = works(Pace::QUICK).await;
    works.api_key("shop").unwrap();
    let id = works.enqueue(&charge(PARKS, "k", &token)).await.unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    for setting in ["HOLDFAST__HTTP__LISTEN", "HOLDFAST__API__LISTEN"] {
        let listens = (setting.to_owned(), address.clone());
        let mut worker = works.worker_with(setting, &[listens]).unwrap();
        let ended = worker.ended_within(super::stage::PATIENCE).unwrap();
        let said = worker.tail(10);
        assert_eq!(ended.and_then(|it| it.code()), Some(1), "{said}");
        assert!(said.contains("cannot be listened to"), "{said}");
        assert!(said.contains(setting), "{said}");
    }
    let there = works.store.workers().await.unwrap();
    assert!(there.read.is_empty() && there.unreadable.is_empty());
    assert_eq!(works.load(&id).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_tell_no_figures_tells_none() {
    let (works, _) = works(Pace::QUICK).await;
    let door = Worker::at_a_free_address();
    let silent = ("HOLDFAST__HTTP__METRICS".to_owned(), "false".to_owned());
    let _worker = works.worker_with("one", &[door.listens(), silent]).unwrap();
    until(&works, "it listens", async || {
        door.asks("/livez")
            .await
            .is_some_and(|it| it.status() == 200)
    })
    .await;
    assert_eq!(door.asks("/metrics").await.unwrap().status(), 404);
}
