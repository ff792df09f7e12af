//! What producers push to Redis: taken in once, answered honestly, and nothing lost on the way. Real
//! Redis; the sandbox's ledger is the judge.

mod audit;
mod cards;
mod client;
mod codes;
mod commands;
mod pushes;
mod quarantine;
mod rights;
mod signatures;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast::api::KeyName;
use holdfast::api::pushed::{Intake, Producer, Producers, Rules, Settings};
use holdfast::clock::Clock;
use holdfast::payment::*;
use holdfast::store::redis::{QuarantineId, QuarantineNote, RedisStore, Standing};
use holdfast::worker::Policies;
use holdfast_rig::{Redis, RedisOptions};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::stage::{Stage, account, policy, start_time};

/// How long Redis may take to answer on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
const HOUR_MS: u64 = 3_600_000;
const INTAKE: &str = "{hf:0}:intake";
const LEASE: &str = "{hf:0}:intake:lease";

/// A stage on a Redis of its own, with an intake that is driven by hand.
struct Dock {
    stage: Stage<RedisStore>,
    intake: Intake,
    producers: Arc<Producers>,
    /// The store of the intake.
    store: Arc<RedisStore>,
    raw: redis::aio::MultiplexedConnection,
    redis: Redis,
}

fn settings(url: String) -> holdfast::store::redis::Settings {
    holdfast::store::redis::Settings {
        url,
        save_patience_ms: 300,
        connect_timeout_ms: 300,
        ..holdfast::store::redis::Settings::default()
    }
}

async fn raw(url: String) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let connected = client.get_multiplexed_async_connection_with_config(&patient);
    connected.await.unwrap()
}

fn policies() -> Policies {
    let rules = policy(UnknownPolicy::Park);
    let other = AccountName::new("rental").unwrap();
    Policies::from([(account(), rules.clone()), (other, rules)])
}

impl Dock {
    /// One that takes what is not signed.
    async fn open() -> Self {
        Self::with(Rules {
            accept_unsigned: true,
            producers: vec![shop()],
        })
        .await
    }

    async fn with(rules: Rules) -> Self {
        Self::from(start_time(), rules).await
    }

    /// One whose time begins at `start`.
    async fn from(start: Timestamp, rules: Rules) -> Self {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let clock = Clock::manual(start);
        let store = RedisStore::connect(settings(redis.url()), clock.clone());
        let stage = Stage::over(store.await.unwrap(), clock, UnknownPolicy::Park).await;
        let store = RedisStore::connect(settings(redis.url()), stage.clock.clone());
        let store = Arc::new(store.await.unwrap());
        let producers = Arc::new(Producers::new(rules));
        Self {
            intake: Self::intake_over(&store, &stage.clock, &producers),
            raw: raw(redis.url()).await,
            stage,
            producers,
            store,
            redis,
        }
    }

    fn intake_over(store: &Arc<RedisStore>, clock: &Clock, producers: &Arc<Producers>) -> Intake {
        let settings = Settings {
            poll_ms: 50,
            answer_ttl_ms: HOUR_MS,
        };
        let producers = Arc::clone(producers);
        Intake::new(
            Arc::clone(store),
            clock.clone(),
            policies(),
            producers,
            settings,
        )
    }

    /// A second worker's intake.
    fn other_intake(&self) -> Intake {
        Self::intake_over(&self.store, &self.stage.clock, &self.producers)
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut raw = self.raw.clone();
        command.query_async(&mut raw).await.unwrap()
    }

    async fn push(&self, element: impl AsRef<[u8]>) {
        let mut raw = self.raw.clone();
        let mut command = redis::cmd("RPUSH");
        let pushed = command.arg(INTAKE).arg(element.as_ref());
        pushed.query_async::<i64>(&mut raw).await.unwrap();
    }

    async fn waiting(&self) -> u64 {
        let waiting = self.store.pushed().await.unwrap();
        waiting.iter().map(|(_, length)| length).sum()
    }

    /// Takes everything in.
    async fn take_in(&self) {
        while self.intake.round().await.unwrap() > 0 {}
        assert_eq!(self.waiting().await, 0, "something is left");
    }

