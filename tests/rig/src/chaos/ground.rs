//! What everybody in a run shares: the installation, what was asked for, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use chip_sandbox::{Sandbox, TestCard};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::payment::{IdempotencyKey, Payment, PaymentId, State};
use holdfast::store::redis::RedisStore;
use holdfast::worker::Policies;
use tokio::time::Instant;

use super::Plan;
use super::asks::Purse;
use super::clocks::Clocks;
use super::line::{Far, Line};
use super::mishap::Side;
use super::tally::Tally;
use crate::fleet::WorkerCommand;
use crate::works::Works;

/// What everybody in a run shares.
pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) sandbox: Sandbox,
    /// The store as a producer reaches it: by the line where things go wrong.
    pub(super) store: RedisStore,
    pub(super) clock: Clock,
    pub(super) policies: Policies,
    pub(super) command: WorkerCommand,
    pub(super) to_redis: Line,
    pub(super) to_gateway: Line,
    pub(super) clocks: Option<Clocks>,
    pub(super) purse: Purse,
    pub(super) tally: Arc<Tally>,
    pub(super) began: Instant,
    /// How many payments are under way, as far as is known.
    pub(super) under_way: AtomicU64,
    over: AtomicBool,
    told: Mutex<Told>,
}

/// What producers and people were told, and must stay true.
#[derive(Default)]
pub(super) struct Told {
    /// Payments that are recorded.
    pub(super) payments: Vec<PaymentId>,
    /// Commands that are recorded.
    pub(super) commands: Vec<(PaymentId, IdempotencyKey)>,
    /// Ends that somebody saw.
    pub(super) ends: BTreeMap<PaymentId, State>,
    /// Promises that were seen broken while the run went on.
    pub(super) broken: Vec<String>,
    /// Payments of which Redis lost something that it had answered.
    pub(super) lost: BTreeSet<String>,
}

impl Told {
    /// Whether a promise is broken that no loss explains.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.iter().any(|problem| !self.is_cost(problem))
    }

    /// Whether a problem is about a payment of which something was lost.
    pub(super) fn is_cost(&self, problem: &str) -> bool {
        let about = problem.split(':').next();
        about.is_some_and(|id| self.lost.contains(id))
    }
}

impl Ground {
    /// Puts the lines in, and connects by them as a producer does.
    pub(super) async fn prepare(
        plan: &Plan,
        works: &mut Works,
        clocks: Option<Clocks>,
    ) -> anyhow::Result<Self> {
        let tally = Arc::new(Tally::default());
        let redis = (Side::Redis, Far::Socket(works.redis.socket()));
        let gateway = (Side::Gateway, Far::Address(works.sandbox.address()));
        let to_redis = Line::start(redis, Arc::clone(&tally), plan.seed ^ 0x11).await?;
        let to_gateway = Line::start(gateway, Arc::clone(&tally), plan.seed ^ 0x12).await?;
        let url = format!("redis://{}/0", to_redis.address());
        works.set("HOLDFAST__REDIS__URL", url);
        let base_url = format!("http://{}/api/v1/", to_gateway.address());
        for account in ["HOTEL", "SHOP"] {
            works.set(
                &format!("HOLDFAST__ACCOUNTS__{account}__BASE_URL"),
                &base_url,
            );
        }
        let command = works.command().clone();
        let config = Config::load(Some(&command.config), command.env.iter().cloned())?;
        let clock = Clock::system();
        let store = RedisStore::connect(config.store_settings(), clock.clone())
            .await
            .context("the store")?;
        Ok(Self {
            purse: Purse::filled(plan, &works.sandbox)?,
            plan: plan.clone(),
            sandbox: works.sandbox.clone(),
            store,
            clock,
            policies: config.policies(),
            command,
            to_redis,
            to_gateway,
            clocks,
            tally,
            began: Instant::now(),
            under_way: AtomicU64::new(0),
            over: AtomicBool::new(false),
            told: Mutex::default(),
        })
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a promise is broken.
    pub(super) fn broken(&self, what: String) {
        self.told().broken.push(what);
    }

    /// Whether faults are to end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The payer of a payment pays.
    pub(super) fn pay(&self, payment: &Payment) -> anyhow::Result<()> {
        if let Some(purchase) = payment.purchase() {
            let id = purchase.id.as_str().parse()?;
            self.sandbox.pay(id, TestCard::Plain, false);
        }
        Ok(())
    }
}
