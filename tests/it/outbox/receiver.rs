//! Who receives events: answers as it is told, and remembers what it heard.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast::payment::PaymentId;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::field;

/// What a receiver answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    With(u16, Vec<(String, String)>),
    /// Nothing, until it is let go.
    Hang,
}

/// A delivery, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value)
    }

    pub(crate) fn text(&self) -> &str {
        &self.body
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn data(&self) -> Value {
        self.body()["data"].clone()
    }

    pub(crate) fn kind(&self) -> String {
        field(&self.body(), "type").to_owned()
    }

    pub(crate) fn version(&self) -> u64 {
        self.data()["version"].as_u64().unwrap()
    }

    /// Whether its id tells payment and version, and where it stands in the stream.
    pub(crate) fn is_named_well(&self) -> bool {
        let begins = format!("evt_{}_{}_", field(&self.data(), "payment"), self.version());
        let place = self.header("webhook-id").strip_prefix(&begins);
        let parts = place.and_then(|place| place.split_once('-'));
        let number = |text: &str| text.parse::<u64>().is_ok();
        parts.is_some_and(|(ms, count)| number(ms) && number(count))
    }

    pub(crate) fn is_about(&self, id: &PaymentId) -> bool {
        field(&self.data(), "payment") == id.as_str()
    }
}

#[derive(Default)]
struct Memory {
    heard: Vec<Heard>,
    answers: VecDeque<Answer>,
    always: Option<Answer>,
    pause: Duration,
    answered: usize,
    /// How many deliveries about a payment are being answered.
    at_once: BTreeMap<String, usize>,
    most_at_once: usize,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    free: CancellationToken,
}

type Shared = (Arc<Mutex<Memory>>, CancellationToken);

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Mutex::new(Memory::default()));
        let free = CancellationToken::new();
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state((Arc::clone(&memory), free.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            memory,
            free,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What it answers next, and then 200.
    pub(crate) fn answer(&self, answers: &[Answer]) {
        self.memory.lock().unwrap().answers.extend(answers.to_vec());
    }

    pub(crate) fn answer_always(&self, answer: Answer) {
        self.memory.lock().unwrap().always = Some(answer);
    }

    pub(crate) fn slow_down(&self, pause: Duration) {
        self.memory.lock().unwrap().pause = pause;
    }

    pub(crate) fn let_go(&self) {
        self.free.cancel();
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.memory.lock().unwrap().heard.clone()
    }

    pub(crate) fn answered(&self) -> usize {
        self.memory.lock().unwrap().answered
    }

    pub(crate) fn most_at_once_of_one(&self) -> usize {
        self.memory.lock().unwrap().most_at_once
    }
}

async fn hear(State((memory, free)): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let heard = Heard {
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let payment = field(&heard.data(), "payment").to_owned();
    let (answer, pause) = {
        let mut memory = memory.lock().unwrap();
        memory.heard.push(heard);
        let at_once = memory.at_once.entry(payment.clone()).or_default();
        *at_once += 1;
        let at_once = *at_once;
        memory.most_at_once = memory.most_at_once.max(at_once);
        let next = memory.answers.pop_front();
        let answer = next.or_else(|| memory.always.clone());
        (answer.unwrap_or(Answer::Status(200)), memory.pause)
    };
    tokio::time::sleep(pause).await;
    if matches!(answer, Answer::Hang) {
        free.cancelled().await;
    }
    let mut memory = memory.lock().unwrap();
    memory.answered += 1;
    *memory.at_once.entry(payment).or_default() -= 1;
    let code = |status| StatusCode::from_u16(status).unwrap();
    match answer {
        Answer::Status(status) => code(status).into_response(),
        Answer::Hang => code(500).into_response(),
        Answer::With(status, with) => {
            let mut response = code(status).into_response();
            for (name, value) in with {
                let name: axum::http::HeaderName = name.parse().unwrap();
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    }
}
