//! `make demo`: the main job for real, and at the end both books side by side.

use std::process::ExitCode;

use clap::Parser;
use holdfast_rig::demo::{AtTheEnd, Verdict, run};

/// The main job for real: holds, captures, releases, saved cards, faults, a killed worker. Fails
/// when a scene does not end as it must, or the books differ.
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave everything running at the end, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let at_the_end = if Arguments::parse().keep {
        AtTheEnd::Keep
    } else {
        AtTheEnd::Stop
    };
    Ok(match run(at_the_end, None).await? {
        Verdict::Sound => ExitCode::SUCCESS,
        Verdict::Unsound => ExitCode::FAILURE,
    })
}
