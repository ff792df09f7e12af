//! Chaos on real processes: workers, Redis, their connections, their clocks and the gateway fail at
//! the same time while producers ask for payments; then the books are compared.
//!
//! | file | what |
//! |---|---|
//! | `plan` | how much of everything |
//! | `producers`, `people`, `asks` | who asks for what |
//! | `crew` | workers: killed, stopped, asked to end |
//! | `disk` | Redis: killed, its file cut where nobody was answered yet |
//! | `line`, `mishap`, `sockets` | connections: cut, reset, half open, slow |
//! | `clocks` | clocks that jump |
//! | `faults`, `manners`, `hearing` | the gateway: what goes wrong there, and what is heard of it |
//! | `beat`, `enough` | how often something strikes, and whether that was often enough |
//! | `watch`, `settle`, `verdict`, `canaries` | what must be true during all this, and after it |
//! | `tally`, `outcome` | what happened, counted |

mod asks;
mod beat;
mod canaries;
mod clocks;
mod crew;
mod disk;
mod enough;
mod faults;
mod ground;
mod hearing;
mod line;
mod manners;
mod mishap;
mod outcome;
mod people;
mod plan;
mod producers;
mod settle;
mod sockets;
mod tally;
mod verdict;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, ensure};
use chip_sandbox::{Account, DEFAULT_BRAND_ID, Time};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::clocks::Clocks;
use self::crew::Crew;
pub use self::faults::Hits;
use self::ground::Ground;
use self::hearing::Hearing;
pub use self::manners::Manners;
pub use self::mishap::{Mishap, Side};
pub use self::outcome::Outcome;
pub use self::plan::{Loss, Plan, Quotas};
pub use self::settle::BOUND;
pub use self::tally::Blow;
pub(crate) use faults::rules;

use crate::redis::RedisOptions;
use crate::works::{Pace, Works};

const PACE: Pace = Pace::QUICK;
/// Other settings than the rig's: looks are given up before payments must have settled, what is
/// parked is looked at when somebody asks, holds outlive the longest run, a connection to Redis that
/// says nothing is given up soon.
const SETTINGS: [(&str, &str); 7] = [
    ("POLICY__LOOKUP__GIVE_UP_AFTER_MS", "8000"),
    ("POLICY__PARKED_LOOK_EVERY_MS", "600000"),
    ("POLICY__HOLD_LIFETIME_MS", "86400000"),
    ("POLICY__LINK_LIFETIME_MS", "86400000"),
    ("REDIS__RESPONSE_TIMEOUT_MS", "2000"),
    ("ACCOUNTS__HOTEL__SECRET_KEY", canaries::KEY),
    ("ACCOUNTS__SHOP__SECRET_KEY", canaries::KEY),
];
/// Runs the plan. `tell` hears of progress. What was written stays if anything went wrong.
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> anyhow::Result<Outcome> {
    let clocks = match Clocks::make() {
        Ok(clocks) => Some(clocks),
        Err(error) => {
            tell(&format!("NO CLOCK JUMPS in this run: {error:#}"));
            None
        }
    };
    let mut works = start(plan, clocks.as_ref()).await?;
    let outcome = run_on(plan, &mut works, clocks, &tell).await;
    if outcome.as_ref().map_or(true, |it| !it.problems.is_empty()) {
        works.keep();
    }
    let (logs, redis) = (works.folder(), works.redis.folder());
    outcome.with_context(|| {
        format!(
            "logs are in {}, Redis' files in {}",
            logs.display(),
            redis.display()
        )
    })
}

async fn start(plan: &Plan, clocks: Option<&Clocks>) -> anyhow::Result<Works> {
    let sandbox = chip_sandbox::Config {
        time: Time::System,
        seed: Some(plan.seed),
        accounts: vec![Account::new(
            "Canary Sdn. Bhd.",
            canaries::KEY,
            DEFAULT_BRAND_ID,
        )],
        keep_requests: false,
        silence_cap: Duration::from_secs(3),
        delivery_timeout: Duration::from_secs(2),
        ..chip_sandbox::Config::default()
    };
    let redis = RedisOptions {
        // Small, so that the file is rewritten again and again while all this goes on.
        lines: vec!["auto-aof-rewrite-min-size 4mb".to_owned()],
        env: clocks.map_or(Ok(Vec::new()), |clocks| clocks.env(disk::CLOCK))?,
        ..RedisOptions::default()
    };
    let mut works = Works::start_on(redis, PACE, sandbox, plan.binary.clone()).await?;
    for (name, value) in SETTINGS {
        works.set(&format!("HOLDFAST__{name}"), value);
    }
    works.set("HOLDFAST__LOG__FILTER", plan.log_filter);
    Ok(works)
}

