//! A POST to somebody who is not the gateway: to the endpoints of producers. It stands here because
//! all HTTP goes out here, by one kind of client: no redirects, no proxies, no second tries.

use std::time::Duration;

use reqwest::Client;

use super::classify::retry_after_ms;
use super::transport::{TransportError, causes, client, is_tls, retry_after};
use crate::clock::Clock;

/// How long name resolution, connection and TLS may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: shorter than most receivers keep it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How many of them.
const IDLE_CONNECTIONS: usize = 8;

/// What became of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It was answered.
    Answered {
        /// With this status.
        status: u16,
        /// And a wish to wait so long, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// It was not, and why: without an address, which may let its holder in.
    Unanswered(&'static str),
}

/// The connections to receivers; none of them is shared with the gateway's.
#[derive(Debug)]
pub struct Poster {
    client: Client,
    clock: Clock,
}

impl Poster {
    /// A client of its own.
    pub fn new(clock: Clock) -> Result<Self, TransportError> {
        Ok(Self {
            client: client(CONNECT_TIMEOUT, IDLE_TIMEOUT, IDLE_CONNECTIONS)?,
            clock,
        })
    }

    /// Posts JSON, once. The answer's body is not read.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        deadline: Duration,
    ) -> Posted {
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        match tokio::time::timeout(deadline, request.send()).await {
            Ok(Ok(response)) => Posted::Answered {
                status: response.status().as_u16(),
                retry_after_ms: retry_after(response.headers())
                    .and_then(|text| retry_after_ms(&text, self.clock.now())),
            },
            Ok(Err(error)) => Posted::Unanswered(why(&error)),
            Err(_) => Posted::Unanswered("no answer in time"),
        }
    }
}

/// Our own words: the texts of these errors carry addresses.
fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if causes(error).any(is_tls) {
        "TLS failed"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
