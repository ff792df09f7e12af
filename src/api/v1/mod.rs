//! The HTTP API for other services, version 1.
//!
//! | file | what |
//! |---|---|
//! | `keys`, `pace`, `guard` | who asks, how often, and whether they may |
//! | `create`, `batch` | to ask for payments |
//! | `commands` | to capture, release, reschedule, cancel |
//! | `look` | to see one payment, or many |
//! | `wait` | to have the outcome in the same call |
//! | `body` | what is posted, with its key |
//! | `shown`, `problem` | a payment and a problem as they are answered |
//! | `openapi`, `documents` | all of that as OpenAPI 3.1, which anybody may read |

mod batch;
mod body;
mod commands;
mod create;
mod documents;
mod guard;
mod keys;
mod look;
mod openapi;
mod pace;
mod problem;
pub(crate) mod shown;
mod wait;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::middleware;
use axum::routing::{get, post};

pub use keys::{ApiKey, KeyHash, KeyName, KeyRing, Scope, new_key};
pub use openapi::DOCUMENT;
pub use pace::Pace;
pub use problem::ProblemCode;
pub(crate) use wait::span;

use crate::clock::Clock;
use crate::store::{Store, StoreError};
use crate::worker::Policies;
use guard::Caller;
use problem::Problem;

/// The longest body of one request.
const LARGEST_BODY_BYTES: usize = 64 * 1024;
/// The longest body of a batch.
const LARGEST_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the handlers share.
pub struct Service<S> {
    store: Arc<S>,
    clock: Clock,
    policies: Policies,
    keys: Arc<KeyRing>,
    store_timeout: Duration,
    longest_wait: Duration,
}

impl<S: Store> Service<S> {
    /// The handlers over `store`, for the accounts of `policies`, for holders of `keys`.
    #[must_use]
    pub fn new(
        (store, clock): (Arc<S>, Clock),
        policies: Policies,
        keys: Arc<KeyRing>,
        limits: &super::Limits,
        longest_wait_ms: u64,
    ) -> Self {
        Self {
            store,
            clock,
            policies,
            keys,
            store_timeout: Duration::from_millis(limits.store_timeout_ms),
            longest_wait: Duration::from_millis(longest_wait_ms),
        }
    }

    /// What the store answers, within the time that it has.
    async fn in_time<T, E>(&self, asked: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
    where
        E: Into<Problem>,
    {
        match tokio::time::timeout(self.store_timeout, asked).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned()).into()),
        }
    }
}

/// All addresses of the API.
pub fn router<S: Store>(service: Service<S>, limits: &super::Limits) -> Router {
    let service = Arc::new(service);
    let command = |name: &'static str| {
        post(
            move |State(service): State<Arc<Service<S>>>,
                  Extension(caller): Extension<Caller>,
                  Path(id): Path<String>,
                  query,
                  headers,
                  body| {
                let posted = commands::Posted {
                    id,
                    query,
                    headers,
                    body,
                };
                commands::give(name, service, caller, posted)
            },
        )
    };
    let guarded = Router::new()
        .route(
            "/v1/payments",
            get(look::list::<S>).post(create::create::<S>),
        )
        .route("/v1/payments/{id}", get(look::one::<S>))
        .route("/v1/payments/{id}/capture", command("capture"))
        .route("/v1/payments/{id}/release", command("release"))
        .route("/v1/payments/{id}/reschedule", command("reschedule"))
        .route("/v1/payments/{id}/cancel", command("cancel"))
        .layer(DefaultBodyLimit::max(LARGEST_BODY_BYTES));
    let batches = Router::new()
        .route("/v1/payments:batch", post(batch::create_all::<S>))
        .layer(DefaultBodyLimit::max(LARGEST_BATCH_BYTES));
    guarded
        .merge(batches)
        .fallback(|| async { nothing() })
        .method_not_allowed_fallback(|| async { wrong_method() })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&service),
            guard::let_in::<S>,
        ))
        .with_state(service)
        .route("/v1/openapi.json", get(openapi::show))
        .layer(middleware::from_fn_with_state(
            Duration::from_millis(limits.request_timeout_ms),
            super::within,
        ))
}

fn nothing() -> Problem {
    let told = "there is nothing at this address; payments are at /v1/payments";
    Problem::new(ProblemCode::NotFound, told)
}

fn wrong_method() -> Problem {
    let told = "the address is right, but not for this method; the header Allow names those it has";
    Problem::new(ProblemCode::MethodNotAllowed, told)
}
