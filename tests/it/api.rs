//! The listener: webhooks and callbacks nudge if the gateway signed them, health tells the truth,
//! and no client can hold the listener up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chip_sandbox::{Sandbox, TestCard};
use chrono::TimeDelta;
use holdfast::api::intake::{self, IntakeError, Submitted};
use holdfast::api::{self, Api, Limits, WebhookCounts, WebhookTally};
use holdfast::clock::Clock;
use holdfast::payment::*;
use holdfast::store::memory::{MemoryStore, Trouble};
use holdfast::store::{Cards, Store, Then};
use holdfast::worker::Policies;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::gateway::{Setup, Signer};
use crate::stage::{self, start_time};

const PURCHASE: &str = "5a9e3c1c-0000-4000-8000-000000000002";
/// Nobody listens there: no company key can be had.
const NOWHERE: &str = "http://127.0.0.1:9/";

struct Listener {
    address: SocketAddr,
    store: MemoryStore,
    clock: Clock,
    counts: Arc<WebhookCounts>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout_ms: 5_000,
    request_timeout_ms: 5_000,
    store_timeout_ms: 1_000,
    drain_timeout_ms: 5_000,
};

impl Listener {
    async fn start() -> Self {
        Self::with(LIMITS, NOWHERE, &[&Signer::shared().public_pem]).await
    }

    async fn with(limits: Limits, gateway_url: &str, webhook_keys: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, limits, gateway_url, webhook_keys)
    }

    fn on(listener: TcpListener, limits: Limits, url: &str, webhook_keys: &[&str]) -> Self {
        let address = listener.local_addr().unwrap();
        let setup = Setup::at(url);
        let clock = setup.clock.clone();
        let webhook_keys = webhook_keys.iter().map(|&key| key.to_owned()).collect();
        let gateway = Arc::new(
            Setup {
                webhook_keys,
                ..setup
            }
            .gateway(),
        );
        let store = MemoryStore::new(clock.clone(), 30_000);
        let api = Api::new(Arc::new(store.clone()), gateway, limits);
        let counts = api.webhook_counts();
        let stop = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, api::router(api), limits, stop.clone()));
        Self {
            address,
            store,
            clock,
            counts,
            stop,
            served,
        }
    }

    /// Records a payment that is due only in a day.
    async fn payment(&self, body: &str) -> PaymentId {
        let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"k1",{body}}}"#);
        let request = Request::from_json(json.as_bytes()).unwrap();
        let payment = Payment::new(request, start_time()).unwrap();
        let tomorrow = start_time() + TimeDelta::days(1);
        self.store.create(&payment, tomorrow).await.unwrap();
        payment.id().clone()
    }

    async fn ours(&self) -> PaymentId {
        self.payment(&stage::charge_of(
            "5a9e3c1c-0000-4000-8000-000000000001",
            1500,
        ))
        .await
    }

    async fn is_due(&self, id: &PaymentId) -> bool {
        let due = self.store.load(id).await.unwrap().unwrap().due;
        due.is_some_and(|due| due <= self.clock.now())
    }

    async fn post(&self, path: &str, signature: Option<&str>, body: &[u8]) -> u16 {
        let signature = signature.map_or(String::new(), |text| format!("x-signature: {text}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: us\r\nconnection: close\r\n{signature}\
             content-length: {}\r\n\r\n",
            body.len()
        );
        exchange(self.address, &[head.as_bytes(), body].concat())
            .await
            .0
    }

    async fn hook(&self, body: &[u8]) -> u16 {
        self.post(
            "/webhooks/chip/hotel",
            Some(&Signer::shared().sign(body)),
            body,
        )
        .await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let head = format!("GET {path} HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\r\n");
        let (status, body) = exchange(self.address, head.as_bytes()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

/// One request on a connection of its own; 0 when the connection ended without an answer.
async fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    answer_on(&mut socket).await
}

async fn answer_on(socket: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut bytes)).await;
    let text = String::from_utf8(bytes).unwrap();
    let status = text
        .get(9..12)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn event(reference: &str) -> Vec<u8> {
    json!({"event_type": "purchase.pending_execute", "type": "purchase", "id": PURCHASE,
           "reference": reference, "status": "paid"})
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn a_signed_webhook_makes_its_payment_due_and_changes_nothing_else() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    let before = listener.store.load(&id).await.unwrap().unwrap().payment;
    let body = event(id.as_str());
    assert!(!listener.is_due(&id).await);
    assert_eq!(listener.hook(&body).await, 200);
    assert!(listener.is_due(&id).await);
    let after = listener.store.load(&id).await.unwrap().unwrap().payment;
    assert_eq!(after, before, "that the body says `paid` is not believed");
    assert_eq!(listener.hook(&body).await, 200, "a duplicate is fine");
    assert_eq!(listener.counts.tally().nudged, 2);
}

/// What the gateway posts of `purchase`, which carries `reference`.
fn said(event: &str, purchase: &str, reference: &PaymentId) -> Vec<u8> {
    let body = json!({"event_type": event, "type": "purchase", "id": purchase,
        "reference": reference.as_str(), "status": "whatever"});
    body.to_string().into_bytes()
}

/// An adopted hold, which is due, ends by these events.
async fn ended(listener: &Listener, events: Vec<Event>) -> PaymentId {
    let adopt = format!(
        r#""type":"adopt","purchase":"{PURCHASE}","money":{{"amount":1500,"currency":"MYR"}}"#
    );
    let id = listener.payment(&adopt).await;
    // Of what is not finished its own purchase says what it likes: it is looked at.
    let body = said("purchase.paid", PURCHASE, &id);
    assert_eq!(listener.hook(&body).await, 200);
    let mut claims = listener.store.claim(1).await.unwrap().claims;
    let mut claim = claims.pop().unwrap();
    let policy = stage::policy(UnknownPolicy::Park);
    for event in events {
        let now = listener.clock.now();
        claim.payment.settled(event, now, &policy);
    }
    assert!(claim.payment.is_finished(), "{:?}", claim.payment.state());
    let rest = Then::Rest(None);
    listener.store.save(&mut claim, rest).await.unwrap();
    assert_eq!(listener.counts.tally().against_record, 0);
    id
}

/// As what a payment ended that was never created at the gateway.
fn sealed() -> Event {
    let charge = stage::charge_of("a-token", 100);
    let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"other",{charge}}}"#);
    let request = Request::from_json(json.as_bytes()).unwrap();
    let never_created = Payment::new(request, start_time()).unwrap();
    let seal = Seal::nothing_created(&never_created).unwrap();
    Event::Sealed(seal, FailReason::Cancelled)
}

