//! Events reach the endpoints of producers: all of them, a payment's in order, signed, whatever
//! crashes or hangs. On real Redis, to a receiver over real HTTP.

mod changes;
mod crashes;
mod observed;
mod operators;
pub(crate) mod receiver;
mod schedule;
pub(crate) mod schema;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::payment::*;
use holdfast::store::redis::{Profile, RedisStore, Settings as StoreSettings};
use holdfast::store::{EndpointName, Outgoing, Waiting};
use holdfast::worker::outbox::{Endpoint, Outbox, Schedule, Settings, Settled, SigningSecret};
use holdfast_rig::{Redis, RedisOptions};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, start_time};
use receiver::{Answer, Heard, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// How long what is only waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn name(text: &str) -> EndpointName {
    EndpointName::new(text).unwrap()
}

fn schedule() -> Schedule {
    Schedule {
        delays_ms: vec![5_000, 300_000, 1_800_000],
        jitter_percent: 0,
        retry_after_cap_ms: 3_600_000,
    }
}

fn settings() -> Settings {
    Settings {
        poll_ms: 10,
        in_flight: 4,
        schedule: schedule(),
    }
}

async fn connect(redis: &Redis, clock: &Clock) -> RedisStore {
    let settings = StoreSettings {
        url: redis.url(),
        profile: Profile::Solo,
        ..StoreSettings::default()
    };
    RedisStore::connect(settings, clock.clone()).await.unwrap()
}

/// A payment's whole way: Redis, worker and sandbox, an outbox, and who receives.
struct Mail {
    redis: Redis,
    stage: Stage<RedisStore>,
    outbox: Arc<Outbox>,
    receiver: Receiver,
    endpoint: Endpoint,
}

impl Mail {
    async fn start() -> Self {
        Self::on(RedisOptions::default()).await
    }

    async fn on(options: RedisOptions) -> Self {
        let redis = Redis::start(options).await.unwrap();
        let clock = Clock::manual(start_time());
        let store = connect(&redis, &clock).await;
        let stage = Stage::over(store, clock, UnknownPolicy::Park).await;
        let receiver = Receiver::start().await;
        let endpoint = endpoint("shop", &receiver.url());
        let outbox = outbox(&redis, &stage.clock, vec![endpoint.clone()]).await;
        let mail = Self {
            redis,
            stage,
            outbox,
            receiver,
            endpoint,
        };
        // From now on its events are kept for it.
        mail.outbox.spread(&mail.endpoint).await.unwrap();
        mail
    }

    async fn take(&self) -> Vec<Outgoing> {
        self.outbox.spread(&self.endpoint).await.unwrap();
        self.outbox.take(&self.endpoint, 100).await.unwrap()
    }

    async fn take_one(&self) -> Outgoing {
        let mut taken = self.take().await;
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken.remove(0)
    }

    /// Makes all deliveries that are due at this time, and those that become due by them.
    async fn deliver(&self) -> Vec<Settled> {
        let mut settled = Vec::new();
        loop {
            let taken = self.take().await;
            if taken.is_empty() {
                return settled;
            }
            for event in taken {
                let done = self.outbox.deliver(&self.endpoint, &event).await.unwrap();
                settled.push(done);
            }
            assert!(settled.len() < 1_000, "there is always something due");
        }
    }

    async fn waiting(&self) -> Waiting {
        let waiting = self.stage.store.waiting(&self.endpoint.name).await;
        waiting.unwrap()
    }

    async fn pending(&self) -> u64 {
        self.waiting().await.events
    }

    fn pass_s(&self, seconds: i64) {
        self.stage.pass(TimeDelta::seconds(seconds));
    }

    /// A charge that is recorded and paid: the events `new` and `paid`.
    async fn paid(&self, key: &str) -> PaymentId {
        let id = self.stage.charge(key, 1500).await;
        self.stage.work().await;
        assert_eq!(self.stage.state(&id).await, StateName::Paid);
        id
    }

    fn told(&self, id: &PaymentId) -> Vec<String> {
        let heard = self.receiver.heard();
        let of_it = heard.iter().filter(|heard| heard.is_about(id));
        of_it.map(Heard::kind).collect()
    }
}

async fn outbox(redis: &Redis, clock: &Clock, endpoints: Vec<Endpoint>) -> Arc<Outbox> {
    let store = connect(redis, clock).await;
    Arc::new(Outbox::new(store, clock.clone(), settings(), endpoints).unwrap())
}

