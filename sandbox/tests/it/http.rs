use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chip_sandbox::{Behaviour, Config, Effect, Operation, Rule, Sandbox, Time, WebhookConfig};
use chrono::{TimeDelta, Utc};
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey;
use rsa::signature::Verifier;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::gate::{id_of, sale};
use crate::wire::{call, open, read};

async fn start(config: Config) -> Sandbox {
    Sandbox::start(config).await.unwrap()
}

async fn create(sandbox: &Sandbox) -> Uuid {
    let reply = call(sandbox, "POST", "/api/v1/purchases/", &sale(100))
        .await
        .unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    id_of(&reply.json())
}

#[tokio::test]
async fn a_purchase_is_created_charged_and_read_over_http() {
    let sandbox = start(Config::default()).await;
    let token = sandbox.save_card("payer@example.com");
    let id = create(&sandbox).await;
    let path = format!("/api/v1/purchases/{id}/");
    let body = json!({ "recurring_token": token });
    let paid = call(&sandbox, "POST", &format!("{path}charge/"), &body)
        .await
        .unwrap();
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("paid")));
    let read = call(&sandbox, "GET", &format!("{path}?time=1"), &Value::Null)
        .await
        .unwrap();
    assert_eq!(read.json()["payment"]["amount"], 100);
    let checkout = read.json()["checkout_url"].as_str().unwrap().to_owned();
    assert!(checkout.starts_with(&sandbox.origin()));
    assert_eq!(sandbox.taken_for_reference("order-1"), 100);
}

#[tokio::test]
async fn faults_of_the_wire_are_real() {
    let sandbox = start(Config::default()).await;
    let token = sandbox.save_card("payer@example.com");
    let body = json!({ "recurring_token": token });
    for (effect, committed) in [
        (Effect::reset_before_commit(), false),
        (Effect::reset_after_commit(), true),
    ] {
        let id = create(&sandbox).await;
        sandbox.add_fault(Rule::on(Operation::Charge, effect).purchase(id));
        let path = format!("/api/v1/purchases/{id}/charge/");
        assert!(call(&sandbox, "POST", &path, &body).await.is_err());
        assert_eq!(
            sandbox.ledger().movements_of(id).len(),
            usize::from(committed)
        );
    }
    let id = create(&sandbox).await;
    let path = format!("/api/v1/purchases/{id}/");
    sandbox.add_fault(Rule::on(Operation::Retrieve, Effect::truncated()).times(1));
    let half = call(&sandbox, "GET", &path, &Value::Null).await.unwrap();
    assert!(half.missing > 0 && !half.body.is_empty());
    sandbox.add_fault(Rule::on(Operation::Retrieve, Effect::rate_limited(7)).times(1));
    let limited = call(&sandbox, "GET", &path, &Value::Null).await.unwrap();
    assert_eq!(limited.status, 429);
    assert!(limited.head.contains("retry-after: 7"));
}

#[tokio::test]
async fn an_unanswered_connection_stays_open_until_the_cap() {
    let cap = Duration::from_millis(50);
    let sandbox = start(Config {
        silence_cap: cap,
        ..Config::default()
    })
    .await;
    let id = create(&sandbox).await;
    sandbox.add_fault(Rule::on(Operation::Cancel, Effect::timeout_after_commit()));
    let asked = std::time::Instant::now();
    let path = format!("/api/v1/purchases/{id}/cancel/");
    assert!(call(&sandbox, "POST", &path, &Value::Null).await.is_err());
    assert!(asked.elapsed() >= cap);
    assert_eq!(sandbox.purchase(id).unwrap()["status"], "cancelled");
}

