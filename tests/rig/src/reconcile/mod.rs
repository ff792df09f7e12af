//! Many payments, made by real workers that are killed, on a gateway that misbehaves: then the books
//! agree, and every difference that is planted among them is found, and nothing else.

mod asks;
mod planted;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chip_sandbox::{Config, Time};
use chrono::{Offset, TimeDelta, Utc};
use holdfast::clock::Clock;
use holdfast::gateway::ChipGateway;
use holdfast::operate::reconcile::{
    Asked, Books, BrandUse, Kind, Layout, Pace, Period, Report, StatementFrom, Verdict,
};
use holdfast::payment::{AccountName, StateName, Timestamp};
use holdfast::store::Store;
use tokio::time::{Instant, sleep};

use crate::chaos::rules;
use crate::fleet::WorkerProcess;
use crate::works::{PARKS, Pace as WorkPace, RESENDS, Works};

/// How many payments may be under way at a time.
const UNDER_WAY: u64 = 400;
/// How often a worker is killed while payments are made.
const KILL_EVERY: Duration = Duration::from_secs(5);
/// How long it may take until everything is at rest once faults are over.
const REST_WITHIN: Duration = Duration::from_secs(180);
/// How much later than everything that happened the books are compared: what is newer need not agree.
const LATER: TimeDelta = TimeDelta::hours(2);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How many payments were made.
    pub payments: u64,
    /// How often the gateway misbehaved.
    pub faults: u64,
    /// How often a worker was killed.
    pub kills: u64,
    /// What was found of each account when all was well.
    pub healthy: Vec<Report>,
    /// How long comparing took, of all accounts together.
    pub took: Duration,
    /// What was found once differences were planted.
    pub planted: Report,
    /// What should have been.
    pub expected: Vec<Kind>,
}

impl Outcome {
    /// What is wrong; empty when all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for report in &self.healthy {
            if report.verdict() != Verdict::Agree {
                problems.push(format!("the books should agree: {}", report.json(false)));
            }
        }
        let looked_at: u64 = self.healthy.iter().map(Report::looked_at).sum();
        if looked_at != self.payments {
            problems.push(format!(
                "{looked_at} payments were looked at, of {}",
                self.payments
            ));
        }
        let mut found: Vec<Kind> = self.planted.findings.iter().map(|it| it.kind).collect();
        let mut expected = self.expected.clone();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            problems.push(format!("planted {expected:?}, and found {found:?}"));
        }
        problems
    }
}

/// Makes so many payments, compares, plants, and compares again.
pub async fn run(
    payments: u64,
    binary: Option<PathBuf>,
    tell: impl Fn(&str),
) -> anyhow::Result<Outcome> {
    let sandbox = Config {
        time: Time::System,
        keep_requests: false,
        silence_cap: Duration::from_secs(3),
        ..Config::default()
    };
    let mut works = Works::start(WorkPace::QUICK, sandbox, binary).await?;
    works.set("HOLDFAST__POLICY__HOLD_LIFETIME_MS", "86400000");
    let began = works.clock.now();
    let mut workers = vec![works.worker("one")?, works.worker("two")?];
    let asks = asks::Asks::prepare(&works.sandbox);
    for rule in rules(1, 0.5) {
        works.sandbox.add_fault(rule);
    }
    let kills = make(&works, &asks, payments, &mut workers, &tell).await?;
    works.sandbox.clear_faults();
    tell("faults are over, waiting for the rest");
    let limit = Instant::now() + REST_WITHIN;
    while under_way(&works).await? > 0 && Instant::now() < limit {
        asks::pay_all(&works).await?;
        sleep(Duration::from_millis(300)).await;
    }
    drop(workers);
    let faults = works.sandbox.ledger().faults_met().values().sum();
    let mut comparing = Comparing::of(&works, (began, works.clock.now()))?;
    tell("comparing the books");
    let start = Instant::now();
    let mut healthy = Vec::new();
    for account in [PARKS, RESENDS] {
        healthy.push(comparing.of_account(account).await?);
    }
    let took = start.elapsed();
    tell("planting differences, and comparing again");
    let expected = planted::plant(&works).await?;
    comparing = Comparing::of(&works, (began, works.clock.now()))?;
    let planted = comparing.of_account(PARKS).await?;
    Ok(Outcome {
        payments,
        faults,
        kills,
        healthy,
        took,
        planted,
        expected,
    })
}

/// Asks for payments, kills a worker now and then, and lets payers pay.
async fn make(
    works: &Works,
    asks: &asks::Asks,
    payments: u64,
    workers: &mut [WorkerProcess],
    tell: &impl Fn(&str),
) -> anyhow::Result<u64> {
    let (mut kills, mut next_kill, mut asked) = (0, Instant::now() + KILL_EVERY, 0);
    while asked < payments {
        let room = UNDER_WAY.saturating_sub(under_way(works).await?);
        for _ in 0..room.min(payments - asked) {
            let json = asks.request(asked, works.clock.now());
            works.enqueue(&json).await?;
            asked += 1;
            if asked.is_multiple_of(1_000) {
                tell(&format!("{asked} payments asked for"));
            }
        }
        asks::pay_all(works).await?;
        if Instant::now() >= next_kill {
            let place = usize::try_from(kills).unwrap_or_default() % workers.len();
            workers[place].kill()?;
            kills += 1;
            workers[place] = works.worker(&format!("after-kill-{kills}"))?;
            next_kill = Instant::now() + KILL_EVERY;
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(kills)
}

async fn under_way(works: &Works) -> anyhow::Result<u64> {
    let stats = works.store.stats().await?;
    let parked = |state: &StateName| *state == StateName::Parked || state.is_finished();
    let moving = stats.by_state.iter().filter(|(state, _)| !parked(state));
    Ok(moving.map(|(_, count)| count).sum())
}

/// Whoever compares, some time after all that.
struct Comparing<'a> {
    works: &'a Works,
    gateway: ChipGateway,
    clock: Clock,
    period: Period,
}

impl<'a> Comparing<'a> {
    fn of(works: &'a Works, (from, to): (Timestamp, Timestamp)) -> anyhow::Result<Self> {
        let clock = Clock::starting_at(to + LATER);
        let offset = Utc.fix();
        Ok(Self {
            works,
            gateway: asks::gateway(&works.sandbox.base_url(), &clock)?,
            clock,
            period: Period {
                from: from - TimeDelta::minutes(1),
                to: to + TimeDelta::minutes(1),
                offset,
            },
        })
    }

    async fn of_account(&self, account: &str) -> anyhow::Result<Report> {
        let siblings = [PARKS, RESENDS].into_iter().filter(|name| *name != account);
        let asked = Asked {
            account: AccountName::new(account)?,
            siblings: siblings.map(AccountName::new).collect::<Result<_, _>>()?,
            period: self.period,
            statement: StatementFrom::Gateway(Layout {
                named: Vec::new(),
                unit: None,
                offset: self.period.offset,
            }),
            brand: BrandUse::Ours,
        };
        let books = Books {
            store: &self.works.store,
            gateway: &self.gateway,
            clock: &self.clock,
            pace: Pace {
                poll: Duration::from_millis(500),
                ..Pace::default()
            },
        };
        let report = books.reconcile(&asked, &mut |_| {}).await;
        report.with_context(|| format!("comparing the books of {account}"))
    }
}
