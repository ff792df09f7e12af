//! The company's statement: scheduled, waited for, and fetched as CSV. What it says is read elsewhere
//! (`operate::reconcile`); here are the calls. A statement moves no money, and one more does no harm.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, Request, Url};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::account::Account;
use super::call::Call;
use super::client::{ChipGateway, headers};
use super::registration::codes;
use super::transport::Trip;
use crate::payment::{AccountName, Timestamp};

/// How long fetching a statement may take.
const FETCH_WITHIN: Duration = Duration::from_secs(300);
/// A larger one is not read to its end: a million lines take some 200 MB.
const LARGEST_BYTES: usize = 1 << 28;

/// The name of a statement at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementId(Uuid);

/// Where a statement can be read. Whoever has the link can, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StatementLink(Url);

impl fmt::Debug for StatementLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatementLink(***)")
    }
}

/// How far a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementState {
    /// It is being made.
    Waits,
    /// It can be fetched.
    Ready(StatementLink),
    /// It will never be: the gateway's word for it.
    Ended(String),
}

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStatement {
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
    /// The gateway could not be asked, or its answer cannot be used.
    #[error("{0}")]
    Unreadable(String),
}

#[derive(Deserialize)]
struct Shown {
    id: String,
    status: String,
    #[serde(default)]
    download_url: Option<String>,
}

impl Shown {
    fn id(&self) -> Result<StatementId, NoStatement> {
        let id = Uuid::try_parse(&self.id);
        id.map(StatementId)
            .map_err(|_| unreadable("the statement's id is no UUID"))
    }
}

impl ChipGateway {
    /// Has a statement made of what was paid from a moment on, and before another, in UTC.
    pub async fn schedule_statement(
        &self,
        account: &AccountName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<StatementId, NoStatement> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NoStatement::UnknownAccount)?;
        let mut url = known.url("company_statements/");
        url.query_pairs_mut()
            .append_pair("paid_from", &from.timestamp().to_string())
            .append_pair("paid_to", &to.timestamp().to_string())
            .append_pair("brand_id", &known.brand_id);
        let body = json!({"format": "csv", "timezone": "UTC"}).to_string();
        let call = Call {
            path: String::new(),
            body: body.into_bytes(),
            key: None,
            deadline_ms: self.settings.deadlines.create_ms,
        };
        let shown: Shown = read(self.post_to(known, url, call).await)?;
        shown.id()
    }

    /// How far it is.
    pub async fn statement(
        &self,
        account: &AccountName,
        id: StatementId,
    ) -> Result<StatementState, NoStatement> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NoStatement::UnknownAccount)?;
        let path = format!("company_statements/{}/", id.0);
        let shown: Shown = read(self.get(known, &path).await)?;
        if shown.id()? != id {
            return Err(unreadable("the answer is about another statement"));
        }
        let link = shown.download_url.filter(|link| !link.is_empty());
        match (&*shown.status, link) {
            ("pending" | "processing" | "created", _) => Ok(StatementState::Waits),
            ("success", Some(link)) => link_of(known, &link).map(StatementState::Ready),
            ("success", None) => Err(unreadable("the statement is made, and has no link")),
            (other, _) => Ok(StatementState::Ended(super::refusal::code_word(other))),
        }
    }

    /// Fetches it.
    pub async fn fetch_statement(
        &self,
        account: &AccountName,
        link: &StatementLink,
    ) -> Result<Vec<u8>, NoStatement> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NoStatement::UnknownAccount)?;
        let mut request = Request::new(Method::GET, link.0.clone());
        // Wherever else the statement lies, our key is nobody's business there.
        if link.0.origin() == known.base_url.origin() {
            *request.headers_mut() = headers(known);
            request.headers_mut().remove(reqwest::header::ACCEPT);
        }
        let trip = self.transport.fetch(request, FETCH_WITHIN, LARGEST_BYTES);
        answered(trip.await)
    }

    /// Tells the gateway that nobody waits for it any more.
    pub async fn cancel_statement(
        &self,
        account: &AccountName,
        id: StatementId,
    ) -> Result<(), NoStatement> {
        let accounts = self.accounts.get();
        let known = accounts.get(account).ok_or(NoStatement::UnknownAccount)?;
        let call = Call {
            path: format!("company_statements/{}/cancel/", id.0),
            body: Vec::new(),
            key: None,
            deadline_ms: self.settings.deadlines.cancel_ms,
        };
        answered(self.post(known, call).await).map(drop)
    }
}

/// A link that may be followed: not in the clear where the account's own address is not.
fn link_of(account: &Account, link: &str) -> Result<StatementLink, NoStatement> {
    let url = account.base_url.join(link);
    let url = url.map_err(|_| unreadable("the link to the statement is no address"))?;
    if url.scheme() == "https" || url.scheme() == account.base_url.scheme() {
        Ok(StatementLink(url))
    } else {
        Err(unreadable("the link to the statement is not https"))
    }
}

fn read<T: for<'a> Deserialize<'a>>(trip: Trip) -> Result<T, NoStatement> {
    serde_json::from_slice(&answered(trip)?)
        .map_err(|_| unreadable("the answer is not what the gateway documents"))
}

fn answered(trip: Trip) -> Result<Vec<u8>, NoStatement> {
    match trip {
        Trip::Answered(reply) if (200..=299).contains(&reply.status) => Ok(reply.body),
        Trip::Answered(reply) => match codes(&reply.body) {
            Some(codes) => Err(NoStatement::Refused {
                status: reply.status,
                codes,
            }),
            None => Err(NoStatement::Unreadable(format!(
                "the gateway answered {}",
                reply.status
            ))),
        },
        Trip::NotSent(why) => Err(unreadable(why)),
        Trip::Unknown(why) => Err(NoStatement::Unreadable(why)),
    }
}

fn unreadable(why: &str) -> NoStatement {
    NoStatement::Unreadable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::AccountConfig;
    use crate::payment::Private;

    fn account(base_url: &str) -> Account {
        Account::new(AccountConfig {
            secret_key: Private::new("sk-very-secret".to_owned()),
            brand_id: "brand-1".to_owned(),
            base_url: base_url.to_owned(),
            test: true,
            success_callback: None,
            card_whitelist: None,
            webhook_keys: Vec::new(),
        })
        .unwrap()
    }

    #[test]
    fn a_statement_is_not_fetched_in_the_clear_and_its_link_is_not_printed() {
        let live = account("https://gate.example/api/v1/");
        for link in ["https://files.example/s/secret.csv", "/statements/secret/"] {
            let link = link_of(&live, link).unwrap();
            assert!(!format!("{link:?}").contains("secret"));
        }
        for link in [
            "http://files.example/s.csv",
            "ftp://files.example/",
            "file:///etc/passwd",
        ] {
            assert!(link_of(&live, link).is_err(), "{link}");
        }
        let test = account("http://127.0.0.1:1/api/v1/");
        assert!(link_of(&test, "http://127.0.0.1:1/statements/1/").is_ok());
    }
}
