//! Payments of a plan that is applied are told to be rerun, stage by stage.
//!
//! Some at a time are noted as told, and then told: the note is written by comparing the whole plan, so
//! that a stop stands before the next ones, and a plan that is stopped leaves none out that was told. One
//! that was noted and not told, because a worker died in between, is told by the next one, under the same
//! key: its record knows whether it was.

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};

use super::{LEASE, Planner};
use crate::api::intake::{self, Commanded, Given, IntakeError};
use crate::gateway::Gateway;
use crate::operate::{Fate, Phase, Plan, Planned, planning};
use crate::payment::{Command, CommandAnswer, IdempotencyKey, Payment};
use crate::store::audit::Mandate;
use crate::store::{FoundPlan, Loaded, Plans, Store, StoreError};

/// How many payments are noted and told at once: so many at most are told once somebody stopped it.
const TOLD_AT_ONCE: usize = 8;
/// How long a step waits for payments to come to rest, before it looks at them again.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);
/// How often a plan that keeps changing is tried to be written.
const MOST_TRIES: usize = 20;

/// What payments of a plan are told.
struct Order {
    key: IdempotencyKey,
    command: Command,
    by: Mandate,
}

impl Order {
    /// The same command however often it is told, and whoever had the plan go on: its key stands for it.
    fn of(plan: &Plan) -> Option<Self> {
        let applied = plan.applied.as_ref()?;
        let (reason, actor) = (applied.reason.clone(), applied.by.clone());
        Some(Self {
            key: plan.key().ok()?,
            command: Command::Rerun { reason, actor },
            by: plan.mandate()?.clone(),
        })
    }

    /// Whether `payment` took it.
    fn is_in(&self, payment: &Payment) -> bool {
        let mut given = payment.commands().iter();
        given.any(|entry| entry.key == self.key && entry.answer.is_accepted())
    }
}

impl<S: Store + Plans, G: Gateway> Planner<S, G> {
    /// Looks what came of the payments that were told, and tells the next ones once nothing is open.
    pub(super) async fn go_on(&self, mut plan: Plan, found: FoundPlan) -> Result<bool, StoreError> {
        let Some(order) = Order::of(&plan) else {
            return Ok(false);
        };
        let open = plan.open();
        let found = if open.is_empty() {
            self.tell_stage(&mut plan, found, &order).await?
        } else {
            self.judge(&mut plan, open, &order).await?;
            Some(found)
        };
        let kept = match found {
            Some(found) => {
                let now = self.clock.now();
                plan.due_at = now + LOOK_AGAIN;
                plan.staged(now);
                self.keep(&plan, &found).await?
            }
            None => false,
        };
        if !kept {
            self.note_in_stopped(&plan).await?;
        }
        Ok(kept)
    }

    /// Tells the payments of the next stage to be rerun, each once for the plan. `None`: somebody changed
    /// the plan meanwhile, and the rest is not told.
    async fn tell_stage(
        &self,
        plan: &mut Plan,
        mut found: FoundPlan,
        order: &Order,
    ) -> Result<Option<FoundPlan>, StoreError> {
        for places in plan.next_stage().chunks(TOLD_AT_ONCE) {
            let at = self.clock.now();
            plan.due_at = at + LEASE;
            for place in places {
                plan.payments[*place].fate = Fate::Given { at };
            }
            let Some(noted) = planning::write(&*self.store, Some(&found), plan, None).await? else {
                for place in places {
                    plan.payments[*place].fate = Fate::Waits;
                }
                return Ok(None);
            };
            found = noted;
            self.tell(plan, places, order).await?;
        }
        Ok(Some(found))
    }

    /// Tells some, and notes in `plan` what came of it.
    async fn tell(
        &self,
        plan: &mut Plan,
        places: &[usize],
        order: &Order,
    ) -> Result<(), StoreError> {
        let mut telling = Vec::with_capacity(places.len());
        for place in places {
            telling.push(self.tell_one(&plan.payments[*place], order));
        }
        let told: Vec<_> = stream::iter(telling).buffered(TOLD_AT_ONCE).collect().await;
        for (place, fate) in places.iter().zip(told) {
            plan.payments[*place].fate = fate?;
        }
        Ok(())
    }

    /// Tells one payment, if it is as it was planned. It is asked of the very record that the command is
    /// written into.
    async fn tell_one(&self, planned: &Planned, order: &Order) -> Result<Fate, StoreError> {
        let still = |payment: &Payment| {
            let seen = planned.seen.as_ref();
            let same = seen.is_some_and(|seen| seen.is_still(payment));
            same.then_some(()).ok_or(())
        };
        let policies = self.policies.get();
        let what = Given {
            to: &planned.payment,
            key: &order.key,
            command: &order.command,
            by: &order.by,
        };
        let told = intake::command_if(&*self.store, &self.clock, &policies, what, &still).await;
        match told {
            Ok(Ok(Commanded {
                answer: CommandAnswer::Accepted,
                ..
            })) => Ok(Fate::Given {
                at: self.clock.now(),
            }),
            // It ended, or somebody else was quicker.
            Ok(Ok(_) | Err(())) | Err(IntakeError::Missing(_)) => Ok(Fate::ChangedSince),
            // Is told with the next stage.
            Err(IntakeError::Busy(_)) => Ok(Fate::Waits),
            Err(IntakeError::Store(error)) if !error.is_about_one() => Err(error),
            Err(error) => {
                tracing::warn!(payment.id = %planned.payment, %error, "a planned rerun is not told");
                Ok(Fate::ChangedSince)
            }
        }
    }

    /// Looks what came of those that were told.
    async fn judge(
        &self,
        plan: &mut Plan,
        open: Vec<usize>,
        order: &Order,
    ) -> Result<(), StoreError> {
        let policies = self.policies.get();
        let mut loading = Vec::with_capacity(open.len());
        for place in &open {
            loading.push(self.store.load(&plan.payments[*place].payment));
        }
        let loaded: Vec<_> = stream::iter(loading).buffered(TOLD_AT_ONCE).collect().await;
        let mut untold = Vec::new();
        for (place, loaded) in open.into_iter().zip(loaded) {
            let planned = &mut plan.payments[place];
            match loaded {
                Ok(Some(Loaded { payment, .. })) if order.is_in(&payment) => {
                    let policy = policies.get(&payment.request().account);
                    planned.came_out(&payment, self.clock.now(), policy);
                }
                Ok(Some(_)) => untold.push(place),
                Ok(None) => planned.fate = Fate::ChangedSince,
                Err(error) if error.is_about_one() => planned.fate = Fate::ChangedSince,
                Err(error) => return Err(error),
            }
        }
        for places in untold.chunks(TOLD_AT_ONCE) {
            self.tell(plan, places, order).await?;
        }
        Ok(())
    }

    /// A plan that was stopped during a step still says what became of those that were told.
    async fn note_in_stopped(&self, plan: &Plan) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            let Some(found) = self.store.plan(&plan.id).await? else {
                return Ok(());
            };
            let mut stopped = planning::read(&plan.id, &found)?;
            if !matches!(stopped.phase, Phase::Stopped { .. }) {
                return Ok(());
            }
            let both = stopped.payments.iter_mut().zip(&plan.payments);
            for (noted, planned) in both.filter(|(it, _)| matches!(it.fate, Fate::Given { .. })) {
                noted.fate = planned.fate.clone();
            }
            let noted = planning::write(&*self.store, Some(&found), &stopped, None);
            if noted.await?.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}