#[tokio::test]
async fn a_signed_webhook_that_contradicts_what_was_reported_is_an_alarm() {
    let lines = Lines::default();
    let writer = lines.clone();
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let released = || vec![Event::Stuck(ParkReason::Poison), Event::Released];
    for (events, event, against) in [
        (vec![sealed()], "purchase.hold", 1),
        (vec![sealed()], "purchase.captured", 1),
        (vec![sealed()], "purchase.payment_failure", 0),
        (vec![sealed()], "purchase.cancelled", 0),
        (released(), "purchase.captured", 1),
        // It was held before it was given back, and the word of that may come late.
        (released(), "purchase.hold", 0),
    ] {
        let listener = Listener::start().await;
        let id = ended(&listener, events).await;
        let before = listener.counts.tally();
        assert_eq!(listener.hook(&said(event, PURCHASE, &id)).await, 200);
        let after = listener.counts.tally();
        assert_eq!(after.against_record, against, "{event}");
        assert_eq!(after.nudged, before.nudged + 1 - against, "{event}");
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("webhook_against_record").count(), 3);
    assert!(!text.contains(PURCHASE), "no purchase is named");
}

#[tokio::test]
async fn money_that_moves_on_another_purchase_than_the_payments_own_is_an_alarm() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    let told = || listener.counts.tally().against_record;
    // A purchase that a lost create left behind may be made, and expire.
    let made = said("purchase.created", PURCHASE, &id);
    assert_eq!((listener.hook(&made).await, told()), (200, 0));
    let paid = said("purchase.paid", PURCHASE, &id);
    assert_eq!((listener.hook(&paid).await, told()), (200, 1));
    assert!(listener.is_due(&id).await, "it is looked at all the same");
}

