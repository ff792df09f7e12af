//! To have a plan made, seen, applied, stopped and resumed. A worker carries it out
//! (`worker/plans.rs`); what is written here is only what is wanted.

use crate::clock::Clock;
use crate::payment::Timestamp;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::{FoundPlan, PlanId, PlanWrite, Plans, StoreError, json_of};

use super::plan::{Applied, NotNow, Phase, Plan, PlanCommand};

/// How often a plan is changed anew when somebody else changes it at the same time.
const MOST_TRIES: usize = 20;
/// So many plans are looked at for one list, and so much is read for it, or one plan more.
const MOST_SOUGHT: usize = 1_000;
const MOST_READ_BYTES: usize = 16 * 1024 * 1024;
/// The longest name of an actor and the longest reason, in characters.
const LONGEST_WORD: usize = 500;

/// Who says something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    by: String,
    reason: String,
    mandate: Mandate,
}

/// What is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say who and why in 1 to {LONGEST_WORD} characters each")]
pub struct Unsaid;

impl Said {
    /// That `by` says something for a reason; the audit log has it under `mandate`.
    pub fn new(by: &str, reason: &str, mandate: &Mandate) -> Result<Self, Unsaid> {
        let fine = |text: &str| !text.is_empty() && text.chars().count() <= LONGEST_WORD;
        let (by, reason) = (by.trim(), reason.trim());
        if fine(by) && fine(reason) {
            return Ok(Self {
                by: by.to_owned(),
                reason: reason.to_owned(),
                mandate: mandate.clone().because(Some(reason)),
            });
        }
        Err(Unsaid)
    }

    /// On whose word the audit log has it.
    #[must_use]
    pub const fn mandate(&self) -> &Mandate {
        &self.mandate
    }

    /// The same, said at a time.
    fn at(&self, now: Timestamp) -> Applied {
        Applied::new(&self.by, &self.reason, &self.mandate, now)
    }

    /// Why a run is stopped by it.
    fn stops(&self) -> String {
        format!("by {}: {}", self.by, self.reason)
    }

    /// Whether `plan` heard this before, when it had been set going `runs` times: then it is not said
    /// once more, but twice the same.
    #[must_use]
    pub fn was_heard(&self, plan: &Plan, command: PlanCommand, runs: usize) -> bool {
        let same = |applied: &Applied| applied.by == self.by && applied.reason == self.reason;
        match command {
            PlanCommand::Apply => runs == 0 && plan.applied.as_ref().is_some_and(same),
            PlanCommand::Resume => runs > 0 && plan.resumed.get(runs - 1).is_some_and(same),
            PlanCommand::Stop => {
                let stopped = matches!(&plan.phase, Phase::Stopped { why } if *why == self.stops());
                stopped
            }
        }
    }
}

/// Why nothing was done about a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is none.
    #[error("there is no plan {0}; plans are kept for 30 days")]
    Missing(PlanId),
    /// It is not in a state for it.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// It kept changing.
    #[error("{0} changes too quickly; nothing was done, try again")]
    Busy(PlanId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a plan as it is stored.
pub fn read(id: &PlanId, found: &FoundPlan) -> Result<Plan, StoreError> {
    let plan = serde_json::from_str::<Plan>(&found.text).ok();
    let plan = plan.filter(Plan::is_readable);
    plan.ok_or_else(|| StoreError::Unreadable {
        id: id.to_string(),
        problem: "it is not as this version writes it".to_owned(),
    })
}

/// Writes a plan, if nobody wrote it since it was found. Due again when it says so.
pub async fn write<S: Plans>(
    store: &S,
    found: Option<&FoundPlan>,
    plan: &Plan,
    audit: Option<&AuditEntry>,
) -> Result<Option<FoundPlan>, StoreError> {
    let text = json_of(plan, "a plan")?;
    let write = PlanWrite {
        text: &text,
        due: Some(plan.due_at),
        audit,
    };
    store.keep_plan(&plan.id, found, write).await
}

/// Has a plan made.
pub async fn ask<S: Plans>(store: &S, plan: Plan, by: &Mandate) -> Result<Plan, PlanError> {
    let audit = AuditEntry::of_plan(by, "plan_make", plan.id.as_str(), plan.made_at);
    match write(store, None, &plan, Some(&audit)).await? {
        Some(_) => Ok(plan),
        None => Err(PlanError::Busy(plan.id)),
    }
}

/// A plan.
pub async fn plan<S: Plans>(store: &S, id: &PlanId) -> Result<Plan, PlanError> {
    let found = store.plan(id).await?;
    let found = found.ok_or_else(|| PlanError::Missing(id.clone()))?;
    Ok(read(id, &found)?)
}

/// Plans as they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The newest first.
    pub plans: Vec<T>,
    /// Whether others were not looked at.
    pub more: bool,
}

