//! x
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let path = args.iter().position(|a| a == "--config").map(|i| std::path::PathBuf::from(&args[i + 1]));
    let config = holdfast::config::Config::load(path.as_deref(), std::env::vars())?;
    holdfast::telemetry::init(&config.log)?;
    holdfast::cli::worker::run(&config).await
}
