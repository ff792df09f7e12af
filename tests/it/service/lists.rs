//! To see many payments.

use super::*;

async fn ask(shop: &Shop, number: i64, account: &str, reference: &str) -> String {
    let mut body = charge(TOKEN, 100);
    body["account"] = json!(account);
    body["reference"] = json!(reference);
    let at = start_time() + TimeDelta::days(number);
    body["not_before"] = json!(at.to_rfc3339());
    let key = format!("k{number}");
    let heard = shop.served.post("/v1/payments", Some(&key), &body).await;
    assert_eq!(heard.status, 201, "{heard:?}");
    shop.stage.pass(TimeDelta::milliseconds(1));
    heard.id().to_owned()
}

fn ids(heard: &Heard) -> Vec<String> {
    assert_eq!(heard.status, 200, "{heard:?}");
    let payments = heard.body["payments"].as_array().unwrap();
    payments
        .iter()
        .map(|payment| payment["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_narrowed_down() {
    let shop = Shop::open().await;
    let mut all = Vec::new();
    for number in 1..=7 {
        let account = if number % 3 == 0 { "rental" } else { "hotel" };
        all.push(ask(&shop, number, account, &format!("stay:{}", number % 2)).await);
    }
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = shop
            .served
            .get(&format!("/v1/payments?state=new&limit=3{next}"))
            .await;
        found.extend(ids(&page));
        match page.body["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found, all);
    let of_rental = shop
        .served
        .get("/v1/payments?state=new&account=rental")
        .await;
    assert_eq!(ids(&of_rental), [&*all[2], &*all[5]]);
    let path = "/v1/payments?account=hotel&reference=stay%3A1";
    assert_eq!(
        ids(&shop.served.get(path).await),
        [&*all[0], &*all[4], &*all[6]]
    );
    let none = "/v1/payments?account=hotel&reference=stay%3A1&state=paid";
    assert!(ids(&shop.served.get(none).await).is_empty());
    let due = "/v1/payments?due_before=2027-02-03T06:00:00%2B00:00&limit=2";
    let first = shop.served.get(due).await;
    assert_eq!(ids(&first), all[..2]);
    assert!(
        first.body["next"].is_null(),
        "the third is due at that time, not before"
    );
    let due = "/v1/payments?due_before=2027-02-04T00:00:00%2B08:00&limit=2";
    let first = shop.served.get(due).await;
    let cursor = first.body["next"].as_str().unwrap();
    let second = shop.served.get(&format!("{due}&cursor={cursor}")).await;
    assert_eq!(
        (ids(&first), ids(&second)),
        (all[..2].to_vec(), all[2..3].to_vec())
    );
}

#[tokio::test]
async fn a_query_that_means_nothing_is_refused() {
    let shop = Shop::open().await;
    for query in [
        "",
        "?account=hotel",
        "?reference=stay",
        "?state=lost",
        "?state=new&limit=0",
        "?state=new&limit=201",
        "?state=new&cursor=x",
        "?state=new&sort=up",
        "?due_before=tomorrow",
    ] {
        let heard = shop.served.get(&format!("/v1/payments{query}")).await;
        heard.is(400, "invalid_query");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_to_whoever_may_know_of_it() {
    use holdfast::store::redis::{self, RedisStore};
    use holdfast_rig::{Redis, RedisOptions};
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let clock = Clock::manual(start_time());
    let settings = redis::Settings {
        url: redis.url(),
        ..redis::Settings::default()
    };
    let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
    let narrow = ApiKey {
        accounts: Some([AccountName::new("rental").unwrap()].into()),
        ..shop()
    };
    let store = Arc::new(store);
    let served = Served::over(Arc::clone(&store), &clock, vec![shop()], PACE).await;
    let mut body = charge(TOKEN, 100);
    body["account"] = json!("rental");
    body["reference"] = json!("stay");
    let id = served.post("/v1/payments", Some("k"), &body).await;
    let id = PaymentId::new(id.id()).unwrap();
    let by_state = "/v1/payments?state=new";
    assert_eq!(served.get(by_state).await.body["unreadable"], json!([]));
    let mut raw = crate::store::on_redis::raw(&redis).await;
    let mut set = ::redis::cmd("HSET");
    set.arg(format!("{{hf:{}}}:payment:{id}", id.spread() % 8));
    set.arg("body").arg("{}");
    set.exec_async(&mut raw).await.unwrap();
    let seen = served.get(by_state).await;
    assert_eq!(seen.body["unreadable"], json!([id]), "{seen:?}");
    assert!(ids(&seen).is_empty());
    let limited = Served::over(store, &clock, vec![narrow], PACE).await;
    let seen = limited.get(by_state).await;
    assert_eq!(
        seen.body["unreadable"],
        json!([]),
        "whose it is nobody knows"
    );
    let seen = limited
        .get("/v1/payments?account=rental&reference=stay")
        .await;
    assert_eq!(seen.body["unreadable"], json!([id]), "{seen:?}");
}
