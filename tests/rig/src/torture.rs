//! Mixed payments under faults, while workers are killed at random; then the books are compared.

mod asks;
mod faults;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::{TestCard, Time};
use holdfast::payment::{Command, ParkReason, PaymentId, State, StateName};
use holdfast::store::{Loaded, Store};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use self::asks::Asks;
pub use self::faults::Hits;
use crate::books::{Line, compare};
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
    /// How long faults and kills go on.
    pub faults_for: Duration,
    /// How many worker processes there are at a time.
    pub workers: usize,
    /// The `holdfast` binary; beside the running program, without it.
    pub binary: Option<PathBuf>,
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
    let mut random = StdRng::seed_from_u64(plan.seed);
    let sandbox = chip_sandbox::Config {
        time: Time::System,
        seed: Some(plan.seed),
        silence_cap: Duration::from_secs(3),
        ..chip_sandbox::Config::default()
    };
    let mut works = Works::start(Pace::QUICK, sandbox, plan.binary.clone()).await?;
    works.set("HOLDFAST__POLICY__LOOKUP__GIVE_UP_AFTER_MS", GIVE_UP_MS);
    let token = works.sandbox.save_card("payer@test.example").to_string();
    let asks = Asks {
        works: &works,
        token,
    };
    let mut ids = Vec::new();
    for number in 0..plan.payments {
        ids.push(works.enqueue(&asks.request(number, &mut random)?).await?);
    }
    for rule in faults::rules(plan.seed) {
        works.sandbox.add_fault(rule);
    }
    tell(&format!("{} payments enqueued; killing workers", ids.len()));
    let kills = kill_at_random(plan, &works, &ids, &mut random).await?;
    works.sandbox.clear_faults();
    tell(&format!(
        "{kills} workers killed; faults are off, waiting for the rest"
    ));
    let rest = workers(&works, "last", plan.workers)?;
    settle(&works, &ids).await?;
    look_at_the_parked(&works, &ids).await?;
    settle(&works, &ids).await?;
    stop(rest).await?;

    let besides = [
        unrest(&works.store, &ids).await?,
        strays(&works, &ids).await?,
    ]
    .concat();
    let lines = books(&works, &ids).await?;
    let ledger = works.sandbox.ledger();
    let faults = ledger
        .all_counts()
        .values()
        .map(|counts| counts.faulted)
        .sum();
    Ok(Report {
        lines,
        besides,
        kills,
        faults,
        hits: faults::hits(&ledger),
        logs: works.folder(),
    })
}

fn workers(works: &Works, name: &str, count: usize) -> anyhow::Result<Vec<WorkerProcess>> {
    (0..count)
        .map(|number| works.worker(&format!("{name}-{number}")))
        .collect()
}

/// Kills a worker every few hundred milliseconds and starts another one; payers pay and people
/// give commands meanwhile.
async fn kill_at_random(
    plan: &Plan,
    works: &Works,
    ids: &[PaymentId],
    random: &mut StdRng,
) -> anyhow::Result<usize> {
    let mut fleet = workers(works, "first", plan.workers)?;
    let mut kills = 0;
    let mut commands = 0;
    let end = tokio::time::Instant::now() + plan.faults_for;
    while tokio::time::Instant::now() < end {
        let pause = 150 + u64::from(random.next_u32() % 700);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let victim = random.random_range(0..fleet.len());
        fleet[victim].kill()?;
        kills += 1;
        fleet[victim] = works.worker(&format!("after-{kills}"))?;
        payers_pay(works, ids, random).await?;
        for _ in 0..=ids.len() / 100 {
            commands += 1;
            asks::command_some(works, ids, commands, random).await?;
        }
    }
    for worker in &mut fleet {
        worker.kill()?;
        kills += 1;
    }
    Ok(kills)
}

/// Some of the payers who have a link pay; some are told that it is over.
async fn payers_pay(works: &Works, ids: &[PaymentId], random: &mut StdRng) -> anyhow::Result<()> {
    for waiting in works
        .store
        .list(StateName::AwaitingPayer, None, ids.len())
        .await?
        .payments
    {
        match random.next_u32() % 10 {
            0..2 => pay(works, &waiting)?,
            2 => asks::give(works, waiting.payment.id(), "no-more", &Command::Cancel).await?,
            _ => {}
        }
    }
    Ok(())
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
            .list(StateName::Parked, None, ids.len())
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

async fn books(works: &Works, ids: &[PaymentId]) -> anyhow::Result<Vec<Line>> {
    let ledger = works.sandbox.ledger();
    let mut lines = Vec::new();
    for id in ids {
        let mut line = compare(works.load(id).await?.payment, &ledger, true)
            .beside(|purchase| works.sandbox.status_of(purchase));
        if let State::Parked { reason, .. } = line.payment.state()
            && !is_explained(reason)
        {
            line.problems
                .push(format!("parked, and no fault explains why: {reason:?}"));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Whether faults alone can lead there. Nobody else acts at the gateway, nothing is wrong with the
/// configuration, and no worker dies of a payment.
fn is_explained(reason: &ParkReason) -> bool {
    match reason {
        ParkReason::OutcomeUnknown
        | ParkReason::LookUpsExhausted
        | ParkReason::HoldLost
        | ParkReason::ReleaseRefused => true,
        ParkReason::Contradiction { .. }
        | ParkReason::Refused { .. }
        | ParkReason::DeclinedForOperator { .. }
        | ParkReason::GatewayUnreachable
        | ParkReason::BeforeExpiry
        | ParkReason::Poison => false,
    }
}

/// Money that moved and belongs to no payment.
async fn strays(works: &Works, ids: &[PaymentId]) -> anyhow::Result<Vec<String>> {
    let mut payments = Vec::new();
    for id in ids {
        payments.push(works.load(id).await?.payment);
    }
    Ok(crate::books::strays(&payments, &works.sandbox.ledger()))
}
