//! The HTTP API for other services, version 1.
//!
//! | file | what |
//! |---|---|
//! | `keys`, `pace`, `guard` | who asks, how often, and whether they may |
//! | `create`, `batch` | to ask for payments |
//! | `commands` | to capture, release, reschedule, cancel |
//! | `look` | to see one payment, or many |
//! | `cards` | to see a saved card, have it looked at or deleted |
//! | `plans`, `desk_documented` | to plan reruns of many payments, and have them done; what the document says of it |
//! | `wait` | to have the outcome in the same call |
//! | `body` | what is posted, with its key |
//! | `shown`, `problem`, `code` | a payment and a problem as they are answered |
//! | `openapi`, `documents` | all of that as OpenAPI 3.1, which anybody may read |

mod batch;
pub(super) mod body;
mod cards;
mod code;
pub(super) mod commands;
mod create;
mod desk_documented;
mod documents;
pub(super) mod guard;
mod keys;
mod look;
mod openapi;
mod pace;
pub(super) mod plans;
pub(super) mod problem;
pub(crate) mod shown;
mod wait;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use code::ProblemCode;
pub(crate) use keys::is_whole;
pub use keys::{ApiKey, KeyHash, KeyName, KeyRing, Scope, new_key};
pub use openapi::DOCUMENT;
pub use pace::Pace;
pub(crate) use wait::span;

use crate::clock::Clock;
use crate::config::Current;
use crate::operate::PlanCommand;
use crate::store::{Cards, Plans, Store, StoreError};
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
    policies: Current<Policies>,
    keys: Arc<KeyRing>,
    store_timeout: Duration,
    longest_wait: Duration,
    /// Places for those who wait for an outcome, and for batches.
    waits: Semaphore,
    batches: Semaphore,
    /// Nobody waits any longer once it is stopped.
    stop: CancellationToken,
}

/// When to come back to a store that falls short.
const NOT_DURABLE_WAIT: TimeDelta = TimeDelta::seconds(15);
/// How many batches are taken at once.
const MOST_BATCHES: usize = 4;

impl<S: Store> Service<S> {
    /// The handlers over `store`, for the accounts of `policies`, for holders of `keys`.
    #[must_use]
    pub fn new(
        (store, clock): (Arc<S>, Clock),
        policies: impl Into<Current<Policies>>,
        keys: Arc<KeyRing>,
        limits: &super::Limits,
        longest_wait_ms: u64,
    ) -> Self {
        Self {
            store,
            clock,
            policies: policies.into(),
            keys,
            store_timeout: Duration::from_millis(limits.store_timeout_ms),
            longest_wait: Duration::from_millis(longest_wait_ms),
            waits: Semaphore::new(limits.connections / 2),
            batches: Semaphore::new(MOST_BATCHES),
            stop: CancellationToken::new(),
        }
    }

    /// The same; whoever waits for an outcome is answered when this stops.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Whether what is recorded now stays recorded. What the store may forget is not taken: whoever
    /// was told "recorded" asks for nothing else.
    fn keeps_what_is_new(&self) -> Result<(), Problem> {
        self.store.durability().map_err(|problem| {
            tracing::debug!(%problem, "nothing new is taken");
            let told = "Redis falls short of what Holdfast needs to keep it; nothing was recorded. \
                        Repeat the request later";
            Problem::new(ProblemCode::StoreUnavailable, told).after(NOT_DURABLE_WAIT)
        })
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
pub fn router<S: Store + Cards + Plans>(service: Service<S>, limits: &super::Limits) -> Router {
    let service = Arc::new(service);
    let command = |name: &'static str| {
        post(
            move |State(service): State<Arc<Service<S>>>,
                  Extension(caller): Extension<Caller>,
                  id,
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
        .route(
            "/v1/payments/{id}/resolve_as_shown",
            command("resolve_as_shown"),
        )
        .route(
            "/v1/payments/{id}/propose_by_hand",
            command("propose_by_hand"),
        )
        .route(
            "/v1/payments/{id}/approve_by_hand",
            command("approve_by_hand"),
        )
        .route("/v1/payments:batch", post(batch::create_all::<S>))
        .route(
            "/v1/cards/{card}",
            get(cards::show::<S>).delete(cards::delete::<S>),
        )
        .route("/v1/cards/{card}/look", post(cards::look::<S>))
        .merge(of_plans())
        .fallback(|| async { nothing() })
        .method_not_allowed_fallback(|| async { wrong_method() })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&service),
            guard::let_in::<S>,
        ))
        .with_state(service);
    let document = get(openapi::show).fallback(|| async { wrong_method() });
    guarded
        .route("/v1/openapi.json", document)
        .layer(middleware::from_fn_with_state(
            Duration::from_millis(limits.request_timeout_ms),
            within,
        ))
}

/// The addresses of plans.
fn of_plans<S: Store + Plans>() -> Router<Arc<Service<S>>> {
    let run = |command: PlanCommand| {
        post(
            move |State(service): State<Arc<Service<S>>>,
                  Extension(caller): Extension<Caller>,
                  id,
                  headers,
                  body: Body| plans::run(command, service, caller, (id, headers, body)),
        )
    };
    Router::new()
        .route("/v1/plans", get(plans::list::<S>).post(plans::make::<S>))
        .route("/v1/plans/{plan}", get(plans::show::<S>))
        .route("/v1/plans/{plan}/apply", run(PlanCommand::Apply))
        .route("/v1/plans/{plan}/stop", run(PlanCommand::Stop))
        .route("/v1/plans/{plan}/resume", run(PlanCommand::Resume))
}

/// Ends a request whose time is over, as one of which it is not known whether it was done. Nothing
/// that is answered here is kept by anybody in between.
async fn within(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    let unknown = |why: &str| {
        tracing::warn!(why, "it is open what became of a request");
        Problem::unknown().into_response()
    };
    // Whatever breaks on one request, its sender is told that it is open what became of it.
    let caught = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(timeout, caught).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => unknown("the request broke its handler; the panic is in the log"),
        Err(_) => unknown("the request's time was over"),
    };
    let kept_by_nobody = HeaderValue::from_static("no-store");
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(kept_by_nobody);
    response
}

fn nothing() -> Problem {
    let told = "there is nothing at this address; payments are at /v1/payments";
    Problem::new(ProblemCode::NotFound, told)
}

fn wrong_method() -> Problem {
    let told = "the address is right, but not for this method; the header Allow names those it has";
    Problem::new(ProblemCode::MethodNotAllowed, told)
}
