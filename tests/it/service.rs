//! The API for other services: one payment for a key however often and however badly it is asked
//! for, honest answers to commands, and no door that is open by mistake.

mod audit;
mod cards;
mod commands;
mod documented;
mod doors;
mod lists;
mod plans;
mod requests;
mod resolve;
mod troubles;

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use holdfast::api::v1::{self, Service};
use holdfast::api::{self, ApiKey, KeyHash, KeyName, KeyRing, Limits, Pace, Scope};
use holdfast::clock::Clock;
use holdfast::payment::*;
use holdfast::store::memory::MemoryStore;
use holdfast::store::{Cards, Plans, Store};
use holdfast::worker::Policies;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, account, policy, start_time};

/// Patient: what is tested here is who is answered what, with a thousand callers on two cores, and
/// not how soon.
const LIMITS: Limits = Limits {
    connections: 2_048,
    header_timeout_ms: 30_000,
    request_timeout_ms: 60_000,
    store_timeout_ms: 30_000,
    drain_timeout_ms: 5_000,
};
const PACE: Pace = Pace {
    per_second: 100_000,
    burst: 100_000,
};
/// The key of the tests' shop.
const SHOP: &str = "hf_c2hvcHNob3BzaG9wc2hvcHNob3BzaG9wc2hvcHNob3A";
/// Two others.
const READS: &str = "hf_cmVhZHNyZWFkc3JlYWRzcmVhZHNyZWFkc3JlYWRzcmU";
const NEW: &str = "hf_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU";
const TOKEN: &str = "5a9e3c1c-0000-4000-8000-000000000001";

fn key(name: &str, secret: &str, scopes: &[Scope]) -> ApiKey {
    ApiKey {
        name: KeyName::new(name).unwrap(),
        hash: KeyHash::of(secret),
        scopes: scopes.iter().copied().collect(),
        accounts: None,
        largest_amount_minor: None,
        expires_at: None,
    }
}

fn shop() -> ApiKey {
    key("shop", SHOP, &[Scope::Enqueue, Scope::Read, Scope::Command])
}

/// The API over a store, listened to.
struct Served {
    address: SocketAddr,
    ring: Arc<KeyRing>,
    client: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Served {
    async fn over<S: Store + Cards + Plans>(
        store: Arc<S>,
        clock: &Clock,
        keys: Vec<ApiKey>,
        pace: Pace,
    ) -> Self {
        Self::within(LIMITS, store, clock, (keys, pace)).await
    }

    /// With limits of its own.
    async fn within<S: Store + Cards + Plans>(
        limits: Limits,
        store: Arc<S>,
        clock: &Clock,
        (keys, pace): (Vec<ApiKey>, Pace),
    ) -> Self {
        // The client is built without one, like the gateway's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ring = Arc::new(KeyRing::new(keys, pace));
        let other = AccountName::new("rental").unwrap();
        let rules = policy(UnknownPolicy::Park);
        let policies = Policies::from([(account(), rules.clone()), (other, rules)]);
        let parts = (store, clock.clone());
        let service = Service::new(parts, policies, Arc::clone(&ring), &limits, 5_000);
        let stop = CancellationToken::new();
        let router = v1::router(service, &limits);
        tokio::spawn(api::serve(listener, router, limits, stop.clone()));
        Self {
            address,
            ring,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop,
        }
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Heard {
        let mut request = self.client.post(format!("http://{}{path}", self.address));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Heard::of(request.bearer_auth(SHOP).json(body)).await
    }

    async fn delete(&self, path: &str) -> Heard {
        let request = self.client.delete(format!("http://{}{path}", self.address));
        Heard::of(request.bearer_auth(SHOP)).await
    }

    async fn get(&self, path: &str) -> Heard {
        let request = self.client.get(format!("http://{}{path}", self.address));
        Heard::of(request.bearer_auth(SHOP)).await
    }
}

/// An answer.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Heard {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (
            request.method().to_string(),
            request.url().path().to_owned(),
        );
        let response = client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let heard = Self {
            status,
            headers,
            body,
        };
        heard.is_a_whole_problem();
        documented::is_documented(&method, &path, &heard);
        heard
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whatever goes wrong is told in the same way.
    fn is_a_whole_problem(&self) {
        if self.status < 400 {
            return;
        }
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.body["status"], self.status, "{self:?}");
        for field in ["type", "title", "detail", "code"] {
            assert!(self.body[field].is_string(), "{field} is missing: {self:?}");
        }
        assert!(self.status != 503 || self.header("retry-after").is_some());
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }

    /// The payment's id.
    fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    #[track_caller]
    fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &json!(code)),
            "{self:?}"
        );
    }
}

/// The API beside a worker whose turns the test drives.
struct Shop {
    stage: Stage<MemoryStore>,
    served: Served,
}

impl Shop {
    async fn open() -> Self {
        let clock = Clock::manual(start_time());
        let store = MemoryStore::new(clock.clone(), 30_000);
        let stage = Stage::over(store, clock.clone(), UnknownPolicy::Park).await;
        let served = Served::over(Arc::clone(&stage.store), &clock, vec![shop()], PACE).await;
        Self { stage, served }
    }

    fn charge(&self, amount: u64) -> Value {
        let token = self.stage.sandbox.save_card("payer@test.example");
        charge(&token.to_string(), amount)
    }

    /// A hold on a saved card, and its address.
    async fn hold(&self, key: &str) -> String {
        let token = self.stage.sandbox.save_card("payer@test.example");
        let body = json!({
            "type": "authorize", "account": "hotel", "source": {"token": token},
            "money": {"amount": 9_000, "currency": "MYR"}, "reference": "room 7",
            "customer": {"email": "payer@test.example"},
        });
        let heard = self.served.post("/v1/payments", Some(key), &body).await;
        assert_eq!(heard.status, 201, "{heard:?}");
        self.stage.work().await;
        format!("/v1/payments/{}", heard.id())
    }
}

fn charge(token: &str, amount: u64) -> Value {
    json!({
        "type": "charge", "account": "hotel", "token": token,
        "money": {"amount": amount, "currency": "MYR"},
        "customer": {"email": "payer@test.example"},
    })
}
