//! The simulator as a program.

use std::io::Write as _;
use std::net::SocketAddr;

use chip_sandbox::{
    Account, Config, DEFAULT_BRAND_ID, DEFAULT_SECRET_KEY, Sandbox, StartError, WebhookConfig,
};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// A simulator of the CHIP Collect payment gateway, with a ledger and fault rules.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
    /// The secret key of the test data.
    #[arg(long, default_value = DEFAULT_SECRET_KEY, env = "CHIP_SANDBOX_SECRET_KEY", hide_env_values = true)]
    secret_key: String,
    /// The secret key of the live data; without it there is none.
    #[arg(long, env = "CHIP_SANDBOX_LIVE_KEY", hide_env_values = true)]
    live_key: Option<String>,
    /// The brand.
    #[arg(long, default_value_t = DEFAULT_BRAND_ID)]
    brand_id: Uuid,
    /// An http URL that hears every event of the test data; may be repeated.
    #[arg(long)]
    webhook: Vec<String>,
    /// The seed of ids; without it they are other ones at every start.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the acquirer takes for a charge, in milliseconds.
    #[arg(long, default_value_t = 0)]
    charge_ms: u64,
    /// Keep counts of requests only, not a row of each.
    #[arg(long)]
    no_request_log: bool,
}

#[tokio::main]
async fn main() -> Result<(), StartError> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let sandbox = Sandbox::start(config(&arguments)).await?;
    announce(&sandbox, &arguments);
    until_told_to_stop().await;
    sandbox.stop().await;
    Ok(())
}

fn config(arguments: &Arguments) -> Config {
    let mut account = Account::new(
        "Sandbox Sdn. Bhd.",
        &arguments.secret_key,
        arguments.brand_id,
    );
    account.live_key.clone_from(&arguments.live_key);
    let mut config = Config {
        listen: arguments.listen,
        seed: arguments.seed,
        accounts: vec![account],
        webhooks: arguments
            .webhook
            .iter()
            .map(|url| WebhookConfig::all(url))
            .collect(),
        keep_requests: !arguments.no_request_log,
        ..Config::default()
    };
    config.behaviour.charge_ms = arguments.charge_ms;
    config
}

fn announce(sandbox: &Sandbox, arguments: &Arguments) {
    let origin = sandbox.origin();
    let key = if arguments.secret_key == DEFAULT_SECRET_KEY {
        DEFAULT_SECRET_KEY
    } else {
        "(as given)"
    };
    let block = format!(
        "CHIP sandbox\n  API      {api}\n  key      {key}\n  brand    {brand}\n  \
         ledger   {origin}/sandbox/\n  control  {origin}/sandbox/ledger, /faults, /clock, /behaviour\n",
        api = sandbox.base_url(),
        brand = arguments.brand_id,
    );
    let mut out = std::io::stdout().lock();
    // Nobody reading is no reason not to run.
    let _unread = out.write_all(block.as_bytes()).and_then(|()| out.flush());
}

async fn until_told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
