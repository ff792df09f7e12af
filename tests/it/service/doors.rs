//! Who is let in.

use super::*;

async fn with_keys(keys: Vec<ApiKey>, pace: Pace) -> (Served, Clock, MemoryStore) {
    let clock = Clock::manual(start_time());
    let store = MemoryStore::new(clock.clone(), 30_000);
    let served = Served::over(Arc::new(store.clone()), &clock, keys, pace).await;
    (served, clock, store)
}

async fn ask_with(served: &Served, header: Option<&str>) -> Heard {
    let address = format!("http://{}/v1/payments", served.address);
    let mut request = served.client.post(address).header("Idempotency-Key", "k");
    if let Some(header) = header {
        request = request.header("Authorization", header);
    }
    Heard::of(request.json(&charge(TOKEN, 1500))).await
}

#[tokio::test]
async fn without_a_valid_key_nobody_gets_in_wherever_they_knock() {
    let (served, _, store) = with_keys(vec![shop()], PACE).await;
    for header in [
        None,
        Some("Bearer"),
        Some("Bearer hf_wrong"),
        Some("Basic aGY6"),
    ] {
        let heard = ask_with(&served, header).await;
        heard.is(401, "unauthenticated");
        assert_eq!(heard.header("www-authenticate"), Some("Bearer"));
    }
    for path in ["/v1/payments/x", "/v1/payments?state=new", "/nowhere"] {
        let request = served
            .client
            .get(format!("http://{}{path}", served.address));
        Heard::of(request).await.is(401, "unauthenticated");
    }
    assert_eq!(store.stats().await.unwrap().unfinished, 0);
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_is_exchanged_while_requests_are_served() {
    let ends = ApiKey {
        expires_at: Some(start_time() + TimeDelta::hours(1)),
        ..shop()
    };
    let (served, clock, _) = with_keys(vec![ends], PACE).await;
    let shown = format!("Bearer {SHOP}");
    assert_eq!(ask_with(&served, Some(&shown)).await.status, 201);
    clock.advance(TimeDelta::hours(1));
    ask_with(&served, Some(&shown)).await.is(401, "key_expired");
    served
        .ring
        .replace(vec![key("shop", "hf_new", &[Scope::Enqueue])]);
    ask_with(&served, Some(&shown))
        .await
        .is(401, "unauthenticated");
    assert_eq!(ask_with(&served, Some("Bearer hf_new")).await.status, 200);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_accounts_and_amount_allow() {
    let narrow = ApiKey {
        accounts: Some([account()].into()),
        largest_amount_minor: Some(1_500),
        ..key("narrow", SHOP, &[Scope::Enqueue])
    };
    let reads = ApiKey {
        accounts: Some([AccountName::new("rental").unwrap()].into()),
        ..key("reads", "hf_reads", &[Scope::Read])
    };
    let (served, ..) = with_keys(vec![narrow, reads], PACE).await;
    let ours = served
        .post("/v1/payments", Some("k"), &charge(TOKEN, 1_500))
        .await;
    assert_eq!(ours.status, 201);
    let dear = served
        .post("/v1/payments", Some("k2"), &charge(TOKEN, 1_501))
        .await;
    dear.is(403, "amount_forbidden");
    let mut other = charge(TOKEN, 1);
    other["account"] = json!("rental");
    served
        .post("/v1/payments", Some("k3"), &other)
        .await
        .is(403, "account_forbidden");
    let address = format!("/v1/payments/{}", ours.id());
    served.get(&address).await.is(403, "scope_missing");
    served
        .post(&format!("{address}/cancel"), Some("c"), &json!({}))
        .await
        .is(403, "scope_missing");
    let url = format!("http://{}{address}", served.address);
    let elsewhere = Heard::of(served.client.get(url).bearer_auth("hf_reads")).await;
    elsewhere.is(404, "payment_not_found");
    let url = format!("http://{}/v1/payments?state=new", served.address);
    let listed = Heard::of(served.client.get(url).bearer_auth("hf_reads")).await;
    assert_eq!(listed.body["payments"], json!([]));
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let pace = Pace {
        per_second: 1,
        burst: 3,
    };
    let (served, clock, _) = with_keys(vec![shop()], pace).await;
    for _ in 0..3 {
        served.get("/v1/payments?state=new").await;
    }
    let heard = served.get("/v1/payments?state=new").await;
    heard.is(429, "rate_limited");
    let wait: i64 = heard.header("retry-after").unwrap().parse().unwrap();
    clock.advance(TimeDelta::seconds(wait));
    assert_eq!(served.get("/v1/payments?state=new").await.status, 200);
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let (served, ..) = with_keys(vec![shop()], PACE).await;
    served.get("/v1/nothing").await.is(404, "not_found");
    served
        .get("/v1/payments:batch")
        .await
        .is(405, "method_not_allowed");
    let url = format!("http://{}/v1/payments", served.address);
    let post = || {
        served
            .client
            .post(&url)
            .bearer_auth(SHOP)
            .header("Idempotency-Key", "k")
    };
    let plain = post().header("Content-Type", "text/plain").body("{}");
    Heard::of(plain).await.is(415, "unsupported_media_type");
    let broken = post()
        .header("Content-Type", "application/json")
        .body("{\"v\":");
    Heard::of(broken).await.is(400, "invalid_request");
    let long = post().json(&json!({"reference": "x".repeat(70_000)}));
    Heard::of(long).await.is(413, "body_too_large");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = post().header("Content-Type", "application/json").body(deep);
    Heard::of(deep).await.is(400, "invalid_request");
}

#[tokio::test]
async fn no_answer_shows_a_token_that_was_given_or_a_key() {
    let (served, ..) = with_keys(vec![shop()], PACE).await;
    let asked = served
        .post("/v1/payments", Some("k"), &charge(TOKEN, 1500))
        .await;
    let wrong = served
        .post("/v1/payments", Some("k"), &charge(TOKEN, 1600))
        .await;
    let seen = served.get(&format!("/v1/payments/{}", asked.id())).await;
    for heard in [asked, wrong, seen] {
        let text = heard.body.to_string();
        for secret in [TOKEN, SHOP, "payer@test.example"] {
            assert!(!text.contains(secret), "{secret} is shown");
        }
    }
}
