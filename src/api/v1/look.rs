//! To see one payment, or many.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Service;
use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use super::shown::{self, Secrets};
use crate::api::intake;
use crate::payment::{AccountName, PaymentId, Reference, StateName, Timestamp};
use crate::store::{By, Cursor, Loaded, Store};

const SHORTEST_PAGE: usize = 1;
const USUAL_PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;
/// How often an index is read for one page, if little of it fits.
const MOST_STEPS: usize = 10;

pub(super) async fn one<S: Store>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(Scope::Read)?;
    let loaded = service.seen(&caller, id).await?;
    Ok(Json(shown::payment(&loaded.payment, Secrets::Shown)))
}

impl<S: Store> Service<S> {
    /// The payment of that id, if there is one that the caller may see. To others it is not there.
    pub(super) async fn seen(
        &self,
        caller: &Caller,
        id: Result<Path<String>, PathRejection>,
    ) -> Result<Loaded, Problem> {
        let given = id.ok().map(|Path(id)| id);
        let given = given.filter(|id| PaymentId::looks_like_one(id));
        let Some(id) = given.and_then(|id| PaymentId::new(id).ok()) else {
            let told = "a payment's id is pay_ and 32 hexadecimal digits";
            return Err(Problem::new(ProblemCode::PaymentNotFound, told));
        };
        let loaded = self.in_time(intake::load(&*self.store, &id)).await?;
        if caller.sees(&loaded.payment.request().account) {
            return Ok(loaded);
        }
        Err(intake::IntakeError::Missing(id).into())
    }
}

/// Which payments, and where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    state: Option<StateName>,
    account: Option<AccountName>,
    reference: Option<Reference>,
    due_before: Option<chrono::DateTime<chrono::FixedOffset>>,
    cursor: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list<S: Store>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(Scope::Read)?;
    let Query(filter) = filter.map_err(|error| {
        // The query may hold a reference, which is nobody's business but the caller's.
        tracing::debug!(status = %error.status(), "a query could not be read");
        let told = "may have state, account, reference, due_before (RFC 3339), cursor and limit";
        Problem::new(ProblemCode::InvalidQuery, told)
    })?;
    let cursor = filter.cursor.as_deref().map(Cursor::from_text).transpose();
    let cursor = cursor.map_err(|error| {
        Problem::new(ProblemCode::InvalidQuery, error.to_string()).of_field("cursor")
    })?;
    let limit = filter.limit.unwrap_or(USUAL_PAGE);
    if !(SHORTEST_PAGE..=LONGEST_PAGE).contains(&limit) {
        let told = format!("must be {SHORTEST_PAGE} to {LONGEST_PAGE}");
        return Err(Problem::new(ProblemCode::InvalidQuery, told).of_field("limit"));
    }
    if let Some(account) = &filter.account {
        caller.may_ask_of(account)?;
    }
    let by = filter.by()?;
    let (payments, unread, next) = service
        .found(&caller, &filter, (&by, cursor, limit))
        .await?;
    let told = json!({ "payments": payments, "unreadable": unread, "next": next });
    Ok(Json(told))
}

impl<S: Store> Service<S> {
    /// A page of what fits the filter and may be seen. Others are passed over, so that a page says
    /// as little as can be of what is between; after so many of them it is ended early.
    async fn found(
        &self,
        caller: &Caller,
        filter: &Filter,
        (by, mut cursor, limit): (&By, Option<Cursor>, usize),
    ) -> Result<(Vec<Value>, Vec<PaymentId>, Option<String>), Problem> {
        let (mut payments, mut unread) = (Vec::new(), Vec::new());
        // Whose a record is that cannot be read, only a reference's index tells, and it was asked of.
        let learns = caller.accounts().is_none() || matches!(by, By::Reference(..));
        for _ in 0..MOST_STEPS {
            let wanted = limit - payments.len();
            let page = self
                .in_time(self.store.list(by, cursor.as_ref(), wanted))
                .await?;
            let fits = |loaded: &&Loaded| {
                filter.fits(loaded) && caller.sees(&loaded.payment.request().account)
            };
            let shows = |loaded: &Loaded| shown::payment(&loaded.payment, Secrets::Shown);
            payments.extend(page.payments.iter().filter(fits).map(shows));
            let cannot = page.unread.into_iter().filter(|_| learns);
            unread.extend(cannot.map(|it| it.payment));
            cursor = page.next;
            if cursor.is_none() || payments.len() >= limit {
                break;
            }
            // What is passed over is work all the same; what was found so far is not lost to it.
            if self.count(caller, 1).is_err() {
                break;
            }
        }
        let next = cursor.map(|cursor| cursor.as_str().to_owned());
        Ok((payments, unread, next))
    }
}

impl Filter {
    /// The index that is read: the one that names fewest.
    fn by(&self) -> Result<By, Problem> {
        let due_before = self.due_before.map(Timestamp::from);
        match (&self.reference, &self.account, due_before, self.state) {
            (Some(reference), Some(account), ..) => {
                Ok(By::Reference(account.clone(), reference.clone()))
            }
            (Some(_), None, ..) => {
                let told = "is missing; a reference is looked for within an account";
                Err(Problem::new(ProblemCode::InvalidQuery, told).of_field("account"))
            }
            (None, _, Some(time), _) => Ok(By::Due(time)),
            (None, _, None, Some(state)) => Ok(By::State(state)),
            (None, _, None, None) => {
                let told = "name a state, an account and a reference, or due_before";
                Err(Problem::new(ProblemCode::InvalidQuery, told).of_field("state"))
            }
        }
    }

    fn fits(&self, loaded: &Loaded) -> bool {
        let request = loaded.payment.request();
        self.state.is_none_or(|state| loaded.stored == state)
            && self
                .account
                .as_ref()
                .is_none_or(|account| *account == request.account)
            && self
                .due_before
                .is_none_or(|time| loaded.due.is_some_and(|due| due < time))
    }
}
