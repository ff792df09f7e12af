//! Mixed payments under faults, while workers are killed at random; then the books are compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use chip_sandbox::{Effect, Operation, Rule, TestCard, Time};
use chrono::{SecondsFormat, TimeDelta};
use holdfast::payment::{PaymentId, State, StateName};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::books::{Line, compare};
use crate::fleet::WorkerProcess;
use crate::works::{PARKS, Pace, RESENDS, Works};

/// How long payments may take to settle once faults have stopped.
const SETTLE: Duration = Duration::from_secs(90);

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
    /// How many workers were killed.
    pub kills: usize,
    /// How many calls a fault was applied to.
    pub faults: u64,
    /// The logs of all workers, for whoever must find out what happened.
    pub logs: PathBuf,
}

impl Report {
    /// What differs between the books.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().flat_map(|line| {
            let id = line.payment.id();
            line.problems.iter().map(move |problem| {
                format!("{id}: {problem}\n    {:?}", line.payment)
            })
        })
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
        self.lines.iter().filter(|line| line.ledger.takes > 1 || line.ledger.holds > 1).count()
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
    let works = Works::start(Pace::QUICK, sandbox, plan.binary.clone()).await?;
    let token = works.sandbox.save_card("payer@test.example").to_string();
    for rule in faults(plan.seed) {
        works.sandbox.add_fault(rule);
    }
    let mut ids = Vec::new();
    for number in 0..plan.payments {
        ids.push(works.enqueue(&request(number, &token, &works, &mut random)).await?);
    }
    tell(&format!("{} payments enqueued; killing workers", ids.len()));
    let kills = kill_at_random(plan, &works, &ids, &mut random).await?;
    works.sandbox.clear_faults();
    tell(&format!("{kills} workers killed; faults are off, waiting for the rest"));
    let rest = workers(&works, "last", plan.workers)?;
    settle(&works, &ids).await?;
    let lines = books(&works, &ids).await?;
    for mut worker in rest {
        worker.signal("TERM")?;
        let status = worker.ended_within(Duration::from_secs(10))?;
        ensure!(status.is_some_and(|s| s.success()), "a worker did not end well: {}", worker.tail(5));
    }
    let faults = works.sandbox.with(|engine, _| {
        engine.ledger().all_counts().values().map(|counts| counts.faulted).sum()
    });
    Ok(Report { lines, kills, faults, logs: works.folder() })
}

/// What goes wrong at the gateway: everything that a call can meet, on every call that matters.
fn faults(seed: u64) -> Vec<Rule> {
    let effects = [
        Effect::timeout_before_commit(),
        Effect::timeout_after_commit(),
        Effect::committed_late(1_500),
        Effect::status_after_commit(500),
        Effect::status_before_commit(503),
        Effect::reset_before_commit(),
        Effect::reset_after_commit(),
        Effect::truncated(),
        Effect::rate_limited(1),
        Effect::pending(1_200),
    ];
    let calls = [
        (Operation::Create, 0.02),
        (Operation::Charge, 0.04),
        (Operation::Capture, 0.04),
        (Operation::Release, 0.04),
        (Operation::Cancel, 0.03),
        (Operation::Retrieve, 0.02),
    ];
    let declines = ["insufficient_funds", "do_not_honour", "timeout"];
    let mut rules = Vec::new();
    let mut seed = seed;
    for (operation, probability) in calls {
        for effect in &effects {
            let pending = matches!(effect, Effect::Pending(_));
            if pending && matches!(operation, Operation::Create | Operation::Cancel | Operation::Retrieve) {
                continue;
            }
            seed = seed.wrapping_add(1);
            rules.push(Rule::on(operation, effect.clone()).probability(probability, seed));
        }
    }
    for code in declines {
        seed = seed.wrapping_add(1);
        rules.push(Rule::on(Operation::Charge, Effect::decline(code)).probability(0.02, seed));
        rules.push(Rule::on(Operation::Capture, Effect::decline(code)).probability(0.02, seed));
    }
    rules
}

