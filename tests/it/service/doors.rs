//! Who is let in.

use chip_sandbox::{Effect, Operation, Rule};

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
        .replace(vec![key("shop", NEW, &[Scope::Enqueue])]);
    ask_with(&served, Some(&shown))
        .await
        .is(401, "unauthenticated");
    assert_eq!(
        ask_with(&served, Some(&format!("bearer {NEW}")))
            .await
            .status,
        200
    );
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
        ..key("reads", READS, &[Scope::Read])
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
    let elsewhere = Heard::of(served.client.get(url).bearer_auth(READS)).await;
    elsewhere.is(404, "payment_not_found");
    let url = format!("http://{}/v1/payments?state=new", served.address);
    let listed = Heard::of(served.client.get(url).bearer_auth(READS)).await;
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
    // As deep as this it is read, and its content is wrong; deeper it is not read at all.
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"reference": {open}{close}}}"#);
        let post = post().header("Content-Type", "application/json");
        Heard::of(post.body(body))
    };
    for (depth, field) in [(120, "type"), (130, "body"), (30_000, "body")] {
        let heard = nested(depth).await;
        heard.is(400, "invalid_request");
        assert_eq!(heard.body["field"], field, "{depth} deep");
    }
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

#[tokio::test]
async fn what_is_parked_is_for_operators_and_what_is_dear_for_whoever_may_move_so_much() {
    let shop = Shop::open().await;
    let operator = key("operator", NEW, &[Scope::Command, Scope::Operate]);
    let narrow = ApiKey {
        largest_amount_minor: Some(4_000),
        ..key("narrow", READS, &[Scope::Command])
    };
    shop.served
        .ring
        .replace(vec![super::shop(), operator, narrow]);
    let address = shop.hold("stay").await;
    let give = |with: &'static str, command: &str, key: &str, body: Value| {
        let url = format!("http://{}{address}/{command}", shop.served.address);
        let request = shop.served.client.post(url).bearer_auth(with);
        Heard::of(request.header("Idempotency-Key", key).json(&body))
    };
    give(READS, "capture", "c1", json!({}))
        .await
        .is(403, "amount_forbidden");
    let dear = json!({"amount": 4_001});
    give(READS, "capture", "c2", dear)
        .await
        .is(403, "amount_forbidden");
    let plan = json!({"capture_at": "2027-02-01T00:00:00Z", "capture_amount": 4_001});
    give(READS, "reschedule", "p1", plan)
        .await
        .is(403, "amount_forbidden");
    let whole = json!({"capture_at": "2027-02-01T00:00:00Z"});
    give(READS, "reschedule", "p2", whole)
        .await
        .is(403, "amount_forbidden");
    let until_it_parks = Rule::on(Operation::Capture, Effect::status_before_commit(401));
    shop.stage.fault(until_it_parks.times(1));
    assert_eq!(
        give(SHOP, "capture", "c3", json!({"amount": 1_000}))
            .await
            .status,
        202
    );
    shop.stage.work_for(TimeDelta::days(3)).await;
    let parked = shop.served.get(&address).await;
    if parked.body["state"] == "parked" {
        give(SHOP, "cancel", "x1", json!({}))
            .await
            .is(403, "parked");
        // A refusal of what was taken before would be read as "nothing was done".
        let again = give(SHOP, "capture", "c3", json!({"amount": 1_000})).await;
        assert_eq!(
            (again.status, &again.body["state"]),
            (202, &json!("parked"))
        );
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let least = ApiKey {
            largest_amount_minor: Some(1),
            ..super::shop()
        };
        shop.served.ring.replace(vec![
            least,
            key("operator", NEW, &[Scope::Command, Scope::Operate]),
        ]);
        let again = give(SHOP, "capture", "c3", json!({"amount": 1_000})).await;
        assert_eq!(again.status, 202, "{again:?}");
        let answered = give(NEW, "cancel", "x2", json!({})).await;
        assert_ne!(answered.status, 403);
    } else {
        panic!("it is not parked: {parked:?}");
    }
}

#[tokio::test]
async fn a_body_that_says_another_command_changes_nothing() {
    let shop = Shop::open().await;
    let address = shop.hold("stay").await;
    let capture = format!("{address}/capture");
    let release = json!({"command": "release"});
    let heard = shop.served.post(&capture, Some("c"), &release).await;
    heard.is(400, "invalid_request");
    assert_eq!(heard.body["field"], "command");
    assert_eq!(shop.served.get(&address).await.body["commands"], json!([]));
}

#[tokio::test]
async fn a_key_in_a_body_is_the_same_key_as_in_a_header() {
    let (served, _, store) = with_keys(vec![shop()], PACE).await;
    for key in ["\"order-7\"", " order-7", "order-7 "] {
        let mut body = charge(TOKEN, 100);
        body["idempotency_key"] = json!(key);
        let heard = served.post("/v1/payments", None, &body).await;
        heard.is(400, "invalid_request");
        let batch = json!({"requests": [body]});
        let heard = served.post("/v1/payments:batch", None, &batch).await;
        assert_eq!(
            heard.body["results"][0]["problem"]["field"],
            "idempotency_key"
        );
    }
    assert_eq!(store.stats().await.unwrap().unfinished, 0);
}