fn endpoint(called: &str, url: &str) -> Endpoint {
    Endpoint {
        name: name(called),
        url: Private::new(url.to_owned()),
        secrets: vec![SigningSecret::parse(SECRET).unwrap()],
        accounts: None,
        types: None,
        timeout: Duration::from_secs(20),
        enabled: true,
    }
}

/// Asks again and again, with a bound.
async fn until(what: &str, mut came: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !came().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "{what}: not within {PATIENCE:?}");
}

#[tokio::test]
async fn a_hold_and_its_capture_are_told_one_after_the_other() {
    let mail = Mail::start().await;
    let id = mail.stage.authorize_by_token("booking", 45_000, "{}").await;
    mail.stage.work().await;
    assert_eq!(mail.stage.state(&id).await, StateName::Held);
    let amount = Some(Amount::new(30_000).unwrap());
    mail.stage
        .command(&id, "take", Command::Capture { amount })
        .await;
    mail.stage.work().await;
    assert_eq!(mail.stage.taken(&id), (30_000, 1));
    mail.deliver().await;
    assert_eq!(
        mail.told(&id),
        ["payment.new", "payment.held", "payment.paid"]
    );
    let heard = mail.receiver.heard();
    let [_, held, paid] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(held.data()["hold"]["money"]["amount"], 45_000);
    assert_eq!(paid.data()["taken"]["amount"], 30_000);
    assert_eq!(paid.data()["idempotency_key"], "booking");
    let payment = mail.stage.payment(&id).await;
    let purchase = payment.purchase().unwrap().id.as_str();
    let versions: BTreeSet<u64> = heard.iter().map(Heard::version).collect();
    assert_eq!(versions.len(), 3);
    for one in &heard {
        schema::is_valid(&one.body());
        assert!(one.is_named_well());
        assert!(!one.text().contains(purchase), "the purchase id was told");
        assert!(!one.text().contains("payer@test.example"));
    }
    assert_eq!(mail.pending().await, 0);
}

/// HMAC-SHA256 as RFC 2104 writes it, by nothing that the product uses for it.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

fn signed(secret: &str, heard: &Heard) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let key = STANDARD.decode(secret.trim_start_matches("whsec_"));
    let (id, at) = (
        heard.header("webhook-id"),
        heard.header("webhook-timestamp"),
    );
    let text = format!("{id}.{at}.{}", heard.text());
    format!(
        "v1,{}",
        STANDARD.encode(hmac(&key.unwrap(), text.as_bytes()))
    )
}

#[tokio::test]
async fn every_delivery_is_signed_anew_at_its_own_time() {
    let mail = Mail::start().await;
    mail.receiver.answer(&[Answer::Status(500)]);
    mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    mail.pass_s(5);
    mail.deliver().await;
    let heard = mail.receiver.heard();
    assert_eq!(heard.len(), 2);
    for (one, passed) in heard.iter().zip([0, 5]) {
        let at = (start_time().timestamp() + passed).to_string();
        assert_eq!(one.header("webhook-timestamp"), at);
        assert_eq!(one.header("webhook-signature"), signed(SECRET, one));
        assert_eq!(one.header("content-type"), "application/json");
    }
    assert_eq!(heard[0].text(), heard[1].text(), "the body is the same");
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
}

#[tokio::test]
async fn while_a_secret_is_exchanged_both_sign() {
    let mut mail = Mail::start().await;
    mail.endpoint.secrets = [OTHER_SECRET, SECRET]
        .map(|text| SigningSecret::parse(text).unwrap())
        .into();
    mail.stage.charge("one", 1500).await;
    mail.deliver().await;
    let heard = mail.receiver.heard().remove(0);
    let both = [OTHER_SECRET, SECRET].map(|secret| signed(secret, &heard));
    assert_eq!(heard.header("webhook-signature"), both.join(" "));
}

#[tokio::test]
async fn an_endpoint_gets_what_it_wants_and_nothing_else() {
    let mail = Mail::start().await;
    let mut paid = endpoint("paid", &mail.receiver.url());
    paid.types = Some(BTreeSet::from(["payment.paid".to_owned()]));
    let mut others = endpoint("others", &mail.receiver.url());
    others.accounts = Some(BTreeSet::from([AccountName::new("shop").unwrap()]));
    for one in [&paid, &others] {
        mail.outbox.spread(one).await.unwrap();
    }
    let id = mail.paid("one").await;
    for one in [&paid, &others] {
        while mail.outbox.spread(one).await.unwrap().read > 0 {}
    }
    let taken = mail.outbox.take(&paid, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (&taken[0].head.payment, &*taken[0].head.state),
        (&id, "paid")
    );
    assert!(mail.outbox.take(&others, 10).await.unwrap().is_empty());
    assert_eq!(
        mail.stage.store.waiting(&paid.name).await.unwrap().events,
        1
    );
}

