//! The gateway's client: against hand-made servers for what goes wrong on the way, against stubs
//! for what is sent, and against the sandbox for what comes of it.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chip_sandbox::{Effect, Operation, Rule, Sandbox, TestCard};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::{
    Account, AccountConfig, Accounts, ChipGateway, Deadlines, Gateway, PublicKey, Settings,
    SignatureCheck, read_sighting,
};
use holdfast::payment::*;
use holdfast::store::memory::MemoryStore;
use holdfast::store::{Permit, Store};
use rand::SeedableRng;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, RwLock};

use crate::stage::{self, account, policy, start_time};

const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-000000000002";
const TOKEN: &str = "5a9e3c1c-0000-4000-8000-000000000001";
const SECRET: &str = "sk-very-secret";

/// A key pair like the gateway's, the same in every run.
pub(crate) struct Signer {
    signing: SigningKey<Sha256>,
    pub(crate) public_pem: String,
}

impl Signer {
    pub(crate) fn shared() -> &'static Self {
        static SIGNER: OnceLock<Signer> = OnceLock::new();
        SIGNER.get_or_init(|| Self::from_seed(1))
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
        let private = rsa::PrivateKey::new(&mut dice, 2048).unwrap();
        let public_pem = rsa::PublicKey::from(&private)
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        Self {
            signing: SigningKey::new(private),
            public_pem,
        }
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        STANDARD.encode(self.signing.sign(body).to_bytes())
    }
}

pub(crate) struct Setup {
    pub(crate) base_url: String,
    pub(crate) webhook_keys: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) deadline_ms: u64,
    pub(crate) connect_timeout_ms: u64,
}

impl Setup {
    pub(crate) fn at(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            webhook_keys: Vec::new(),
            clock: Clock::manual(start_time()),
            deadline_ms: 5_000,
            connect_timeout_ms: 2_000,
        }
    }

    pub(crate) fn gateway(self) -> ChipGateway {
        let config = AccountConfig {
            secret_key: Private::new(SECRET.to_owned()),
            brand_id: chip_sandbox::DEFAULT_BRAND_ID.to_string(),
            base_url: self.base_url,
            test: true,
            success_callback: None,
            card_whitelist: None,
            webhook_keys: self.webhook_keys,
        };
        let settings = Settings {
            deadlines: Deadlines {
                create_ms: self.deadline_ms,
                look_up_ms: self.deadline_ms,
                charge_ms: self.deadline_ms,
                capture_ms: self.deadline_ms,
                release_ms: self.deadline_ms,
                cancel_ms: self.deadline_ms,
            },
            connect_timeout_ms: self.connect_timeout_ms,
            largest_answer_bytes: 64 * 1024,
            idle_connections: 128,
            idle_timeout_ms: 10_000,
            company_key_every_ms: 60_000,
        };
        let accounts = Accounts::from_iter([(account(), Account::new(config).unwrap())]);
        ChipGateway::new(accounts, settings, self.clock).unwrap()
    }
}

fn purchase_id() -> PurchaseId {
    PurchaseId::new(PURCHASE).unwrap()
}

fn payment(body: &str) -> Payment {
    let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k1",{body}}}"#);
    Payment::new(Request::from_json(json.as_bytes()).unwrap(), start_time()).unwrap()
}

fn adopted() -> Payment {
    payment(&format!(
        r#""type":"adopt","purchase":"{PURCHASE}","money":{{"amount":1500,"currency":"MYR"}}"#
    ))
}

/// A permit as the worker gets it: from the store, for the attempt that is open.
async fn permit_for(payment: Payment, step: Step) -> Permit {
    let clock = Clock::manual(start_time());
    let store = MemoryStore::new(clock.clone(), 30_000);
    store.create(&payment, clock.now()).await.unwrap();
    let mut claim = store.claim(1).await.unwrap().claims.pop().unwrap();
    claim
        .payment
        .open(step, clock.now(), &policy(UnknownPolicy::Park))
        .unwrap();
    store.license(&mut claim).await.unwrap()
}

fn order(payment: &Payment) -> CreateOrder {
    payment
        .create_order(start_time(), &policy(UnknownPolicy::Park))
        .unwrap()
}

fn capture(minor: u64) -> Step {
    Step::Capture {
        amount: Amount::new(minor).unwrap(),
    }
}

// ---- on the way ----------------------------------------------------------------------------

/// A server that reads each request to its end and then does `after`; counts both.
struct RawServer {
    base_url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum After {
    /// Writes this and closes.
    Write(Vec<u8>),
    /// Writes this and resets the connection.
    WriteAndReset(Vec<u8>),
    /// Writes this and keeps the connection for more.
    WriteAndStay(Vec<u8>),
    /// Writes this and nothing more, ever.
    WriteAndHang(Vec<u8>),
}

async fn raw_server(after: After) -> RawServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/api/v1/", listener.local_addr().unwrap());
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = RawServer {
        base_url,
        connections: Arc::clone(&connections),
        requests: Arc::clone(&requests),
    };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve_raw(socket, after.clone(), Arc::clone(&requests)));
        }
    });
    server
}

