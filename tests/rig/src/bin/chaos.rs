//! `chaos`: everything fails at the same time, on real processes, and the books are compared.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use holdfast_rig::Report;
use holdfast_rig::chaos::{BOUND, Loss, Manners, Plan, run};

/// Everything fails at the same time, on real processes, and the books are compared.
#[derive(Debug, Parser)]
struct Arguments {
    /// Decides payments and faults; the machine's timing does the rest, so no two runs are the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many payments, at least; all other quotas follow from it.
    #[arg(long, default_value_t = 100_000)]
    payments: u64,
    /// How many workers run at a time.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// For how many seconds faults are meant to go on; how often they strike follows from it.
    #[arg(long)]
    seconds: Option<u64>,
    /// What the gateway does where nobody has written down what it does.
    #[arg(long, value_enum, default_value_t = Manners::AsObserved)]
    manners: Manners,
    /// What is lost when Redis dies.
    #[arg(long, value_enum, default_value_t = Loss::Unanswered)]
    loss: Loss,
    /// Where to write the figures.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Arguments { seed, payments, .. } = arguments;
    let mut plan = Plan::around(payments, seed);
    plan.workers = arguments.workers;
    plan.manners = arguments.manners;
    plan.loss = arguments.loss;
    plan.span = arguments.seconds.map_or(plan.span, Duration::from_secs);
    let command = format!("make chaos SEED={seed} PAYMENTS={payments}");
    let report = arguments
        .report
        .map(|path| Report::begin(&path, "chaos", command.clone()));
    println!("chaos: seed {seed}, {:?}", plan.quotas);
    let outcome = run(&plan, |line| println!("{line}")).await?;
    for line in outcome.lines() {
        println!("{line}");
    }
    for problem in outcome.problems.iter().take(20) {
        println!("{problem}");
    }
    println!(
        "{} payments, {} moved twice, {} promises broken; all at rest within {BOUND:?} is one",
        outcome.payments,
        outcome.moved_twice,
        outcome.problems.len()
    );
    let passed = outcome.problems.is_empty() && outcome.clocks_jumped;
    if let Some(report) = report {
        report.write(passed, &outcome.figures(seed))?;
    }
    let [logs, redis] = &outcome.kept;
    ensure!(
        outcome.problems.is_empty(),
        "promises are broken; logs are in {}, Redis' files in {}. `{command}` strikes the same way \
         again, but in real time: it may take some runs to see the same",
        logs.display(),
        redis.display()
    );
    ensure!(
        outcome.clocks_jumped,
        "no clock jumped: a C compiler (cc) is needed for that"
    );
    Ok(())
}