#[tokio::test]
async fn only_what_the_gateway_signed_counts_as_heard_from_it() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    let body = event(id.as_str());
    assert_ne!(
        listener
            .post("/webhooks/chip/hotel", Some("AAAA"), &body)
            .await,
        200
    );
    assert_ne!(
        listener.post("/webhooks/chip/hotel", None, &body).await,
        200
    );
    assert_eq!(listener.counts.heard().len(), 0);
    listener.clock.advance(TimeDelta::minutes(3));
    assert_eq!(listener.hook(&body).await, 200);
    let heard = [(stage::account(), listener.clock.now())];
    assert_eq!(listener.counts.heard(), heard.into());
}

#[tokio::test]
async fn a_webhook_that_says_a_card_is_deleted_has_it_looked_at_and_is_not_believed() {
    let listener = Listener::start().await;
    let evidence = CardEvidence {
        payment: listener.ours().await,
        account: stage::account(),
        token: CardToken::new(PURCHASE).unwrap(),
        face: None,
        sign: CardSign::Saved,
        at: start_time(),
    };
    let card = KnownCard::first(&evidence);
    let said = |event: &str| {
        json!({"event_type": event, "type": "purchase", "id": PURCHASE, "reference": "",
               "is_recurring_token": false})
        .to_string()
        .into_bytes()
    };
    let deleted = said("purchase.recurring_token_deleted");
    assert_eq!(listener.hook(&deleted).await, 200, "nothing is known of it");
    assert_eq!(listener.counts.tally().unmatched, 1);
    listener.store.keep_card(None, &card).await.unwrap();
    assert_eq!(listener.hook(&said("purchase.paid")).await, 200);
    let known = async || listener.store.card(&card.id()).await.unwrap().unwrap().card;
    assert_eq!(known().await, card);
    assert_eq!(listener.hook(&deleted).await, 200);
    let nudged = known().await;
    assert_eq!(nudged.wanted().map(|wanted| wanted.what), Some(Wish::Look));
    assert_eq!(nudged.state(), CardState::Live);
    assert_eq!(listener.counts.tally().nudged, 1);
    listener
        .store
        .disturb(|call| (call == "card").then_some(Trouble::Unreached));
    assert_eq!(listener.hook(&deleted).await, 503, "asked for again");
}

#[tokio::test]
async fn a_callback_is_taken_like_a_webhook() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    let body = event(id.as_str());
    let signature = Signer::shared().sign(&body);
    let path = "/callbacks/chip/hotel";
    assert_eq!(listener.post(path, Some(&signature), &body).await, 200);
    assert!(listener.is_due(&id).await);
}

#[tokio::test]
async fn an_adopted_hold_is_found_by_the_id_of_its_purchase() {
    let listener = Listener::start().await;
    let id = listener
        .payment(&format!(
            r#""type":"adopt","purchase":"{PURCHASE}","money":{{"amount":1500,"currency":"MYR"}}"#
        ))
        .await;
    assert_eq!(
        listener.hook(&event("order 7 of another service")).await,
        200
    );
    assert!(listener.is_due(&id).await);
}