#[tokio::test]
async fn a_charge_goes_on_when_the_client_hangs_up() {
    let behaviour = Behaviour {
        charge_ms: 50,
        ..Behaviour::default()
    };
    let sandbox = start(Config {
        behaviour,
        ..Config::default()
    })
    .await;
    let token = sandbox.save_card("payer@example.com");
    let id = create(&sandbox).await;
    let path = format!("/api/v1/purchases/{id}/charge/");
    let body = json!({ "recurring_token": token });
    let stream = open(&sandbox, "POST", &path, &body).await.unwrap();
    while sandbox.purchase(id).unwrap()["status"] != "pending_charge" {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while sandbox.ledger().movements_of(id).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

type Heard = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn endpoint(refusals: usize) -> (String, Heard) {
    let heard: Heard = Arc::default();
    let kept = Arc::clone(&heard);
    let hear = move |headers: HeaderMap, body: Bytes| async move {
        let signature = headers["x-signature"].to_str().unwrap().to_owned();
        let mut kept = kept.lock().unwrap();
        kept.push((signature, body));
        if kept.len() > refusals {
            StatusCode::OK
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new().route("/hook", post(hear));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, heard)
}

#[tokio::test]
async fn webhooks_are_signed_with_their_key_over_the_raw_body() {
    let (url, heard) = endpoint(0).await;
    let config = Config {
        webhooks: vec![WebhookConfig::all(&url)],
        ..Config::default()
    };
    let sandbox = start(config).await;
    let hooks = call(&sandbox, "GET", "/api/v1/webhooks/", &Value::Null)
        .await
        .unwrap()
        .json();
    let pem = hooks["results"][0]["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let company = call(&sandbox, "GET", "/api/v1/public_key/", &Value::Null)
        .await
        .unwrap()
        .json();
    assert_ne!(company.as_str().unwrap(), pem);
    create(&sandbox).await;
    sandbox.deliveries_settled().await;
    let heard = heard.lock().unwrap();
    let (signature, body) = heard.first().unwrap();
    let key = VerifyingKey::<Sha256>::new(rsa::PublicKey::from_public_key_pem(&pem).unwrap());
    let bytes = STANDARD.decode(signature).unwrap();
    key.verify(body, &Signature::try_from(bytes.as_slice()).unwrap())
        .unwrap();
    let event: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(event["event_type"], "purchase.created");
}

#[tokio::test]
async fn a_refused_webhook_comes_again_when_the_clock_says_so() {
    let (url, heard) = endpoint(1).await;
    let config = Config {
        webhooks: vec![WebhookConfig::all(&url)],
        time: Time::Manual(Utc::now()),
        ..Config::default()
    };
    let sandbox = start(config).await;
    create(&sandbox).await;
    sandbox.deliveries_settled().await;
    sandbox.advance(Duration::from_secs(119));
    sandbox.deliveries_settled().await;
    assert_eq!(heard.lock().unwrap().len(), 1);
    sandbox.advance(Duration::from_secs(1));
    sandbox.deliveries_settled().await;
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].1, heard[1].1, "the same bytes every time");
}

#[tokio::test]
async fn the_clock_stands_still_until_it_is_moved() {
    let noon = "2026-11-22T12:00:00Z".parse().unwrap();
    let sandbox = start(Config {
        time: Time::Manual(noon),
        ..Config::default()
    })
    .await;
    let id = create(&sandbox).await;
    assert_eq!(
        sandbox.purchase(id).unwrap()["created_on"],
        noon.timestamp()
    );
    sandbox.set_time(noon + TimeDelta::hours(1));
    assert_eq!(sandbox.purchase(id).unwrap()["status"], "overdue");
}

#[tokio::test]
async fn the_system_clock_runs_timers_by_itself() {
    let (url, heard) = endpoint(0).await;
    let paid = WebhookConfig {
        events: vec!["purchase.paid".to_owned()],
        ..WebhookConfig::all(&url)
    };
    let sandbox = start(Config {
        webhooks: vec![paid],
        ..Config::default()
    })
    .await;
    let token = sandbox.save_card("payer@example.com");
    let id = create(&sandbox).await;
    sandbox.add_fault(Rule::on(Operation::Charge, Effect::pending(30)));
    let path = format!("/api/v1/purchases/{id}/charge/");
    let body = json!({ "recurring_token": token });
    let pending = call(&sandbox, "POST", &path, &body).await.unwrap();
    assert_eq!(pending.json()["status"], "pending_charge");
    // Asking the sandbox would move its timers; only the webhook tells.
    while heard.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn other_processes_control_it_over_http() {
    let sandbox = start(Config {
        time: Time::Manual(Utc::now()),
        ..Config::default()
    })
    .await;
    let rule = json!({
        "operation": "retrieve", "times": 1,
        "effect": { "broken": { "commit": "never", "answer": { "status": { "status": 503 } } } },
    });
    let added = call(&sandbox, "POST", "/sandbox/faults", &rule)
        .await
        .unwrap();
    assert_eq!(added.json()["rule"], 1, "{}", added.body);
    let id = create(&sandbox).await;
    let path = format!("/api/v1/purchases/{id}/");
    assert_eq!(
        call(&sandbox, "GET", &path, &Value::Null)
            .await
            .unwrap()
            .status,
        503
    );
    let cleared = call(&sandbox, "DELETE", "/sandbox/faults", &Value::Null)
        .await
        .unwrap();
    assert_eq!(cleared.status, 204);
    let pay = format!("/sandbox/purchases/{id}/pay");
    let paid = call(&sandbox, "POST", &pay, &json!({})).await.unwrap();
    assert_eq!(paid.json()["status"], "paid");
    let moved = json!({ "advance_ms": 5000 });
    assert_eq!(
        call(&sandbox, "POST", "/sandbox/clock", &moved)
            .await
            .unwrap()
            .status,
        200
    );
    let sum = call(&sandbox, "GET", "/sandbox/references/order-1", &Value::Null)
        .await
        .unwrap();
    assert_eq!(sum.json()["taken"], 100);
    let ledger = call(&sandbox, "GET", "/sandbox/ledger", &Value::Null)
        .await
        .unwrap()
        .json();
    assert_eq!(ledger["movements"][0]["kind"], "charge");
    let page = call(&sandbox, "GET", "/sandbox/", &Value::Null)
        .await
        .unwrap();
    assert!(page.body.contains(&id.to_string()));
}

#[tokio::test]
async fn a_stopped_sandbox_frees_its_port_and_lets_go_of_silent_requests() {
    let sandbox = start(Config::default()).await;
    let address = sandbox.address();
    let id = create(&sandbox).await;
    sandbox.add_fault(Rule::on(
        Operation::Retrieve,
        Effect::timeout_before_commit(),
    ));
    let path = format!("/api/v1/purchases/{id}/");
    let stream = open(&sandbox, "GET", &path, &Value::Null).await.unwrap();
    while sandbox.ledger().counts(Operation::Retrieve).arrived == 0 {
        tokio::task::yield_now().await;
    }
    sandbox.stop().await;
    assert!(read(stream).await.is_err());
    assert!(tokio::net::TcpListener::bind(address).await.is_ok());
}
