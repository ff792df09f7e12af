//! To command a payment. The answer is honest: what was too late was too late.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::create::{Waiting, answer, waits};
use super::guard::Caller;
use super::keys::Scope;
use super::plans::actor;
use super::problem::{Problem, ProblemCode};
use super::{Service, body, shown};
use crate::api::intake::{self, Commanded, Given, Said};
use crate::operate::rerun_moves;
use crate::payment::{Amount, Command, CommandAnswer, IdempotencyKey, Payment, StateName};
use crate::store::Store;

/// Commands by which people settle what is parked.
const OF_OPERATORS: [&str; 3] = ["resolve_as_shown", "propose_by_hand", "approve_by_hand"];

/// Everything that is posted to the address of a command.
pub(super) struct Posted {
    pub(super) id: Result<Path<String>, PathRejection>,
    pub(super) query: Result<Query<Waiting>, QueryRejection>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// Gives the command `name`.
pub(super) async fn give<S: Store>(
    name: &'static str,
    service: Arc<Service<S>>,
    caller: Caller,
    posted: Posted,
) -> Result<Response, Problem> {
    caller.may(scope(name))?;
    let waits = waits(posted.query)?;
    let key = key(&posted.headers)?;
    let command = read(name, &caller, &posted.headers, posted.body).await?;
    let before = service.seen(&caller, posted.id).await?.payment;
    let judge = |payment: &Payment| {
        may(&caller, payment, &command)?;
        service.keeps_what_is_new()
    };
    // What was taken when it was allowed is answered as it was then: a refusal would be read as
    // "nothing was done".
    if !before.was_given(&key, &command) {
        judge(&before)?;
    }
    let what = Given {
        to: before.id(),
        key: &key,
        command: &command,
        by: &caller.mandate(),
    };
    let policies = service.policies.get();
    let commanding = intake::command_if(&*service.store, &service.clock, &policies, what, &judge);
    let Commanded {
        answer: told,
        payment,
        said,
    } = service
        .in_time(commanding)
        .await
        .map_err(Problem::of_command)??;
    tracing::info!(payment.id = %before.id(), command = name, key = caller.name(), ?told, "commanded");
    let shows = |payment: &Payment| shown::payment(payment, caller.secrets());
    if let Some(problem) = Problem::of_answer(told) {
        let problem = problem.about(shows(&payment));
        return Err(Problem { said, ..problem });
    }
    let moves = told == CommandAnswer::Accepted && said == Said::Now && name != "reschedule";
    let payment = match waits.filter(|_| moves) {
        Some(time) => {
            let from = payment.state().name();
            service.moved_on(payment, from, time).await
        }
        None => payment,
    };
    let status = match told {
        CommandAnswer::Done => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok(answer(status, shows(&payment), said == Said::Before))
}

fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let key = body::demanded(body::idempotency_key(headers)?)?;
    IdempotencyKey::new(key).map_err(|error| {
        Problem::new(ProblemCode::InvalidRequest, error.to_string()).of_field("Idempotency-Key")
    })
}

/// What a key must be for: to settle by word what is parked is for operators, whatever its state.
fn scope(name: &str) -> Scope {
    if OF_OPERATORS.contains(&name) {
        Scope::Operate
    } else {
        Scope::Command
    }
}

async fn read(
    name: &str,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<Command, Problem> {
    let mut fields = body::object(headers, body).await?;
    let speaks = OF_OPERATORS.contains(&name);
    if speaks
        && fields
            .insert("actor".to_owned(), actor(caller).into())
            .is_some()
    {
        // Two keys are two people; two names in a body are not.
        let told = "does not belong here: the key says who it is";
        return Err(Problem::new(ProblemCode::InvalidRequest, told).of_field("actor"));
    }
    if fields.insert("command".to_owned(), name.into()).is_some() {
        // Whoever posts a release to the address of captures means one of them.
        let told = "does not belong here: the address says which command it is";
        return Err(Problem::new(ProblemCode::InvalidRequest, told).of_field("command"));
    }
    Ok(Command::from_json(
        Value::Object(fields).to_string().as_bytes(),
    )?)
}

/// Whether the caller may give this command to this payment.
pub(in crate::api) fn may(
    caller: &Caller,
    payment: &Payment,
    command: &Command,
) -> Result<(), Problem> {
    if payment.state().name() == StateName::Parked && caller.may(Scope::Operate).is_err() {
        let told = "the payment waits for a person; the key lacks the scope operate";
        return Err(Problem::new(ProblemCode::Parked, told));
    }
    caller.may_move(moved(payment, command))
}

/// How much a command may let be taken, in minor units.
pub(in crate::api) fn moved(payment: &Payment, command: &Command) -> u64 {
    match command {
        Command::Rerun { .. } => rerun_moves(payment),
        other => payment.lets_take(other).map_or(0, Amount::minor),
    }
}
