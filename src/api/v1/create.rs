//! To ask for a payment.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use super::shown::{self, Secrets};
use super::{Service, body, wait};
use crate::api::intake::{Submitted, recorded, submit};
use crate::payment::{Request, StateName};
use crate::store::{Cards, Store};

/// Says that nothing was done now: it is the answer of before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How long the caller wants to wait.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    pub(super) wait: Option<String>,
}

pub(super) async fn create<S: Store + Cards>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<Waiting>, QueryRejection>,
    headers: HeaderMap,
    posted: Body,
) -> Result<Response, Problem> {
    caller.may(Scope::Enqueue)?;
    let waits = waits(query)?;
    let fields = body::object(&headers, posted).await?;
    let fields = body::keyed(fields, body::idempotency_key(&headers)?)?;
    let (submitted, secrets) = service.record(&caller, fields).await?;
    let again = matches!(submitted, Submitted::Existing(_));
    let payment = submitted.into_payment();
    let payment = match waits {
        Some(time) => service.moved_on(payment, StateName::New, time).await,
        None => payment,
    };
    let status = if again {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(answer(status, shown::payment(&payment, secrets), again))
}

/// The time to wait, if the query names one.
pub(super) fn waits(
    query: Result<Query<Waiting>, QueryRejection>,
) -> Result<Option<std::time::Duration>, Problem> {
    let Query(Waiting { wait }) = query.map_err(|_| {
        Problem::new(
            ProblemCode::InvalidQuery,
            "the query may have wait, and nothing else",
        )
    })?;
    wait.as_deref().map(wait::duration).transpose()
}

/// A payment as the answer, and whether it is that of before.
pub(super) fn answer(status: StatusCode, payment: Value, again: bool) -> Response {
    let id = payment["id"].as_str().unwrap_or_default();
    let address = HeaderValue::from_str(&format!("/v1/payments/{id}"));
    let mut response = (status, Json(payment)).into_response();
    let headers = response.headers_mut();
    headers.extend(address.ok().map(|address| (header::LOCATION, address)));
    if again {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

impl<S: Store + Cards> Service<S> {
    /// Records a request, once for its key, if the caller may ask for it. Links and tokens are for
    /// whoever may ask for it today.
    pub(super) async fn record(
        &self,
        caller: &Caller,
        fields: Map<String, Value>,
    ) -> Result<(Submitted, Secrets), Problem> {
        let json = Value::Object(fields).to_string();
        let request = Request::from_json(json.as_bytes())?;
        caller.may_ask_of(&request.account)?;
        if let Err(refused) = caller.may_ask_for(&request) {
            return Ok((self.known_or(&request, refused).await?, Secrets::Left));
        }
        if let Err(refused) = self.keeps_what_is_new() {
            return Ok((self.known_or(&request, refused).await?, Secrets::Shown));
        }
        let policies = self.policies.get();
        let submitting = submit(&*self.store, &self.clock, &policies, request);
        let submitted = self.in_time(submitting).await?;
        tracing::info!(
            payment.id = %submitted.payment().id(),
            account = %submitted.payment().request().account,
            key = caller.name(),
            again = matches!(submitted, Submitted::Existing(_)),
            "a payment was asked for"
        );
        Ok((submitted, Secrets::Shown))
    }

    /// The payment of this very request, if it was recorded before: it is answered whatever holds by
    /// now, as a refusal would be read as "nothing was done".
    async fn known_or(&self, request: &Request, refused: Problem) -> Result<Submitted, Problem> {
        let recorded = self.in_time(recorded(&*self.store, request)).await?;
        recorded.map(Submitted::Existing).ok_or(refused)
    }
}
