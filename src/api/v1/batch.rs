//! Many requests at once: an answer for each, whatever becomes of the others.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::guard::Caller;
use super::keys::Scope;
use super::pace::LARGEST_BATCH;
use super::problem::{Problem, ProblemCode};
use super::{LARGEST_BATCH_BYTES, LARGEST_BODY_BYTES, Service, body, shown};
use crate::api::intake::Submitted;
use crate::store::{Cards, Store};

/// How many requests of a batch are under way at once.
const AT_ONCE: usize = 64;

/// What is posted. The requests stay text until each has its turn: parsed all at once they would
/// take a hundred times the room.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    requests: Requests,
}

struct Requests(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(UpToTheLargest)
    }
}

/// Stops reading at one request too many.
struct UpToTheLargest;

impl<'de> Visitor<'de> for UpToTheLargest {
    type Value = Requests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of 1 to {LARGEST_BATCH} requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Requests, A::Error> {
        let mut requests = Vec::new();
        while let Some(request) = list.next_element()? {
            requests.push(request);
            if requests.len() > LARGEST_BATCH as usize {
                return Err(serde::de::Error::invalid_length(requests.len(), &self));
            }
        }
        Ok(Requests(requests))
    }
}

/// Takes `{"requests": [...]}`, each with its `idempotency_key`, and answers
/// `{"results": [...]}` in the same order.
pub(super) async fn create_all<S: Store + Cards>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    posted: Body,
) -> Result<Json<Value>, Problem> {
    caller.may(Scope::Enqueue)?;
    let Ok(_place) = service.batches.try_acquire() else {
        let told = "other batches are being taken; send this one again";
        let busy = Problem::new(ProblemCode::RateLimited, told);
        return Err(busy.after(chrono::TimeDelta::zero()));
    };
    let bytes = body::bytes(&headers, posted, LARGEST_BATCH_BYTES).await?;
    let Batch { requests } = serde_json::from_slice(&bytes).map_err(|_| {
        wrong(format!(
            "the body must be {{\"requests\": […]}} with 1 to {LARGEST_BATCH} of them"
        ))
    })?;
    let count = u32::try_from(requests.0.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return Err(wrong("must have 1 request at least"));
    }
    service.count(&caller, count - 1)?;
    let mut recording = Vec::with_capacity(requests.0.len());
    for request in &requests.0 {
        recording.push(one(&service, &caller, request));
    }
    let results: Vec<Value> = stream::iter(recording).buffered(AT_ONCE).collect().await;
    Ok(Json(json!({ "results": results })))
}

fn wrong(told: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, told).of_field("requests")
}

async fn one<S: Store + Cards>(service: &Service<S>, caller: &Caller, request: &RawValue) -> Value {
    match record(service, caller, request).await {
        Ok((submitted, secrets)) => {
            let replayed = matches!(submitted, Submitted::Existing(_));
            let payment = shown::payment(submitted.payment(), secrets);
            let status = if replayed { 200 } else { 201 };
            json!({ "status": status, "replayed": replayed, "payment": payment })
        }
        Err(problem) => {
            json!({ "status": problem.code.status().as_u16(), "problem": problem.json() })
        }
    }
}

async fn record<S: Store + Cards>(
    service: &Service<S>,
    caller: &Caller,
    request: &RawValue,
) -> Result<(Submitted, shown::Secrets), Problem> {
    if request.get().len() > LARGEST_BODY_BYTES {
        let told = format!("a request has {LARGEST_BODY_BYTES} bytes at most");
        return Err(Problem::new(ProblemCode::BodyTooLarge, told));
    }
    let fields: Map<String, Value> =
        serde_json::from_str(request.get()).map_err(|_| wrong("each must be a JSON object"))?;
    service.record(caller, body::keyed(fields, None)?).await
}
