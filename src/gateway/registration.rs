//! Where the gateway posts what happens to purchases: webhooks, as it keeps them.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde::Deserialize;
use serde_json::json;

use super::account::Account;
use super::client::{ChipGateway, headers};
use super::refusal::Refusal;
use super::signature::PublicKey;
use super::transport::Trip;
use crate::payment::AccountName;

/// Every event after which a payment may have somewhere to go. Others would be looked up in vain.
pub const EVENTS: [&str; 15] = [
    "purchase.paid",
    "purchase.payment_failure",
    "purchase.hold",
    "purchase.preauthorized",
    "purchase.captured",
    "purchase.capture_failure",
    "purchase.released",
    "purchase.release_failure",
    "purchase.cancelled",
    "purchase.pending_execute",
    "purchase.pending_charge",
    "purchase.pending_capture",
    "purchase.pending_release",
    "purchase.pending_recurring_token_delete",
    "purchase.recurring_token_deleted",
];
/// What ours are called, so that people find them in the gateway's portal.
const TITLE: &str = "Holdfast";
/// How many pages of a list are read; nobody has so many webhooks.
const MOST_PAGES: usize = 50;

/// A webhook, as the gateway has it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Its id.
    pub id: String,
    /// What it is called.
    #[serde(default)]
    pub title: String,
    /// Where it posts.
    pub callback: String,
    /// Whether it hears everything.
    #[serde(default)]
    pub all_events: bool,
    /// Otherwise what it hears.
    #[serde(default)]
    pub events: Vec<String>,
    /// The key under which it signs, as PEM.
    pub public_key: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created_on: i64,
}

impl Registered {
    /// Whether it tells everything that matters.
    #[must_use]
    pub fn hears_enough(&self) -> bool {
        let hears = |event: &str| self.events.iter().any(|heard| heard == event);
        self.all_events || EVENTS.iter().all(|event| hears(event))
    }

    /// The key under which it signs.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        PublicKey::from_pem(&self.public_key).ok()
    }
}

/// Addresses stay out of logs, as everywhere.
impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("id", &self.id)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// Why the gateway's webhooks were not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistered {
    /// The settings have no such account.
    #[error("the account is not configured")]
    UnknownAccount,
    /// The gateway said no.
    #[error("the gateway refused it with {status}{codes}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, as `: code, code`.
        codes: String,
    },
    /// The call did not leave this machine.
    #[error("{0}; nothing was changed")]
    NotSent(String),
    /// Nobody knows whether it was done.
    #[error("{0}; it may have been done, which the same command finds out: run it again")]
    Unknown(String),
}

#[derive(Deserialize)]
struct Listed {
    results: Vec<Registered>,
    next: Option<String>,
}

impl ChipGateway {
    /// All webhooks of an account, the oldest first.
    pub async fn registered(
        &self,
        account: &AccountName,
    ) -> Result<Vec<Registered>, NotRegistered> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NotRegistered::UnknownAccount)?;
        let mut all = Vec::new();
        let mut next = Some(known.url("webhooks/"));
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            let page: Listed = read(&self.ask(known, Method::GET, url, None).await?)?;
            all.extend(page.results);
            next = page.next.as_deref().and_then(|next| following(known, next));
        }
        all.sort_by_key(|webhook| webhook.created_on);
        Ok(all)
    }

    /// Registers one more webhook that posts to `callback`.
    pub async fn register(
        &self,
        account: &AccountName,
        callback: &str,
    ) -> Result<Registered, NotRegistered> {
        self.write_webhook(account, Method::POST, "webhooks/", callback)
            .await
    }

    /// Makes an existing one hear all that matters.
    pub async fn complete(
        &self,
        account: &AccountName,
        webhook: &Registered,
    ) -> Result<Registered, NotRegistered> {
        let path = format!("webhooks/{}/", webhook.id);
        self.write_webhook(account, Method::PUT, &path, &webhook.callback)
            .await
    }

    /// Takes a webhook away; one that is gone already is gone.
    pub async fn unregister(
        &self,
        account: &AccountName,
        webhook: &Registered,
    ) -> Result<(), NotRegistered> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NotRegistered::UnknownAccount)?;
        let url = known.url(&format!("webhooks/{}/", webhook.id));
        match self.ask(known, Method::DELETE, url, None).await {
            Ok(_) | Err(NotRegistered::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn write_webhook(
        &self,
        account: &AccountName,
        method: Method,
        path: &str,
        callback: &str,
    ) -> Result<Registered, NotRegistered> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NotRegistered::UnknownAccount)?;
        let body = json!({"title": TITLE, "callback": callback, "events": EVENTS});
        let body = Some(body.to_string());
        read(&self.ask(known, method, known.url(path), body).await?)
    }

    async fn ask(
        &self,
        account: &Account,
        method: Method,
        url: Url,
        body: Option<String>,
    ) -> Result<Vec<u8>, NotRegistered> {
        let reads = method == Method::GET;
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers(account);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.into());
        }
        let deadlines = &self.settings.deadlines;
        let trip = if reads {
            let within = Duration::from_millis(deadlines.look_up_ms);
            self.transport.read(request, within).await
        } else {
            let within = Duration::from_millis(deadlines.create_ms);
            self.transport.write(request, within).await
        };
        match trip {
            Trip::Answered(reply) if (200..=299).contains(&reply.status) => Ok(reply.body),
            Trip::Answered(reply) if reply.status >= 500 => Err(NotRegistered::Unknown(format!(
                "the gateway answered {}",
                reply.status
            ))),
            Trip::Answered(reply) => Err(NotRegistered::Refused {
                status: reply.status,
                codes: codes(&reply.body),
            }),
            Trip::NotSent(why) => Err(NotRegistered::NotSent(why.to_owned())),
            Trip::Unknown(why) => Err(NotRegistered::Unknown(why)),
        }
    }
}

/// The next page, if it is where the first one was: the key goes nowhere else.
fn following(account: &Account, next: &str) -> Option<Url> {
    let (first, next) = (account.url("webhooks/"), Url::parse(next).ok()?);
    let mut page = first;
    page.set_query(next.query());
    Some(page)
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, NotRegistered> {
    serde_json::from_slice(body)
        .map_err(|_| NotRegistered::Unknown("the answer is not what the gateway documents".into()))
}

fn codes(body: &[u8]) -> String {
    let Refusal::Codes { codes, .. } = Refusal::read(body) else {
        return String::new();
    };
    let words: Vec<String> = codes.iter().map(super::refusal::Code::with_field).collect();
    if words.is_empty() {
        return String::new();
    }
    format!(": {}", words.join(", "))
}