async fn serve_raw(mut socket: TcpStream, after: After, requests: Arc<AtomicUsize>) {
    while read_request(&mut socket).await {
        requests.fetch_add(1, Ordering::SeqCst);
        match &after {
            After::Write(bytes) => {
                let _ = socket.write_all(bytes).await;
                let _ = socket.shutdown().await;
                return;
            }
            After::WriteAndReset(bytes) => {
                let _ = socket.write_all(bytes).await;
                // What was written must arrive before the reset does.
                tokio::time::sleep(Duration::from_millis(50)).await;
                let _ = socket.set_zero_linger();
                return;
            }
            After::WriteAndStay(bytes) => {
                let _ = socket.write_all(bytes).await;
            }
            After::WriteAndHang(bytes) => {
                let _ = socket.write_all(bytes).await;
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Reads one request with its body; false at the end of the connection.
async fn read_request(socket: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    loop {
        if let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse::<usize>().unwrap());
            if seen.len() >= head + 4 + length {
                return true;
            }
        }
        match socket.read_buf(&mut seen).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

fn http(head: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn shown(status: &str) -> String {
    json!({
        "id": PURCHASE, "type": "purchase", "status": status, "is_test": true,
        "brand_id": chip_sandbox::DEFAULT_BRAND_ID.to_string(), "reference": "",
        "purchase": {"total": 1500, "currency": "MYR"}, "payment": null,
    })
    .to_string()
}

async fn all_answers(gateway: &ChipGateway) -> [Answer; 2] {
    let charge = payment(&stage::charge_of(TOKEN, 1500));
    [
        gateway.create(&order(&charge)).await,
        gateway
            .send(permit_for(adopted(), Step::Release).await)
            .await,
    ]
}

#[tokio::test]
async fn what_fails_before_a_connection_stands_was_not_sent() {
    // Bound, so that nobody else gets the port, and listened to by nobody.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = format!("http://{}/", nobody.local_addr().unwrap());
    let no_tls = raw_server(After::Write(Vec::new())).await;
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbled = format!("https://{}/", garbage.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = garbage.accept().await {
            let _ = socket.write_all(b"this is no TLS").await;
        }
    });
    for (base_url, why) in [
        (refused, "the gateway refused the connection"),
        (
            "http://gateway.invalid/".to_owned(),
            "the gateway's name could not be resolved",
        ),
        (garbled, "TLS with the gateway failed"),
        (
            no_tls.base_url.replace("http:", "https:"),
            "connecting to the gateway took too long",
        ),
    ] {
        let setup = Setup {
            connect_timeout_ms: 500,
            ..Setup::at(&base_url)
        };
        let gateway = setup.gateway();
        for answer in all_answers(&gateway).await {
            assert_eq!(
                answer,
                Answer::NotSent {
                    why: why.to_owned()
                },
                "{base_url}"
            );
        }
        let look = gateway.look_up(&account(), &purchase_id()).await;
        assert!(
            matches!(
                look,
                LookUp::Failed {
                    denied: Denial::No,
                    ..
                }
            ),
            "{look:?}"
        );
    }
    assert_eq!(no_tls.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_breaks_after_a_connection_stood_is_unknown_and_is_not_sent_again() {
    let whole = shown("released");
    let half = http("200 OK", &whole)[..200].to_vec();
    let large = http("200 OK", &"x".repeat(65 * 1024));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let cases = [
        ("closed without an answer", After::Write(Vec::new())),
        ("reset without an answer", After::WriteAndReset(Vec::new())),
        (
            "cut in the head",
            After::Write(b"HTTP/1.1 200 OK\r\nconte".to_vec()),
        ),
        ("cut in the body", After::Write(half.clone())),
        ("reset in the body", After::WriteAndReset(half)),
        (
            "cut between chunks",
            After::Write(chunked.as_bytes().to_vec()),
        ),
        ("too large", After::Write(large)),
        (
            "not HTTP",
            After::Write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
        ),
        (
            "a redirect",
            After::Write(http("302 Found\r\nlocation: /elsewhere/", "")),
        ),
        (
            "a redirect that keeps the method",
            After::Write(http("307 X\r\nlocation: /e/", "")),
        ),
        (
            "an error page",
            After::Write(http("502 Bad Gateway", "<html>")),
        ),
        ("not JSON", After::Write(http("200 OK", "welcome"))),
        ("no body", After::Write(http("204 No Content", ""))),
    ];
    for (case, after) in cases {
        let server = raw_server(after).await;
        let gateway = Setup::at(&server.base_url).gateway();
        for answer in all_answers(&gateway).await {
            assert!(
                matches!(answer, Answer::Unknown { .. }),
                "{case}: {answer:?}"
            );
            let printed = format!("{answer:?}");
            let secret = [PURCHASE, TOKEN, SECRET, "127.0.0.1", "payer@"];
            assert!(
                !secret.iter().any(|secret| printed.contains(secret)),
                "{printed}"
            );
        }
        assert_eq!(
            server.requests.load(Ordering::SeqCst),
            2,
            "{case}: each sent once"
        );
        let look = gateway.look_up(&account(), &purchase_id()).await;
        assert!(
            matches!(
                look,
                LookUp::Failed {
                    denied: Denial::No,
                    ..
                }
            ),
            "{case}: {look:?}"
        );
    }
}

#[tokio::test]
async fn the_deadline_covers_the_answer_to_its_last_byte() {
    let whole = http("200 OK", &shown("released"));
    for cut in [0, 20, whole.len() - 1] {
        let server = raw_server(After::WriteAndHang(whole[..cut].to_vec())).await;
        let gateway = Setup {
            deadline_ms: 300,
            ..Setup::at(&server.base_url)
        }
        .gateway();
        for answer in all_answers(&gateway).await {
            let why = "no whole answer within 300 ms".to_owned();
            assert_eq!(answer, Answer::Unknown { why }, "{cut} bytes came");
        }
        assert_eq!(server.requests.load(Ordering::SeqCst), 2, "each sent once");
    }
}

#[tokio::test]
async fn a_call_that_changes_something_has_a_connection_of_its_own() {
    let server = raw_server(After::WriteAndStay(http("200 OK", &shown("released")))).await;
    let gateway = Setup::at(&server.base_url).gateway();
    for calls in 1..=3 {
        let answer = gateway
            .send(permit_for(adopted(), Step::Release).await)
            .await;
        assert!(matches!(answer, Answer::Shown(_)), "{answer:?}");
        assert_eq!(server.connections.load(Ordering::SeqCst), calls);
    }
    for _ in 0..3 {
        let look = gateway.look_up(&account(), &purchase_id()).await;
        assert!(matches!(look, LookUp::Shown(_)), "{look:?}");
    }
    assert_eq!(
        server.connections.load(Ordering::SeqCst),
        4,
        "look-ups share one"
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 6);
}

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged on a thread with that thread; a test runs on one of its own.
struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_call_is_logged_once_and_nothing_secret_with_it() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| Log)
        .init();
    let refused = json!({"__all__": [{"code": "purchase_release_error", "message": PURCHASE}]});
    for after in [
        After::Write(http("200 OK", &shown("released"))),
        After::Write(http("400 Bad Request", &refused.to_string())),
        After::Write(Vec::new()),
    ] {
        let server = raw_server(after).await;
        let gateway = Setup::at(&server.base_url).gateway();
        all_answers(&gateway).await;
        gateway.look_up(&account(), &purchase_id()).await;
    }
    let logged = String::from_utf8(LOGGED.take()).unwrap();
    let count = |text: &str| logged.matches(text).count();
    assert_eq!(
        (
            count("step=\"create\""),
            count("step=\"create\" attempt"),
            count("step=\"release\" attempt=1 "),
        ),
        (3, 0, 3),
        "{logged}"
    );
    assert_eq!(count("step=\"look_up\""), 3, "{logged}");
    let look_ups = |level: &str, class: &str| {
        let of = |line: &&str| {
            line.contains(&format!(" {level} "))
                && line.contains("step=\"look_up\"")
                && line.contains(&format!("class=\"{class}\""))
        };
        logged.lines().filter(of).count()
    };
    let levels = (look_ups("DEBUG", "shown"), look_ups("INFO", "failed"));
    assert_eq!(levels, (1, 2), "{logged}");
    assert_eq!(
        count(&format!("payment.id=\"{}\"", adopted().id())),
        3,
        "{logged}"
    );
    assert!(
        logged.contains("class=\"declined\"") && logged.contains("duration_ms="),
        "{logged}"
    );
    for secret in [SECRET, PURCHASE, TOKEN, "payer@"] {
        assert!(!logged.contains(secret), "{secret}: {logged}");
    }
}

// ---- what is sent --------------------------------------------------------------------------

#[derive(Debug, Clone)]
struct Sent {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone)]
struct Stub {
    sent: Arc<Mutex<Vec<Sent>>>,
    answer: Arc<Mutex<(StatusCode, String)>>,
    arrived: Arc<Notify>,
    /// No answer goes out while this is held for writing.
    gate: Arc<RwLock<()>>,
    base_url: String,
}

impl Stub {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            sent: Arc::default(),
            answer: Arc::new(Mutex::new((StatusCode::OK, shown("released")))),
            arrived: Arc::default(),
            gate: Arc::default(),
            // Without the slash at the end, as a person may write it.
            base_url: format!("http://{}/api/v1", listener.local_addr().unwrap()),
        };
        let router = Router::new().fallback(record).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stub
    }

    fn answers(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

async fn record(
    State(stub): State<Stub>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    stub.sent.lock().unwrap().push(Sent {
        method,
        uri,
        headers,
        body,
    });
    stub.arrived.notify_one();
    let _open = stub.gate.read().await;
    stub.answer.lock().unwrap().clone()
}

fn charged(payment: Payment) -> Payment {
    // The worker's way to a purchase: create, and keep the id that the answer shows.
    let mut payment = payment;
    let policy = policy(UnknownPolicy::Park);
    let number = payment.open(Step::Create, start_time(), &policy).unwrap();
    let body = shown("created").replace(
        r#""reference":"""#,
        &format!(r#""reference":"{}""#, payment.id().as_str()),
    );
    let seen = read_sighting(body.as_bytes()).unwrap();
    payment.answered(
        number,
        &Answer::Shown(Box::new(seen)),
        start_time(),
        &policy,
    );
    payment
}

#[tokio::test]
async fn each_call_goes_to_its_address_with_exactly_what_the_permit_says() {
    let stub = Stub::start().await;
    let gateway = Setup::at(&stub.base_url).gateway();
    let charge = charged(payment(&stage::charge_of(TOKEN, 1500)));
    let charge_id = charge.id().clone();
    let adopt_id = adopted().id().clone();
    let cases = [
        (
            charge,
            Step::Charge,
            "charge",
            json!({"recurring_token": TOKEN}),
            format!("{charge_id}-2"),
        ),
        (
            adopted(),
            capture(700),
            "capture",
            json!({"amount": 700}),
            format!("{adopt_id}-1"),
        ),
        (
            adopted(),
            Step::Release,
            "release",
            Value::Null,
            format!("{adopt_id}-1"),
        ),
        (
            adopted(),
            Step::Cancel,
            "cancel",
            Value::Null,
            format!("{adopt_id}-1"),
        ),
    ];
    for (payment, step, verb, body, key) in cases {
        gateway.send(permit_for(payment, step).await).await;
        let sent = stub.sent();
        assert_eq!(sent.len(), 1, "{verb}");
        let call = &sent[0];
        assert_eq!(call.method, Method::POST);
        assert_eq!(
            call.uri.to_string(),
            format!("/api/v1/purchases/{PURCHASE}/{verb}/")
        );
        assert_eq!(call.headers["idempotency-key"], key);
        let received = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
        assert_eq!(received, body, "{verb}");
        has_the_headers_of_a_write(call, verb);
    }
}

/// What every POST carries, with a body or without.
fn has_the_headers_of_a_write(call: &Sent, verb: &str) {
    let header = |name: &str| {
        call.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let length = call.body.len().to_string();
    let json = (!call.body.is_empty()).then(|| "application/json".to_owned());
    assert_eq!(
        header("authorization"),
        Some(format!("Bearer {SECRET}")),
        "{verb}"
    );
    assert_eq!(header("accept").as_deref(), Some("application/json"));
    assert_eq!(header("content-length"), Some(length), "{verb}");
    assert_eq!(header("content-type"), json, "{verb}");
    assert_eq!(header("transfer-encoding"), None, "{verb}");
}

#[tokio::test]
async fn a_create_carries_the_payment_as_its_reference() {
    let stub = Stub::start().await;
    stub.answers(StatusCode::CREATED, shown("created"));
    let gateway = Setup::at(&stub.base_url).gateway();
    let payment = payment(&stage::authorize_of(r#"{"checkout":{}}"#, 1500, "{}"));
    let answer = gateway.create(&order(&payment)).await;
    assert!(matches!(answer, Answer::Shown(seen) if seen.purchase == purchase_id()));
    let sent = stub.sent();
    assert_eq!(sent[0].uri.to_string(), "/api/v1/purchases/");
    has_the_headers_of_a_write(&sent[0], "create");
    assert_eq!(sent[0].headers.get("idempotency-key"), None);
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body["reference"], payment.id().as_str());
    assert_eq!(body["skip_capture"], true);
    assert_eq!(body["purchase"]["products"][0]["price"], 1500);
}

#[tokio::test]
async fn no_two_look_ups_have_the_same_address_for_a_cache() {
    let stub = Stub::start().await;
    let setup = Setup::at(&stub.base_url);
    let clock = setup.clock.clone();
    let gateway = setup.gateway();
    gateway.look_up(&account(), &purchase_id()).await;
    clock.advance(TimeDelta::milliseconds(1));
    gateway.look_up(&account(), &purchase_id()).await;
    let addresses: Vec<_> = stub
        .sent()
        .iter()
        .map(|sent| sent.uri.to_string())
        .collect();
    let time = start_time().timestamp_millis();
    let expected =
        [time, time + 1].map(|time| format!("/api/v1/purchases/{PURCHASE}/?time={time}"));
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn an_account_that_is_not_configured_calls_nobody() {
    let stub = Stub::start().await;
    let gateway = Setup::at(&stub.base_url).gateway();
    let stranger = AccountName::new("stranger").unwrap();
    let look = gateway.look_up(&stranger, &purchase_id()).await;
    // Nobody refused anything: an account that was just taken out must park nothing.
    assert!(
        matches!(
            look,
            LookUp::Failed {
                denied: Denial::No,
                ..
            }
        ),
        "{look:?}"
    );
    let mut order = order(&payment(&stage::charge_of(TOKEN, 1500)));
    order.account = stranger;
    let why = "account_not_configured".to_owned();
    assert_eq!(gateway.create(&order).await, Answer::NotSent { why });
    assert!(stub.sent().is_empty());
}

#[tokio::test]
async fn the_company_key_is_asked_for_once_and_again_only_when_a_signature_does_not_fit() {
    let (old, new) = (Signer::shared(), Signer::from_seed(2));
    let stub = Stub::start().await;
    stub.answers(StatusCode::OK, json!(old.public_pem).to_string());
    let setup = Setup::at(&stub.base_url);
    let clock = setup.clock.clone();
    let gateway = setup.gateway();
    let body = b"{}".as_slice();
    let check = async |signature: &str| gateway.check_signature(&account(), body, signature).await;

    for _ in 0..3 {
        assert_eq!(check(&old.sign(body)).await, SignatureCheck::Good);
    }
    assert_eq!(stub.sent().len(), 1, "kept");

    stub.answers(StatusCode::OK, json!(new.public_pem).to_string());
    for _ in 0..3 {
        assert_eq!(
            check(&new.sign(body)).await,
            SignatureCheck::Bad,
            "not asked again so soon"
        );
    }
    assert!(stub.sent().is_empty());
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(check(&new.sign(body)).await, SignatureCheck::Good);
    assert_eq!(stub.sent().len(), 1);
}

#[tokio::test]
async fn what_was_signed_before_the_company_key_was_replaced_counts_for_as_long_as_it_is_delivered()
{
    let keys = [1, 2, 3].map(Signer::from_seed);
    let stub = Stub::start().await;
    let setup = Setup::at(&stub.base_url);
    let clock = setup.clock.clone();
    let gateway = setup.gateway();
    let body = b"{}".as_slice();
    let check = async |signer: &Signer| {
        let signature = signer.sign(body);
        gateway.check_signature(&account(), body, &signature).await
    };
    let good = [SignatureCheck::Good; 2];
    for signer in &keys[..2] {
        stub.answers(StatusCode::OK, json!(signer.public_pem).to_string());
        clock.advance(TimeDelta::minutes(1));
        assert_eq!(check(signer).await, SignatureCheck::Good);
    }
    clock.advance(TimeDelta::hours(36));
    assert_eq!([check(&keys[0]).await, check(&keys[1]).await], good);
    // Asked again, and told the same: that is no reason to keep the old one for longer.
    assert_eq!(check(&keys[2]).await, SignatureCheck::Bad);
    clock.advance(TimeDelta::hours(1));
    let over = [check(&keys[0]).await, check(&keys[1]).await];
    assert_eq!(over, [SignatureCheck::Bad, SignatureCheck::Good]);

    // The next one: of all before it one counts.
    stub.answers(StatusCode::OK, json!(keys[2].public_pem).to_string());
    clock.advance(TimeDelta::minutes(1));
    assert_eq!([check(&keys[2]).await, check(&keys[1]).await], good);
    assert_eq!(check(&keys[0]).await, SignatureCheck::Bad);
    stub.answers(StatusCode::OK, json!(keys[0].public_pem).to_string());
    clock.advance(TimeDelta::minutes(1));
    assert_eq!([check(&keys[0]).await, check(&keys[2]).await], good);
    assert_eq!(check(&keys[1]).await, SignatureCheck::Bad);
}

#[tokio::test]
async fn a_slow_company_key_does_not_hold_up_callbacks_that_fit_the_known_one() {
    let bound = Duration::from_secs(5);
    let (old, new) = (Signer::shared(), Signer::from_seed(2));
    let body = b"{}".as_slice();
    let stub = Stub::start().await;
    stub.answers(StatusCode::OK, json!(old.public_pem).to_string());
    let setup = Setup {
        deadline_ms: 30_000,
        ..Setup::at(&stub.base_url)
    };
    let clock = setup.clock.clone();
    let gateway = setup.gateway();
    let check = |signer: &Signer| {
        let (gateway, signature) = (gateway.clone(), signer.sign(body));
        async move { gateway.check_signature(&account(), body, &signature).await }
    };
    assert_eq!(check(old).await, SignatureCheck::Good);
    stub.arrived.notified().await;
    stub.sent();

    stub.answers(StatusCode::OK, json!(new.public_pem).to_string());
    clock.advance(TimeDelta::minutes(1));
    let stalled = stub.gate.write().await;
    let asking = tokio::spawn(check(&new));
    let arrived = tokio::time::timeout(bound, stub.arrived.notified()).await;
    arrived.expect("the key was asked for");
    let known = tokio::time::timeout(bound, check(old)).await;
    assert_eq!(known.expect("not held up"), SignatureCheck::Good);

    // Whoever asked is given up, as a request is whose time is over; the answer counts all the same.
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    let mut joined = std::pin::pin!(check(&new));
    assert!(futures_util::poll!(joined.as_mut()).is_pending());
    drop(stalled);
    let joined = tokio::time::timeout(bound, joined).await;
    assert_eq!(joined.expect("answered"), SignatureCheck::Good);
    assert_eq!(stub.sent().len(), 1, "asked for once");
}

#[tokio::test]
async fn a_signature_that_cannot_be_checked_is_not_called_bad() {
    let stub = Stub::start().await;
    stub.answers(StatusCode::SERVICE_UNAVAILABLE, "");
    let gateway = Setup::at(&stub.base_url).gateway();
    let signature = Signer::shared().sign(b"{}");
    let check = gateway.check_signature(&account(), b"{}", &signature).await;
    assert_eq!(check, SignatureCheck::Undecided);
}

// ---- against the sandbox -------------------------------------------------------------------

struct Played {
    sandbox: Sandbox,
    gateway: ChipGateway,
}

impl Played {
    async fn start() -> Self {
        let config = chip_sandbox::Config {
            time: chip_sandbox::Time::Manual(start_time()),
            accounts: vec![chip_sandbox::Account::new(
                "Hotel",
                SECRET,
                chip_sandbox::DEFAULT_BRAND_ID,
            )],
            ..chip_sandbox::Config::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let gateway = Setup::at(&sandbox.base_url()).gateway();
        Self { sandbox, gateway }
    }

    /// A payment whose purchase exists.
    async fn created(&self, body: &str) -> Payment {
        let mut payment = payment(body);
        let policy = policy(UnknownPolicy::Park);
        let number = payment.open(Step::Create, start_time(), &policy).unwrap();
        let answer = self.gateway.create(&order(&payment)).await;
        let Answer::Shown(seen) = &answer else {
            panic!("{answer:?}")
        };
        assert_eq!(
            seen.check(&payment, &policy),
            Ok(()),
            "it shows what was asked"
        );
        payment.answered(number, &answer, start_time(), &policy);
        payment
    }

    async fn charge(&self, token: &str) -> (Payment, Answer) {
        let payment = self.created(&stage::charge_of(token, 1500)).await;
        let permit = permit_for(payment.clone(), Step::Charge).await;
        let answer = self.gateway.send(permit).await;
        (payment, answer)
    }

    async fn held(&self) -> Payment {
        let payment = self
            .created(&stage::authorize_of(r#"{"checkout":{}}"#, 1500, "{}"))
            .await;
        let id = payment.purchase().unwrap().id.clone();
        self.sandbox
            .pay(id.as_str().parse().unwrap(), TestCard::Plain, false);
        let seen = self.seen(&payment).await;
        assert_eq!(
            (seen.standing, seen.held_since),
            (Standing::Held, Some(start_time()))
        );
        payment
    }

    async fn seen(&self, payment: &Payment) -> Sighting {
        let id = &payment.purchase().unwrap().id;
        match self.gateway.look_up(&account(), id).await {
            LookUp::Shown(seen) => *seen,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, payment: &Payment, step: Step) -> Answer {
        self.gateway
            .send(permit_for(payment.clone(), step).await)
            .await
    }
}

/// The account of the sandbox with another key.
fn with_key(sandbox: &Sandbox, key: &str) -> Account {
    Account::new(AccountConfig {
        secret_key: Private::new(key.to_owned()),
        brand_id: chip_sandbox::DEFAULT_BRAND_ID.to_string(),
        base_url: sandbox.base_url(),
        test: true,
        success_callback: None,
        card_whitelist: None,
        webhook_keys: Vec::new(),
    })
    .unwrap()
}

const NEXT: &str = "sk-the-next";
const FOREIGN: &str = "sk-of-a-motel";

/// Two companies: the hotel, which has a second key, and a motel.
async fn two_companies() -> Played {
    let brand = chip_sandbox::DEFAULT_BRAND_ID;
    let motel = uuid::Uuid::from_u128(brand.as_u128() ^ 0xff);
    let config = chip_sandbox::Config {
        time: chip_sandbox::Time::Manual(start_time()),
        accounts: vec![
            chip_sandbox::Account::new("Hotel", SECRET, brand),
            chip_sandbox::Account::new("Motel", FOREIGN, motel),
        ],
        ..chip_sandbox::Config::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    sandbox.add_key(NEXT);
    let gateway = Setup::at(&sandbox.base_url()).gateway();
    Played { sandbox, gateway }
}

impl Played {
    async fn proved(&self, key: &str) -> Result<(), String> {
        let next = with_key(&self.sandbox, key);
        self.gateway.is_same_company(&account(), &next).await
    }

    fn refuses(&self, key: &str, words: &[&str], told: Result<(), String>) {
        let told = told.expect_err(key);
        for word in words {
            assert!(told.contains(word), "{word:?} is not in {told}");
        }
        for secret in [SECRET, NEXT, FOREIGN, &self.sandbox.base_url()] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[tokio::test]
async fn a_second_key_of_the_company_is_proved_beside_the_first_and_that_of_another_is_not() {
    let play = two_companies().await;
    assert_eq!(play.proved(NEXT).await, Ok(()));
    play.refuses(FOREIGN, &["another company"], play.proved(FOREIGN).await);
    play.refuses("nobody's", &["401"], play.proved("nobody's").await);
}

#[tokio::test]
async fn once_the_old_key_is_refused_only_what_was_heard_of_the_company_before_proves_another() {
    let play = two_companies().await;
    play.sandbox.revoke_key(SECRET);
    for key in [NEXT, FOREIGN] {
        let words = ["401", "never seen", "start the workers anew"];
        play.refuses(key, &words, play.proved(key).await);
    }
    // Heard of while the old one was valid: by a callback that was to be checked.
    let play = two_companies().await;
    let signature = Signer::shared().sign(b"{}");
    let hotel = account();
    let check = play.gateway.check_signature(&hotel, b"{}", &signature);
    assert_eq!(check.await, SignatureCheck::Bad);
    play.sandbox.revoke_key(SECRET);
    assert_eq!(play.proved(NEXT).await, Ok(()));
    play.refuses(FOREIGN, &["another company"], play.proved(FOREIGN).await);
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_proves_nothing() {
    let play = two_companies().await;
    play.sandbox.add_fault(Rule::on(
        Operation::PublicKey,
        Effect::status_after_commit(503),
    ));
    play.refuses(NEXT, &["503"], play.proved(NEXT).await);
    play.sandbox.clear_faults();
    assert_eq!(play.proved(NEXT).await, Ok(()));
    play.sandbox.stop().await;
    for key in [NEXT, FOREIGN] {
        play.refuses(key, &[], play.proved(key).await);
    }
}

fn standing(answer: &Answer) -> &Standing {
    match answer {
        Answer::Shown(seen) => &seen.standing,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_charge_of_a_saved_card_shows_the_money_taken() {
    let play = Played::start().await;
    let token = play.sandbox.save_card("payer@test.example").to_string();
    let (payment, answer) = play.charge(&token).await;
    assert_eq!(standing(&answer), &Standing::Paid);
    let seen = play.seen(&payment).await;
    assert_eq!(
        seen.taken,
        Some(Taken {
            amount: 1500,
            currency: "MYR".to_owned()
        })
    );
    assert_eq!(seen.count(TryKind::Pay), 1);
    assert_eq!(
        play.sandbox.taken_for_reference(payment.id().as_str()),
        1500
    );
}

#[tokio::test]
async fn a_part_of_a_hold_is_captured_and_a_second_capture_conflicts() {
    let play = Played::start().await;
    let payment = play.held().await;
    assert_eq!(
        standing(&play.send(&payment, capture(700)).await),
        &Standing::Paid
    );
    let seen = play.seen(&payment).await;
    assert_eq!(seen.taken.map(|taken| taken.amount), Some(700));
    assert_eq!(seen.total, 1500);
    let again = play.send(&payment, capture(700)).await;
    let code = "purchase_capture_wrong_status".to_owned();
    assert_eq!(again, Answer::Conflict { code });
    assert_eq!(play.sandbox.taken_for_reference(payment.id().as_str()), 700);
}

#[tokio::test]
async fn a_hold_is_released_and_a_link_is_cancelled() {
    let play = Played::start().await;
    let payment = play.held().await;
    assert_eq!(
        standing(&play.send(&payment, Step::Release).await),
        &Standing::Released
    );
    let again = play.send(&payment, Step::Release).await;
    assert!(matches!(again, Answer::Conflict { .. }), "{again:?}");

    let link = play
        .created(&stage::authorize_of(r#"{"checkout":{}}"#, 900, "{}"))
        .await;
    assert_eq!(
        standing(&play.send(&link, Step::Cancel).await),
        &Standing::Cancelled
    );
}

#[tokio::test]
async fn a_card_is_saved_without_money() {
    let play = Played::start().await;
    let payment = play
        .created(r#""type":"save_card","customer":{"email":"p@t.example"}"#)
        .await;
    let id = payment.purchase().unwrap().id.clone();
    play.sandbox
        .pay(id.as_str().parse().unwrap(), TestCard::Plain, false);
    let seen = play.seen(&payment).await;
    assert_eq!(
        (seen.standing, seen.total, seen.card),
        (Standing::CardSaved, 0, Some(id.as_card_token()))
    );
}

#[test]
fn a_card_that_was_saved_before_is_reported_by_its_own_token() {
    let mut payment = payment(r#""type":"save_card","customer":{"email":"p@t.example"}"#);
    let policy = policy(UnknownPolicy::Park);
    let seen = |status: &str| {
        let body = json!({
            "id": PURCHASE, "type": "purchase", "status": status, "is_test": true,
            "brand_id": chip_sandbox::DEFAULT_BRAND_ID.to_string(),
            "reference": payment.id().as_str(), "payment": null,
            "purchase": {"total": 0, "currency": "MYR"},
            // The payer picked a card that was kept: this purchase is no token of its own.
            "is_recurring_token": false, "recurring_token": TOKEN,
        });
        Box::new(read_sighting(body.to_string().as_bytes()).unwrap())
    };
    let (link, done) = (seen("created"), seen("preauthorized"));
    let number = payment.open(Step::Create, start_time(), &policy).unwrap();
    payment.answered(number, &Answer::Shown(link), start_time(), &policy);
    payment.looked_up(&LookUp::Shown(done), start_time(), &policy);
    let token = CardToken::new(TOKEN).unwrap();
    assert_eq!(payment.state(), &holdfast::payment::State::Saved(token));
}

#[tokio::test]
async fn a_dead_card_a_decline_and_a_key_that_is_refused_are_told_apart() {
    let play = Played::start().await;
    let token = play.sandbox.save_card("payer@test.example");
    play.sandbox
        .add_fault(Rule::on(Operation::Charge, Effect::decline("insufficient_funds")).times(1));
    let (payment, answer) = play.charge(&token.to_string()).await;
    let code = "purchase_charge_error".to_owned();
    assert_eq!(answer, Answer::Declined { code });
    let seen = play.seen(&payment).await;
    assert_eq!(seen.standing, Standing::Payable);
    let newest = seen.newest(TryKind::Pay).unwrap();
    assert_eq!(
        (newest.successful, newest.code.as_deref()),
        (false, Some("insufficient_funds"))
    );

    play.sandbox.kill_token(token);
    let (_, answer) = play.charge(&token.to_string()).await;
    let code = "invalid_recurring_token".to_owned();
    assert_eq!(
        answer,
        Answer::NoEffect {
            code,
            denied: false
        }
    );

    let stranger = stage::gateway(&play.sandbox.base_url(), &Clock::manual(start_time()));
    let code = "authentication_failed".to_owned();
    assert_eq!(
        stranger.create(&order(&payment)).await,
        Answer::NoEffect { code, denied: true }
    );
    let missing = play.gateway.look_up(&account(), &purchase_id()).await;
    assert_eq!(missing, LookUp::NotFound);
}

#[tokio::test]
async fn an_answer_that_broke_says_nothing_of_the_charge_that_went_through() {
    let play = Played::start().await;
    let token = play.sandbox.save_card("payer@test.example").to_string();
    let broken = [
        Effect::reset_after_commit(),
        Effect::truncated(),
        Effect::status_after_commit(500),
    ];
    for effect in broken {
        play.sandbox
            .add_fault(Rule::on(Operation::Charge, effect.clone()).times(1));
        let (payment, answer) = play.charge(&token).await;
        assert!(
            matches!(answer, Answer::Unknown { .. }),
            "{effect:?}: {answer:?}"
        );
        assert_eq!(
            play.seen(&payment).await.standing,
            Standing::Paid,
            "{effect:?}"
        );
    }
    assert_eq!(
        play.sandbox.ledger().counts(Operation::Charge).arrived,
        3,
        "each sent once"
    );
}

// ---- real payloads, where they are at hand ---------------------------------------------------

fn sample(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/chip/samples");
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/chip/samples");
    std::fs::read(folder.join(name))
        .or_else(|_| std::fs::read(near.join(name)))
        .ok()
}

#[test]
fn the_gateways_own_samples_mean_what_they_say() {
    let taken = |amount| {
        Some(Taken {
            amount,
            currency: "MYR".to_owned(),
        })
    };
    let table = [
        (
            "webhook-01-event-Purchase-paid.json",
            Standing::Paid,
            200,
            taken(200),
        ),
        (
            "webhook-04-event-Purchase-failed.json",
            Standing::Payable,
            200,
            None,
        ),
        (
            "webhook-06-event-Purchase-preauthorized.json",
            Standing::CardSaved,
            0,
            None,
        ),
        (
            "webhook-08-event-Purchase-hold.json",
            Standing::Held,
            100,
            None,
        ),
        (
            "webhook-10-event-Purchase-captured.json",
            Standing::Paid,
            100,
            taken(100),
        ),
        (
            "webhook-16-event-Purchase-released.json",
            Standing::Released,
            100,
            None,
        ),
        (
            "webhook-17-event-Purchase-cancelled.json",
            Standing::Cancelled,
            100,
            None,
        ),
    ];
    for (name, standing, total, taken) in table {
        let Some(body) = sample(name) else { return };
        let seen = read_sighting(&body).unwrap();
        assert_eq!(
            (seen.standing, seen.total, seen.taken),
            (standing, total, taken),
            "{name}"
        );
        assert!(seen.test && seen.due.is_some(), "{name}");
    }
    let captured = read_sighting(&sample("webhook-10-event-Purchase-captured.json").unwrap());
    let captured = captured.unwrap();
    assert_eq!(captured.held_since.unwrap().timestamp(), 1_708_333_637);
    let kinds: Vec<_> = captured.tries.iter().map(|tried| tried.kind).collect();
    assert_eq!(kinds, [TryKind::Capture, TryKind::Pay], "the newest first");
    let failed = read_sighting(&sample("webhook-04-event-Purchase-failed.json").unwrap()).unwrap();
    let code = failed.newest(TryKind::Pay).unwrap().code.as_deref();
    assert_eq!(code, Some("general_transaction_error"));
}

#[tokio::test]
async fn the_gateways_own_error_bodies_are_classified() {
    let stub = Stub::start().await;
    let gateway = Setup::at(&stub.base_url).gateway();
    let refused = |code: &str, denied| Answer::NoEffect {
        code: code.to_owned(),
        denied,
    };
    let conflict = |code: &str| Answer::Conflict {
        code: code.to_owned(),
    };
    let table = [
        (
            "error-400-capture-amount-too-large.json",
            400,
            refused("amount.max_value", false),
        ),
        (
            "error-400-capture-wrong-status.json",
            400,
            conflict("purchase_capture_wrong_status"),
        ),
        (
            "error-400-charge-invalid-recurring-token.json",
            400,
            refused("invalid_recurring_token", false),
        ),
        (
            "error-400-generic-object-form-docs.json",
            400,
            refused("error_code", false),
        ),
        (
            "error-401-bad-secret-key.json",
            401,
            refused("authentication_failed", true),
        ),
    ];
    for (name, status, expected) in table {
        let Some(body) = sample(name) else { return };
        stub.answers(
            StatusCode::from_u16(status).unwrap(),
            String::from_utf8(body).unwrap(),
        );
        let answer = gateway
            .send(permit_for(adopted(), capture(700)).await)
            .await;
        assert_eq!(answer, expected, "{name}");
    }
}

#[test]
fn the_gateways_own_signature_verifies_and_one_flipped_bit_does_not() {
    let Some(vector) = sample("signature-vector-1-purchase-created.json") else {
        return;
    };
    let vector: Value = serde_json::from_slice(&vector).unwrap();
    let text = |field: &str| vector[field].as_str().unwrap().to_owned();
    let key = PublicKey::from_pem(&text("public_key_pem")).unwrap();
    let signature = STANDARD.decode(text("x_signature_base64")).unwrap();
    let mut body = text("raw_body").into_bytes();
    assert!(key.signed(&body, &signature));
    body[100] ^= 1;
    assert!(!key.signed(&body, &signature));
    let other =
        serde_json::from_slice::<String>(&sample("public-key-response-example.json").unwrap());
    assert_eq!(
        format!("{:?}", PublicKey::from_pem(&other.unwrap()).unwrap()),
        "PublicKey(RSA 3072)"
    );
}