/// What `listed` makes of up to `most` plans that can be read: of those that a worker carries out, and
/// of the newest. What it makes nothing of does not count. One plan is held at a time.
pub async fn plans<S: Plans, T: Send>(
    store: &S,
    most: usize,
    listed: impl Fn(&Plan) -> Option<T> + Send + Sync,
) -> Result<Listed<T>, PlanError> {
    let (mut all, mut read_bytes) = (Vec::new(), 0);
    let ids = store.plans(MOST_SOUGHT).await?;
    let mut more = ids.len() == MOST_SOUGHT;
    for id in ids {
        if all.len() == most || read_bytes >= MOST_READ_BYTES {
            more = true;
            break;
        }
        let Some(found) = store.plan(&id).await? else {
            continue;
        };
        read_bytes += found.text.len();
        if let Ok(plan) = read(&id, &found)
            && let Some(shown) = listed(&plan)
        {
            all.push(((plan.made_at, plan.id), shown));
        }
    }
    all.sort_by(|(one, _), (other, _)| other.cmp(one));
    let plans = all.into_iter().map(|(_, shown)| shown).collect();
    Ok(Listed { plans, more })
}

/// Has a plan applied.
pub async fn apply<S: Plans>(
    store: &S,
    clock: &Clock,
    id: &PlanId,
    said: &Said,
) -> Result<Plan, PlanError> {
    command_if(store, clock, (id, PlanCommand::Apply), said, |_| Ok(())).await
}

/// Stops a run: nothing more is told to any payment.
pub async fn stop<S: Plans>(
    store: &S,
    clock: &Clock,
    id: &PlanId,
    said: &Said,
) -> Result<Plan, PlanError> {
    command_if(store, clock, (id, PlanCommand::Stop), said, |_| Ok(())).await
}

/// Goes on with a run that was stopped.
pub async fn resume<S: Plans>(
    store: &S,
    clock: &Clock,
    id: &PlanId,
    said: &Said,
) -> Result<Plan, PlanError> {
    command_if(store, clock, (id, PlanCommand::Resume), said, |_| Ok(())).await
}

/// Commands a plan, if `judge` has nothing against it. It is asked of the very plan that is changed:
/// what one is about is not known before a worker has asked about all of it.
pub async fn command_if<S: Plans, E: From<PlanError>>(
    store: &S,
    clock: &Clock,
    (id, command): (&PlanId, PlanCommand),
    said: &Said,
    judge: impl Fn(&Plan) -> Result<(), E>,
) -> Result<Plan, E> {
    let failed = |error: StoreError| E::from(PlanError::Store(error));
    for _ in 0..MOST_TRIES {
        let found = store.plan(id).await.map_err(failed)?;
        let found = found.ok_or_else(|| PlanError::Missing(id.clone()))?;
        let mut plan = read(id, &found).map_err(failed)?;
        judge(&plan)?;
        let now = clock.now();
        let changed = match command {
            PlanCommand::Apply => plan.apply(said.at(now), now),
            PlanCommand::Stop => plan.stop(said.stops(), now),
            PlanCommand::Resume => plan.resume(said.at(now), now),
        };
        changed.map_err(PlanError::NotNow)?;
        let audit = AuditEntry::of_plan(&said.mandate, command.action(), id.as_str(), now);
        let written = write(store, Some(&found), &plan, Some(&audit)).await;
        if written.map_err(failed)?.is_some() {
            return Ok(plan);
        }
    }
    Err(PlanError::Busy(id.clone()).into())
}
