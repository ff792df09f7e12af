//! `/metrics`: the figures of this worker, for Prometheus. Answered from memory: it costs little, and
//! a Redis that is away holds it up no moment.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::telemetry::metrics::{self, Metrics};

pub(super) fn routes(metrics: Metrics) -> Router {
    let tell = move || async move { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()) };
    Router::new().route("/metrics", get(tell))
}