#[tokio::test]
async fn what_the_gateway_did_not_sign_is_refused_and_does_nothing() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    let body = event(id.as_str());
    let good = Signer::shared().sign(&body);
    let mut other = body.clone();
    *other.last_mut().unwrap() = b' ';
    // No company key was ever seen here, so what fits no webhook key stays undecided: 503.
    let cases = [
        (
            listener.post("/webhooks/chip/hotel", None, &body).await,
            401,
        ),
        (
            listener
                .post("/webhooks/chip/hotel", Some("not base64!"), &body)
                .await,
            401,
        ),
        (
            listener
                .post("/webhooks/chip/stranger", Some(&good), &body)
                .await,
            401,
        ),
        (
            listener
                .post("/webhooks/chip/no%20name", Some(&good), &body)
                .await,
            401,
        ),
        (
            listener
                .post("/webhooks/chip/hotel", Some(&good), &other)
                .await,
            503,
        ),
    ];
    for (case, (status, expected)) in cases.into_iter().enumerate() {
        assert_eq!(status, expected, "case {case}");
    }
    assert!(!listener.is_due(&id).await);
    let tally = WebhookTally {
        nudged: 0,
        unmatched: 0,
        unsigned: 4,
        deferred: 1,
        against_record: 0,
    };
    assert_eq!(listener.counts.tally(), tally);
}

#[tokio::test]
async fn a_forged_signature_is_refused_once_the_company_key_is_known() {
    let sandbox = Sandbox::start(chip_sandbox::Config {
        accounts: vec![chip_sandbox::Account::new(
            "Hotel",
            "sk-very-secret",
            chip_sandbox::DEFAULT_BRAND_ID,
        )],
        ..chip_sandbox::Config::default()
    });
    let sandbox = sandbox.await.unwrap();
    let listener = Listener::with(LIMITS, &sandbox.base_url(), &[]).await;
    let id = listener.ours().await;
    for _ in 0..3 {
        assert_eq!(listener.hook(&event(id.as_str())).await, 401);
    }
    assert!(!listener.is_due(&id).await);
    let asked = sandbox
        .ledger()
        .counts(chip_sandbox::Operation::PublicKey)
        .arrived;
    assert_eq!(asked, 1, "rubbish does not make us knock at the gateway");
}

#[tokio::test]
async fn a_company_key_that_is_slow_to_come_is_waited_for_no_longer_than_an_answer_takes() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let limits = Limits {
        request_timeout_ms: 3_000,
        store_timeout_ms: 2_600,
        ..LIMITS
    };
    let listener = Listener::with(limits, &url, &[]).await;
    assert_eq!(listener.hook(&event("")).await, 503, "ask again later");
    assert_eq!(listener.counts.tally().deferred, 1);
}

#[tokio::test]
async fn an_address_that_was_registered_with_a_slash_at_its_end_is_served() {
    let listener = Listener::start().await;
    let body = event("");
    let signature = Signer::shared().sign(&body);
    for path in [
        "/webhooks/chip/hotel/",
        "/webhooks/chip/hotel",
        "/callbacks/chip/hotel/",
        "/callbacks/chip/hotel",
    ] {
        let status = listener.post(path, Some(&signature), &body).await;
        assert_eq!(status, 200, "{path}");
    }
    assert_eq!(listener.counts.tally().unmatched, 4);
}

/// Keeps the lines that are logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn whoever_posts_rubbish_cannot_flood_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For this thread, on which the listener runs too.
    let _log = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let listener = Listener::start().await;
    let flood = async || {
        for _ in 0..20 {
            let status = listener.post("/webhooks/chip/hotel", None, b"x").await;
            assert_eq!(status, 401);
        }
    };
    let told = || {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.matches("webhooks are refused").count()
    };
    flood().await;
    assert_eq!(told(), 1);
    listener.clock.advance(TimeDelta::minutes(1));
    flood().await;
    assert_eq!(told(), 2);
    assert_eq!(listener.counts.tally().unsigned, 40, "all are counted");
}

