//! To ask for payments.

use std::collections::BTreeMap;

use holdfast::store::redis::{self, RedisStore};
use holdfast_rig::{Redis, RedisOptions};

use super::*;

#[tokio::test]
async fn a_charge_is_recorded_once_and_its_repeat_is_answered_with_what_became_of_it() {
    let shop = Shop::open().await;
    let body = shop.charge(1500);
    let first = shop
        .served
        .post("/v1/payments", Some("order-7"), &body)
        .await;
    assert_eq!((first.status, &first.body["state"]), (201, &json!("new")));
    assert_eq!(first.header("idempotent-replayed"), None);
    let address = format!("/v1/payments/{}", first.id());
    assert_eq!(first.header("location"), Some(&*address));
    shop.stage.work().await;
    let quoted = Some("\"order-7\"");
    let again = shop.served.post("/v1/payments", quoted, &body).await;
    assert_eq!((again.status, &again.body["state"]), (200, &json!("paid")));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        again.body["taken"],
        json!({"amount": 1500, "currency": "MYR"})
    );
    let id = PaymentId::new(first.id()).unwrap();
    assert_eq!(shop.stage.taken(&id), (1500, 1));
}

#[tokio::test]
async fn a_key_with_another_content_is_refused_and_without_a_key_nothing_is_done() {
    let shop = Shop::open().await;
    let (body, dearer) = (shop.charge(1500), shop.charge(2500));
    shop.served.post("/v1/payments", Some("k"), &body).await;
    let other = shop.served.post("/v1/payments", Some("k"), &dearer).await;
    other.is(422, "idempotency_key_reused");
    let none = shop.served.post("/v1/payments", None, &body).await;
    none.is(400, "idempotency_key_missing");
    let mut differs = body.clone();
    differs["idempotency_key"] = json!("inside");
    let two = shop
        .served
        .post("/v1/payments", Some("outside"), &differs)
        .await;
    two.is(400, "invalid_request");
    let inside = shop.served.post("/v1/payments", None, &differs).await;
    assert_eq!(
        (inside.status, &inside.body["idempotency_key"]),
        (201, &json!("inside"))
    );
    assert_eq!(shop.stage.store.stats().await.unwrap().unfinished, 2);
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_field() {
    let shop = Shop::open().await;
    let cases = [
        (
            "money.amount",
            json!({"amount": -1, "currency": "MYR"}),
            "/money",
        ),
        ("account", json!("nowhere"), "/account"),
        (
            "money.currency",
            json!({"amount": 1500, "currency": "ringgit"}),
            "/money",
        ),
        ("type", json!("refund"), "/type"),
    ];
    for (field, value, at) in cases {
        let mut body = shop.charge(1500);
        *body.pointer_mut(at).unwrap() = value;
        let heard = shop.served.post("/v1/payments", Some(field), &body).await;
        heard.is(400, "invalid_request");
        assert_eq!(heard.body["field"], field);
    }
    assert_eq!(shop.stage.store.stats().await.unwrap().unfinished, 0);
}

#[tokio::test]
async fn who_waits_for_a_charge_has_its_outcome_in_the_same_answer() {
    let shop = Shop::open().await;
    let body = shop.charge(1500);
    let asked = shop.served.post("/v1/payments?wait=5s", Some("k"), &body);
    let worked = async {
        while shop.stage.store.stats().await.unwrap().unfinished == 0 {
            tokio::task::yield_now().await;
        }
        shop.stage.work().await;
    };
    let (heard, ()) = tokio::join!(asked, worked);
    assert_eq!((heard.status, &heard.body["state"]), (201, &json!("paid")));
    // Nobody works: the answer comes when the time is over.
    let body = shop.charge(1500);
    let heard = shop
        .served
        .post("/v1/payments?wait=50ms", Some("other"), &body)
        .await;
    assert_eq!((heard.status, &heard.body["state"]), (201, &json!("new")));
    let wrong = shop
        .served
        .post("/v1/payments?wait=soon", Some("k"), &body)
        .await;
    wrong.is(400, "invalid_query");
}

#[tokio::test]
async fn a_link_is_shown_while_the_payer_may_pay_and_a_token_once_the_card_is_saved() {
    let shop = Shop::open().await;
    let body = json!({"type": "save_card", "account": "hotel",
        "customer": {"email": "payer@test.example"}});
    let asked = shop.served.post("/v1/payments", Some("card"), &body).await;
    let address = format!("/v1/payments/{}", asked.id());
    shop.stage.work().await;
    let waiting = shop.served.get(&address).await;
    assert_eq!(waiting.body["state"], "awaiting_payer");
    assert!(waiting.body["checkout_url"].is_string() && waiting.body["token"].is_null());
    shop.stage
        .payer_pays(&PaymentId::new(asked.id()).unwrap())
        .await;
    shop.stage.work_for(TimeDelta::minutes(5)).await;
    let saved = shop.served.get(&address).await;
    assert_eq!(saved.body["state"], "saved");
    assert!(saved.body["checkout_url"].is_null() && saved.body["token"].is_string());
}

#[tokio::test]
async fn a_batch_answers_each_of_its_requests() {
    let shop = Shop::open().await;
    let with = |key: &str, amount: u64| {
        let mut body = charge(TOKEN, amount);
        body["idempotency_key"] = json!(key);
        body
    };
    let requests = json!({"requests": [
        with("a", 100), with("b", 200), with("a", 100), with("a", 300), charge(TOKEN, 1), 7,
    ]});
    let heard = shop
        .served
        .post("/v1/payments:batch", None, &requests)
        .await;
    assert_eq!(heard.status, 200);
    let results = heard.body["results"].as_array().unwrap();
    let told: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    // Which of the two that are alike came first is open.
    let mut alike = [told[0].as_u64(), told[2].as_u64()];
    alike.sort_unstable();
    assert_eq!(alike, [Some(200), Some(201)]);
    assert_eq!([told[1], told[3], told[4], told[5]], [201, 422, 400, 400]);
    assert_eq!(results[4]["problem"]["code"], "idempotency_key_missing");
    assert_eq!(shop.stage.store.stats().await.unwrap().unfinished, 2);
    let whole: Vec<Value> = (0..1_000).map(|n| with(&format!("whole-{n}"), 1)).collect();
    let whole = json!({ "requests": whole });
    let heard = shop.served.post("/v1/payments:batch", None, &whole).await;
    assert_eq!(heard.body["results"].as_array().unwrap().len(), 1_000);
    assert_eq!(shop.stage.store.stats().await.unwrap().unfinished, 1_002);
    for wrong in [
        json!({}),
        json!({"requests": []}),
        json!({"requests": [], "more": 1}),
    ] {
        let heard = shop.served.post("/v1/payments:batch", None, &wrong).await;
        heard.is(400, "invalid_request");
    }
    let many: Vec<Value> = (0..1_001).map(|n| with(&n.to_string(), 1)).collect();
    let many = shop
        .served
        .post("/v1/payments:batch", None, &json!({"requests": many}))
        .await;
    many.is(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_posts_at_once_with_one_key_make_one_payment() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::system();
    let settings = redis::Settings {
        url: redis.url(),
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let store = Arc::new(store);
    let served = Served::over(Arc::clone(&store), &clock, vec![shop()], PACE).await;
    let alike = charge(TOKEN, 1500);
    let posts = (0..1_000).map(|_| served.post("/v1/payments", Some("same"), &alike));
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for heard in futures_util::future::join_all(posts).await {
        *counts.entry(heard.status).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(200, 999), (201, 1)]));

    let bodies: Vec<Value> = (1..=1_000).map(|amount| charge(TOKEN, amount)).collect();
    let posts = bodies
        .iter()
        .map(|body| served.post("/v1/payments", Some("each"), body));
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for heard in futures_util::future::join_all(posts).await {
        *counts.entry(heard.status).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(201, 1), (422, 999)]));
    assert_eq!(store.stats().await.unwrap().unfinished, 2);
}

