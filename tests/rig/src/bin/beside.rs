//! `beside`: runs a program beside a whole installation of its own, and stops it again. The program
//! finds the API, the intake and what it needs in its environment: `HOLDFAST_API`, `HOLDFAST_KEY`;
//! `REDIS_URL`, of a user that may only push, `KID` and `SIGNING_KEY`; `EVENTS_PORT` of this machine,
//! where events are posted to, and `EVENTS_SECRET`, with which they are signed; `CARD_TOKEN`,
//! `SANDBOX_URL`.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use holdfast::worker::outbox::SigningSecret;
use holdfast_rig::{Pace, RedisOptions, Works};
use tokio::process::Command;

/// The users of Redis as they are shipped; the last one is that of a producer.
const USERS: &str = include_str!("../../../../deploy/redis/producer.acl");
/// The name of its key.
const KID: &str = "beside";

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
    let redis = RedisOptions {
        tcp: true,
        lines: USERS
            .lines()
            .last()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        ..RedisOptions::default()
    };
    let works = Works::start_on(redis, Pace::QUICK, sandbox, None).await?;
    let key = works.api_key("beside")?;
    let signing_key = works.producer(KID)?;
    let address = free_address()?;
    let events = free_address()?;
    let (events_url, secret) = (format!("http://{events}/"), SigningSecret::fresh());
    let settings = [
        ("HOLDFAST__ENDPOINTS__BESIDE__URL", events_url.as_str()),
        ("HOLDFAST__ENDPOINTS__BESIDE__SECRETS", secret.as_str()),
        ("HOLDFAST__API__LISTEN", address.as_str()),
        // Made-up requests come as fast as they can; 429 is not what is tried.
        ("HOLDFAST__API__PER_SECOND", "100000"),
        ("HOLDFAST__API__BURST", "100000"),
        ("HOLDFAST__INTAKE__ENABLED", "true"),
        ("HOLDFAST__INTAKE__ACCEPT_UNSIGNED", "true"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let _worker = works.worker_with("worker", &settings)?;
    let redis = works.redis.tcp_url().context("Redis listens on no port")?;
    let redis = redis.replace("redis://", "redis://shop:CHANGE-ME@");
    until_it_listens(&address).await?;
    let token = works.sandbox.save_card("payer@test.example");
    let (name, arguments) = program.split_first().context("name a program")?;
    let status = Command::new(name)
        .args(arguments)
        .env("HOLDFAST_API", format!("http://{address}"))
        .env("HOLDFAST_KEY", key)
        .env("REDIS_URL", redis)
        .env("KID", KID)
        .env("SIGNING_KEY", signing_key)
        .env("EVENTS_PORT", events.rsplit(':').next().unwrap_or_default())
        .env("EVENTS_SECRET", secret.as_str())
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
