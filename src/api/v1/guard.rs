//! Who asks, and whether they may.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Service;
use super::keys::{ApiKey, Closed, KeyRing, Scope};
use super::problem::{Problem, ProblemCode};
use super::shown::Secrets;
use crate::payment::{self, AccountName, Timestamp};
use crate::store::audit::{ActorKind, Mandate, Via};

/// Whoever asked, by the key that was shown.
#[derive(Debug, Clone)]
pub(in crate::api) struct Caller(Arc<ApiKey>);

/// Lets in whoever shows a key, so many times a second.
pub(super) async fn let_in<S: crate::store::Store>(
    State(service): State<Arc<Service<S>>>,
    mut request: Request,
    next: Next,
) -> Response {
    match service.caller(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl<S: crate::store::Store> Service<S> {
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let key = if self.keys.is_open() {
            Arc::new(ApiKey::anybody())
        } else {
            let shown = headers
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, key)| key)
                .ok_or_else(|| {
                    let told = "send the header Authorization: Bearer <key>";
                    Problem::new(ProblemCode::Unauthenticated, told)
                })?;
            self.keys.find(shown.trim(), now).map_err(refused)?
        };
        let caller = Caller(key);
        self.count(&caller, 1)?;
        Ok(caller)
    }

    /// Counts requests against what the key may make.
    pub(super) fn count(&self, caller: &Caller, requests: u32) -> Result<(), Problem> {
        caller.count(&self.keys, requests, self.clock.now())
    }
}

fn refused(closed: Closed) -> Problem {
    match closed {
        Closed::Unknown => Problem::new(
            ProblemCode::Unauthenticated,
            "the key is not known; ask the operators of Holdfast for one (holdfast api-key)",
        ),
        Closed::Expired => Problem::new(
            ProblemCode::KeyExpired,
            "the key has expired; ask the operators of Holdfast for a new one",
        ),
    }
}

impl Caller {
    /// Whoever holds this key.
    pub(in crate::api) const fn of(key: Arc<ApiKey>) -> Self {
        Self(key)
    }

    /// Counts requests against what the key may make, through whichever door they come.
    pub(in crate::api) fn count(
        &self,
        keys: &KeyRing,
        requests: u32,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let taken = keys.paces.take(&self.0.name, requests, now);
        taken.map_err(|wait| {
            let told = "the key makes more requests than it may; wait as Retry-After says";
            Problem::new(ProblemCode::RateLimited, told).after(wait)
        })
    }

    /// What it is called, in the log.
    pub(in crate::api) fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// On its word over the API, for the audit log.
    pub(in crate::api) fn mandate(&self) -> Mandate {
        self.mandate_by(Via::Api)
    }

    /// On its word through a door.
    pub(in crate::api) fn mandate_by(&self, via: Via) -> Mandate {
        let kind = if self.0.is_anybody() {
            ActorKind::Anybody
        } else {
            ActorKind::ApiKey
        };
        Mandate::new(kind, self.name(), via)
    }

    /// Whether the key is for this.
    pub(in crate::api) fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.0.scopes.contains(&scope) {
            return Ok(());
        }
        let told = format!("the key lacks the scope {}", scope.as_str());
        Err(Problem::new(ProblemCode::ScopeMissing, told))
    }

    /// What a command's answer shows.
    pub(in crate::api) fn secrets(&self) -> Secrets {
        if self.may(Scope::Read).is_ok() {
            Secrets::Shown
        } else {
            Secrets::Left
        }
    }

    /// The accounts that the key is for; `None` for all.
    pub(in crate::api) fn accounts(&self) -> Option<&BTreeSet<AccountName>> {
        self.0.accounts.as_ref()
    }

    /// Whether the key is for this account.
    pub(in crate::api) fn sees(&self, account: &AccountName) -> bool {
        let accounts = self.0.accounts.as_ref();
        accounts.is_none_or(|accounts| accounts.contains(account))
    }

    /// Whether the key may ask for anything under this account.
    pub(in crate::api) fn may_ask_of(&self, account: &AccountName) -> Result<(), Problem> {
        if self.sees(account) {
            return Ok(());
        }
        let told = format!("the key is not for the account {account}");
        Err(Problem::new(ProblemCode::AccountForbidden, told).of_field("account"))
    }

    /// Whether the key may ask for so much.
    pub(in crate::api) fn may_ask_for(&self, request: &payment::Request) -> Result<(), Problem> {
        let amount = request.money().map_or(0, |money| money.amount.minor());
        self.may_move(amount)
            .map_err(|problem| problem.of_field("money.amount"))
    }

    /// Whether so much may be taken by this key, in minor units.
    pub(in crate::api) fn may_move(&self, amount: u64) -> Result<(), Problem> {
        match self.0.largest_amount_minor {
            Some(largest) if amount > largest => {
                let told = format!("the key may move {largest} at most, in minor units");
                Err(Problem::new(ProblemCode::AmountForbidden, told))
            }
            _ => Ok(()),
        }
    }
}
