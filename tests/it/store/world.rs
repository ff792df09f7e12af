//! A store under test, a clock that is moved by hand, and payments to keep in it.

use chrono::TimeDelta;
use holdfast::clock::{Clock, from_millis};
use holdfast::payment::{
    AccountFacts, Advice, BeforeExpiry, DeclineTable, Event, FailReason, Ladder, ParkReason,
    Payment, Policy, Request, Seal, StateName, Step, Timestamp, UnknownPolicy,
};
use holdfast::store::memory::MemoryStore;
use holdfast::store::redis::{Profile, RedisStore, Settings};
use holdfast::store::{Claim, Created, StateEvent, Store};
use holdfast_rig::{Redis, RedisOptions};

pub(super) const LEASE_MS: u64 = 30_000;

pub(super) fn start() -> Timestamp {
    from_millis(1_800_000_000_000).unwrap()
}

pub(super) struct World<S> {
    pub(super) store: S,
    pub(super) clock: Clock,
    /// What the store runs on, if it runs on anything.
    pub(super) redis: Option<Redis>,
}

/// What the tests see of a store besides its promises.
pub(super) trait Watched: Store + Clone {
    async fn events_so_far(&self) -> Vec<StateEvent>;
}

impl Watched for MemoryStore {
    async fn events_so_far(&self) -> Vec<StateEvent> {
        self.events()
    }
}

impl Watched for RedisStore {
    async fn events_so_far(&self) -> Vec<StateEvent> {
        self.events(100_000).await.unwrap()
    }
}

impl World<MemoryStore> {
    pub(super) fn in_memory() -> Self {
        let clock = Clock::manual(start());
        Self {
            store: MemoryStore::new(clock.clone(), LEASE_MS),
            clock,
            redis: None,
        }
    }
}

pub(super) fn settings(url: String) -> Settings {
    Settings {
        url,
        profile: Profile::Solo,
        lease_ms: LEASE_MS,
        ..Settings::default()
    }
}

impl World<RedisStore> {
    pub(super) async fn on_redis() -> Self {
        Self::on(RedisOptions::default()).await
    }

    pub(super) async fn on(options: RedisOptions) -> Self {
        let redis = Redis::start(options).await.unwrap();
        let clock = Clock::manual(start());
        let store = RedisStore::connect(settings(redis.url()), clock.clone())
            .await
            .unwrap();
        Self {
            store,
            clock,
            redis: Some(redis),
        }
    }
}

impl<S: Store> World<S> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn pass(&self, ms: u64) {
        self.clock
            .advance(TimeDelta::milliseconds(i64::try_from(ms).unwrap()));
    }

    pub(super) fn in_ms(&self, ms: i64) -> Timestamp {
        self.now() + TimeDelta::milliseconds(ms)
    }

    /// Records a payment that is due now.
    pub(super) async fn created(&self, key: &str) -> Payment {
        let payment = payment(key, self.now());
        let created = self.store.create(&payment, self.now()).await.unwrap();
        assert_eq!(created, Created::New);
        payment
    }

    /// Records a payment and claims it.
    pub(super) async fn claimed(&self, key: &str) -> Claim {
        let payment = self.created(key).await;
        let claim = self.claim_one().await;
        assert_eq!(claim.key.id, *payment.id());
        claim
    }

    pub(super) async fn claim_one(&self) -> Claim {
        let mut claims = self.store.claim(1).await.unwrap().claims;
        assert_eq!(claims.len(), 1);
        claims.remove(0)
    }

    pub(super) async fn claim_none(&self) {
        assert!(self.store.claim(10).await.unwrap().claims.is_empty());
    }

    pub(super) fn open(&self, claim: &mut Claim) {
        claim
            .payment
            .open(Step::Cancel, self.now(), &policy())
            .expect("nothing is open");
    }

    pub(super) fn park(&self, payment: &mut Payment) {
        payment.settled(Event::Stuck(ParkReason::Poison), self.now(), &policy());
        assert_eq!(payment.state().name(), StateName::Parked);
    }

    pub(super) fn fail(&self, payment: &mut Payment) {
        let seal = Seal::nothing_created(payment).expect("nothing was created");
        payment.settled(
            Event::Sealed(seal, FailReason::Cancelled),
            self.now(),
            &policy(),
        );
        assert!(payment.is_finished());
    }
}

/// A hold that is taken over: the simplest payment that has a purchase, so that there is
/// something to call about.
pub(super) fn adopted(key: &str, now: Timestamp) -> Payment {
    of(
        &format!(
            r#"{{"v":1,"type":"adopt","account":"main","idempotency_key":"{key}",
        "purchase":"{key}","money":{{"amount":1500,"currency":"MYR"}}}}"#
        ),
        now,
    )
}

pub(super) fn payment(key: &str, now: Timestamp) -> Payment {
    worth(key, 1500, now)
}

pub(super) fn worth(key: &str, amount: u64, now: Timestamp) -> Payment {
    of(
        &format!(
            r#"{{"v":1,"type":"charge","account":"main","idempotency_key":"{key}",
        "money":{{"amount":{amount},"currency":"MYR"}},"token":"a-token",
        "customer":{{"email":"payer@mail.example"}}}}"#
        ),
        now,
    )
}

/// One with a reference.
pub(super) fn called(key: &str, account: &str, reference: &str, now: Timestamp) -> Payment {
    of(
        &format!(
            r#"{{"v":1,"type":"charge","account":"{account}","idempotency_key":"{key}",
        "reference":"{reference}","money":{{"amount":1500,"currency":"MYR"}},"token":"a-token",
        "customer":{{"email":"payer@mail.example"}}}}"#
        ),
        now,
    )
}

fn of(json: &str, now: Timestamp) -> Payment {
    Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap()
}

pub(super) fn policy() -> Policy {
    let ladder = Ladder {
        delays_ms: vec![1_000],
        jitter_percent: 0,
        give_up_after_ms: 60_000,
    };
    Policy {
        account: AccountFacts {
            brand: "brand".to_owned(),
            test: true,
            hold_lifetime_ms: 7 * 86_400_000,
            largest_amount_minor: None,
        },
        quiet_ms: 900_000,
        unknown: UnknownPolicy::Park,
        lookup: ladder.clone(),
        technical: ladder.clone(),
        business: ladder.clone(),
        payer: ladder,
        parked_look_every_ms: 3_600_000,
        link_lifetime_ms: 3_600_000,
        link_grace_ms: 60_000,
        purchase_lifetime_ms: 86_400_000,
        expiry_margin_ms: 3_600_000,
        before_expiry: BeforeExpiry::Release,
        retry_after_cap_ms: 60_000,
        poison_claims: 5,
        declines: DeclineTable {
            as_of: "2026-01-01".to_owned(),
            default: Advice::Never,
            codes: std::collections::BTreeMap::new(),
        },
    }
}
