//! What callers are told while something is wrong here, and that nothing is told that is not so.

use holdfast::store::redis::{self, RedisStore};
use holdfast_rig::{Redis, RedisOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::queue::watched::Watched;

fn anybody() -> (Vec<ApiKey>, Pace) {
    (vec![shop()], PACE)
}

#[tokio::test]
async fn nothing_new_is_taken_that_the_store_may_forget_and_repeats_are_answered() {
    let shop = Shop::open().await;
    let body = shop.charge(1_500);
    let known = shop.served.post("/v1/payments", Some("known"), &body).await;
    let address = format!("/v1/payments/{}", known.id());
    let cancel = format!("{address}/cancel");
    let reschedule = format!("{address}/reschedule");
    let plan = json!({"release_at": "2027-02-01T00:00:00Z"});
    let first = shop.served.post(&reschedule, Some("p"), &plan).await;
    shop.stage.store.fall_short(Some("appendfsync is everysec"));
    let new = shop.served.post("/v1/payments", Some("new"), &body).await;
    new.is(503, "store_unavailable");
    let new = shop.served.post(&cancel, Some("x"), &json!({})).await;
    new.is(503, "store_unavailable");
    assert!(new.header("retry-after").is_some());
    let mut keyed = body.clone();
    keyed["idempotency_key"] = json!("in a batch");
    let batch = json!({ "requests": [keyed] });
    let batch = shop.served.post("/v1/payments:batch", None, &batch).await;
    assert_eq!(batch.body["results"][0]["status"], 503);

    let again = shop.served.post("/v1/payments", Some("known"), &body).await;
    assert_eq!((again.status, again.id()), (200, known.id()));
    let again = shop.served.post(&reschedule, Some("p"), &plan).await;
    assert_eq!(
        (again.status, again.body["code"].as_str()),
        (first.status, first.body["code"].as_str())
    );
    assert_eq!(shop.served.get(&address).await.status, 200);
    assert_eq!(shop.stage.store.all().len(), 1);

    shop.stage.store.fall_short(None);
    let taken = shop.served.post(&cancel, Some("x"), &json!({})).await;
    assert_eq!(taken.status, 202, "{taken:?}");
}

#[tokio::test]
async fn a_payment_that_always_changes_first_takes_no_command_and_says_so() {
    let clock = Clock::manual(start_time());
    let store = Arc::new(Watched::new(MemoryStore::new(clock.clone(), 30_000)));
    let served = Served::over(Arc::clone(&store), &clock, vec![shop()], PACE).await;
    let asked = served
        .post("/v1/payments", Some("k"), &charge(TOKEN, 1_500))
        .await;
    store.let_records_change();
    let cancel = format!("/v1/payments/{}/cancel", asked.id());
    let busy = served.post(&cancel, Some("x"), &json!({})).await;
    busy.is(409, "busy");
    assert!(busy.header("retry-after").is_some());
    let seen = served.get(&format!("/v1/payments/{}", asked.id())).await;
    assert_eq!(seen.body["commands"], json!([]));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_told_as_that_and_left_as_it_is() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::system();
    let settings = redis::Settings {
        url: redis.url(),
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let served = Served::over(Arc::new(store), &clock, vec![shop()], PACE).await;
    let mut raw = crate::store::on_redis::raw(&redis).await;
    for (key, broken) in [("text", "SET"), ("hash", "HSET")] {
        let id = PaymentId::derive(&account(), &IdempotencyKey::new(key).unwrap());
        let at = format!("{{hf:{}}}:payment:{id}", id.spread() % 8);
        let mut command = ::redis::cmd(broken);
        command.arg(&at);
        if broken == "HSET" {
            command.arg("version").arg("1").arg("body");
        }
        let () = command
            .arg("not a payment")
            .query_async(&mut raw)
            .await
            .unwrap();
        let address = format!("/v1/payments/{id}");
        served.get(&address).await.is(500, "record_unreadable");
        let kind: String = ::redis::cmd("TYPE")
            .arg(&at)
            .query_async(&mut raw)
            .await
            .unwrap();
        assert_eq!(kind, if broken == "SET" { "string" } else { "hash" });
    }
}

#[tokio::test]
async fn who_waits_longer_than_a_request_may_take_is_told_to_repeat_it() {
    let clock = Clock::manual(start_time());
    let store = Arc::new(MemoryStore::new(clock.clone(), 30_000));
    let limits = Limits {
        request_timeout_ms: 300,
        ..LIMITS
    };
    let served = Served::within(limits, Arc::clone(&store), &clock, anybody()).await;
    let body = charge(TOKEN, 1_500);
    let late = served.post("/v1/payments?wait=5s", Some("k"), &body).await;
    late.is(503, "store_unavailable");
    let again = served.post("/v1/payments", Some("k"), &body).await;
    assert_eq!((again.status, store.all().len()), (200, 1));
}

#[tokio::test]
async fn what_breaks_on_one_request_is_told_to_its_sender_and_holds_up_no_other() {
    let shop = Shop::open().await;
    let body = shop.charge(1_500);
    shop.stage.store.disturb(|_| panic!("it is meant to break"));
    let broken = shop.served.post("/v1/payments", Some("k"), &body).await;
    broken.is(503, "store_unavailable");
    shop.stage.store.disturb(|_| None);
    let again = shop.served.post("/v1/payments", Some("k"), &body).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn batches_beyond_those_that_fit_are_sent_away_and_then_taken() {
    let shop = Shop::open().await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut sender = TcpStream::connect(shop.served.address).await.unwrap();
        let head = format!(
            "POST /v1/payments:batch HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {SHOP}\r\n\
             Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
        );
        sender.write_all(head.as_bytes()).await.unwrap();
        slow.push(sender);
    }
    let batch = json!({"requests": [7]});
    let ask = || shop.served.post("/v1/payments:batch", None, &batch);
    let mut heard = ask().await;
    while heard.status == 200 {
        // The slow ones have not all arrived.
        tokio::task::yield_now().await;
        heard = ask().await;
    }
    heard.is(429, "rate_limited");
    assert!(heard.header("retry-after").is_some());
    drop(slow);
    while heard.status == 429 {
        tokio::task::yield_now().await;
        heard = ask().await;
    }
    assert_eq!(heard.status, 200);
}