    /// Pushes an element, and has it taken in and answered.
    async fn answered(&self, element: impl AsRef<[u8]>) -> Value {
        self.push(&element).await;
        self.take_in().await;
        let answer = self.answer("hotel", element).await;
        answer.expect("it is not answered")
    }

    async fn answer(&self, account: &str, element: impl AsRef<[u8]>) -> Option<Value> {
        let told: Option<String> = self.ask(&["GET", &answer_at(account, element)]).await;
        told.map(|json| serde_json::from_str(&json).unwrap())
    }

    /// What people are still to decide about.
    async fn quarantine(&self) -> Vec<(QuarantineId, QuarantineNote)> {
        let (found, _) = self.store.quarantine(1_000).await.unwrap();
        let waits = found
            .into_iter()
            .filter(|one| one.standing == Standing::Waits);
        waits.map(|one| (one.id, one.note)).collect()
    }

    fn token(&self) -> String {
        self.stage
            .sandbox
            .save_card("payer@test.example")
            .to_string()
    }

    /// How many payments there are.
    async fn payments(&self) -> u64 {
        use holdfast::store::Store as _;
        let stats = self.stage.store.stats().await.unwrap();
        stats.by_state.iter().map(|(_, count)| count).sum()
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes.as_ref()).into();
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    digest.iter().flat_map(digits).flatten().collect()
}

/// Where the answer to what was pushed to the first intake stands.
fn answer_at(account: &str, element: impl AsRef<[u8]>) -> String {
    format!("{{hf:0}}:answer:{account}:{}", sha256(element))
}

/// The name of a push, of whoever does not care.
const PUSH: &str = "0c7b1f0e-push-of-a-test";

fn charge(key: &str, token: &str, amount: u64) -> Value {
    json!({
        "v": 1, "push": PUSH, "type": "charge", "account": "hotel", "idempotency_key": key, "token": token,
        "money": {"amount": amount, "currency": "MYR"},
        "customer": {"email": "payer@test.example"},
    })
}

fn authorize(key: &str, token: &str) -> Value {
    json!({
        "v": 1, "push": PUSH, "type": "authorize", "account": "hotel", "idempotency_key": key,
        "source": {"token": token}, "money": {"amount": 9_000, "currency": "MYR"},
        "customer": {"email": "payer@test.example"},
    })
}

#[track_caller]
fn is_refused(answer: &Value, code: &str) {
    assert_eq!(answer["outcome"], "refused", "{answer}");
    assert_eq!(answer["problem"]["code"], code, "{answer}");
    for field in ["type", "title", "detail"] {
        assert!(answer["problem"][field].is_string(), "{answer}");
    }
    assert!(answer["payment"].is_null(), "{answer}");
}

#[track_caller]
fn is_recorded(answer: &Value) -> PaymentId {
    assert_eq!(answer["outcome"], "recorded", "{answer}");
    assert!(answer["problem"].is_null(), "{answer}");
    PaymentId::new(answer["payment"]["id"].as_str().unwrap()).unwrap()
}

fn key_pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn producer(kid: &str, seed: u8) -> Producer {
    Producer {
        kid: KeyName::new(kid).unwrap(),
        public_key: key_pair(seed).public_key().as_ref().try_into().unwrap(),
        types: None,
        accounts: None,
        currencies: None,
        largest_amount_minor: None,
        expires_at: None,
    }
}

const SHOP_SEED: u8 = 7;

fn shop() -> Producer {
    producer("shop", SHOP_SEED)
}

/// A JWS with whatever header.
fn signed_with(seed: u8, header: &str, payload: &[u8]) -> String {
    let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", coded(header.as_bytes()), coded(payload));
    let signature = key_pair(seed).sign(signed.as_bytes());
    format!("{signed}.{}", coded(signature.as_ref()))
}

/// As whoever signs at the beginning has it.
fn header(kid: &str) -> String {
    header_at(kid, start_time())
}

fn header_at(kid: &str, at: Timestamp) -> String {
    format!(
        r#"{{"alg":"EdDSA","kid":"{kid}","iat":{}}}"#,
        at.timestamp()
    )
}

fn signed(json: &Value) -> String {
    signed_with(SHOP_SEED, &header("shop"), json.to_string().as_bytes())
}
