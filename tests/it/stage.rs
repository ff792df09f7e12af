//! The stage of the payment tests: real Redis, a sandbox over HTTP, the worker's turns driven one
//! by one, and a clock that all of them share and that only the test moves.

use std::sync::Arc;
use std::time::Duration;

use chip_sandbox::{Ledger, MovementKind, Rule, Sandbox, TestCard, Time};
use chrono::TimeDelta;
use holdfast::clock::Clock;
use holdfast::gateway::{Account, AccountConfig, Accounts, ChipGateway, Deadlines, Settings};
use holdfast::payment::*;
use holdfast::store::{Loaded, Store};
use holdfast::worker::{Policies, Turn, Worker};

pub(crate) const KEY: &str = chip_sandbox::DEFAULT_SECRET_KEY;
pub(crate) const QUIET_MINUTES: i64 = 15;
pub(crate) const DAY: u64 = 86_400_000;
/// How long a call may take before it counts as lost: short, because it is real time.
const DEADLINE_MS: u64 = 150;

pub(crate) fn start_time() -> Timestamp {
    "2027-01-31T06:00:00Z".parse().unwrap()
}

pub(crate) struct Stage<S: Store> {
    pub(crate) store: Arc<S>,
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Clock,
    pub(crate) worker: Worker<S, ChipGateway>,
}

/// A sandbox whose clock only the test moves.
pub(crate) fn sandbox_config() -> chip_sandbox::Config {
    chip_sandbox::Config {
        time: Time::Manual(start_time()),
        seed: Some(7),
        silence_cap: Duration::from_secs(2),
        ..chip_sandbox::Config::default()
    }
}

pub(crate) fn account() -> AccountName {
    AccountName::new("hotel").unwrap()
}

fn ladder(delays_ms: &[u64], give_up_after_ms: u64) -> Ladder {
    Ladder {
        delays_ms: delays_ms.to_vec(),
        jitter_percent: 0,
        give_up_after_ms,
    }
}

pub(crate) fn policy(unknown: UnknownPolicy) -> Policy {
    use Advice::{InDoubt, Later, NeedsOperator, Never};
    let codes = [
        ("insufficient_funds", Later),
        ("do_not_honour", Never),
        ("invalid_recurring_token", Never),
        ("acquirer_configuration_error", NeedsOperator),
        ("timeout", InDoubt),
    ];
    Policy {
        account: AccountFacts {
            brand: chip_sandbox::DEFAULT_BRAND_ID.to_string(),
            test: true,
            hold_lifetime_ms: 6 * DAY,
            largest_amount_minor: None,
        },
        quiet_ms: u64::try_from(QUIET_MINUTES * 60_000).unwrap(),
        unknown,
        lookup: ladder(
            &[2_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000],
            DAY,
        ),
        technical: ladder(&[1_000, 5_000, 30_000, 300_000], DAY),
        business: ladder(&[DAY, 2 * DAY, 2 * DAY], 10 * DAY),
        payer: ladder(&[15_000, 60_000, 300_000], DAY),
        parked_look_every_ms: DAY,
        link_lifetime_ms: 3_600_000,
        link_grace_ms: 120_000,
        purchase_lifetime_ms: 7 * DAY,
        expiry_margin_ms: DAY,
        before_expiry: BeforeExpiry::Release,
        retry_after_cap_ms: 60_000,
        poison_claims: 10,
        declines: DeclineTable {
            as_of: "2026-11-23".into(),
            default: Never,
            codes: codes
                .into_iter()
                .map(|(code, advice)| (code.to_owned(), advice))
                .collect(),
        },
    }
}

pub(crate) fn gateway(base_url: &str, clock: &Clock) -> ChipGateway {
    gateway_of(account_at(base_url), clock, DEADLINE_MS)
}

pub(crate) fn account_at(base_url: &str) -> AccountConfig {
    AccountConfig {
        secret_key: Private::new(KEY.to_owned()),
        brand_id: chip_sandbox::DEFAULT_BRAND_ID.to_string(),
        base_url: base_url.to_owned(),
        test: true,
        success_callback: None,
        card_whitelist: None,
        webhook_keys: Vec::new(),
    }
}

pub(crate) fn gateway_of(config: AccountConfig, clock: &Clock, deadline_ms: u64) -> ChipGateway {
    let accounts = Accounts::from_iter([(account(), Account::new(config).unwrap())]);
    let settings = Settings {
        deadlines: Deadlines {
            create_ms: deadline_ms,
            look_up_ms: deadline_ms,
            charge_ms: deadline_ms,
            capture_ms: deadline_ms,
            release_ms: deadline_ms,
            cancel_ms: deadline_ms,
        },
        connect_timeout_ms: 1_000,
        largest_answer_bytes: 1 << 20,
        idle_connections: 8,
        idle_timeout_ms: 1_000,
        company_key_every_ms: 60_000,
    };
    ChipGateway::new(accounts, settings, clock.clone()).unwrap()
}

impl<S: Store> Stage<S> {
    pub(crate) async fn over(store: S, clock: Clock, unknown: UnknownPolicy) -> Self {
        let sandbox = Sandbox::start(sandbox_config()).await.unwrap();
        let store = Arc::new(store);
        let policies = Policies::from([(account(), policy(unknown))]);
        let gateway = Arc::new(gateway(&sandbox.base_url(), &clock));
        let worker = Worker::new(Arc::clone(&store), gateway, clock.clone(), policies);
        Self {
            store,
            sandbox,
            clock,
            worker,
        }
    }

