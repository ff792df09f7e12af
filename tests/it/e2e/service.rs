//! The API of a real worker: who asks a thousand times gets one payment, whatever becomes of the
//! worker meanwhile; keys and accounts are exchanged while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use chip_sandbox::Operation;
use futures_util::future::join_all;
use holdfast::payment::PaymentId;
use holdfast::store::Store;
use holdfast_rig::{Pace, RESENDS, WorkerProcess, Works};
use serde_json::{Value, json};

use super::stage::{arrived, assert_paid_once, until, until_paid, works};

struct Door {
    url: String,
    key: String,
    client: reqwest::Client,
}

impl Door {
    /// A worker that serves the API at an address that it keeps when it is started again.
    fn open(works: &Works) -> (Self, Vec<(String, String)>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap().to_string();
        let door = Self {
            url: format!("http://{address}/v1/payments"),
            key: works.api_key("shop").unwrap(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        // A thousand callers at once share two cores with whoever answers them.
        let settings = [
            ("HOLDFAST__API__LISTEN", address.as_str()),
            ("HOLDFAST__API__LIMITS__STORE_TIMEOUT_MS", "30000"),
            ("HOLDFAST__API__LIMITS__REQUEST_TIMEOUT_MS", "100000"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        (door, settings.into())
    }

    /// The status and the payment's id, if there was an answer.
    async fn ask(&self, key: &str, body: &Value) -> Option<(u16, Option<String>)> {
        let request = self.client.post(&self.url).bearer_auth(&self.key);
        let request = request.header("Idempotency-Key", key).json(body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let told: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        Some((status, told["id"].as_str().map(ToOwned::to_owned)))
    }

    /// What is answered at another address.
    async fn at(&self, method: &str, path: &str) -> Value {
        let url = self.url.replace("payments", path);
        let request = self.client.request(method.parse().unwrap(), url);
        let answer = request.bearer_auth(&self.key).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn until_it_answers(&self, worker: &WorkerProcess) {
        let shut = || async { self.ask("", &json!({})).await.is_none() };
        for _ in 0..400 {
            if !shut().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the API does not answer: {}", worker.tail(10));
    }
}

fn charge(token: &str, amount: u64) -> Value {
    json!({
        "type": "charge", "account": RESENDS, "token": token,
        "money": {"amount": amount, "currency": "MYR"},
        "customer": {"email": "payer@test.example"},
    })
}

/// Posts all of them at once under one key, kills the worker in the middle, and posts them again to
/// another. How often each status was answered, and the payments that were named.
async fn posted_to_a_worker_that_is_killed(
    works: &Works,
    bodies: &[Value],
) -> (BTreeMap<u16, usize>, Vec<String>) {
    let (door, listen) = Door::open(works);
    let mut worker = works.worker_with("first", &listen).unwrap();
    door.until_it_answers(&worker).await;
    let posts = join_all(bodies.iter().map(|body| door.ask("order-7", body)));
    let killed = async {
        let recorded = async || !works.store.stats().await.unwrap().by_state.is_empty();
        until(works, "it is recorded", recorded).await;
        worker.kill().unwrap();
    };
    let (heard, ()) = tokio::join!(posts, killed);
    let second = works.worker_with("second", &listen).unwrap();
    door.until_it_answers(&second).await;
    let again = join_all(bodies.iter().map(|body| door.ask("order-7", body))).await;
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut ids: Vec<String> = Vec::new();
    for (status, id) in heard.into_iter().chain(again).flatten() {
        *statuses.entry(status).or_default() += 1;
        ids.extend(id);
    }
    ids.sort();
    ids.dedup();
    until_paid(works, 1).await;
    (statuses, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_posts_and_a_killed_worker_make_one_payment_that_is_paid_once() {
    let (works, token) = works(Pace::QUICK).await;
    let bodies = vec![charge(&token, 1_500); 1_000];
    let (statuses, mut ids) = posted_to_a_worker_that_is_killed(&works, &bodies).await;
    assert_eq!(ids.len(), 1, "{statuses:?}");
    assert!(
        statuses.get(&201).is_none_or(|made| *made == 1),
        "{statuses:?}"
    );
    assert!(statuses[&200] >= 1_000, "{statuses:?}");
    assert_paid_once(&works, &[PaymentId::new(ids.remove(0)).unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_different_posts_under_one_key_one_is_paid_though_the_worker_is_killed() {
    let (works, token) = works(Pace::QUICK).await;
    let bodies: Vec<Value> = (1..=1_000).map(|amount| charge(&token, amount)).collect();
    let (statuses, mut ids) = posted_to_a_worker_that_is_killed(&works, &bodies).await;
    assert_eq!(ids.len(), 1, "{statuses:?}");
    assert!(statuses[&422] >= 999, "{statuses:?}");
    let told_of_it = statuses.get(&201).unwrap_or(&0) + statuses.get(&200).unwrap_or(&0);
    assert!((1..=2).contains(&told_of_it), "{statuses:?}");
    assert_paid_once(&works, &[PaymentId::new(ids.remove(0)).unwrap()]).await;
}

#[tokio::test]
async fn a_key_is_exchanged_in_a_running_worker() {
    let (works, token) = works(Pace::QUICK).await;
    let (mut door, listen) = Door::open(&works);
    let worker = works.worker_with("worker", &listen).unwrap();
    door.until_it_answers(&worker).await;
    let body = charge(&token, 1_500);
    assert_eq!(door.ask("one", &body).await.unwrap().0, 201);
    let old = std::mem::replace(&mut door.key, works.api_key("shop-2").unwrap());
    assert_eq!(door.ask("two", &body).await.unwrap().0, 401);
    worker.signal("HUP").unwrap();
    let opens = async || matches!(door.ask("two", &body).await, Some((200 | 201, _)));
    until(&works, "the new key opens", opens).await;
    // Both are valid for as long as both are configured.
    door.key = old;
    assert_eq!(door.ask("two", &body).await.unwrap().0, 200);
}

#[tokio::test]
async fn an_account_is_added_to_a_running_worker_and_its_payments_are_made() {
    let (works, token) = works(Pace::QUICK).await;
    let (door, listen) = Door::open(&works);
    let worker = works.worker_with("worker", &listen).unwrap();
    door.until_it_answers(&worker).await;
    let mut body = charge(&token, 1_500);
    body["account"] = json!("late");
    assert_eq!(door.ask("one", &body).await.unwrap().0, 400);
    works.add_account("late").unwrap();
    worker.signal("HUP").unwrap();
    let known = async || matches!(door.ask("one", &body).await, Some((200 | 201, _)));
    until(&works, "the account is known", known).await;
    until_paid(&works, 1).await;
    let (_, id) = door.ask("one", &body).await.unwrap();
    assert_paid_once(&works, &[PaymentId::new(id.unwrap()).unwrap()]).await;
}

#[tokio::test]
async fn a_running_worker_knows_the_card_it_charged_deletes_it_and_charges_it_no_more() {
    let (works, token) = works(Pace::QUICK).await;
    let (door, listen) = Door::open(&works);
    let worker = works.worker_with("worker", &listen).unwrap();
    door.until_it_answers(&worker).await;
    let body = charge(&token, 1_500);
    let (_, id) = door.ask("one", &body).await.unwrap();
    until_paid(&works, 1).await;
    let payment = door.at("GET", &format!("payments/{}", id.unwrap())).await;
    let card = format!("cards/{}", payment["card"]["id"].as_str().unwrap());
    let is = async |method: &str, state: &str| door.at(method, &card).await["state"] == state;
    until(&works, "the card is known", async || {
        is("GET", "live").await
    })
    .await;
    assert!(is("DELETE", "deleting").await);
    until(&works, "it is deleted", async || is("DELETE", "dead").await).await;
    assert_eq!(arrived(&works, Operation::DeleteToken), 1);
    assert_eq!(door.ask("two", &body).await.unwrap().0, 409);
    assert_eq!(door.ask("one", &body).await.unwrap().0, 200);
    assert_eq!(arrived(&works, Operation::Charge), 1);
}
