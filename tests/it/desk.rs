//! The operator's desk: pages over real Redis, asked for over real HTTP.

mod acting;
mod entering;
mod looking;
mod planning;
mod switching;

use std::net::SocketAddr;
use std::sync::Arc;

use holdfast::api::desk::{self, Desk};
use holdfast::api::{self, ApiKey, KeyHash, KeyName, KeyRing, Limits, Pace, Scope};
use holdfast::clock::Clock;
use holdfast::operate::overview::Overview;
use holdfast::payment::*;
use holdfast::store::Store;
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::worker::Policies;
use holdfast_rig::{Redis, RedisOptions};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, account, policy, start_time};

const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout_ms: 30_000,
    request_timeout_ms: 60_000,
    store_timeout_ms: 30_000,
    drain_timeout_ms: 5_000,
};
const OPERATOR: &str = "hf_b3BlcmF0b3JvcGVyYXRvcm9wZXJhdG9yb3BlcmF0b3I";
const READER: &str = "hf_cmVhZHNyZWFkc3JlYWRzcmVhZHNyZWFkc3JlYWRzcmU";
const RENTAL: &str = "hf_cmVudGFscmVudGFscmVudGFscmVudGFscmVudGFscmU";

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

fn keys() -> Vec<ApiKey> {
    let rental = ApiKey {
        accounts: Some([AccountName::new("rental").unwrap()].into()),
        ..key(
            "rental",
            RENTAL,
            &[Scope::Read, Scope::Command, Scope::Operate],
        )
    };
    vec![
        key(
            "aisyah",
            OPERATOR,
            &[Scope::Read, Scope::Command, Scope::Operate],
        ),
        key("reader", READER, &[Scope::Read]),
        rental,
    ]
}

/// The desk beside a worker whose turns the test drives.
struct Office {
    stage: Stage<RedisStore>,
    address: SocketAddr,
    ring: Arc<KeyRing>,
    client: reqwest::Client,
    stop: CancellationToken,
    redis: Redis,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A page that was answered.
struct Seen {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Seen {
    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn shows(&self, what: &[&str]) {
        for what in what {
            assert!(self.text.contains(what), "{what:?} is not in {}", self.text);
        }
    }

    #[track_caller]
    fn shows_none_of(&self, what: &[&str]) {
        for what in what {
            assert!(!self.text.contains(what), "{what:?} is in {}", self.text);
        }
    }

    /// What a form of the page has in a hidden field.
    fn hidden(&self, name: &str) -> String {
        self.hidden_if(name)
            .unwrap_or_else(|| panic!("no field {name} in {}", self.text))
    }

    fn hidden_if(&self, name: &str) -> Option<String> {
        let field = format!(r#"name="{name}" value=""#);
        let (_, rest) = self.text.split_once(&field)?;
        Some(rest.split('"').next().unwrap().to_owned())
    }
}

impl Office {
    async fn open() -> Self {
        Self::with(keys()).await
    }

