//! What other services ask over HTTP.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use holdfast::api::v1::{self, ProblemCode, Service};
use holdfast::api::{ApiKey, KeyHash, KeyName, KeyRing, Limits, Pace, Scope};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::payment::Timestamp;
use holdfast::store::memory::MemoryStore;
use holdfast::worker::Policies;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::{ACCOUNT, KEY, is_fit_to_show};

/// A key for everything, which stands in the seeds.
const ALL: &str = "hf_YWxsYWxsYWxsYWxsYWxsYWxsYWxsYWxsYWxsYWxsYWw";
/// A key that may only read, which stands in a seed.
const READS: &str = "hf_cmVhZHNyZWFkc3JlYWRzcmVhZHNyZWFkc3JlYWRzcmU";
/// What is there before anything else is asked, so that commands find something: a hold that
/// nobody worked on yet.
const THERE: &[u8] = include_bytes!("../seeds/http/authorize");

/// A request: its first line, its headers, an empty line, its body.
struct Asked {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What was answered.
struct Heard {
    status: StatusCode,
    body: Value,
}

/// A request. Whatever it is, it is answered as the document says, and nothing is recorded but what
/// somebody with a key for it was told of. Who asks for the same again is answered the same.
/// Answers the status, if it was a request.
#[must_use]
pub fn http(bytes: &[u8]) -> Option<u16> {
    let asked = Asked::read(bytes)?;
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let store = Arc::new(MemoryStore::new(clock.clone(), 30_000));
    let router = routes(Arc::clone(&store), clock);
    let hold = Asked::read(THERE).expect("a request");
    runtime().block_on(async {
        assert_eq!(
            hear(&router, &hold).await.map(|heard| heard.status),
            Some(StatusCode::CREATED)
        );
        let before = store.all();
        let first = hear(&router, &asked).await?;
        let recorded = store.all().len() - before.len();
        assert_eq!(recorded, first.told_of(), "recorded and told of");
        if asked.method == Method::GET || (first.status.is_client_error() && !asked.commands()) {
            assert!(
                store.all() == before,
                "changed, and answered {}",
                first.status
            );
        }
        let again = hear(&router, &asked).await.expect("as before");
        assert_eq!(store.all().len() - before.len(), recorded, "recorded twice");
        if recorded == 1 && !first.is_a_batch() {
            assert_eq!(again.status, StatusCode::OK);
            assert_eq!(again.body["id"], first.body["id"]);
        }
        Some(first.status.as_u16())
    })
}

impl Asked {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            std::str::from_utf8(line).ok()
        };
        let (method, path) = line()?.split_once(' ')?;
        let mut headers = Vec::new();
        while let Some(header) = line().filter(|line| !line.is_empty()) {
            let (name, value) = header.split_once(": ")?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        Some(Self {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            path: path.to_owned(),
            headers,
            body: rest.to_vec(),
        })
    }

    /// As the listener hands it on. What is no request at all does not get so far.
    fn request(&self) -> Option<Request<Body>> {
        let path = Some(&self.path).filter(|path| path.starts_with('/'))?;
        let mut request = Request::builder().method(&self.method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.clone())).ok()
    }

    /// Whether it may be a command: one that is refused is written down as well.
    fn commands(&self) -> bool {
        self.path.matches('/').count() > 3
    }

    /// Whether a key is shown that is known.
    fn has_a_key(&self) -> bool {
        let shown = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str())
                && [ALL, READS].iter().any(|key| value.contains(key))
        };
        self.headers.iter().any(shown)
    }
}

impl Heard {
    fn is_a_batch(&self) -> bool {
        self.body["results"].is_array()
    }

    /// How many payments it says are new.
    fn told_of(&self) -> usize {
        match &self.body["results"] {
            Value::Array(results) => {
                let new = |result: &&Value| result["status"] == 201;
                results.iter().filter(new).count()
            }
            _ => usize::from(self.status == StatusCode::CREATED),
        }
    }
}

/// Asks, and judges the answer by itself.
async fn hear(router: &Router, asked: &Asked) -> Option<Heard> {
    let answer = router.clone().oneshot(asked.request()?).await;
    let answer = answer.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    assert!(!status.is_server_error(), "answered {status}");
    let bytes = to_bytes(answer.into_body(), usize::MAX).await;
    let body: Value = serde_json::from_slice(&bytes.expect("a body")).unwrap_or_default();
    let document = asked.path.split('?').next() == Some("/v1/openapi.json");
    if !asked.has_a_key() && !document {
        assert_eq!(status, StatusCode::UNAUTHORIZED, "let in without a key");
    }
    if !status.is_success() && asked.method != Method::HEAD {
        let kind = headers.get(header::CONTENT_TYPE).expect("a kind");
        assert_eq!(kind, "application/problem+json");
        assert_eq!(body["status"], status.as_u16());
        let known =
            |code: &ProblemCode| serde_json::to_value(code).expect("a word") == body["code"];
        assert!(ProblemCode::ALL.iter().any(known), "{}", body["code"]);
        is_fit_to_show(body["detail"].as_str().expect("a detail"));
    }
    Some(Heard { status, body })
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime")
    })
}

fn policies() -> &'static Policies {
    static POLICIES: OnceLock<Policies> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let text = format!("[gateway]\nbase_url = \"http://127.0.0.1:9/\"\n{ACCOUNT}");
        let key = (KEY.0.to_owned(), KEY.1.to_owned());
        let config = Config::read("fuzz.toml", &text, [key]).expect("a configuration");
        config.policies()
    })
}

fn key(name: &str, secret: &str, scopes: &[Scope]) -> ApiKey {
    ApiKey {
        name: KeyName::new(name).expect("a name"),
        hash: KeyHash::of(secret),
        scopes: scopes.iter().copied().collect(),
        accounts: None,
        largest_amount_minor: None,
        expires_at: None,
    }
}

fn routes(store: Arc<MemoryStore>, clock: Clock) -> Router {
    let limits = Limits {
        connections: 8,
        header_timeout_ms: 1_000,
        request_timeout_ms: 10_000,
        store_timeout_ms: 5_000,
        drain_timeout_ms: 1_000,
    };
    let pace = Pace {
        per_second: 100_000,
        burst: 100_000,
    };
    let all = [Scope::Enqueue, Scope::Read, Scope::Command];
    let keys = vec![key("all", ALL, &all), key("reads", READS, &[Scope::Read])];
    let ring = Arc::new(KeyRing::new(keys, pace));
    // Nobody works here, so nobody is to wait for what becomes of a payment.
    let service = Service::new((store, clock), policies().clone(), ring, &limits, 0);
    v1::router(service, &limits)
}
