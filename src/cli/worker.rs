//! `holdfast worker`: everything that runs in one worker process, wired together.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::housekeeping::keep_house;
use super::reload::Reload;
use super::serving::{listen, overview, serve};
use crate::api::KeyRing;
use crate::api::pushed::{Intake, Producers};
use crate::clock::Clock;
use crate::config::{Config, Current, Wrong};
use crate::gateway::{Account, Accounts, ChipGateway, Measured};
use crate::operate::Observer;
use crate::operate::overview::Overview;
use crate::queue::{self, Cause};
use crate::store::redis::{Profile, RedisStore};
use crate::telemetry::Metrics;
use crate::worker::cards::CardKeeper;
use crate::worker::doorman::Doorman;
use crate::worker::gate::Gate;
use crate::worker::outbox::Outbox;
use crate::worker::plans::Planner;
use crate::worker::{Policies, Worker};

/// How long the intake insists on one write at the most.
const LONGEST_INTAKE_SAVE_MS: u64 = 1_000;

/// Works until SIGTERM or SIGINT, then ends within the configured time.
/// `again` reads the settings anew.
pub(super) async fn run(
    config: &Config,
    again: impl Fn() -> Result<Config, Wrong> + Clone + Send + 'static,
) -> anyhow::Result<()> {
    warn_of_dev(config.redis.durability);
    let stop = stop_on_signals()?;
    let asked_anew = asked_on_hangup()?;
    let clock = Clock::system();
    let metrics = figures(config);
    warn_of_reports(config, &clock);
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let store = Arc::new(store.measured("worker", &metrics));
    let gateway = Arc::new(gateway(config, &clock)?);
    let measured = Measured::new(ChipGateway::clone(&gateway), metrics.clone());
    let measured = Arc::new(measured);
    let policies = Current::new(config.policies());
    let queue_settings = config.queue_settings();
    let (gate, mut doorman) = stand_at_the_gate(config, &clock, &queue_settings).await?;
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::clone(&measured),
        clock.clone(),
        policies.clone(),
    );
    let worker = worker.until(stop.clone()).counted(metrics.clone());
    let worker = worker.behind(gate.clone());
    let background = TaskTracker::new();
    let keys = Arc::new(KeyRing::new(config.api.keys.clone(), config.api.pace));
    let shared = (policies.clone(), Arc::clone(&keys));
    let (stays, all) = ((&background, &stop), &metrics);
    let planner = (Arc::clone(&gateway), policies.clone());
    carry_out_plans(config, &clock, planner, stays).await?;
    let sums = overview(config, &clock, stays).await?;
    serve(config, &clock, shared, (&sums, all), stays).await?;
    let outbox = tell_events(config, &clock, all, stays).await?;
    observe(config, &clock, (&outbox, sums, all), stays).await?;
    let producers = Arc::new(Producers::new(config.intake.rules.clone()));
    let pushed = (policies.clone(), Arc::clone(&producers));
    take_in(config, &clock, pushed, all, stays).await?;
    let reload = Reload::new(config.clone(), ChipGateway::clone(&gateway), policies, keys);
    let (until, reloading) = (
        stop.clone(),
        reload
            .with(outbox, producers)
            .told(all.clone())
            .run(asked_anew, again),
    );
    background.spawn(async move { until.run_until_cancelled(reloading).await });
    know_cards(config, &clock, (measured, gate.clone()), stays).await?;
    listen(config, (&store, gate), gateway, all, stays).await?;
    keep_house(&store, config.events.keep, &background, &stop);
    // Since it was read first, time has passed, and people may have stopped something.
    doorman.round().await;

    tracing::info!(
        concurrency = config.worker.concurrency,
        accounts = config.accounts.len(),
        durability = config.redis.durability.as_str(),
        "working"
    );
    // Until the last call has ended: whoever stops things asks what is under way.
    let ended = CancellationToken::new();
    background.spawn(doorman.run(ended.clone()));
    let work = queue::run(store, Arc::new(worker), clock, queue_settings, stop.clone());
    let stopped = work.await;
    ended.cancel();
    stop.cancel();
    background.close();
    background.wait().await;
    tracing::info!(?stopped, "stopped");
    anyhow::ensure!(
        stopped.cause == Cause::Asked,
        "the worker ended by itself; start it again"
    );
    Ok(())
}

/// The figures of this worker, with what is told before it happens.
fn figures(config: &Config) -> Metrics {
    let metrics = Metrics::default();
    metrics.limit(config.worker.concurrency);
    for account in config.accounts.keys() {
        metrics.know(account);
    }
    metrics
}

/// The loud banner of the profile for development: nobody shall learn of it from a lost payment.
fn warn_of_dev(profile: Profile) {
    if profile == Profile::Dev {
        tracing::warn!(
            "durability dev: Redis may lose payments, and what it lost may be charged again or \
             never. This is for development only; set redis.durability = \"solo\" for anything else"
        );
    }
}

/// What was measured of the gateway and is not to be relied on any more.
fn warn_of_reports(config: &Config, clock: &Clock) {
    for doubt in config.doubts(clock.now()) {
        tracing::warn!(
            event = "probe_report_doubted",
            doubt,
            "measure the gateway anew"
        );
    }
}

