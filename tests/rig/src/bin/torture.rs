//! `torture`: kills workers at random under faults, and compares the books.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use clap::Parser;
use holdfast_rig::torture::{Manners, Plan, run};

/// Kills workers at random under faults, and compares the books.
#[derive(Debug, Parser)]
struct Arguments {
    /// Decides payments, faults and kills; the machine's timing does the rest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many payments.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// For how many seconds faults and kills go on, at least.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many workers are killed, at least.
    #[arg(long, default_value_t = 15)]
    kills: usize,
    /// How many workers run at a time.
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// What the gateway does where nobody has written down what it does.
    #[arg(long, value_enum, default_value_t = Manners::AsObserved)]
    manners: Manners,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan {
        seed: arguments.seed,
        payments: arguments.count,
        faults_for: Duration::from_secs(arguments.seconds),
        least_kills: arguments.kills,
        least_faults: 0,
        workers: arguments.workers,
        manners: arguments.manners,
        binary: None,
    };
    let report = run(&plan, |line| println!("{line}")).await?;
    println!(
        "{} kills, {} faults, {} deliveries accepted",
        report.kills, report.faults, report.heard
    );
    for (state, count) in report.states() {
        println!("{count:>7}  {state}");
    }
    for ((call, fault), count) in &report.hits {
        println!("{count:>7}  {call} {fault}");
    }
    let problems: Vec<_> = report.problems().collect();
    for problem in &problems {
        println!("{problem}");
    }
    println!(
        "{} payments, {} moved twice, {} differences between the books",
        report.lines.len(),
        report.moved_twice(),
        problems.len()
    );
    anyhow::ensure!(problems.is_empty(), "the books differ; seed {}", plan.seed);
    Ok(())
}