#[tokio::test]
async fn a_request_whose_time_is_over_is_refused_and_its_repeat_is_answered() {
    let clock = Clock::manual(start_time());
    let store = MemoryStore::new(clock.clone(), 30_000);
    let policies = Policies::from([(stage::account(), stage::policy(UnknownPolicy::Park))]);
    let submit = async |key: &str, amount: u64| {
        let charge = stage::charge_of("5a9e3c1c-0000-4000-8000-000000000001", amount);
        let json = format!(
            r#"{{"v":1,"account":"hotel","idempotency_key":"{key}",
            "not_after":"2027-01-31T07:00:00Z",{charge}}}"#
        );
        let request = Request::from_json(json.as_bytes()).unwrap();
        intake::submit(&store, &clock, &policies, request).await
    };
    let new = submit("in-time", 1500).await.unwrap();
    assert!(matches!(new, Submitted::New(_)), "{new:?}");
    clock.advance(TimeDelta::hours(1));

    let late = submit("late", 1500).await.unwrap_err();
    assert!(
        matches!(&late, IntakeError::Invalid(error) if error.field == "not_after"),
        "{late}"
    );
    let other = Request::from_json(
        br#"{"v":1,"account":"hotel","idempotency_key":"late","type":"save_card",
        "customer":{"email":"a@b.example"}}"#,
    );
    let id = other.unwrap().payment_id();
    assert!(store.load(&id).await.unwrap().is_none(), "nothing is kept");

    let repeat = submit("in-time", 1500).await.unwrap();
    assert!(matches!(repeat, Submitted::Existing(_)), "{repeat:?}");
    let changed = submit("in-time", 1600).await.unwrap_err();
    assert!(matches!(changed, IntakeError::Conflict(_)), "{changed}");
}