#[tokio::test]
async fn while_the_store_is_away_the_caller_is_told_to_repeat() {
    let shop = Shop::open().await;
    shop.stage
        .store
        .disturb(|call| (call != "card").then_some(holdfast::store::memory::Trouble::ReplyLost));
    let body = shop.charge(1500);
    let heard = shop.served.post("/v1/payments", Some("k"), &body).await;
    heard.is(503, "store_unavailable");
    shop.stage.store.disturb(|_| None);
    let again = shop.served.post("/v1/payments", Some("k"), &body).await;
    assert_eq!(
        again.status, 200,
        "it was recorded, and the answer was lost"
    );
    assert_eq!(shop.stage.store.stats().await.unwrap().unfinished, 1);
}

#[tokio::test]
async fn a_hold_is_adopted_once_and_whoever_adopts_it_again_is_told_so() {
    let shop = Shop::open().await;
    let adopt = json!({"type": "adopt", "account": "hotel",
        "purchase": "5a9e3c1c-0000-4000-8000-000000000002",
        "money": {"amount": 100, "currency": "MYR"}});
    let first = shop.served.post("/v1/payments", Some("a"), &adopt).await;
    assert_eq!(first.status, 201);
    assert_eq!(
        shop.served
            .post("/v1/payments", Some("a"), &adopt)
            .await
            .status,
        200
    );
    let again = shop.served.post("/v1/payments", Some("b"), &adopt).await;
    again.is(409, "already_adopted");
    assert!(again.body["detail"].as_str().unwrap().contains(first.id()));
}

#[tokio::test]
async fn what_was_asked_while_it_was_allowed_is_answered_when_it_is_not_any_more() {
    let shop = Shop::open().await;
    let body = shop.charge(1500);
    let first = shop.served.post("/v1/payments", Some("k"), &body).await;
    let narrow = ApiKey {
        largest_amount_minor: Some(1),
        ..super::shop()
    };
    shop.served.ring.replace(vec![narrow]);
    let again = shop.served.post("/v1/payments", Some("k"), &body).await;
    assert_eq!((again.status, again.id()), (200, first.id()));
    let other = shop.served.post("/v1/payments", Some("k2"), &body).await;
    other.is(403, "amount_forbidden");
}
