//! What one worker serves over HTTP: webhooks and health, the API, the operator's desk.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::housekeeping::note_heard;
use crate::api::desk::Desk;
use crate::api::v1::Service;
use crate::api::{self, Api, KeyRing};
use crate::clock::Clock;
use crate::config::{Config, Current};
use crate::gateway::ChipGateway;
use crate::operate::overview::Overview;
use crate::store::redis::RedisStore;
use crate::telemetry::Metrics;
use crate::worker::Policies;
use crate::worker::gate::Gate;

/// Listens for webhooks, callbacks and questions about health, if an address is configured.
pub(super) async fn listen(
    config: &Config,
    (store, gate): (&Arc<RedisStore>, Gate),
    gateway: Arc<ChipGateway>,
    metrics: &Metrics,
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    let Some(address) = config.listen else {
        tracing::info!("http.listen is empty: no webhooks, look-ups find everything");
        return Ok(());
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "http.listen = {address} cannot be listened to; if another worker of this machine \
                 has it, set HOLDFAST__HTTP__LISTEN= for further workers, which then listen to \
                 nothing"
        )
    })?;
    let limits = config.http.limits;
    let mut api = Api::new(Arc::clone(store), gateway, limits).behind(gate);
    if config.http.metrics {
        api = api.with_metrics(metrics.clone());
    }
    let heard = note_heard(Arc::clone(store), api.webhook_counts(), stop.clone());
    background.spawn(heard);
    background.spawn(api::serve(listener, api::router(api), limits, stop.clone()));
    tracing::info!(%address, "listening for webhooks, callbacks and health");
    Ok(())
}

/// Sums over all unfinished payments, counted while somebody asks, for pages and metrics alike. Over a
/// connection of its own.
pub(super) async fn overview(
    config: &Config,
    clock: &Clock,
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<Arc<Overview>> {
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let overview = Arc::new(Overview::new(Arc::new(store), clock.clone()));
    let (counting, until) = (Arc::clone(&overview), stop.clone());
    background.spawn(async move { counting.count_on_demand(until).await });
    Ok(overview)
}

/// Serves other services, if an address is configured. Over a connection of its own: no list that
/// somebody reads may hold up the calls that renew leases and write outcomes.
pub(super) async fn serve(
    config: &Config,
    clock: &Clock,
    (policies, keys): (Current<Policies>, Arc<KeyRing>),
    (overview, metrics): (&Arc<Overview>, &Metrics),
    (background, stop): (&TaskTracker, &CancellationToken),
) -> anyhow::Result<()> {
    let Some(address) = config.api.listen else {
        return Ok(());
    };
    if config.api.keys.is_empty() {
        tracing::warn!("the API asks for no key: anybody on this machine can move test money");
    }
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "api.listen = {address} cannot be listened to; if another worker of this machine \
                 has it, set HOLDFAST__API__LISTEN= for further workers, which then serve no API"
        )
    })?;
    let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
    let store = Arc::new(store.measured("api", metrics));
    let (watching, until) = (Arc::clone(&store), stop.clone());
    background.spawn(async move { watching.watch(until).await });
    let (limits, wait_ms) = (config.api.limits, config.api.longest_wait_ms);
    let parts = (Arc::clone(&store), clock.clone());
    let rules = (policies.clone(), Arc::clone(&keys));
    let service = Service::new(parts, rules.0, rules.1, &limits, wait_ms);
    let mut router = api::v1::router(service.until(stop.clone()), &limits);
    if config.api.desk {
        let desk = Desk::new(
            (store, clock.clone()),
            policies,
            keys,
            Arc::clone(overview),
            &limits,
        );
        background.spawn(desk.watch(stop.clone()));
        router = router.merge(api::desk::router(desk, &limits));
        tracing::info!(%address, "serving the operator's desk at /desk");
    }
    background.spawn(api::serve(listener, router, limits, stop.clone()));
    tracing::info!(%address, keys = config.api.keys.len(), "serving the API");
    Ok(())
}