async fn run_on(
    plan: &Plan,
    works: &mut Works,
    clocks: Option<Clocks>,
    tell: &impl Fn(&str),
) -> anyhow::Result<Outcome> {
    let hearing = hearing::prepare(works)?;
    let ground = Arc::new(Ground::prepare(plan, works, clocks).await?);
    let manners = plan.manners;
    ground.sandbox.set_behaviour(|it| manners.apply(it));
    for rule in faults::rules(plan.seed, plan.gateway_faults_by) {
        ground.sandbox.add_fault(rule);
    }
    let crew = Arc::new(Crew::start(
        Arc::clone(&ground),
        hearing.settings.clone(),
        PACE,
    )?);
    let mut acts = begin(&ground, &crew, &hearing);
    let killing = async {
        let killed = disk::kill(&mut works.redis, &ground).await;
        // Without Redis nothing gets on: there is nothing to wait for.
        if killed.is_err() {
            ground.end();
        }
        killed
    };
    let (killed, jumped, enough) = tokio::join!(
        killing,
        disk::jump(&ground),
        enough::until_enough(&ground, &mut acts, tell),
    );
    killed.context("killing Redis")?;
    jumped.context("the clock of Redis")?;
    enough?;
    while let Some(act) = acts.join_next().await {
        act??;
    }
    ground.sandbox.clear_faults();
    let faults_for = ground.began.elapsed();
    tell("faults are over, waiting for the rest");
    let rest = settle::all(&ground, tell).await?;
    crew.end_all().await?;
    outcome(&ground, works, (faults_for, rest)).await
}

/// Everybody begins.
fn begin(ground: &Arc<Ground>, crew: &Arc<Crew>, hearing: &Hearing) -> JoinSet<anyhow::Result<()>> {
    let mut acts = JoinSet::new();
    let next = Arc::new(AtomicU64::new(0));
    for place in 0..producers::COUNT {
        let next = Arc::clone(&next);
        acts.spawn(producers::produce(Arc::clone(ground), next, place));
    }
    acts.spawn(people::pay(Arc::clone(ground)));
    acts.spawn(people::command(Arc::clone(ground)));
    acts.spawn(people::look(Arc::clone(ground)));
    acts.spawn(watch::money(Arc::clone(ground)));
    acts.spawn(watch::backlog(Arc::clone(ground)));
    acts.spawn(watch::answers(Arc::clone(ground), hearing.address));
    for side in Side::BOTH {
        acts.spawn(sockets::trouble(Arc::clone(ground), side));
    }
    acts.spawn(Arc::clone(crew).kill());
    acts.spawn(Arc::clone(crew).pause());
    acts.spawn(Arc::clone(crew).stop());
    acts.spawn(Arc::clone(crew).jump());
    acts.spawn(Arc::clone(crew).look_after());
    acts
}

async fn outcome(
    ground: &Arc<Ground>,
    works: &Works,
    times: (Duration, Duration),
) -> anyhow::Result<Outcome> {
    let (payments, commands) = {
        let told = ground.told();
        (told.payments.len() as u64, told.commands.len() as u64)
    };
    let mut books = verdict::judge(ground).await?;
    let cards = ground.purse.cards.iter().map(|card| card.parse::<Uuid>());
    books.ids.extend(cards.flatten());
    let search = canaries::search(&works.folder(), &books.ids)?;
    ensure!(search.bytes > 0, "the workers logged nothing");
    let mut problems = books.problems;
    problems.extend(search.found.iter().cloned());
    let ledger = ground.sandbox.ledger();
    Ok(Outcome {
        payments,
        commands,
        blows: ground.tally.all(),
        hits: faults::hits(&ledger),
        heard: ledger.deliveries_accepted(),
        states: books.states,
        moved_twice: books.moved_twice,
        cost: books.cost,
        times,
        search,
        clocks_jumped: ground.clocks.is_some(),
        problems,
        kept: [works.folder(), works.redis.folder()],
    })
}
