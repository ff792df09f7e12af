//! The door before each page, and the headers on each answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::Desk;
use super::frame::Trouble;
use super::session::Who;
use crate::api::v1::Scope;
use crate::api::v1::problem::Problem;

/// Nothing from elsewhere, nothing inline, in no frame, and forms to this very place alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// What a script asks with that keeps a page fresh: it is told when the session is over.
const LIVE: &str = "x-live";

/// Lets in whoever is logged in and may look; others are asked to log in.
pub(super) async fn let_in(
    State(desk): State<Arc<Desk>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let Some(who) = desk.who(headers) else {
        if headers.contains_key(LIVE) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        return Redirect::to("/desk/login").into_response();
    };
    if desk.keys.is_open() && !is_this_machine(headers) {
        let told = "Without API keys the desk is for this machine alone: ask for it by localhost.";
        return Trouble::forbidden(told).into_response();
    }
    if let Err(problem) = who.caller.count(&desk.keys, 1, desk.clock.now()) {
        return problem_page(problem);
    }
    if who.caller.may(Scope::Read).is_err() {
        return Trouble::forbidden("The key lacks the scope read.").into_response();
    }
    if *request.method() != Method::GET && !comes_from_here(headers) {
        return Trouble::forbidden("The form was not sent from the desk.").into_response();
    }
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// The page of a problem that passes, with when to ask again.
fn problem_page(problem: Problem) -> Response {
    let after = problem.retry_after_s;
    let mut page = Trouble::from(problem).into_response();
    if let Some(seconds) = after {
        page.headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    page
}

impl Desk {
    /// Whoever asks, if anybody is logged in. The key must be valid still.
    fn who(&self, headers: &HeaderMap) -> Option<Who> {
        if self.keys.is_open() {
            return Some(self.sessions.anybody());
        }
        self.sessions.find(headers, &self.keys, self.clock.now())
    }
}

/// Whether a form was sent from a page of this very host, as far as the browser tells: every browser of
/// today tells one or the other.
pub(super) fn comes_from_here(headers: &HeaderMap) -> bool {
    let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fetched = told("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let host = told("host").unwrap_or_default();
    let origin = told("origin").is_none_or(|origin| {
        let (_, named) = origin.split_once("://").unwrap_or_default();
        !named.is_empty() && named == host
    });
    fetched && origin
}

/// Whether the browser thinks that it speaks to its own machine.
pub(super) fn is_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Ends a request whose time is over, and puts the headers on every answer.
pub(super) async fn within(
    State(timeout): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Trouble::away().into_response(),
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