    /// Records what a producer asks, as JSON without the common fields.
    pub(crate) async fn enqueue(&self, key: &str, body: &str) -> PaymentId {
        let json = format!(r#"{{"v":1,"account":"hotel","idempotency_key":"{key}",{body}}}"#);
        let request = Request::from_json(json.as_bytes()).unwrap();
        let now = self.clock.now();
        let payment = Payment::new(request, now).unwrap();
        self.store.create(&payment, now).await.unwrap();
        payment.id().clone()
    }

    pub(crate) async fn charge(&self, key: &str, amount: u64) -> PaymentId {
        let token = self.sandbox.save_card("payer@test.example");
        self.enqueue(key, &charge_of(&token.to_string(), amount))
            .await
    }

    pub(crate) async fn authorize_by_token(&self, key: &str, amount: u64, plan: &str) -> PaymentId {
        let token = self.sandbox.save_card("payer@test.example");
        let source = format!(r#"{{"token":"{token}"}}"#);
        self.enqueue(key, &authorize_of(&source, amount, plan))
            .await
    }

    pub(crate) async fn authorize_by_checkout(
        &self,
        key: &str,
        amount: u64,
        plan: &str,
    ) -> PaymentId {
        self.enqueue(key, &authorize_of(r#"{"checkout":{}}"#, amount, plan))
            .await
    }

    /// Gives every payment that is due its turns, until nothing is due at this time.
    pub(crate) async fn work(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        for _ in 0..50 {
            let claims = self.store.claim(16).await.unwrap().claims;
            if claims.is_empty() {
                return turns;
            }
            for claim in claims {
                turns.push(self.worker.turn(claim).await);
            }
        }
        panic!("there is always something due: {turns:?}");
    }

    /// Lets time pass for everybody.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
        self.sandbox.advance(time.to_std().unwrap());
    }

    /// Works, and lets time pass to whatever is due next, until `until` from now.
    pub(crate) async fn work_for(&self, until: TimeDelta) {
        let end = self.clock.now() + until;
        self.work().await;
        while let Some(due) = self.next_due().await.filter(|due| *due <= end) {
            let wait = due - self.clock.now();
            self.pass(wait.max(TimeDelta::milliseconds(1)));
            self.work().await;
        }
        self.pass(end - self.clock.now());
    }

    async fn next_due(&self) -> Option<Timestamp> {
        self.store.stats().await.unwrap().next_due
    }

    pub(crate) async fn loaded(&self, id: &PaymentId) -> Loaded {
        self.store.load(id).await.unwrap().unwrap()
    }

    pub(crate) async fn payment(&self, id: &PaymentId) -> Payment {
        self.loaded(id).await.payment
    }

    pub(crate) async fn state(&self, id: &PaymentId) -> StateName {
        self.payment(id).await.state().name()
    }

    pub(crate) async fn command(
        &self,
        id: &PaymentId,
        key: &str,
        command: Command,
    ) -> CommandAnswer {
        let mut loaded = self.loaded(id).await;
        let now = self.clock.now();
        let key = IdempotencyKey::new(key).unwrap();
        let answer = loaded.payment.command(key, command, now).unwrap();
        let due = loaded.payment.due(now, &policy(UnknownPolicy::Park));
        self.store.command(&loaded, due, None).await.unwrap();
        answer
    }

    /// The payer pays on the gateway's page.
    pub(crate) async fn payer_pays(&self, id: &PaymentId) {
        let payment = self.payment(id).await;
        let purchase = payment.purchase().unwrap().id.as_str().parse().unwrap();
        self.sandbox.pay(purchase, TestCard::Plain, false);
    }

    pub(crate) fn fault(&self, rule: Rule) {
        self.sandbox.add_fault(rule);
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.sandbox.ledger()
    }

    /// How much was taken for a payment, and how often.
    pub(crate) fn taken(&self, id: &PaymentId) -> (u64, usize) {
        let ledger = self.ledger();
        let takes: Vec<u64> = ledger
            .movements_for_reference(id.as_str())
            .into_iter()
            .filter(|m| matches!(m.kind, MovementKind::Charge | MovementKind::Capture))
            .map(|m| u64::try_from(m.amount).unwrap())
            .collect();
        (takes.iter().sum(), takes.len())
    }

    pub(crate) fn moved(&self, id: &PaymentId, kind: MovementKind) -> usize {
        let ledger = self.ledger();
        ledger
            .movements_for_reference(id.as_str())
            .iter()
            .filter(|m| m.kind == kind)
            .count()
    }
}

pub(crate) fn charge_of(token: &str, amount: u64) -> String {
    format!(
        r#""type":"charge","money":{{"amount":{amount},"currency":"MYR"}},"token":"{token}",
        "customer":{{"email":"payer@test.example"}}"#
    )
}

pub(crate) fn authorize_of(source: &str, amount: u64, plan: &str) -> String {
    format!(
        r#""type":"authorize","money":{{"amount":{amount},"currency":"MYR"}},"source":{source},
        "plan":{plan},"customer":{{"email":"payer@test.example"}}"#
    )
}
