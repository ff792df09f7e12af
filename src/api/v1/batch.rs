//! Many requests at once: an answer for each, whatever becomes of the others.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use super::{LARGEST_BODY_BYTES, Service, body, shown};
use crate::api::intake::Submitted;
use crate::store::Store;

/// How many requests a batch may have.
const MOST_REQUESTS: usize = 1_000;
/// How many of them are under way at once.
const AT_ONCE: usize = 64;

/// Takes `{"requests": [...]}`, each with its `idempotency_key`, and answers
/// `{"results": [...]}` in the same order.
pub(super) async fn create_all<S: Store>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    posted: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    caller.may(Scope::Enqueue)?;
    let mut fields = body::object(&headers, posted)?;
    let requests = fields.remove("requests");
    let (Some(Value::Array(requests)), true) = (requests, fields.is_empty()) else {
        return Err(wrong(
            "must be a list, and nothing else may stand beside it",
        ));
    };
    if requests.is_empty() || requests.len() > MOST_REQUESTS {
        return Err(wrong(format!("must have 1 to {MOST_REQUESTS} requests")));
    }
    let further = u32::try_from(requests.len() - 1).unwrap_or(u32::MAX);
    service.count(&caller, further)?;
    let recording = requests
        .into_iter()
        .map(|request| one(&service, &caller, request));
    let results: Vec<Value> = stream::iter(recording).buffered(AT_ONCE).collect().await;
    Ok(Json(json!({ "results": results })))
}

fn wrong(told: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, told).of_field("requests")
}

async fn one<S: Store>(service: &Service<S>, caller: &Caller, request: Value) -> Value {
    match record(service, caller, request).await {
        Ok(Submitted::New(payment)) => {
            json!({ "status": 201, "replayed": false, "payment": shown::payment(&payment) })
        }
        Ok(Submitted::Existing(payment)) => {
            json!({ "status": 200, "replayed": true, "payment": shown::payment(&payment) })
        }
        Err(problem) => {
            json!({ "status": problem.code.status().as_u16(), "problem": problem.json() })
        }
    }
}

async fn record<S: Store>(
    service: &Service<S>,
    caller: &Caller,
    request: Value,
) -> Result<Submitted, Problem> {
    let Value::Object(fields) = request else {
        return Err(wrong("each must be a JSON object"));
    };
    if serde_json::to_string(&fields).is_ok_and(|text| text.len() > LARGEST_BODY_BYTES) {
        let told = "a request has 64 KiB at most";
        return Err(Problem::new(ProblemCode::BodyTooLarge, told));
    }
    service.record(caller, body::keyed(fields, None)?).await
}
