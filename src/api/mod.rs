//! The ways in: webhooks, callbacks and health, the API, and what producers push to Redis, with their
//! client.
//!
//! | file | what |
//! |---|---|
//! | `webhooks` | what the gateway posts: a nudge, never a fact |
//! | `health` | `/livez`, `/readyz` |
//! | `metrics` | `/metrics`, for Prometheus |
//! | `v1` | the API: other services ask for payments, see and command them |
//! | `desk` | the operator's desk: pages for people |
//! | `intake` | requests and commands, from wherever they come |
//! | `cards` | what may be known of saved cards, and wanted of them |
//! | `pushed` | those that producers push to Redis |
//! | `client` | the other side of that, for services in Rust |
//! | `serve` | the listener, with limits that slow clients cannot get around |
//!
//! [`router`] joins one router for each audience; another audience is another line there.

pub mod cards;
#[cfg(feature = "client")]
pub mod client;
pub mod desk;
mod health;
pub mod intake;
mod metrics;
pub mod pushed;
mod serve;
pub mod v1;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

pub use serve::serve;
pub use v1::{ApiKey, KeyHash, KeyName, KeyRing, Pace, Scope};
pub use webhooks::{WebhookCounts, WebhookTally};

use crate::gateway::ChipGateway;
use crate::store::{Cards, Store};
use crate::telemetry::Metrics;
use crate::worker::gate::Gate;

/// What one client may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many connections are open at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a request may take from its head to the answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long the store may take to answer, in milliseconds; below the request's time.
    pub store_timeout_ms: u64,
    /// How long requests in flight may take after the stop, in milliseconds.
    pub drain_timeout_ms: u64,
}

/// What the handlers share.
pub struct Api<S> {
    store: Arc<S>,
    gateway: Arc<ChipGateway>,
    limits: Limits,
    webhooks: Arc<WebhookCounts>,
    metrics: Option<Metrics>,
    gate: Gate,
}

impl<S> Api<S> {
    /// The handlers of `store`, with signatures checked by `gateway`.
    #[must_use]
    pub fn new(store: Arc<S>, gateway: Arc<ChipGateway>, limits: Limits) -> Self {
        Self {
            store,
            gateway,
            limits,
            webhooks: Arc::default(),
            metrics: None,
            gate: Gate::open(),
        }
    }

    /// The same, with the figures of the process served to whoever asks.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        let counts = self.webhook_counts();
        metrics.watch_webhooks(move || counts.tally().by_outcome());
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// The same, saying what people have stopped at this gate.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// How many webhooks came, and what became of them; counts on while the router lives.
    #[must_use]
    pub fn webhook_counts(&self) -> Arc<WebhookCounts> {
        Arc::clone(&self.webhooks)
    }

    const fn store_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.store_timeout_ms)
    }

    /// How long it may take to find out who signed a body: half of what the store leaves of the
    /// request's time, so that there is always time to answer.
    const fn signature_timeout(&self) -> Duration {
        let Limits {
            request_timeout_ms,
            store_timeout_ms,
            ..
        } = self.limits;
        Duration::from_millis(request_timeout_ms.saturating_sub(store_timeout_ms) / 2)
    }
}

/// Everything that is listened to.
pub fn router<S: Store + Cards>(api: Api<S>) -> Router {
    let request_timeout = Duration::from_millis(api.limits.request_timeout_ms);
    let figures = api.metrics.clone().map(metrics::routes);
    let api = Arc::new(api);
    Router::new()
        .merge(webhooks::routes())
        .merge(health::routes())
        .with_state(api)
        .merge(figures.unwrap_or_default())
        .layer(middleware::from_fn_with_state(request_timeout, within))
}

/// Ends a request whose time is over, reading its body included.
async fn within(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
