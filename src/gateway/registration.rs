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
/// What a webhook hears whose key nobody knows yet: an event that is about no purchase. Whatever else
/// it posted would be refused, and hold back later events of the same purchase.
const HARMLESS: [&str; 1] = ["payout.created"];
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
    pub public_key: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_on: i64,
}

impl Registered {
    /// Whether it tells everything that matters.
    #[must_use]
    pub fn hears_enough(&self) -> bool {
        let hears = |event: &str| self.events.iter().any(|heard| heard == event);
        self.all_events || EVENTS.iter().all(|event| hears(event))
    }

    /// To which host it posts, and by which port, if that can be told.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(&self.callback).ok()?;
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        Some(format!("{}{port}", url.host_str()?))
    }

    /// The key under which it signs.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        PublicKey::from_pem(self.public_key.as_deref()?).ok()
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
    #[error("the gateway refused it with {status}: {codes}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its codes.
        codes: String,
    },
    /// The answer cannot be used.
    #[error("{0}; nothing was changed")]
    Unreadable(String),
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
    /// All webhooks of an account, the oldest first; of two that were made in the same second the
    /// one that hears nothing yet is the later one.
    pub async fn registered(
        &self,
        account: &AccountName,
    ) -> Result<Vec<Registered>, NotRegistered> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NotRegistered::UnknownAccount)?;
        let mut all: Vec<Registered> = Vec::new();
        let mut next = Some(known.url("webhooks/"));
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else {
                all.sort_by_key(|webhook| (webhook.created_on, !webhook.hears_enough()));
                return Ok(all);
            };
            let page: Listed = read(&self.ask(known, Method::GET, url.clone(), None).await?)
                .ok_or_else(|| unreadable("the list is not what the gateway documents"))?;
            let listed = |webhook: &Registered| all.iter().any(|known| known.id == webhook.id);
            if page.results.iter().any(listed) {
                return Err(unreadable("the list repeats itself"));
            }
            all.extend(page.results);
            next = page
                .next
                .as_deref()
                .map(|next| following(&url, next))
                .transpose()?;
        }
        Err(unreadable("the list has no end"))
    }

    /// Whether what this webhook posts is taken: its key is one of the account's.
    #[must_use]
    pub fn knows(&self, account: &AccountName, webhook: &Registered) -> bool {
        let accounts = self.accounts.get();
        let known = accounts
            .get(account)
            .map(|account| &account.webhook_keys[..]);
        let key = webhook.key();
        key.is_some_and(|key| known.unwrap_or_default().contains(&key))
    }

    /// Registers one more webhook for `callback`, which posts nothing that matters yet.
    pub async fn register(
        &self,
        account: &AccountName,
        callback: &str,
    ) -> Result<Registered, NotRegistered> {
        let what = (Method::POST, "webhooks/".to_owned());
        self.write_webhook(account, what, callback, &HARMLESS).await
    }

    /// Makes a webhook post all that matters.
    pub async fn complete(
        &self,
        account: &AccountName,
        webhook: &Registered,
    ) -> Result<Registered, NotRegistered> {
        let what = (Method::PUT, format!("webhooks/{}/", webhook.id));
        self.write_webhook(account, what, &webhook.callback, &EVENTS)
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
            Err(NotRegistered::Refused { status: 404, codes }) if codes.contains("not_found") => {
                Ok(())
            }
            done => done.map(drop),
        }
    }

    async fn write_webhook(
        &self,
        account: &AccountName,
        (method, path): (Method, String),
        callback: &str,
        events: &[&str],
    ) -> Result<Registered, NotRegistered> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NotRegistered::UnknownAccount)?;
        let body = json!({"title": TITLE, "callback": callback, "events": events});
        let body = Some(body.to_string());
        read(&self.ask(known, method, known.url(&path), body).await?).ok_or_else(|| {
            let why = "the answer is not what the gateway documents";
            NotRegistered::Unknown(why.to_owned())
        })
    }

    /// As everywhere, only a refusal with the gateway's own code is one: what stands before it may
    /// answer anything, whatever became of the call.
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
        let unknown = |why| {
            if reads {
                NotRegistered::Unreadable(why)
            } else {
                NotRegistered::Unknown(why)
            }
        };
        match trip {
            Trip::Answered(reply) if (200..=299).contains(&reply.status) => Ok(reply.body),
            Trip::Answered(reply) => {
                let status = reply.status;
                match codes(&reply.body) {
                    Some(codes) if (400..=499).contains(&status) && status != 408 => {
                        Err(NotRegistered::Refused { status, codes })
                    }
                    _ => Err(unknown(format!("the gateway answered {status}"))),
                }
            }
            Trip::NotSent(why) => Err(NotRegistered::NotSent(why.to_owned())),
            Trip::Unknown(why) => Err(unknown(why)),
        }
    }
}

/// The next page, where this one was: the key goes nowhere else.
fn following(page: &Url, next: &str) -> Result<Url, NotRegistered> {
    let next = page.join(next).ok();
    let here = |next: &Url| next.origin() == page.origin() && next != page;
    next.filter(here)
        .ok_or_else(|| unreadable("the next page of the list is somewhere else"))
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn unreadable(why: &str) -> NotRegistered {
    NotRegistered::Unreadable(why.to_owned())
}

/// The gateway's own words, if it said any.
pub(super) fn codes(body: &[u8]) -> Option<String> {
    let Refusal::Codes { codes, .. } = Refusal::read(body) else {
        return None;
    };
    let words: Vec<String> = codes.iter().map(super::refusal::Code::with_field).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_first_one_was() {
        let page = Url::parse("https://gate.example/api/v1/webhooks/").unwrap();
        for (next, path) in [
            (
                "https://gate.example/api/v1/webhooks/?cursor=b",
                "/api/v1/webhooks/",
            ),
            ("?cursor=b", "/api/v1/webhooks/"),
            ("/api/v1/webhooks/page/2/", "/api/v1/webhooks/page/2/"),
        ] {
            assert_eq!(following(&page, next).unwrap().path(), path);
        }
        for elsewhere in [
            "https://other.example/api/v1/webhooks/?cursor=b",
            "http://gate.example/api/v1/webhooks/?cursor=b",
            "https://gate.example/api/v1/webhooks/",
            "http://[",
        ] {
            assert!(following(&page, elsewhere).is_err(), "{elsewhere}");
        }
    }
}