fn request(number: usize, token: &str, works: &Works, random: &mut StdRng) -> String {
    let account = if random.random_bool(0.5) { PARKS } else { RESENDS };
    let amount = 100 + random.next_u32() % 100_000;
    let at = |seconds: i64| {
        let time = works.clock.now() + TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let money = format!(r#""money":{{"amount":{amount},"currency":"MYR"}}"#);
    let customer = r#""customer":{"email":"payer@test.example"}"#;
    let soon = 2 + i64::from(random.next_u32() % 15);
    let plan = match random.next_u32() % 4 {
        0 => format!(r#"{{"capture_at":"{}","capture_amount":{}}}"#, at(soon), amount / 2),
        1 => format!(r#"{{"release_at":"{}"}}"#, at(soon)),
        2 => format!(r#"{{"capture_at":"{}","release_at":"{}"}}"#, at(soon), at(soon + 60)),
        _ => format!(r#"{{"capture_at":"{}"}}"#, at(soon)),
    };
    let body = match random.next_u32() % 10 {
        0..4 => format!(r#""type":"charge",{money},"token":"{token}",{customer}"#),
        4..7 => format!(
            r#""type":"authorize",{money},"source":{{"token":"{token}"}},"plan":{plan},{customer}"#
        ),
        7..9 => format!(
            r#""type":"authorize",{money},"source":{{"checkout":{{}}}},"plan":{plan},{customer}"#
        ),
        _ => format!(r#""type":"save_card",{customer}"#),
    };
    format!(r#"{{"v":1,"account":"{account}","idempotency_key":"torture-{number}",{body}}}"#)
}

fn workers(works: &Works, name: &str, count: usize) -> anyhow::Result<Vec<WorkerProcess>> {
    (0..count).map(|number| works.worker(&format!("{name}-{number}"))).collect()
}

/// Kills a worker every few hundred milliseconds and starts another one; payers pay meanwhile.
async fn kill_at_random(
    plan: &Plan,
    works: &Works,
    ids: &[PaymentId],
    random: &mut StdRng,
) -> anyhow::Result<usize> {
    let mut fleet = workers(works, "first", plan.workers)?;
    let mut kills = 0;
    let end = tokio::time::Instant::now() + plan.faults_for;
    while tokio::time::Instant::now() < end {
        let pause = 150 + u64::from(random.next_u32() % 700);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let victim = random.random_range(0..fleet.len());
        fleet[victim].kill()?;
        kills += 1;
        fleet[victim] = works.worker(&format!("after-{kills}"))?;
        payers_pay(works, ids, random).await?;
    }
    for worker in &mut fleet {
        worker.kill()?;
        kills += 1;
    }
    Ok(kills)
}

/// Some of the payers who have a link pay; some never will.
async fn payers_pay(works: &Works, ids: &[PaymentId], random: &mut StdRng) -> anyhow::Result<()> {
    let page = holdfast::store::Store::list(&works.store, StateName::AwaitingPayer, None, ids.len());
    for waiting in page.await?.payments {
        let Some(purchase) = waiting.payment.purchase() else { continue };
        if random.random_bool(0.3) {
            works.sandbox.pay(purchase.id.as_str().parse()?, TestCard::Plain, false);
        }
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
                State::Parked { .. } => {}
                State::AwaitingPayer => {
                    pay_late(works, &loaded)?;
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

fn pay_late(works: &Works, loaded: &holdfast::store::Loaded) -> anyhow::Result<()> {
    if let Some(purchase) = loaded.payment.purchase() {
        works.sandbox.pay(purchase.id.as_str().parse()?, TestCard::Plain, false);
    }
    Ok(())
}

async fn books(works: &Works, ids: &[PaymentId]) -> anyhow::Result<Vec<Line>> {
    let ledger = works.sandbox.ledger();
    let mut lines = Vec::new();
    for id in ids {
        let payment = works.load(id).await?.payment;
        lines.push(compare(payment, &ledger, true));
    }
    Ok(lines)
}
