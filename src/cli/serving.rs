//! What one worker serves over HTTP: webhooks and health, the API, the operator's desk.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

use super::housekeeping::note_heard;
use super::parts::Parts;
use crate::api::desk::Desk;
use crate::api::v1::Service;
use crate::api::{self, Api, KeyRing};
use crate::config::{Config, Current};
use crate::gateway::ChipGateway;
use crate::operate::overview::Overview;
use crate::store::redis::RedisStore;
use crate::worker::Policies;
use crate::worker::gate::Gate;

/// The addresses that are listened to, if they are configured: had before anything else is done, and
/// served when all that is behind them is there.
pub(super) struct Doors {
    /// For webhooks, callbacks and questions about health.
    pub(super) http: Option<TcpListener>,
    /// For the API and the desk.
    pub(super) api: Option<TcpListener>,
}

impl Doors {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let http = match config.listen {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!(
                    "http.listen = {address} cannot be listened to; if another worker of this \
                     machine has it, set HOLDFAST__HTTP__LISTEN= for further workers, which then \
                     listen to nothing"
                )
            })?),
            None => None,
        };
        let api = match config.api.listen {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!(
                    "api.listen = {address} cannot be listened to; if another worker of this \
                     machine has it, set HOLDFAST__API__LISTEN= for further workers, which then \
                     serve no API"
                )
            })?),
            None => None,
        };
        Ok(Self { http, api })
    }
}

/// Listens for webhooks, callbacks and questions about health, if an address is configured.
pub(super) fn listen(
    config: &Config,
    parts: &mut Parts,
    listener: Option<TcpListener>,
    (store, gate): (&Arc<RedisStore>, Gate),
    gateway: Arc<ChipGateway>,
) {
    let Some(listener) = listener else {
        tracing::info!("http.listen is empty: no webhooks, look-ups find everything");
        return;
    };
    let (limits, stop) = (config.http.limits, parts.stop.clone());
    let mut api = Api::new(Arc::clone(store), gateway, limits).behind(gate);
    if config.http.metrics {
        api = api.with_metrics(parts.metrics.clone());
    }
    let heard = note_heard(Arc::clone(store), api.webhook_counts(), stop.clone());
    parts.spawn("heard", heard);
    let serving = api::serve(listener, api::router(api), limits, stop);
    parts.spawn("webhooks", serving);
    let address = config.listen.map(tracing::field::display);
    tracing::info!(address, "listening for webhooks, callbacks and health");
}

/// Sums over all unfinished payments, counted while somebody asks, for pages and metrics alike. Over a
/// connection of its own.
pub(super) async fn overview(parts: &mut Parts) -> anyhow::Result<Arc<Overview>> {
    let store = Arc::new(parts.connect("overview").await?);
    let overview = Arc::new(Overview::new(store, parts.clock.clone()));
    let (counting, until) = (Arc::clone(&overview), parts.stop.clone());
    parts.spawn("overview", async move {
        counting.count_on_demand(until).await;
    });
    Ok(overview)
}

/// Serves other services, if an address is configured. Over a connection of its own: no list that
/// somebody reads may hold up the calls that renew leases and write outcomes.
pub(super) async fn serve(
    config: &Config,
    parts: &mut Parts,
    listener: Option<TcpListener>,
    (policies, keys): (Current<Policies>, Arc<KeyRing>),
    overview: &Arc<Overview>,
) -> anyhow::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    if config.api.keys.is_empty() {
        tracing::warn!("the API asks for no key: anybody on this machine can move test money");
    }
    let address = config.api.listen.map(tracing::field::display);
    let (clock, stop) = (parts.clock.clone(), parts.stop.clone());
    let store = Arc::new(parts.connect("api").await?);
    let (limits, wait_ms) = (config.api.limits, config.api.longest_wait_ms);
    let over = (Arc::clone(&store), clock.clone());
    let service = Service::new(over, policies.clone(), Arc::clone(&keys), &limits, wait_ms);
    let mut router = api::v1::router(service.until(stop.clone()), &limits);
    if config.api.desk {
        let desk = Desk::new(
            (store, clock),
            policies,
            keys,
            Arc::clone(overview),
            &limits,
        );
        parts.spawn("desk", desk.watch(stop.clone()));
        router = router.merge(api::desk::router(desk, &limits));
        tracing::info!(address, "serving the operator's desk at /desk");
    }
    parts.spawn("api", api::serve(listener, router, limits, stop));
    tracing::info!(address, keys = config.api.keys.len(), "serving the API");
    Ok(())
}
