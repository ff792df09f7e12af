//! To plan reruns of payments, and to have a plan applied. Whoever plans sees the payments of
//! its own accounts alone; a worker asks the gateway and carries out.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::guard::Caller;
use super::keys::Scope;
use super::problem::{Problem, ProblemCode};
use super::{Service, body};
use crate::operate::planning::{self, Listed, PlanError, Said};
use crate::operate::shown::{summary, whole};
use crate::operate::{Filter, MOST_PAYMENTS, Plan, PlanCommand, Selection};
use crate::payment::{AccountName, KEYED, PaymentId, StateName};
use crate::store::{PlanId, Plans, Store};

/// How many plans are listed at most.
const MOST_LISTED: usize = 200;

type Id = Result<Path<String>, PathRejection>;
type Answer = Result<(StatusCode, Json<Value>), Problem>;

/// Of which payments a plan is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    payments: Option<Vec<PaymentId>>,
    state: Option<StateName>,
    account: Option<AccountName>,
    reason: Option<String>,
    older_than_ms: Option<u64>,
}

impl Wanted {
    fn selection(self) -> Result<Selection, Problem> {
        let wrong = |field: &str, told: &str| {
            Err(Problem::new(ProblemCode::InvalidRequest, told).of_field(field))
        };
        let filters =
            self.account.is_some() || self.reason.is_some() || self.older_than_ms.is_some();
        match (self.payments, self.state) {
            (Some(payments), None) if !filters => {
                if payments.is_empty() || payments.len() > MOST_PAYMENTS {
                    return wrong("payments", "must have 1 to 1000 ids");
                }
                Ok(Selection::Payments(payments))
            }
            (None, Some(state)) if !state.is_finished() => Ok(Selection::Matching(Filter {
                state,
                account: self.account,
                reason: self.reason,
                older_than_ms: self.older_than_ms,
            })),
            (None, Some(_)) => wrong("state", "what has ended cannot be rerun"),
            _ => wrong(
                "payments",
                "give payments alone, or a state, which may be narrowed down",
            ),
        }
    }
}

pub(super) async fn make<S: Store + Plans>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    posted: Body,
) -> Answer {
    may_operate(&caller)?;
    let wanted: Wanted = read(body::object(&headers, posted).await?)?;
    if let Some(account) = &wanted.account {
        caller.may_ask_of(account)?;
    }
    service.keeps_what_is_new()?;
    let now = service.clock.now();
    let mut plan = Plan::wanted(wanted.selection()?, &actor(&caller), now);
    plan.accounts = caller.accounts().cloned();
    let plan = service
        .in_time(planning::ask(&*service.store, plan, &caller.mandate()))
        .await?;
    tracing::info!(plan.id = %plan.id, key = caller.name(), "a plan is wanted");
    Ok((StatusCode::ACCEPTED, Json(whole(&plan, now))))
}

pub(super) async fn list<S: Store + Plans>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    may_operate(&caller)?;
    let now = service.clock.now();
    let seen = |plan: &Plan| sees(&caller, plan).then(|| summary(plan, now));
    let listed = planning::plans(&*service.store, MOST_LISTED, seen);
    let Listed { plans, more } = service.in_time(listed).await?;
    Ok(Json(json!({ "plans": plans, "more": more })))
}

pub(super) async fn show<S: Store + Plans>(
    State(service): State<Arc<Service<S>>>,
    Extension(caller): Extension<Caller>,
    id: Id,
) -> Result<Json<Value>, Problem> {
    may_operate(&caller)?;
    let plan = service.plan(&caller, id).await?;
    Ok(Json(whole(&plan, service.clock.now())))
}

/// What a person says about a plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    reason: String,
}

/// Applies, stops or resumes a plan.
pub(super) async fn run<S: Store + Plans>(
    command: PlanCommand,
    service: Arc<Service<S>>,
    caller: Caller,
    (id, headers, posted): (Id, HeaderMap, Body),
) -> Answer {
    may_operate(&caller)?;
    let Because { reason } = read(body::object(&headers, posted).await?)?;
    let said = Said::new(&actor(&caller), &reason, &caller.mandate()).map_err(|error| {
        Problem::new(ProblemCode::InvalidRequest, error.to_string()).of_field("reason")
    })?;
    let plan = service.plan(&caller, id).await?;
    let judge = |plan: &Plan| {
        may_command(&caller, plan, command)?;
        match command {
            // A stop stands while Redis falls short as well.
            PlanCommand::Stop => Ok(()),
            PlanCommand::Apply | PlanCommand::Resume => service.keeps_what_is_new(),
        }
    };
    let (store, clock) = (&*service.store, &service.clock);
    let commanding = planning::command_if(store, clock, (&plan.id, command), &said, judge);
    let plan = service.in_time(commanding).await?;
    let name = command.as_str();
    tracing::info!(plan.id = %plan.id, key = caller.name(), done = name, "a plan was commanded");
    let shown = whole(&plan, service.clock.now());
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

impl<S: Store + Plans> Service<S> {
    /// The plan of that id, if there is one that the caller may see. To others it is not there.
    async fn plan(&self, caller: &Caller, id: Id) -> Result<Plan, Problem> {
        let given = id.ok().and_then(|Path(id)| id.parse::<PlanId>().ok());
        let Some(id) = given else {
            let told = "a plan's id is plan_ and 32 hexadecimal digits";
            return Err(Problem::new(ProblemCode::PlanNotFound, told));
        };
        let plan = self.in_time(planning::plan(&*self.store, &id)).await?;
        if sees(caller, &plan) {
            return Ok(plan);
        }
        Err(PlanError::Missing(id).into())
    }
}

/// Reads what was posted, one field at a time told where it is wrong.
fn read<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => "body".to_owned(),
            path => path,
        };
        Problem::new(ProblemCode::InvalidRequest, error.inner().to_string()).of_field(&field)
    })
}

/// Whether the caller may look at plans at all.
pub(in crate::api) fn may_operate(caller: &Caller) -> Result<(), Problem> {
    caller.may(Scope::Operate)
}

/// Who plans and applies, as it stands in records: no person of the terminal has such a name.
pub(in crate::api) fn actor(caller: &Caller) -> String {
    format!("{KEYED}{}", caller.name())
}

/// Whether the caller may give this plan a command, by what it sees and by how much money it may move.
/// Nobody is sent away who must stop one, whatever else the key may not do.
pub(in crate::api) fn may_command(
    caller: &Caller,
    plan: &Plan,
    command: PlanCommand,
) -> Result<(), Problem> {
    if !sees(caller, plan) {
        return Err(PlanError::Missing(plan.id.clone()).into());
    }
    match command {
        PlanCommand::Stop => Ok(()),
        PlanCommand::Apply | PlanCommand::Resume => caller.may_move(plan.largest_moved()),
    }
}

/// Whether the caller may see all that the plan may be of.
pub(in crate::api) fn sees(caller: &Caller, plan: &Plan) -> bool {
    match (caller.accounts(), &plan.accounts) {
        (None, _) => true,
        (Some(mine), Some(of)) => of.is_subset(mine),
        (Some(_), None) => false,
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let told = error.to_string();
        match error {
            PlanError::Missing(_) => Self::new(ProblemCode::PlanNotFound, told),
            PlanError::NotNow(_) => Self::new(ProblemCode::PlanNotNow, told),
            PlanError::Busy(_) => {
                Self::new(ProblemCode::Busy, told).after(chrono::TimeDelta::zero())
            }
            PlanError::Store(error) => error.into(),
        }
    }
}
