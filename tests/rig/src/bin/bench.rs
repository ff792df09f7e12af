//! `make bench`: figures about a real worker on a real Redis.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::path::PathBuf;

use clap::Parser;
use holdfast_rig::bench::{Plan, run};
use holdfast_rig::holdfast_binary;

/// How promptly a worker acts, how much it gets through, and what that costs. Prints figures;
/// nothing passes or fails.
#[derive(Debug, Parser)]
struct Arguments {
    /// Small counts: a first impression in about a minute.
    #[arg(long)]
    quick: bool,
    /// How many charges of next month a worker waits for, in place of the usual number.
    #[arg(long)]
    future: Option<usize>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Another `holdfast` binary to measure in the same run, such as that of an older version.
    #[arg(long)]
    against: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut workers = Vec::new();
    if let Some(other) = arguments.against {
        workers.push((other.display().to_string(), other));
    }
    workers.push(("of this build".to_owned(), holdfast_binary()?));
    let mut plan = if arguments.quick {
        Plan::quick(workers)
    } else {
        Plan::full(workers)
    };
    plan.future = arguments.future.unwrap_or(plan.future);
    let report = run(&plan, |step| eprintln!("... {step}")).await?;
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        for line in report.lines() {
            println!("{line}");
        }
    }
    Ok(())
}