/// The gateway's client, with all accounts.
pub(super) fn gateway(config: &Config, clock: &Clock) -> anyhow::Result<ChipGateway> {
    Ok(ChipGateway::new(
        accounts(config)?,
        config.gateway_settings(),
        clock.clone(),
    )?)
}

/// The accounts, as the gateway's client knows them.
pub(super) fn accounts(config: &Config) -> anyhow::Result<Accounts> {
    config
        .gateway_accounts()
        .into_iter()
        .map(|(name, account)| {
            let account = Account::new(account).with_context(|| format!("accounts.{name}"))?;
            Ok((name, account))
        })
        .collect()
}

/// What people have stopped, read over a connection of its own.
async fn stand_at_the_gate(
    config: &Config,
    clock: &Clock,
    settings: &queue::Settings,
) -> anyhow::Result<(Gate, Doorman)> {
    let own = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let deadlines = config.gateway_settings().deadlines;
    let worker = (settings.identity, settings.concurrency);
    Doorman::arrive(own, clock, deadlines, worker)
        .await
        .context("what is stopped cannot be read; may Redis' user reach the keys of the desk?")
}

/// Sends events to endpoints, over connections of their own: no receiver may hold up a payment.
async fn tell_events(
    config: &Config,
    clock: &Clock,
    metrics: &Metrics,
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<Arc<Outbox>> {
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let endpoints = config.events.endpoints.clone();
    let names: Vec<&str> = endpoints.iter().map(|e| e.name.as_str()).collect();
    tracing::info!(endpoints = names.join(","), "sending events");
    let settings = config.events.outbox.clone();
    let outbox = Outbox::new(store, clock.clone(), settings, endpoints)?;
    let outbox = Arc::new(outbox.counted(metrics.clone()));
    background.spawn(Arc::clone(&outbox).run(stop.clone()));
    Ok(outbox)
}

/// Looks now and then at what Redis holds, if anybody can ask for it. Over a connection of its own.
async fn observe(
    config: &Config,
    clock: &Clock,
    (outbox, overview, metrics): (&Arc<Outbox>, Arc<Overview>, &Metrics),
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    if config.listen.is_none() || !config.http.metrics {
        return Ok(());
    }
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let (outbox, metrics) = (Arc::clone(outbox), metrics.clone());
    let observer = Observer::new(store, overview, outbox, clock.clone(), metrics);
    background.spawn(observer.run(stop.clone()));
    Ok(())
}

/// Keeps what is known of saved cards, over a connection of its own.
async fn know_cards(
    config: &Config,
    clock: &Clock,
    (gateway, gate): (Arc<Measured<ChipGateway>>, Gate),
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let keeper = CardKeeper::new(Arc::new(store), gateway, clock.clone());
    background.spawn(keeper.behind(gate).run(stop.clone()));
    Ok(())
}

/// Carries out what operators plan, over a connection of its own.
async fn carry_out_plans(
    config: &Config,
    clock: &Clock,
    (gateway, policies): (Arc<ChipGateway>, Current<Policies>),
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let store = Arc::new(store);
    // It tells nothing while Redis may lose it, and each connection knows that of itself.
    let (watching, until) = (Arc::clone(&store), stop.clone());
    background.spawn(async move { watching.watch(until).await });
    let planner = Planner::new(store, gateway, clock.clone(), policies);
    background.spawn(planner.run(stop.clone()));
    Ok(())
}

/// Takes in what producers push to Redis, if that is configured. Over a connection of its own: it
/// must hold up nothing that moves money.
async fn take_in(
    config: &Config,
    clock: &Clock,
    (policies, producers): (Current<Policies>, Arc<Producers>),
    metrics: &Metrics,
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    if !config.intake.enabled {
        return Ok(());
    }
    if config.intake.rules.accept_unsigned {
        tracing::warn!(
            "unsigned pushes are taken: anybody who can write to the intake in Redis can move money"
        );
    }
    let mut settings = config.store_settings();
    // What is pushed is there again in the next round, and others wait for this one.
    settings.save_patience_ms = settings.save_patience_ms.min(LONGEST_INTAKE_SAVE_MS);
    let store = RedisStore::connect(settings, clock.clone()).await?;
    let store = Arc::new(store.measured("intake", metrics));
    let (watching, until) = (Arc::clone(&store), stop.clone());
    background.spawn(async move { watching.watch(until).await });
    let settings = config.intake.settings;
    let intake = Intake::new(store, clock.clone(), policies, producers, settings);
    let until = stop.clone();
    background.spawn(async move { intake.run(until).await });
    let producers = config.intake.rules.producers.len();
    tracing::info!(producers, "taking in what is pushed");
    Ok(())
}

/// Told whenever SIGHUP comes.
fn asked_on_hangup() -> anyhow::Result<Arc<Notify>> {
    let (mut hangup, asked) = (signal(SignalKind::hangup())?, Arc::new(Notify::new()));
    let tell = Arc::clone(&asked);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tell.notify_one();
        }
    });
    Ok(asked)
}

fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop: finishing what is in flight");
        asked.cancel();
    });
    Ok(stop)
}
