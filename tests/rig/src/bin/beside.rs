//! `beside`: runs a program beside a whole installation of its own, and stops it again. The program
//! finds the API and what it needs in its environment: `HOLDFAST_API`, `HOLDFAST_KEY`,
//! `CARD_TOKEN`, `SANDBOX_URL`.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use holdfast_rig::{Pace, Works};
use tokio::process::Command;

/// Runs a program beside a private Redis, a sandbox gateway and a worker with its API.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    program: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Arguments { program } = Arguments::parse();
    let sandbox = chip_sandbox::Config {
        keep_requests: false,
        ..chip_sandbox::Config::default()
    };
    let works = Works::start(Pace::QUICK, sandbox, None).await?;
    let key = works.api_key("beside")?;
    let address = free_address()?;
    let listen = ("HOLDFAST__API__LISTEN".to_owned(), address.clone());
    let _worker = works.worker_with("worker", &[listen])?;
    until_it_listens(&address).await?;
    let token = works.sandbox.save_card("payer@test.example");
    let (name, arguments) = program.split_first().context("name a program")?;
    let status = Command::new(name)
        .args(arguments)
        .env("HOLDFAST_API", format!("http://{address}"))
        .env("HOLDFAST_KEY", key)
        .env("CARD_TOKEN", token.to_string())
        .env("SANDBOX_URL", works.sandbox.base_url())
        .status()
        .await
        .with_context(|| format!("{name} cannot be run"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

async fn until_it_listens(address: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the worker does not listen at {address}")
}
