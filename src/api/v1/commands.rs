//! To command a payment. The answer is honest: what was too late was too late.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::create::{Waiting, answer, waits};
use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use super::{Service, body, shown};
use crate::api::intake::{self, Commanded, Said};
use crate::payment::{Command, CommandAnswer, IdempotencyKey, InvalidRequest};
use crate::store::Store;

/// Everything that is posted to the address of a command.
pub(super) struct Posted {
    pub(super) id: String,
    pub(super) query: Result<Query<Waiting>, QueryRejection>,
    pub(super) headers: HeaderMap,
    pub(super) body: Result<Bytes, BytesRejection>,
}

/// Gives the command `name`.
pub(super) async fn give<S: Store>(
    name: &'static str,
    service: Arc<Service<S>>,
    caller: Caller,
    posted: Posted,
) -> Result<Response, Problem> {
    caller.may(Scope::Command)?;
    let waits = waits(posted.query)?;
    let mut fields = body::object(&posted.headers, posted.body)?;
    let key = body::demanded(body::idempotency_key(&posted.headers)?)?;
    let key = IdempotencyKey::new(key).map_err(|error| {
        Problem::new(ProblemCode::InvalidRequest, error.to_string()).of_field("Idempotency-Key")
    })?;
    fields.insert("command".to_owned(), name.into());
    let command = Command::from_json(Value::Object(fields).to_string().as_bytes())?;
    let before = service.seen(&caller, &posted.id).await?.payment;
    let (id, from) = (before.id(), before.state().name());
    let what = (id, &key, &command);
    let commanding = intake::command(&*service.store, &service.clock, &service.policies, what);
    let Commanded {
        answer: told,
        payment,
        said,
    } = service.in_time(commanding).await.map_err(reused)?;
    tracing::info!(payment.id = %id, command = name, key = caller.name(), ?told, "commanded");
    if let Some(problem) = Problem::of_answer(told) {
        let payment = Some(Box::new(shown::payment(&payment)));
        return Err(Problem { payment, ..problem });
    }
    let payment = match waits {
        Some(time) => service.moved_on(payment, from, time).await,
        None => payment,
    };
    let status = match told {
        CommandAnswer::Done => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok(answer(status, &payment, said == Said::Before))
}

/// A key that named another command is told as what it is.
fn reused(problem: Problem) -> Problem {
    if problem.field.as_deref() == Some(InvalidRequest::KEY_FIELD) {
        return Problem {
            code: ProblemCode::IdempotencyKeyReused,
            ..problem
        };
    }
    problem
}
