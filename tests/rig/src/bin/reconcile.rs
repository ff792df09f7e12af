//! `make reconcile`: whether the books of many payments agree that were made through faults, and
//! whether what is planted among them is found.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use clap::Parser;
use holdfast_rig::reconcile::run;

/// Makes payments through faults, compares the books, plants differences, and compares again.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many payments.
    #[arg(long, default_value_t = 10_000)]
    payments: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let outcome = run(arguments.payments, None, |step| eprintln!("... {step}")).await?;
    println!(
        "{} payments, {} faults of the gateway, {} workers killed",
        outcome.payments, outcome.faults, outcome.kills
    );
    for report in &outcome.healthy {
        println!(
            "{}: {} agree, {} open, {} parked, {} not compared, {} differences; {:?}",
            report.account,
            report.agree,
            report.open,
            report.parked,
            report.not_compared,
            report.differing(),
            report.sums
        );
    }
    println!("compared in {:.1} s", outcome.took.as_secs_f64());
    println!(
        "planted {}, found {}",
        outcome.expected.len(),
        outcome.planted.findings.len()
    );
    let problems = outcome.problems();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