#[tokio::test]
async fn an_endpoint_begins_with_what_happens_after_it_was_configured() {
    let mail = Mail::start().await;
    mail.paid("before").await;
    let late = endpoint("late", &mail.receiver.url());
    mail.outbox.spread(&late).await.unwrap();
    let after = mail.paid("after").await;
    mail.outbox.spread(&late).await.unwrap();
    let taken = mail.outbox.take(&late, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].head.payment, after);
}

#[tokio::test]
async fn an_entry_that_nobody_can_read_holds_up_no_other() {
    let mail = Mail::start().await;
    let id = mail.stage.charge("one", 1500).await;
    let client = redis::Client::open(mail.redis.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    for partition in 0..8 {
        let mut add = redis::cmd("XADD");
        add.arg(format!("{{hf:{partition}}}:events"));
        add.arg("*").arg("event").arg("{\"v\":9}");
        add.exec_async(&mut raw).await.unwrap();
    }
    mail.stage.work().await;
    mail.deliver().await;
    assert_eq!(mail.told(&id), ["payment.new", "payment.paid"]);
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere() {
    let mail = Mail::start().await;
    let elsewhere = Receiver::start().await;
    mail.receiver.answer(&[Answer::With(
        307,
        vec![("location".to_owned(), elsewhere.url())],
    )]);
    mail.stage.charge("one", 1500).await;
    assert_eq!(mail.deliver().await, [Settled::Waits]);
    assert_eq!(elsewhere.heard().len(), 0);
    assert_eq!(mail.pending().await, 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_receiver() {
    let mut mail = Mail::start().await;
    let quick = Receiver::start().await;
    let endpoints = vec![mail.endpoint.clone(), endpoint("quick", &quick.url())];
    // Its events are kept from now on.
    mail.outbox.spread(&endpoints[1]).await.unwrap();
    mail.outbox = outbox(&mail.redis, &mail.stage.clock, endpoints).await;
    mail.receiver.answer_always(Answer::Hang);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    // More payments than may be under way to one endpoint at once.
    for number in 0..6 {
        mail.paid(&format!("charge-{number}")).await;
    }
    until("the receiver hangs", async || {
        !mail.receiver.heard().is_empty()
    })
    .await;
    until("the other one has all", async || quick.heard().len() == 12).await;
    assert_eq!(mail.receiver.answered(), 0, "the receiver hangs still");
    stop.cancel();
    mail.receiver.let_go();
    running.await.unwrap();
}

#[tokio::test]
async fn two_workers_tell_the_events_of_a_payment_in_order() {
    let mail = Mail::start().await;
    mail.receiver.slow_down(Duration::from_millis(3));
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let endpoints = vec![mail.endpoint.clone()];
        let one = outbox(&mail.redis, &mail.stage.clock, endpoints).await;
        workers.push(tokio::spawn(one.run(stop.clone())));
    }
    let mut ids = Vec::new();
    for number in 0..20 {
        let key = format!("booking-{number}");
        ids.push(mail.stage.authorize_by_token(&key, 1_500, "{}").await);
    }
    mail.stage.work().await;
    for id in &ids {
        mail.stage.command(id, "back", Command::Release).await;
    }
    mail.stage.work().await;
    until("all are told", async || mail.receiver.answered() >= 60).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    for id in &ids {
        let told = ["payment.new", "payment.held", "payment.released"];
        assert_eq!(mail.told(id), told);
    }
    assert_eq!(mail.receiver.heard().len(), 60, "nothing was sent twice");
    assert_eq!(mail.receiver.most_at_once_of_one(), 1);
}

#[tokio::test]
async fn a_change_of_endpoints_needs_no_restart() {
    let mail = Mail::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&mail.outbox).run(stop.clone()));
    let other = Receiver::start().await;
    let moved = endpoint("shop", &other.url());
    mail.outbox.replace(vec![moved]);
    mail.paid("one").await;
    until("it is told there", async || other.heard().len() == 2).await;
    assert_eq!(mail.receiver.heard().len(), 0);
    stop.cancel();
    running.await.unwrap();
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
