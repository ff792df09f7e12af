//! The operator's desk: pages that a worker serves, for a browser. Rendered here and whole without a
//! script; a small script keeps them fresh and listens to a few keys.
//!
//! | file | what |
//! |---|---|
//! | `session` | who looks: logged in by an API key, for some hours |
//! | `guard` | the door before each page, and the headers on each answer |
//! | `overview` | what is held, lapses, is due, in doubt, parked; how the work goes |
//! | `list`, `asked` | payments by what is known of them; what a list is asked for |
//! | `payment` | one payment, and all that happened to it |
//! | `act` | what can be commanded of it, asked once more, then given |
//! | `plans`, `plan`, `planned` | reruns that were planned; one of them; its payments, with what would be done and what became of it |
//! | `planning` | to have one planned, applied, stopped, resumed |
//! | `switches` | what is stopped, and to stop and to let go on |
//! | `frame`, `show`, `chart` | what pages share: the frame, money and times, bars |
//!
//! A page reads what `operate/` answers and gives commands through `api/intake.rs`, under the same rules
//! as the API. No purchase id, token, link or word about a customer stands on any.

mod act;
mod asked;
mod chart;
mod frame;
mod guard;
mod list;
mod overview;
mod payment;
mod plan;
mod planned;
mod planning;
mod plans;
mod session;
mod show;
mod switches;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use self::frame::Trouble;
use self::session::Sessions;
use super::Limits;
use super::v1::KeyRing;
use crate::clock::Clock;
use crate::config::Current;
use crate::operate::overview::Overview;
use crate::operate::pulse::Pulse;
use crate::store::redis::RedisStore;
use crate::worker::Policies;

/// The longest form.
const LARGEST_FORM_BYTES: usize = 16 * 1024;

/// What the pages share.
pub struct Desk {
    store: Arc<RedisStore>,
    clock: Clock,
    policies: Current<Policies>,
    keys: Arc<KeyRing>,
    sessions: Sessions,
    overview: Arc<Overview>,
    pulse: Arc<Pulse>,
    patience: Duration,
}

impl Desk {
    /// The pages over `store`, for holders of `keys`. What `overview` shows somebody else counts.
    #[must_use]
    pub fn new(
        (store, clock): (Arc<RedisStore>, Clock),
        policies: impl Into<Current<Policies>>,
        keys: Arc<KeyRing>,
        overview: Arc<Overview>,
        limits: &Limits,
    ) -> Self {
        Self {
            overview,
            pulse: Arc::default(),
            sessions: Sessions::default(),
            policies: policies.into(),
            patience: Duration::from_millis(limits.store_timeout_ms),
            store,
            clock,
            keys,
        }
    }

    /// Looks how the work goes, until `stop`.
    pub fn watch(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let (pulse, store) = (Arc::clone(&self.pulse), Arc::clone(&self.store));
        let clock = self.clock.clone();
        async move { pulse.feel(store, clock, stop).await }
    }

    /// What the store answers, within the time that it has.
    async fn in_time<T, E: Into<Trouble>>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(self.patience, asked).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Trouble::away()),
        }
    }
}

/// All pages, under `/desk`.
pub fn router(desk: Desk, limits: &Limits) -> Router {
    let desk = Arc::new(desk);
    let timeout = Duration::from_millis(limits.request_timeout_ms);
    Router::new()
        .route("/desk", get(overview::page))
        .route("/desk/payments", get(list::page))
        .route("/desk/payments/{id}", get(payment::page))
        .route(
            "/desk/payments/{id}/{command}",
            get(act::ask).post(act::give),
        )
        .route("/desk/plans", get(plans::page))
        .route(
            "/desk/plans/new",
            get(planning::ask_new).post(planning::make),
        )
        .route("/desk/plans/{id}", get(plan::page))
        .route(
            "/desk/plans/{id}/{command}",
            get(planning::ask).post(planning::give),
        )
        .route("/desk/switches", get(switches::page))
        .route(
            "/desk/switches/{name}",
            get(switches::ask).post(switches::give),
        )
        .route("/desk/logout", post(session::leave))
        .route("/desk/{*rest}", get(nothing))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&desk),
            guard::let_in,
        ))
        .route("/desk/login", get(session::ask).post(session::enter))
        .route("/desk/desk.css", get(style))
        .route("/desk/desk.js", get(script))
        .route("/desk/icon.svg", get(icon))
        .layer(DefaultBodyLimit::max(LARGEST_FORM_BYTES))
        .layer(middleware::from_fn_with_state(timeout, guard::within))
        .with_state(desk)
}

async fn nothing() -> Trouble {
    Trouble::nothing("There is nothing at this address.")
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("desk.css")).into_response()
}

async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("desk.js")).into_response()
}

async fn icon() -> Response {
    let kind = [(header::CONTENT_TYPE, "image/svg+xml")];
    (kind, include_str!("icon.svg")).into_response()
}
