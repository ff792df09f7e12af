//! `holdfast worker`: everything that runs in one worker process, wired together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::housekeeping::keep_house;
use super::parts::Parts;
use super::reload::Reload;
use super::serving::{Doors, listen, overview, serve};
use crate::api::KeyRing;
use crate::api::pushed::{Intake, Producers};
use crate::clock::Clock;
use crate::config::{Config, Current, Wrong};
use crate::gateway::{Account, Accounts, ChipGateway, Measured};
use crate::operate::Observer;
use crate::operate::overview::Overview;
use crate::queue::{self, Cause};
use crate::store::redis::Profile;
use crate::telemetry::Metrics;
use crate::worker::cards::CardKeeper;
use crate::worker::doorman::Doorman;
use crate::worker::gate::Gate;
use crate::worker::outbox::Outbox;
use crate::worker::plans::Planner;
use crate::worker::{Policies, Worker};

/// How long the intake insists on one write at the most.
const LONGEST_INTAKE_SAVE_MS: u64 = 1_000;

/// How long parts may take to end beyond what the settings give to turns and requests. With the queue's
/// own three seconds it stays below the five that whoever stops a worker is told to wait.
const END_PARTS_MS: u64 = 4_000;

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
    // Before anything is taken, or said to be there, that others would then wait for.
    let doors = Doors::open(config).await?;
    let redis = config.store_settings();
    let mut all = Parts::new(
        redis,
        clock.clone(),
        metrics.clone(),
        stop.clone(),
        longest_stop(config),
    );
    let parts = &mut all;
    let store = Arc::new(parts.connect("worker").await?);
    let gateway = Arc::new(gateway(config, &clock)?);
    let measured = Measured::new(ChipGateway::clone(&gateway), metrics.clone());
    let measured = Arc::new(measured);
    let policies = Current::new(config.policies());
    let queue_settings = config.queue_settings();
    let (gate, mut doorman) = stand_at_the_gate(config, parts, &queue_settings).await?;
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::clone(&measured),
        clock.clone(),
        policies.clone(),
    );
    let worker = worker.until(stop.clone()).counted(metrics.clone());
    let worker = worker.behind(gate.clone());
    let keys = Arc::new(KeyRing::new(config.api.keys.clone(), config.api.pace));
    carry_out_plans(parts, Arc::clone(&gateway), policies.clone()).await?;
    let sums = overview(parts).await?;
    let shared = (policies.clone(), Arc::clone(&keys));
    serve(config, parts, doors.api, shared, &sums).await?;
    let outbox = tell_events(config, parts).await?;
    observe(config, parts, &outbox, sums).await?;
    let producers = Arc::new(Producers::new(config.intake.rules.clone()));
    take_in(config, parts, policies.clone(), Arc::clone(&producers)).await?;
    let reload = Reload::new(config.clone(), ChipGateway::clone(&gateway), policies, keys);
    let reload = reload.with(outbox, producers).told(metrics);
    let (until, reloading) = (stop.clone(), reload.run(asked_anew, again));
    parts.spawn("reload", async move {
        until.run_until_cancelled(reloading).await;
    });
    know_cards(parts, measured, gate.clone()).await?;
    listen(config, parts, doors.http, (&store, gate), gateway);
    keep_house(parts, &store, config.events.keep);
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
    parts.spawn("doorman", doorman.run(ended.clone()));
    let work = queue::run(store, Arc::new(worker), clock, queue_settings, stop);
    let (stopped, broken) = parts.beside(work).await;
    ended.cancel();
    all.end().await;
    tracing::info!(?stopped, "stopped");
    let by_itself = stopped.cause != Cause::Asked || broken.is_some();
    anyhow::ensure!(!by_itself, "the worker ended by itself; start it again");
    Ok(())
}

/// How long all parts together may take to end.
fn longest_stop(config: &Config) -> Duration {
    let drains = [config.http.limits, config.api.limits].map(|limits| limits.drain_timeout_ms);
    let longest = drains.into_iter().fold(config.worker.shutdown_ms, u64::max);
    Duration::from_millis(longest.saturating_add(END_PARTS_MS))
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
    parts: &mut Parts,
    settings: &queue::Settings,
) -> anyhow::Result<(Gate, Doorman)> {
    let own = parts.connect("doorman").await?;
    let deadlines = config.gateway_settings().deadlines;
    let worker = (settings.identity, settings.concurrency);
    Doorman::arrive(own, &parts.clock, deadlines, worker)
        .await
        .context("what is stopped cannot be read; may Redis' user reach the keys of the desk?")
}

/// Sends events to endpoints, over connections of their own: no receiver may hold up a payment.
async fn tell_events(config: &Config, parts: &mut Parts) -> anyhow::Result<Arc<Outbox>> {
    let store = parts.connect("events").await?;
    let endpoints = config.events.endpoints.clone();
    let names: Vec<&str> = endpoints.iter().map(|e| e.name.as_str()).collect();
    tracing::info!(endpoints = names.join(","), "sending events");
    let settings = config.events.outbox.clone();
    let outbox = Outbox::new(store, parts.clock.clone(), settings, endpoints)?;
    let outbox = Arc::new(outbox.counted(parts.metrics.clone()));
    parts.spawn("events", Arc::clone(&outbox).run(parts.stop.clone()));
    Ok(outbox)
}

/// Looks now and then at what Redis holds, if anybody can ask for it. Over a connection of its own.
async fn observe(
    config: &Config,
    parts: &mut Parts,
    outbox: &Arc<Outbox>,
    overview: Arc<Overview>,
) -> anyhow::Result<()> {
    if config.listen.is_none() || !config.http.metrics {
        return Ok(());
    }
    let store = parts.connect("observer").await?;
    let (clock, metrics) = (parts.clock.clone(), parts.metrics.clone());
    let observer = Observer::new(store, overview, Arc::clone(outbox), clock, metrics);
    parts.spawn("observer", observer.run(parts.stop.clone()));
    Ok(())
}

/// Keeps what is known of saved cards, over a connection of its own.
async fn know_cards(
    parts: &mut Parts,
    gateway: Arc<Measured<ChipGateway>>,
    gate: Gate,
) -> anyhow::Result<()> {
    let store = Arc::new(parts.connect("cards").await?);
    let keeper = CardKeeper::new(store, gateway, parts.clock.clone());
    parts.spawn("cards", keeper.behind(gate).run(parts.stop.clone()));
    Ok(())
}

/// Carries out what operators plan, over a connection of its own. It tells nothing while Redis may lose it,
/// and each connection knows that of itself.
async fn carry_out_plans(
    parts: &mut Parts,
    gateway: Arc<ChipGateway>,
    policies: Current<Policies>,
) -> anyhow::Result<()> {
    let store = Arc::new(parts.connect("plans").await?);
    let planner = Planner::new(store, gateway, parts.clock.clone(), policies);
    parts.spawn("plans", planner.run(parts.stop.clone()));
    Ok(())
}

/// Takes in what producers push to Redis, if that is configured. Over a connection of its own: it
/// must hold up nothing that moves money.
async fn take_in(
    config: &Config,
    parts: &mut Parts,
    policies: Current<Policies>,
    producers: Arc<Producers>,
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
    let store = Arc::new(parts.connect_by(settings, "intake").await?);
    let (clock, settings) = (parts.clock.clone(), config.intake.settings);
    let intake = Intake::new(store, clock, policies, producers, settings);
    let until = parts.stop.clone();
    parts.spawn("intake", async move { intake.run(until).await });
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
