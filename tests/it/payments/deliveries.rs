//! Webhooks and success callbacks from the sandbox to a listener beside the worker: what they are
//! worth, and what becomes of payments when they are not to be relied on.

use std::sync::Arc;

use chip_sandbox::{Effect, MovementKind, Operation, Rule, Sandbox};
use chrono::TimeDelta;
use holdfast::api::{self, Api, Limits, WebhookCounts};
use holdfast::clock::Clock;
use holdfast::gateway::AccountConfig;
use holdfast::payment::*;
use holdfast::store::memory::MemoryStore;
use holdfast::worker::{Policies, Worker};
use holdfast_rig::compare;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Here;
use crate::stage::{Stage, account, account_at, gateway_of, policy, sandbox_config, start_time};

const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout_ms: 5_000,
    request_timeout_ms: 5_000,
    store_timeout_ms: 1_000,
    drain_timeout_ms: 5_000,
};
/// Nothing is silent here: whoever waits so long waits for a busy machine.
const DEADLINE_MS: u64 = 10_000;
const STEP: TimeDelta = TimeDelta::seconds(5);

/// How the gateway tells the worker of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// So many webhooks are registered at one address.
    ByWebhooks(usize),
    BySuccessCallback,
    Not,
}

pub(super) struct Hearing {
    pub(super) stage: Here,
    counts: Arc<WebhookCounts>,
    stop: CancellationToken,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Hearing {
    async fn start(told: Told) -> Self {
        Self::start_with(told, policy(UnknownPolicy::Park)).await
    }

    pub(super) async fn start_with(told: Told, policy: Policy) -> Self {
        let clock = Clock::manual(start_time());
        let sandbox = Sandbox::start(sandbox_config()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut config: AccountConfig = account_at(&sandbox.base_url());
        match told {
            Told::ByWebhooks(count) => {
                let url = format!("{origin}/webhooks/chip/hotel");
                let merchant = gateway_of(account_at(&sandbox.base_url()), &clock, DEADLINE_MS);
                for _ in 0..count {
                    let made = merchant.register(&account(), &url).await.unwrap();
                    let made = merchant.complete(&account(), &made).await.unwrap();
                    config.webhook_keys.extend(made.public_key);
                }
            }
            Told::BySuccessCallback => {
                let url = format!("{origin}/callbacks/chip/hotel");
                config.success_callback = Some(Private::new(url));
            }
            Told::Not => {}
        }
        let gateway = Arc::new(gateway_of(config, &clock, DEADLINE_MS));
        let store = Arc::new(MemoryStore::new(clock.clone(), 30_000));
        let api = Api::new(Arc::clone(&store), Arc::clone(&gateway), LIMITS);
        let counts = api.webhook_counts();
        let stop = CancellationToken::new();
        tokio::spawn(api::serve(listener, api::router(api), LIMITS, stop.clone()));
        let policies = Policies::from([(account(), policy)]);
        let worker = Worker::new(Arc::clone(&store), gateway, clock.clone(), policies);
        let stage = Stage {
            store,
            sandbox,
            clock,
            worker,
        };
        Self {
            stage,
            counts,
            stop,
        }
    }

    /// How many signed webhooks and callbacks came for payments that are here.
    pub(super) fn heard(&self) -> u64 {
        self.counts.tally().nudged
    }

    /// Works, hears what the gateway sends, and works on what that made due.
    pub(super) async fn work(&self) {
        self.stage.work().await;
        self.stage.sandbox.deliveries_settled().await;
        self.stage.work().await;
    }

    /// The same for a while, step by step. Answers how long it took until the payment was in a
    /// state; all of the time when it never was.
    pub(super) async fn until(
        &self,
        id: &PaymentId,
        state: StateName,
        limit: TimeDelta,
    ) -> TimeDelta {
        let start = self.stage.clock.now();
        loop {
            self.work().await;
            let passed = self.stage.clock.now() - start;
            if self.stage.state(id).await == state || passed >= limit {
                return passed;
            }
            self.stage.pass(STEP);
        }
    }
}

/// What a run came to: the end of each payment, what moved for it, and how long it took until a
/// hold was known after the payer had paid.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    ends: Vec<(StateName, (u64, usize), usize)>,
    known_after: TimeDelta,
}

/// A charge, a checkout captured in part, and a hold that is released.
async fn run(told: Told, effect: Option<Effect>) -> Came {
    let hearing = Hearing::start(told).await;
    let stage = &hearing.stage;
    if let Some(effect) = effect {
        stage.fault(Rule::on(Operation::Delivery, effect));
    }
    let capture = r#"{"capture_at":"2027-01-31T06:20:00Z","capture_amount":900}"#;
    let release = r#"{"release_at":"2027-01-31T06:20:00Z"}"#;
    let checkout = stage.authorize_by_checkout("checkout", 1500, capture).await;
    let charge = stage.charge("charge", 700).await;
    let released = stage.authorize_by_token("released", 800, release).await;
    let minutes = TimeDelta::minutes;
    hearing
        .until(&checkout, StateName::AwaitingPayer, minutes(1))
        .await;
    // By now the worker looks only once in five minutes whether the payer has paid.
    hearing.until(&checkout, StateName::Held, minutes(3)).await;
    stage.payer_pays(&checkout).await;
    let known_after = hearing.until(&checkout, StateName::Held, minutes(10)).await;
    hearing.until(&checkout, StateName::Paid, minutes(30)).await;
    stage.work_for(TimeDelta::hours(1)).await;
    let mut ends = Vec::new();
    for id in [&checkout, &charge, &released] {
        let line = compare(stage.payment(id).await, &stage.ledger(), true)
            .beside(|id| stage.sandbox.status_of(id));
        assert_eq!(line.problems, [""; 0], "{:?}", line.payment);
        let holds = stage.moved(id, MovementKind::Hold);
        ends.push((stage.state(id).await, stage.taken(id), holds));
    }
    let heard = hearing.counts.tally();
    assert_eq!((heard.unsigned, heard.deferred), (0, 0));
    Came { ends, known_after }
}

#[tokio::test]
async fn lost_duplicated_late_and_reordered_webhooks_change_nothing_but_the_time() {
    let well = run(Told::ByWebhooks(1), None).await;
    let ends = [
        (StateName::Paid, (900, 1), 1),
        (StateName::Paid, (700, 1), 0),
        (StateName::Released, (0, 0), 1),
    ];
    assert_eq!(well.ends, ends);
    assert_eq!(well.known_after, TimeDelta::zero(), "a webhook is at once");
    let untold = run(Told::Not, None).await;
    assert_eq!(untold.ends, ends);
    assert!(untold.known_after > TimeDelta::minutes(1));
    for (effect, late) in [
        (Effect::Lost, true),
        (Effect::Duplicated, false),
        (Effect::Latency(20_000), true),
        (Effect::Reordered(20_000), true),
    ] {
        let came = run(Told::ByWebhooks(1), Some(effect.clone())).await;
        assert_eq!(came.ends, ends, "{effect:?}");
        assert_eq!(came.known_after > TimeDelta::zero(), late, "{effect:?}");
        assert!(came.known_after <= untold.known_after, "{effect:?}");
    }
}

#[tokio::test]
async fn a_success_callback_signed_with_the_company_key_nudges() {
    for (told, state) in [
        (Told::BySuccessCallback, StateName::Paid),
        (Told::Not, StateName::New),
    ] {
        let hearing = Hearing::start(told).await;
        let stage = &hearing.stage;
        stage.fault(Rule::on(Operation::Charge, Effect::reset_after_commit()).times(1));
        let id = stage.charge("k", 1500).await;
        hearing.work().await;
        // No time has passed: without the callback the first look is still to come.
        assert_eq!(stage.state(&id).await, state);
        let told = u64::from(told == Told::BySuccessCallback);
        let heard = hearing.counts.tally();
        assert_eq!((heard.nudged, heard.unsigned), (told, 0));
        // Nobody configured that key: it was fetched.
        let fetched = stage.ledger().counts(Operation::PublicKey).arrived;
        assert_eq!(fetched, told);
        stage.work_for(TimeDelta::minutes(1)).await;
        assert_eq!(stage.taken(&id), (1500, 1));
    }
}
