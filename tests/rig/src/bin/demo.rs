//! `make demo`: the main job for real, and at the end both books side by side.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use holdfast_rig::demo::Demo;

/// The main job for real: holds, captures, releases, saved cards, faults, a killed worker.
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!("Holdfast demo. Everything runs in a folder of its own and is stopped at the end.");
    println!("Leases are 1.5 s and the quiet period is 4 s here; a real installation has 30 s and");
    println!("15 min. See config/default.toml.\n");
    let mut demo = Demo::start().await.context("the demo could not start")?;
    demo.scenes().await?;
    let settled = demo.settle(Duration::from_secs(40)).await?;
    let sound = demo.show_books().await?;
    if arguments.keep {
        demo.show_doors().await?;
        println!("\nRunning until Ctrl-C.");
        tokio::signal::ctrl_c().await?;
    }
    demo.stop()?;
    ensure!(settled, "some payments were still under way");
    ensure!(sound, "the books differ");
    Ok(())
}
