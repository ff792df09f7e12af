//! Whether the books agree: a healthy world does, each planted difference is found, and nothing else.

mod elsewhere;
mod faults;
mod planted;
mod settled;
mod table;
mod too_soon;
mod typed;
mod unread;

use std::time::Duration;

use chip_sandbox::{Behaviour, DEFAULT_BRAND_ID};
use chrono::{Offset, TimeDelta, Utc};
use holdfast::clock::Clock;
use holdfast::operate::reconcile::{
    Asked, Books, BrandUse, Kind, Layout, Pace, Period, Progress, Report, Statement, StatementFrom,
    Stopped, Verdict,
};
use holdfast::payment::*;
use holdfast::store::Store;
use holdfast::store::memory::MemoryStore;
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast_rig::{Redis, RedisOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{KEY, Stage, account, gateway, start_time};

/// A world with a statement that is made at once, and a day whose books are compared in its evening.
struct Desk<S: Store> {
    stage: Stage<S>,
    redis: Option<Redis>,
}

const PACE: Pace = Pace {
    at_once: 4,
    tries: 3,
    wait: Duration::from_millis(1),
    poll: Duration::from_millis(1),
    polls: 200,
};

fn layout() -> Layout {
    Layout {
        named: Vec::new(),
        unit: None,
        offset: Utc.fix(),
    }
}

impl Desk<RedisStore> {
    async fn on_redis() -> Self {
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let clock = Clock::manual(start_time());
        let settings = Settings {
            url: redis.url(),
            profile: Profile::Solo,
            lease_ms: 30_000,
            ..Settings::default()
        };
        let store = RedisStore::connect(settings, clock.clone()).await.unwrap();
        Self::with(store, clock, Some(redis)).await
    }
}

impl Desk<MemoryStore> {
    async fn in_memory() -> Self {
        let clock = Clock::manual(start_time());
        Self::with(MemoryStore::new(clock.clone(), 30_000), clock, None).await
    }
}

/// The one account, in the hours in which everything happens.
fn asking(statement: StatementFrom) -> Asked {
    Asked {
        account: account(),
        siblings: Vec::new(),
        period: Period::of("2027-01-31", "2027-01-31T06:45:00Z", "+08:00").unwrap(),
        statement,
        brand: BrandUse::Ours,
    }
}

impl<S: Store> Desk<S> {
    async fn with(store: S, clock: Clock, redis: Option<Redis>) -> Self {
        let stage = Stage::over(store, clock, UnknownPolicy::ResendSame).await;
        stage.sandbox.set_behaviour(|behaviour| {
            *behaviour = Behaviour {
                statement_ms: 0,
                ..behaviour.clone()
            };
        });
        Self { stage, redis }
    }

    /// Compares with a statement that the gateway makes.
    async fn reconcile(&self) -> Report {
        self.reconcile_with(&asking(StatementFrom::Gateway(layout())))
            .await
            .unwrap()
    }

    async fn reconcile_with(&self, asked: &Asked) -> Result<Report, Stopped> {
        let stage = &self.stage;
        let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
        let books = Books {
            store: &*stage.store,
            gateway: &gateway,
            clock: &stage.clock,
            pace: PACE,
        };
        books.reconcile(asked, &mut |_: Progress| {}).await
    }

    /// Lets so much time pass that everything counts that happened so far.
    fn evening(&self) {
        self.stage.pass(TimeDelta::hours(2));
    }

    /// A call of the gateway's API, by whoever has the key.
    fn calls(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = chip_sandbox::Request::api(method, path, KEY, body);
        let answer = self
            .stage
            .sandbox
            .with(|engine, now_ms| engine.answer(now_ms, request));
        assert!(answer.status < 300, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn acts(&self, purchase: Uuid, verb: &str, body: &Value) {
        self.calls("POST", &format!("purchases/{purchase}/{verb}/"), body);
    }

    /// A purchase that somebody made at the gateway, behind our back.
    fn made(&self, reference: &str, total: u64, skip_capture: bool) -> Uuid {
        let made = self.calls(
            "POST",
            "purchases/",
            &json!({
                "brand_id": DEFAULT_BRAND_ID, "client": {"email": "payer@test.example"},
                "reference": reference, "skip_capture": skip_capture,
                "purchase": {"currency": "MYR", "products": [{"name": "Room", "price": total}]},
            }),
        );
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// The same, charged with a saved card: paid, or on hold.
    fn charged(&self, reference: &str, total: u64, skip_capture: bool) -> Uuid {
        let purchase = self.made(reference, total, skip_capture);
        let token = self.stage.sandbox.save_card("payer@test.example");
        self.acts(purchase, "charge", &json!({"recurring_token": token}));
        purchase
    }

    /// A record as it might have been written wrongly: in this state, on this purchase.
    async fn recorded(&self, key: &str, state: Value, purchase: Uuid) -> PaymentId {
        let now = self.stage.clock.now();
        self.keeps(&written(key, state, purchase, now)).await
    }

    /// Keeps a record on which no worker is to come.
    async fn keeps(&self, payment: &Payment) -> PaymentId {
        let due = self.stage.clock.now() + TimeDelta::days(9);
        self.stage.store.create(payment, due).await.unwrap();
        payment.id().clone()
    }

    /// A statement that was downloaded just now.
    fn downloaded(&self, text: &str) -> StatementFrom {
        StatementFrom::Read {
            statement: read(text),
            made_at: self.stage.clock.now(),
        }
    }
}

fn written(key: &str, state: Value, purchase: Uuid, now: Timestamp) -> Payment {
    written_of("hotel", key, state, purchase, now)
}

fn written_of(account: &str, key: &str, state: Value, purchase: Uuid, now: Timestamp) -> Payment {
    let body = format!(
        r#"{{"v":1,"account":"{account}","idempotency_key":"{key}",{}}}"#,
        crate::stage::authorize_of(r#"{"checkout":{}}"#, 1500, "{}")
    );
    let request = Request::from_json(body.as_bytes()).unwrap();
    let payment = Payment::new(request, now).unwrap();
    let mut written = serde_json::to_value(&payment).unwrap();
    let change = json!({"at": now, "to": state["name"]});
    written["history"].as_array_mut().unwrap().push(change);
    written["state"] = state;
    written["purchase"] = json!({
        "id": purchase, "due": null, "checkout_url": null, "direct_post_url": null,
    });
    serde_json::from_value(written).unwrap()
}

/// What the next payment of this key will be called.
fn named(key: &str) -> PaymentId {
    named_of("hotel", key)
}

fn named_of(account: &str, key: &str) -> PaymentId {
    let account = AccountName::new(account).unwrap();
    PaymentId::derive(&account, &IdempotencyKey::new(key).unwrap())
}

fn paid(amount: u64, currency: &str) -> Value {
    json!({"name": "paid", "with": {"amount": amount, "currency": currency}})
}

fn kinds(report: &Report) -> Vec<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

/// One payment of each sort, each at its end or on its way.
async fn healthy<S: Store>(desk: &Desk<S>) {
    let stage = &desk.stage;
    stage.charge("charge", 1_000).await;
    let at = "2027-01-31T06:30:00Z";
    let plan = format!(r#"{{"capture_at":"{at}","capture_amount":900}}"#);
    stage.authorize_by_token("captured", 1_500, &plan).await;
    let plan = format!(r#"{{"release_at":"{at}"}}"#);
    stage.authorize_by_token("released", 1_500, &plan).await;
    let later = r#"{"capture_at":"2027-02-03T06:00:00Z"}"#;
    stage.authorize_by_token("held", 1_500, later).await;
    stage.authorize_by_checkout("waiting", 1_500, later).await;
    let foreign = desk.charged("ORDER-77", 700, true);
    let body = format!(
        r#""type":"adopt","purchase":"{foreign}","money":{{"amount":700,"currency":"MYR"}},
        "plan":{{"capture_at":"{at}"}}"#
    );
    stage.enqueue("adopted", &body).await;
    let cancelled = stage.authorize_by_checkout("cancelled", 1_500, later).await;
    stage.work().await;
    stage.command(&cancelled, "c", Command::Cancel).await;
    stage.work_for(TimeDelta::minutes(40)).await;
}

#[tokio::test]
async fn the_books_of_a_healthy_world_agree() {
    let desk = Desk::on_redis().await;
    healthy(&desk).await;
    desk.evening();
    let report = desk.reconcile().await;
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    assert_eq!((report.agree, report.open, report.parked), (6, 1, 0));
    let sums = report.sums["MYR"];
    let all = (sums.recorded, sums.gateway, sums.statement);
    assert_eq!(all, (2_600, 2_600, 2_600));
    assert_eq!(report.lines.unwrap().of_period, 3);
}

#[tokio::test]
async fn what_is_finished_before_the_period_is_not_asked_about_and_what_is_later_is_not_read() {
    let desk = Desk::in_memory().await;
    desk.stage.charge("early", 1_000).await;
    desk.stage.work().await;
    let mut asked = asking(StatementFrom::Gateway(layout()));
    desk.stage.pass(TimeDelta::days(2));
    desk.stage.charge("now", 1_500).await;
    desk.stage.work().await;
    desk.stage.pass(TimeDelta::days(2));
    desk.stage.charge("late", 2_000).await;
    desk.stage.work().await;
    asked.period = Period::of("2027-02-02", "2027-02-02", "+08:00").unwrap();
    let asked_before = desk
        .stage
        .ledger()
        .counts(chip_sandbox::Operation::Retrieve);
    let report = desk.reconcile_with(&asked).await.unwrap();
    let now = desk
        .stage
        .ledger()
        .counts(chip_sandbox::Operation::Retrieve);
    assert_eq!(now.arrived - asked_before.arrived, 1);
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    assert_eq!((report.agree, report.sums["MYR"].statement), (1, 1_500));
}

#[tokio::test]
async fn a_statement_is_waited_for_while_the_gateway_makes_it() {
    let desk = Desk::in_memory().await;
    healthy(&desk).await;
    desk.evening();
    let set = |ms| desk.stage.sandbox.set_behaviour(|it| it.statement_ms = ms);
    set(60_000);
    let stage = &desk.stage;
    let gateway = gateway(&stage.sandbox.base_url(), &stage.clock);
    let books = Books {
        store: &*stage.store,
        gateway: &gateway,
        clock: &stage.clock,
        pace: PACE,
    };
    let mut asked_before = Vec::new();
    let asked = asking(StatementFrom::Gateway(layout()));
    let mut watch = |progress| {
        if let Progress::Statement(times) = progress {
            asked_before.push(times);
            stage.sandbox.advance(Duration::from_secs(25));
        }
    };
    let report = books.reconcile(&asked, &mut watch).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Agree);
    assert_eq!(asked_before, [0, 1, 2]);
    // Nobody waits for ever, and one that is given up is cancelled there.
    set(u64::from(u32::MAX));
    let pace = Pace { polls: 2, ..PACE };
    let books = Books { pace, ..books };
    let given_up = books.reconcile(&asked, &mut |_| {}).await;
    assert!(
        matches!(given_up, Err(Stopped::NoStatement(_))),
        "{given_up:?}"
    );
    let listed = desk.calls("GET", "company_statements/", &Value::Null);
    assert_eq!(listed["results"][1]["status"], "cancelled");
}

#[tokio::test]
async fn what_is_on_its_way_is_counted_apart_and_is_no_difference() {
    let desk = Desk::in_memory().await;
    let stage = &desk.stage;
    let fault = chip_sandbox::Effect::reset_after_commit();
    stage.fault(chip_sandbox::Rule::on(chip_sandbox::Operation::Charge, fault).times(1));
    stage.charge("in-doubt", 1_000).await;
    let claim = stage.store.claim(1).await.unwrap().claims.remove(0);
    stage.worker.turn(claim).await;
    let id = named("in-doubt");
    assert!(stage.payment(&id).await.open_attempt().is_some());
    assert_eq!(stage.taken(&id), (1_000, 1));
    stage.pass(TimeDelta::minutes(59));
    let report = desk.reconcile().await;
    assert_eq!(
        (report.open, report.verdict()),
        (1, Verdict::Agree),
        "{report:?}"
    );
}

#[tokio::test]
async fn what_the_gateway_does_not_answer_for_is_not_compared_and_the_books_do_not_agree() {
    use chip_sandbox::{Effect, Operation, Rule};
    let desk = Desk::in_memory().await;
    healthy(&desk).await;
    desk.evening();
    let id = named("charge");
    let down = Rule::on(Operation::Retrieve, Effect::status_before_commit(503));
    desk.stage.fault(down.reference(id.as_str()));
    let report = desk.reconcile().await;
    assert_eq!(report.verdict(), Verdict::NotAllCompared);
    let [(not_compared, why)] = &report.not_compared_listed[..] else {
        panic!("{report:?}");
    };
    assert_eq!(not_compared, &id);
    assert!(why.contains("503"), "{why}");
    assert_eq!(report.agree, 5);
}

#[tokio::test]
async fn a_gateway_that_is_asked_too_fast_is_asked_again_more_slowly() {
    use chip_sandbox::{Effect, Operation, Rule};
    let desk = Desk::in_memory().await;
    healthy(&desk).await;
    desk.evening();
    desk.stage
        .fault(Rule::on(Operation::Retrieve, Effect::rate_limited(0)).times(3));
    let report = desk.reconcile().await;
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    desk.stage.sandbox.revoke_key(KEY);
    let asked = asking(StatementFrom::Nowhere);
    let denied = desk.reconcile_with(&asked).await;
    assert!(matches!(denied, Err(Stopped::Denied)), "{denied:?}");
}

#[tokio::test]
async fn accounts_of_one_brand_share_a_statement_and_are_not_each_others_difference() {
    let desk = Desk::in_memory().await;
    healthy(&desk).await;
    // The other account's payment, which only the store knows of here.
    let other = AccountName::new("shop").unwrap();
    let key = IdempotencyKey::new("k").unwrap();
    let id = PaymentId::derive(&other, &key);
    let theirs = desk.charged(id.as_str(), 1_500, false);
    let now = desk.stage.clock.now();
    let payment = written_of("shop", "k", paid(1_500, "MYR"), theirs, now);
    assert_eq!(desk.keeps(&payment).await, id);
    // And another system's.
    desk.charged("SHOP-1", 300, false);
    desk.evening();
    let mut asked = asking(StatementFrom::Gateway(layout()));
    asked.siblings.push(other.clone());
    asked.brand = BrandUse::Shared;
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Agree, "{report:?}");
    let lines = report.lines.unwrap();
    assert_eq!(
        (lines.of_period, lines.of_siblings, lines.foreign),
        (5, 1, 1)
    );
    asked.brand = BrandUse::Ours;
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(kinds(&report), [Kind::PaidWithoutRecord]);
    // Where nobody has the account, nobody compares its record.
    asked.siblings.clear();
    asked.brand = BrandUse::Shared;
    let report = desk.reconcile_with(&asked).await.unwrap();
    assert_eq!(report.verdict(), Verdict::NotAllCompared, "{report:?}");
    let [(payment, why)] = &report.not_compared_listed[..] else {
        panic!("{report:?}");
    };
    assert_eq!(payment, &id);
    assert!(why.contains("account shop"), "{why}");
    assert_eq!(report.lines.unwrap().of_siblings, 0);
    // And another purchase in the name of their payment is none that they know of.
    asked.siblings.push(other);
    desk.charged(id.as_str(), 1_500, false);
    desk.charged(named_of("shop", "lost").as_str(), 1_500, false);
    let unpaid = desk.made(named_of("shop", "unpaid").as_str(), 1_500, false);
    let awaiting = json!({"name": "awaiting_payer"});
    let payment = written_of("shop", "unpaid", awaiting, unpaid, now);
    desk.keeps(&payment).await;
    desk.charged(payment.id().as_str(), 1_500, false);
    asked.period.to = desk.stage.clock.now() + TimeDelta::minutes(1);
    desk.evening();
    let report = desk.reconcile_with(&asked).await.unwrap();
    let mut found = kinds(&report);
    found.sort_unstable();
    let [paid, two] = [Kind::PaidWithoutRecord, Kind::TwoPaidForOne];
    assert_eq!(found, [paid, paid, two], "{report:?}");
}

/// The statement as the gateway makes it, as text.
fn statement_text<S: Store>(desk: &Desk<S>) -> String {
    let body = json!({"format": "csv", "timezone": "UTC"});
    let made = desk.calls("POST", "company_statements/", &body);
    let path = format!("company_statements/{}/", made["id"].as_str().unwrap());
    let shown = desk.calls("GET", &path, &Value::Null);
    let link = shown["download_url"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&desk.stage.sandbox.origin()).unwrap();
    let request = chip_sandbox::Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        ..chip_sandbox::Request::default()
    };
    let sandbox = &desk.stage.sandbox;
    sandbox
        .with(|engine, now_ms| engine.answer(now_ms, request))
        .body
}

fn read(text: &str) -> Statement {
    Statement::read(text.as_bytes(), &layout()).unwrap()
}
