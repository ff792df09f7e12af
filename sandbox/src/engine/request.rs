//! What goes into the engine and what comes out of it.

use uuid::Uuid;

/// A request as it arrived, without any transport.
#[derive(Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path without the query: `/api/v1/purchases/`.
    pub path: String,
    /// The query string, without `?`.
    pub query: String,
    /// The bearer key, when one was sent.
    pub key: Option<String>,
    /// The `Content-Type`, when one was sent.
    pub content_type: Option<String>,
    /// The `Idempotency-Key`, when one was sent: kept in the ledger, and otherwise ignored, as was
    /// observed of the gateway, unless its [`Behaviour`](crate::Behaviour) says otherwise.
    pub idempotency_key: Option<String>,
    /// The body, JSON for the API and a form for the checkout.
    pub body: Vec<u8>,
    /// Where it came from.
    pub client_ip: String,
}

impl std::fmt::Debug for Request {
    /// Leaves the key and the body out: they carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Request {
    /// A call of the API with a JSON body (empty for none).
    #[must_use]
    pub fn api(method: &str, path: &str, key: &str, body: impl Into<Vec<u8>>) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: method.to_owned(),
            path: format!("/api/v1/{}", path.trim_start_matches('/')),
            query: query.to_owned(),
            key: Some(key.to_owned()),
            content_type: Some("application/json".to_owned()),
            body: body.into(),
            client_ip: "127.0.0.1".to_owned(),
            ..Self::default()
        }
    }

    /// A browser's request for the checkout of a purchase.
    #[must_use]
    pub fn checkout(method: &str, purchase: Uuid, form: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            path: format!("/p/{purchase}/"),
            body: form.into(),
            client_ip: "127.0.0.1".to_owned(),
            ..Self::default()
        }
    }
}

/// How an answer is to be put on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it is.
    #[default]
    Whole,
    /// With its whole length announced and only half of its body sent.
    Truncated,
    /// Not at all: the connection is reset.
    Reset,
    /// Not at all: the connection stays open.
    Silence,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// `Location`, for redirects.
    pub location: Option<String>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u64>,
    /// How to send it.
    pub manner: Manner,
    /// How long to wait before sending it.
    pub delay_ms: u64,
}

impl Response {
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "application/json",
            body,
            ..Self::default()
        }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            body,
            ..Self::default()
        }
    }

    pub(crate) fn csv(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/csv; charset=utf-8",
            body,
            ..Self::default()
        }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        let location = Some(to.to_owned());
        Self {
            location,
            ..Self::html(302, String::new())
        }
    }
}

/// Names a request the engine is still working on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub(crate) u64);

/// What [`Engine::handle`](crate::Engine::handle) says to a request.
#[derive(Debug)]
pub enum Step {
    /// The answer.
    Answer(Response),
    /// The acquirer is busy with it: call [`Engine::finish`](crate::Engine::finish) after the time.
    Working {
        /// Which request.
        ticket: Ticket,
        /// How long the acquirer takes.
        for_ms: u64,
    },
}