    async fn with(keys: Vec<ApiKey>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(start_time());
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let settings = Settings {
            url: redis.url(),
            profile: Profile::Solo,
            lease_ms: 30_000,
            ..Settings::default()
        };
        let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
        let stage = Stage::over(store, clock.clone(), UnknownPolicy::Park).await;
        let rules = policy(UnknownPolicy::Park);
        let other = AccountName::new("rental").unwrap();
        let policies = Policies::from([(account(), rules.clone()), (other, rules)]);
        let pace = Pace {
            per_second: 1_000,
            burst: 1_000,
        };
        let ring = Arc::new(KeyRing::new(keys, pace));
        let stop = CancellationToken::new();
        let sums = Overview::new(Arc::clone(&stage.store), clock.clone());
        let (sums, until) = (Arc::new(sums), stop.clone());
        let counting = Arc::clone(&sums);
        tokio::spawn(async move { counting.count_on_demand(until).await });
        let parts = (Arc::clone(&stage.store), clock);
        let pages = Desk::new(parts, policies, Arc::clone(&ring), sums, &LIMITS);
        tokio::spawn(pages.watch(stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = desk::router(pages, &LIMITS);
        tokio::spawn(api::serve(listener, router, LIMITS, stop.clone()));
        let client = reqwest::Client::builder().no_proxy();
        Self {
            stage,
            address,
            ring,
            client: client.redirect(redirect::Policy::none()).build().unwrap(),
            stop,
            redis,
        }
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Seen {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let seen = Seen {
            status,
            headers,
            text,
        };
        let policy = seen.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(seen.header("cache-control"), "no-store");
        seen
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Logs in, and answers the cookie.
    async fn enter(&self, key: &str) -> String {
        let form = self.client.post(self.at("/desk/login"));
        let seen = self.sent(form.form(&[("key", key)])).await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        assert_eq!(seen.header(LOCATION), "/desk");
        let cookie = seen.header(SET_COOKIE).split(';').next().unwrap();
        cookie.to_owned()
    }

    async fn get(&self, cookie: &str, path: &str) -> Seen {
        let request = self.client.get(self.at(path));
        self.sent(request.header(COOKIE, cookie)).await
    }

    async fn post(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = self.client.post(self.at(path)).header(COOKIE, cookie);
        self.sent(request.form(fields)).await
    }

    /// A payment of each state, by its name.
    async fn one_of_each(&self) -> Vec<(StateName, PaymentId)> {
        use chip_sandbox::{Effect, Operation, Rule};
        let stage = &self.stage;
        let paid = stage.charge("paid", 123_456).await;
        stage.work().await;
        let held = stage.authorize_by_token("held", 9_900, "{}").await;
        let given_back = stage.authorize_by_token("released", 5_000, "{}").await;
        let awaiting = stage.authorize_by_checkout("awaiting", 700, "{}").await;
        let save = r#""type":"save_card","customer":{"email":"payer@test.example"}"#;
        let saved = stage.enqueue("saved", save).await;
        stage.work().await;
        stage.payer_pays(&saved).await;
        stage.work_for(chrono::TimeDelta::minutes(1)).await;
        stage.command(&given_back, "r", Command::Release).await;
        stage.work().await;
        let declined = Rule::on(Operation::Charge, Effect::decline("do_not_honour"));
        stage.fault(declined.times(1));
        let failed = stage.charge("failed", 800).await;
        stage.work_for(chrono::TimeDelta::minutes(5)).await;
        let parked = self.parked("parked").await;
        let later = r#""type":"charge","money":{"amount":1500,"currency":"MYR"},
            "token":"5a9e3c1c-0000-4000-8000-000000000001","not_before":"2027-03-01T00:00:00Z",
            "customer":{"email":"payer@test.example"}"#;
        let new = stage.enqueue("new", later).await;
        stage.work().await;
        let all = [
            (StateName::New, new),
            (StateName::AwaitingPayer, awaiting),
            (StateName::Held, held),
            (StateName::Paid, paid),
            (StateName::Released, given_back),
            (StateName::Saved, saved),
            (StateName::Failed, failed),
            (StateName::Parked, parked),
        ];
        for (state, id) in &all {
            assert_eq!(stage.state(id).await, *state, "{id}");
        }
        all.into()
    }

    /// Makes a record as one of before there were faces.
    async fn forgets_the_face_of(&self, id: &PaymentId) {
        crate::store::on_redis::forget_the_face_of(&self.redis, id).await;
    }

    /// A charge of which nobody knows what it did, until a person is asked.
    async fn parked(&self, key: &str) -> PaymentId {
        use chip_sandbox::{Effect, Operation, Rule};
        let rule = Rule::on(Operation::Charge, Effect::timeout_before_commit());
        self.stage.fault(rule.times(1));
        let id = self.stage.charge(key, 4_200).await;
        self.stage.work_for(chrono::TimeDelta::minutes(40)).await;
        assert_eq!(self.stage.state(&id).await, StateName::Parked);
        id
    }
}

/// What must stand on no page.
async fn secrets(office: &Office) -> Vec<String> {
    let mut secrets = vec![
        "payer@test.example".to_owned(),
        OPERATOR.to_owned(),
        crate::stage::KEY.to_owned(),
        "5a9e3c1c-0000-4000-8000-000000000001".to_owned(),
    ];
    for state in StateName::ALL {
        let page = office.stage.store.list(&state.into(), None, 100).await;
        for loaded in page.unwrap().payments {
            let payment = loaded.payment;
            if let State::Saved(token) = payment.state() {
                secrets.push(token.as_str().to_owned());
            }
            if let Some(purchase) = payment.purchase() {
                secrets.push(purchase.id.as_str().to_owned());
                let links = [&purchase.checkout_url, &purchase.direct_post_url];
                let links = links.into_iter().flatten();
                secrets.extend(links.map(|link| link.reveal().clone()));
            }
        }
    }
    secrets
}
