//! Payments of a plan that is applied are told to be rerun, stage by stage.
//!
//! Some at a time are noted as told, and then told: the note is written by comparing the whole plan, so
//! that a stop stands before the next ones, and a plan that is stopped leaves none out that was told. One
//! that was noted and not told, because a worker died in between, is told by the next one, under the same
//! key: its record knows whether it was. A look that shows nothing new writes nothing.

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
/// How long nothing is told while Redis may lose it.
const UNKEPT_REST: TimeDelta = TimeDelta::seconds(5);
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
        let mut tried = plan.told_in_this_run(&open);
        let untold = self.judge(&mut plan, &open, &order).await?;
        tried.retain(|place| !untold.contains(place));
        let mut to_tell = plan.told_now(&untold, &tried);
        let mut held_back = untold;
        held_back.retain(|place| !to_tell.contains(place));
        tried.extend(&to_tell);
        // What is told while Redis may lose it might be told and not be known as told.
        let (keeps, news) = (self.store.durability().is_ok(), plan.open() != open);
        if keeps && open.is_empty() {
            to_tell = self.next_places(&mut plan, &order).await?;
            tried.clone_from(&to_tell);
        } else if !news && (to_tell.is_empty() || !keeps) {
            let now = self.clock.now();
            let rest = if keeps {
                plan.look_after(now)
            } else {
                UNKEPT_REST
            };
            self.store.postpone_plan(&plan.id, now + rest).await?;
            return Ok(false);
        }
        if !keeps {
            to_tell.clear();
        }
        let kept = match self.tell_all(&mut plan, found, &to_tell, &order).await? {
            Some(found) => {
                let now = self.clock.now();
                plan.due_at = now + plan.look_after(now);
                plan.staged(&tried, &held_back, now);
                self.keep(&plan, &found).await?
            }
            None => false,
        };
        if !kept {
            self.note_in_stopped(&plan).await?;
        }
        Ok(kept)
    }

    /// The places of those that are told next. Where one is tried, those are passed by that changed since:
    /// they tell nothing of the others.
    async fn next_places(&self, plan: &mut Plan, order: &Order) -> Result<Vec<usize>, StoreError> {
        loop {
            let places = plan.next_stage();
            let [place] = places[..] else {
                return Ok(places);
            };
            let planned = &mut plan.payments[place];
            match self.store.load(&planned.payment).await {
                Ok(Some(Loaded { payment, .. }))
                    if !order.is_in(&payment) && !planned.is_still(&payment) =>
                {
                    planned.fate = Fate::ChangedSince;
                }
                Err(error) if !error.is_about_one() => return Err(error),
                Ok(_) | Err(_) => return Ok(places),
            }
        }
    }

    /// Tells these payments to be rerun, each once for the plan. `None`: somebody changed the plan
    /// meanwhile, and the rest is not told.
    async fn tell_all(
        &self,
        plan: &mut Plan,
        mut found: FoundPlan,
        places: &[usize],
        order: &Order,
    ) -> Result<Option<FoundPlan>, StoreError> {
        for places in places.chunks(TOLD_AT_ONCE) {
            let at = self.clock.now();
            plan.due_at = at + LEASE;
            let before: Vec<_> = places
                .iter()
                .map(|at| plan.payments[*at].fate.clone())
                .collect();
            for place in places {
                plan.payments[*place].fate = Fate::Given { at };
            }
            let Some(noted) = planning::write(&*self.store, Some(&found), plan, None).await? else {
                for (place, fate) in places.iter().zip(before) {
                    plan.payments[*place].fate = fate;
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

    /// Looks what came of those that were told. Answers of which it is not so: they were noted alone.
    async fn judge(
        &self,
        plan: &mut Plan,
        open: &[usize],
        order: &Order,
    ) -> Result<Vec<usize>, StoreError> {
        let policies = self.policies.get();
        let mut loading = Vec::with_capacity(open.len());
        for place in open {
            loading.push(self.store.load(&plan.payments[*place].payment));
        }
        let loaded: Vec<_> = stream::iter(loading).buffered(TOLD_AT_ONCE).collect().await;
        let mut untold = Vec::new();
        for (&place, loaded) in open.iter().zip(loaded) {
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
        Ok(untold)
    }

    /// A plan that was stopped during a step still says what became of those that were told. That one was
    /// not is no step's to say: another worker may have told it.
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
            let told = both.filter(|(noted, planned)| {
                matches!(noted.fate, Fate::Given { .. }) && planned.fate != Fate::Waits
            });
            for (noted, planned) in told {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::operate::planning::Said;
    use crate::operate::{Foreseen, LASTS, Seen, Selection, Then};
    use crate::payment::{
        AccountName, Answer, CreateOrder, LookUp, PurchaseId, Request, StateName,
    };
    use crate::store::Permit;
    use crate::store::memory::MemoryStore;
    use crate::worker::Policies;

    /// Nothing is asked of it while payments are told.
    struct Unasked;

    impl Gateway for Unasked {
        async fn create(&self, _: &CreateOrder) -> Answer {
            unreachable!()
        }
        async fn send(&self, _: Permit) -> Answer {
            unreachable!()
        }
        async fn look_up(&self, _: &AccountName, _: &PurchaseId) -> LookUp {
            unreachable!()
        }
    }

    /// A plan of one payment that is ready.
    async fn ready(store: &MemoryStore, clock: &Clock) -> Plan {
        let json = r#"{"v":1,"type":"charge","account":"hotel","idempotency_key":"k",
            "money":{"amount":1500,"currency":"MYR"},"token":"a-token",
            "customer":{"email":"payer@test.example"}}"#;
        let request = Request::from_json(json.as_bytes()).unwrap();
        let now = clock.now();
        let payment = Payment::new(request, now).unwrap();
        store.create(&payment, now).await.unwrap();
        let loaded = store.load(payment.id()).await.unwrap().unwrap();
        let of = Selection::Payments(vec![payment.id().clone()]);
        let mut plan = Plan::wanted(of, "aina", now);
        let state = StateName::New;
        let then = Then::GoesOn { state };
        let touches = None;
        plan.payments = vec![Planned {
            seen: Some(Seen::of(&loaded)),
            foreseen: Some(Foreseen { then, touches }),
            fate: Fate::Waits,
            ..Planned::unasked(payment.id().clone())
        }];
        plan.phase = Phase::Ready { until: now + LASTS };
        planning::ask(store, plan, &Mandate::typed_by("aina"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_worker_that_was_too_slow_never_says_that_one_waits_which_another_told() {
        let clock = Clock::manual("2027-01-31T06:00:00Z".parse().unwrap());
        let store = Arc::new(MemoryStore::new(clock.clone(), 30_000));
        let planner = || {
            let (store, gateway) = (Arc::clone(&store), Arc::new(Unasked));
            Planner::new(store, gateway, clock.clone(), Policies::default())
        };
        let (slow, quick) = (planner(), planner());
        let plan = ready(&store, &clock).await;
        let said = Said::new("aina", "mended", &Mandate::typed_by("aina")).unwrap();
        planning::apply(&*store, &clock, &plan.id, &said)
            .await
            .unwrap();
        let (seen, found) = slow.take(&plan.id).await.unwrap().unwrap();
        clock.advance(LEASE);
        assert_eq!(quick.carry_out().await.unwrap(), 1, "it is told");
        planning::stop(&*store, &clock, &plan.id, &said)
            .await
            .unwrap();
        assert!(!slow.go_on(seen, found).await.unwrap());
        let stopped = planning::plan(&*store, &plan.id).await.unwrap();
        let fate = &stopped.payments[0].fate;
        assert!(matches!(fate, Fate::Given { .. }), "{fate:?}");
        let told = store.stored(&stopped.payments[0].payment).unwrap();
        assert_eq!(told.commands().len(), 1);
    }
}
