//! Bytes out, bytes in. Nothing is ever sent twice.
//!
//! What can send a request again below this line, and what is done about it:
//!
//! - reqwest repeats requests that HTTP/2 refused: off by [`reqwest::retry::never`], and HTTP/1
//!   only. Redirects and proxies are off too.
//! - hyper-util moves a request to another connection when the pooled one it was given turns out
//!   to be closed before the request was taken up (`retry_canceled_requests`, on by default, and
//!   reqwest has no switch for it). hyper hands a request back only when not one byte of it was
//!   written, so it never arrives twice; but it is a second try that nobody decided on, and it
//!   needs a connection that was used before. So every call that changes something goes out on a
//!   fresh connection of its own: there is no pool to move it in. That also takes away the usual
//!   cause of calls with an unknown outcome, a kept connection that the other side closes just
//!   as it is used again. TLS sessions are resumed, so it costs one round trip more.
//! - Look-ups share a pool. There the move may happen; a look-up changes nothing.
//!
//! A fresh connection also makes "not sent" certain: until it stands, no byte of the request left.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Response, redirect, retry};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;

use super::classify::Reply;
use super::settings::Settings;
use crate::clock::Clock;
use crate::payment::Timestamp;

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// TLS could not be set up.
    #[error(
        "TLS cannot be set up ({0}); install the system's certificates (package ca-certificates)"
    )]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(reqwest::Error),
}

/// What became of one request.
#[derive(Debug)]
pub(super) enum Trip {
    /// It was answered, and the answer was read to its end.
    Answered(Reply),
    /// Not a byte of it left.
    NotSent(&'static str),
    /// It may have arrived.
    Unknown(String),
}

/// The connections to the gateway.
#[derive(Debug)]
pub(super) struct Transport {
    writes: Client,
    reads: Client,
    largest_answer_bytes: usize,
    clock: Clock,
}

impl Transport {
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<Self, TransportError> {
        let (connect, idle) = (settings.connect_timeout(), settings.idle_timeout());
        Ok(Self {
            writes: client(connect, idle, 0)?,
            reads: client(connect, idle, settings.idle_connections)?,
            largest_answer_bytes: settings.largest_answer_bytes,
            clock,
        })
    }

    /// Makes a call that changes something, once, on a connection of its own.
    pub(super) async fn write(&self, request: Request, deadline: Duration) -> Trip {
        self.trip(&self.writes, request, deadline).await
    }

    /// Asks.
    pub(super) async fn read(&self, request: Request, deadline: Duration) -> Trip {
        self.trip(&self.reads, request, deadline).await
    }

    /// Asks, and hears what time it is there.
    pub(super) async fn read_dated(
        &self,
        request: Request,
        deadline: Duration,
    ) -> (Trip, Option<Timestamp>) {
        let (largest, mut date) = (self.largest_answer_bytes, None);
        let exchange = self.exchange(&self.reads, request, largest, &mut date);
        let trip = within(deadline, exchange).await;
        (trip, date)
    }

    /// Fetches what may be far larger than an answer.
    pub(super) async fn fetch(&self, request: Request, deadline: Duration, largest: usize) -> Trip {
        let mut date = None;
        let exchange = self.exchange(&self.reads, request, largest, &mut date);
        within(deadline, exchange).await
    }

    async fn trip(&self, client: &Client, request: Request, deadline: Duration) -> Trip {
        let (largest, mut date) = (self.largest_answer_bytes, None);
        let exchange = self.exchange(client, request, largest, &mut date);
        within(deadline, exchange).await
    }

    async fn exchange(
        &self,
        client: &Client,
        request: Request,
        largest: usize,
        date: &mut Option<Timestamp>,
    ) -> Trip {
        let response = match client.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Trip::NotSent(why_not_connected(&error)),
            Err(error) => return Trip::Unknown(why_broken(&error).to_owned()),
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        *date = date_of(response.headers());
        match whole_body(response, largest).await {
            Ok(body) => Trip::Answered(Reply {
                status,
                retry_after,
                at: self.clock.now(),
                body,
            }),
            Err(why) => Trip::Unknown(format!("the gateway answered {status}, but {why}")),
        }
    }
}

async fn within(deadline: Duration, trip: impl Future<Output = Trip>) -> Trip {
    match tokio::time::timeout(deadline, trip).await {
        Ok(trip) => trip,
        Err(_) => Trip::Unknown(format!(
            "no whole answer within {} ms",
            deadline.as_millis()
        )),
    }
}

async fn whole_body(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(format!("the body is larger than {limit} bytes")),
            Ok(None) => return Ok(body),
            Err(error) => return Err(why_broken(&error).to_owned()),
        }
    }
}

fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.with_timezone(&Utc))
}

/// A client that does nothing by itself: no redirects, no proxies, no second tries.
pub(super) fn client(
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_connections: usize,
) -> Result<Client, TransportError> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(15))
        .pool_max_idle_per_host(idle_connections)
        .pool_idle_timeout(idle_timeout)
        .build()
        .map_err(|error| TransportError::Http(error.without_url()))
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<String> {
    headers.get(RETRY_AFTER)?.to_str().ok().map(str::to_owned)
}

/// Our own words: the texts of these errors carry addresses, and addresses carry purchase ids.
fn why_not_connected(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "connecting to the gateway took too long"
    } else if error.is_dns() {
        "the gateway's name could not be resolved"
    } else if causes(error).any(is_tls) {
        "TLS with the gateway failed"
    } else if causes(error).any(|cause| is_io(cause, io::ErrorKind::ConnectionRefused)) {
        "the gateway refused the connection"
    } else {
        "no connection to the gateway"
    }
}

fn why_broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the answer took too long"
    } else if error.is_decode() || causes(error).any(is_unparsable) {
        "the answer was not HTTP"
    } else {
        "the connection broke before the answer was whole"
    }
}

pub(super) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// An I/O error keeps what it wraps out of its chain of sources, so it is asked as well.
pub(super) fn is_tls(cause: &(dyn StdError + 'static)) -> bool {
    let wrapped = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

fn is_io(cause: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == kind)
}

fn is_unparsable(cause: &(dyn StdError + 'static)) -> bool {
    cause
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_parse)
}
