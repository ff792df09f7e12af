//! `make desk`: the operator's desk in a real browser, with images of every page.

#![allow(clippy::print_stdout, reason = "what people see")]

use std::process::ExitCode;

use holdfast_rig::desk::{Seen, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match run().await? {
        Seen::All => println!("the desk is as it must be"),
        Seen::Nothing => println!(
            "NOT TRIED: the operator's desk in a browser, because chromedriver or Chromium is missing; \
             install the packages chromium and chromium-driver"
        ),
    }
    Ok(ExitCode::SUCCESS)
}
