//! Mixed payments under faults, while workers are killed at random; then the books are compared.

mod asks;
mod faults;
mod havoc;
mod hearing;
mod manners;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::{TestCard, Time};
use holdfast::payment::{PaymentId, State, StateName};
use holdfast::store::{Loaded, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::asks::Asks;
pub use self::faults::Hits;
use self::havoc::Havoc;
pub use self::manners::Manners;
use crate::books::Line;
use crate::fleet::WorkerProcess;
use crate::rest::unrest;
use crate::works::{Pace, Works};

/// How long payments may take to settle once faults have stopped.
const SETTLE: Duration = Duration::from_secs(90);
/// When the workers give up looking: before the payments must have settled.
const GIVE_UP_MS: &str = "12000";
/// How long a worker may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// What to do to the workers.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything but the machine's own timing.
    pub seed: u64,
    /// How many payments.
    pub payments: usize,
    /// How long faults and kills go on, at least.
    pub faults_for: Duration,
    /// How many workers are killed, at least, before faults and kills end. A run that takes
    /// [`Plan::PATIENCE`] times as long as it should for that fails.
    pub least_kills: usize,
    /// How many calls meet a fault, at least, before faults and kills end; bounded the same way.
    pub least_faults: u64,
    /// How many worker processes there are at a time.
    pub workers: usize,
    /// What the gateway does where nobody has written down what it does.
    pub manners: Manners,
    /// The `holdfast` binary; beside the running program, without it.
    pub binary: Option<PathBuf>,
}

impl Plan {
    /// How many times longer than asked the kills may take.
    pub const PATIENCE: u32 = 8;
}

/// How it ended.
#[derive(Debug)]
pub struct Report {
    /// Every payment in both books.
    pub lines: Vec<Line>,
    /// What is wrong besides: with the store at rest, or with money that belongs to no payment.
    pub besides: Vec<String>,
    /// How many workers were killed.
    pub kills: usize,
    /// How many calls a fault was applied to.
    pub faults: u64,
    /// How often each fault was met on each call.
    pub hits: Hits,
    /// How many deliveries of the gateway the workers accepted.
    pub heard: usize,
    /// The logs of all workers, for whoever must find out what happened.
    pub logs: PathBuf,
}

impl Report {
    /// What differs between the books.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        let lines = self.lines.iter().flat_map(|line| {
            let id = line.payment.id();
            line.problems
                .iter()
                .map(move |problem| format!("{id}: {problem}\n    {:?}", line.payment))
        });
        lines.chain(self.besides.iter().cloned())
    }

    /// How many payments ended in each state, parked ones by reason.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for line in &self.lines {
            let name = match line.payment.state() {
                State::Parked { reason, .. } => format!("parked: {reason:?}"),
                state => state.name().to_string(),
            };
            *states.entry(name).or_default() += 1;
        }
        states
    }

    /// How many payments' money moved more than once.
    #[must_use]
    pub fn moved_twice(&self) -> usize {
        let twice = |line: &&Line| {
            let Line { ledger, .. } = line;
            ledger.takes > 1 || ledger.holds > 1 || ledger.releases > 1
        };
        self.lines.iter().filter(twice).count()
    }
}

/// Runs the plan. `tell` hears of progress.
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    let sandbox = chip_sandbox::Config {
        time: Time::System,
        seed: Some(plan.seed),
        silence_cap: Duration::from_secs(3),
        delivery_timeout: Duration::from_secs(2),
        ..chip_sandbox::Config::default()
    };
    let mut works = Works::start(Pace::QUICK, sandbox, plan.binary.clone()).await?;
    works.set("HOLDFAST__POLICY__LOOKUP__GIVE_UP_AFTER_MS", GIVE_UP_MS);
    let ids = ask(plan, &works).await?;
    let hearing = hearing::prepare(&mut works)?;
    let manners = plan.manners;
    works.sandbox.set_behaviour(|it| manners.apply(it));
    for rule in faults::rules(plan.seed) {
        works.sandbox.add_fault(rule);
    }
    tell(&format!("{} payments enqueued; killing workers", ids.len()));
    let havoc = Havoc {
        plan,
        works: &works,
        ids: &ids,
        hearing: &hearing,
    };
    let kills = havoc.wreak().await?;
    works.sandbox.clear_faults();
    tell(&format!(
        "{kills} workers killed; faults are off, waiting for the rest"
    ));
    let rest = havoc.workers("last")?;
    settle(&works, &ids).await?;
    look_at_the_parked(&works, &ids).await?;
    settle(&works, &ids).await?;
    stop(rest).await?;
    report(&works, &ids, (manners, kills)).await
}

/// Records the payments.
async fn ask(plan: &Plan, works: &Works) -> anyhow::Result<Vec<PaymentId>> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let token = works.sandbox.save_card("payer@test.example").to_string();
    let asks = Asks {
        works,
        token,
        accounts: plan.manners.accounts(),
    };
    let mut ids = Vec::new();
    for number in 0..plan.payments {
        ids.push(works.enqueue(&asks.request(number, &mut random)?).await?);
    }
    Ok(ids)
}

async fn report(
    works: &Works,
    ids: &[PaymentId],
    (manners, kills): (Manners, usize),
) -> anyhow::Result<Report> {
    let strays = verdict::strays(works, ids).await?;
    let besides = [unrest(&works.store, ids).await?, strays].concat();
    let lines = verdict::books(works, ids, manners).await?;
    let ledger = works.sandbox.ledger();
    let heard = ledger.deliveries().iter().filter(|row| row.accepted);
    Ok(Report {
        lines,
        besides,
        kills,
        faults: faults::met(&ledger),
        hits: faults::hits(&ledger),
        heard: heard.count(),
        logs: works.folder(),
    })
}

fn pay(works: &Works, loaded: &Loaded) -> anyhow::Result<()> {
    if let Some(purchase) = loaded.payment.purchase() {
        works
            .sandbox
            .pay(purchase.id.as_str().parse()?, TestCard::Plain, false);
    }
    Ok(())
}

/// Waits until every payment is finished or parked, for a bounded time. The last payers pay now.
async fn settle(works: &Works, ids: &[PaymentId]) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + SETTLE;
    let mut waiting: Vec<PaymentId> = ids.to_vec();
    while !waiting.is_empty() && tokio::time::Instant::now() < end {
        let mut still = Vec::new();
        for id in waiting {
            let loaded = works.load(&id).await?;
            match loaded.payment.state() {
                state if state.name().is_finished() => {}
                State::Parked { .. } if !loaded.claimed => {}
                State::AwaitingPayer => {
                    pay(works, &loaded)?;
                    still.push(id);
                }
                _ => still.push(id),
            }
        }
        waiting = still;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// People ask for a look at whatever is parked, twice: it may settle, and nothing moves twice.
async fn look_at_the_parked(works: &Works, ids: &[PaymentId]) -> anyhow::Result<()> {
    for key in ["look", "look-again"] {
        for parked in works
            .store
            .list(&StateName::Parked.into(), None, ids.len())
            .await?
            .payments
        {
            asks::give(works, parked.payment.id(), key, &asks::rerun()).await?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn stop(fleet: Vec<WorkerProcess>) -> anyhow::Result<()> {
    for mut worker in fleet {
        worker.signal("TERM")?;
        let end = tokio::time::Instant::now() + STOP;
        while worker.ended_within(Duration::ZERO)?.is_none() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = worker.ended_within(Duration::ZERO)?;
        ensure!(
            status.is_some_and(|s| s.success()),
            "a worker did not end well: {}",
            worker.tail(5)
        );
    }
    Ok(())
}