#[tokio::test]
async fn whatever_a_signed_body_is_about_it_does_not_hold_back_later_events() {
    let listener = Listener::start().await;
    let unknown = "pay_0123456789abcdef0123456789abcdef";
    let refund = json!({"event_type": "payment.refunded", "type": "payment", "id": PURCHASE,
        "related_to": {"type": "purchase", "id": PURCHASE, "reference": unknown}});
    let bodies = [
        event(unknown),
        event(""),
        event("pay_"),
        refund.to_string().into_bytes(),
        json!({"event_type": "something.new", "type": "thing"})
            .to_string()
            .into_bytes(),
        b"not JSON".to_vec(),
        b"[1]".to_vec(),
        Vec::new(),
    ];
    for body in &bodies {
        assert_eq!(
            listener.hook(body).await,
            200,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    assert_eq!(listener.counts.tally().unmatched, 8);
}

#[tokio::test]
async fn a_nudge_that_could_not_be_recorded_is_asked_for_again() {
    let listener = Listener::start().await;
    let id = listener.ours().await;
    listener
        .store
        .disturb(|call| (call == "nudge").then_some(Trouble::Unreached));
    assert_eq!(listener.hook(&event(id.as_str())).await, 503);
    listener.store.disturb(|_| None);
    assert_eq!(listener.hook(&event(id.as_str())).await, 200);
    assert!(listener.is_due(&id).await);
}

#[tokio::test]
async fn a_body_beyond_any_webhook_is_not_taken_in() {
    let listener = Listener::start().await;
    let largest = vec![b' '; 256 * 1024];
    assert_eq!(listener.hook(&largest).await, 200);
    let larger = vec![b' '; 256 * 1024 + 1];
    assert_eq!(listener.hook(&larger).await, 413);
}

#[tokio::test]
async fn readiness_tells_what_is_missing_and_life_does_not_depend_on_it() {
    let listener = Listener::start().await;
    assert_eq!(listener.get("/readyz").await, (200, json!({"ok": true})));
    listener.store.fall_short(Some("appendfsync is everysec"));
    let (status, body) = listener.get("/readyz").await;
    assert_eq!(
        (status, &body["ok"]),
        (200, &json!(true)),
        "webhooks are taken"
    );
    assert!(
        body["reason"]
            .as_str()
            .unwrap()
            .contains("appendfsync is everysec"),
        "{body}"
    );
    listener.store.fall_short(None);
    listener.store.disturb(|_| Some(Trouble::Unreached));
    let (status, body) = listener.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        body["reason"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{body}"
    );
    assert_eq!(listener.get("/livez").await.0, 200);
}

#[tokio::test]
async fn slow_clients_are_let_go_and_their_places_are_free_again() {
    let limits = Limits {
        connections: 2,
        header_timeout_ms: 300,
        request_timeout_ms: 300,
        ..LIMITS
    };
    let listener = Listener::with(limits, NOWHERE, &[]).await;
    let mut slow_head = TcpStream::connect(listener.address).await.unwrap();
    slow_head
        .write_all(b"POST /webhooks/chip/hotel HT")
        .await
        .unwrap();
    let mut slow_body = TcpStream::connect(listener.address).await.unwrap();
    let head = b"POST /webhooks/chip/hotel HTTP/1.1\r\nhost: us\r\ncontent-length: 10\r\n\r\n{";
    slow_body.write_all(head).await.unwrap();
    // Both places are taken; a third client is served as soon as one is let go.
    assert_eq!(listener.get("/livez").await.0, 200);
    assert_eq!(answer_on(&mut slow_body).await.0, 408);
    let (status, _) = answer_on(&mut slow_head).await;
    assert!(
        matches!(status, 0 | 408),
        "closed, with an answer or without: {status}"
    );
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_end_and_takes_no_more() {
    let listener = Listener::start().await;
    let body = event("");
    let signature = Signer::shared().sign(&body);
    let head = format!(
        "POST /webhooks/chip/hotel HTTP/1.1\r\nhost: us\r\nx-signature: {signature}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(listener.address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    // Its head must have been read before the stop: an answered request proves the place works,
    // and the first half of the body shows that this one is under way.
    socket.write_all(&body[..5]).await.unwrap();
    assert_eq!(listener.get("/livez").await.0, 200);
    listener.stop.cancel();
    socket.write_all(&body[5..]).await.unwrap();
    assert_eq!(answer_on(&mut socket).await.0, 200);
    listener.served.await.unwrap();
    assert!(TcpStream::connect(listener.address).await.is_err());
}

#[tokio::test]
async fn the_sandboxs_own_webhook_reaches_its_payment() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/webhooks/chip/hotel",
        socket.local_addr().unwrap()
    );
    let mut hook = chip_sandbox::WebhookConfig::all(&url);
    hook.events = vec!["purchase.hold".to_owned()];
    let sandbox = Sandbox::start(chip_sandbox::Config {
        webhooks: vec![hook],
        accounts: vec![chip_sandbox::Account::new(
            "Hotel",
            "sk-very-secret",
            chip_sandbox::DEFAULT_BRAND_ID,
        )],
        ..chip_sandbox::Config::default()
    });
    let sandbox = sandbox.await.unwrap();
    let key = webhook_key(&sandbox).await;
    let listener = Listener::on(socket, LIMITS, &sandbox.base_url(), &[&key]);
    let id = listener
        .payment(&stage::authorize_of(r#"{"checkout":{}}"#, 1500, "{}"))
        .await;
    let payment = listener.store.load(&id).await.unwrap().unwrap().payment;
    let policy = stage::policy(UnknownPolicy::Park);
    // The sandbox tells the real time; a link that is due in 2027 is payable all the same.
    let order = payment.create_order(start_time(), &policy).unwrap();
    let gateway = Setup::at(&sandbox.base_url()).gateway();
    let answer = holdfast::gateway::Gateway::create(&gateway, &order).await;
    let Answer::Shown(seen) = answer else {
        panic!("{answer:?}")
    };
    sandbox.pay(
        seen.purchase.as_str().parse().unwrap(),
        TestCard::Plain,
        false,
    );
    sandbox.deliveries_settled().await;
    assert!(listener.is_due(&id).await);
    // The test made the purchase behind the payment's back.
    assert_eq!(listener.counts.tally().against_record, 1);
}

/// The public key of the sandbox's only webhook, as an operator copies it.
async fn webhook_key(sandbox: &Sandbox) -> String {
    let head = "GET /api/v1/webhooks/ HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\
                authorization: Bearer sk-very-secret\r\n\r\n";
    let (status, body) = exchange(sandbox.address(), head.as_bytes()).await;
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} {body}"));
    body["results"][0]["public_key"]
        .as_str()
        .unwrap()
        .to_owned()
}
