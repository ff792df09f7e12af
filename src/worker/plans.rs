//! Plans to rerun stopped payments, carried out: asks the gateway about each payment, and, once a person
//! has the plan applied, tells payments to be rerun, stage by stage.
//!
//! Nothing here moves money or holds a claim: a rerun is a command in a payment's record, under a key
//! that follows from the plan, and a turn carries it out (`telling`). Each step takes the plan
//! for a lease by writing it, or writes it before it tells anything; who was too slow finds it changed,
//! and leaves it.

mod telling;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::Policies;
use crate::clock::Clock;
use crate::config::Current;
use crate::gateway::{Gateway, RATE_LIMITED};
use crate::operate::{
    Fate, Filter, LeftOut, MOST_PAYMENTS, Phase, Plan, Planned, Seen, Selection, Then, foresee,
    most_moved, planning,
};
use crate::payment::{LookUp, Payment, PaymentId, Timestamp};
use crate::store::switches::{Outgoing, Switches};
use crate::store::{By, Cursor, FoundPlan, Loaded, PlanId, PlanWrite, Plans, Store, StoreError};

/// How often is asked which plans are due.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is asked after the store could not be.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How often a worker says that the store cannot be asked.
const TROUBLE_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many payments are asked about in one step at most, and for how long; how many at once: the calls of
/// payments go over the same keys.
const ASKED_IN_A_STEP: usize = 100;
const ASKED_FOR: TimeDelta = TimeDelta::seconds(20);
const ASKED_AT_ONCE: usize = 4;
/// How many payments of an index are looked at at once, and how often in one step.
const PAGE: usize = 200;
const PAGES_IN_A_STEP: usize = 10;
/// How long a plan is nobody else's that was taken. If a step takes longer, somebody does the same.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// How long a plan waits that cannot be read.
const UNREADABLE_REST: TimeDelta = TimeDelta::minutes(10);

/// What carries plans out.
pub struct Planner<S, G> {
    store: Arc<S>,
    gateway: Arc<G>,
    clock: Clock,
    policies: Current<Policies>,
}

impl<S: Store + Plans, G: Gateway> Planner<S, G> {
    /// Over a store, and a gateway that is asked about payments.
    pub fn new(
        store: Arc<S>,
        gateway: Arc<G>,
        clock: Clock,
        policies: impl Into<Current<Policies>>,
    ) -> Self {
        Self {
            store,
            gateway,
            clock,
            policies: policies.into(),
        }
    }

    /// Goes on until `stop`, and then at once no further: what was begun is found again.
    pub async fn run(self, stop: CancellationToken) {
        let mut told = None;
        let running = async {
            loop {
                let pause = match self.carry_out().await {
                    Ok(0) => ASK_EVERY,
                    Ok(_) => Duration::ZERO,
                    Err(error) => {
                        tell(&error, &mut told, self.clock.now());
                        AFTER_TROUBLE
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        stop.run_until_cancelled(running).await;
    }

    /// One step of each plan that is due. Answers of how many.
    pub async fn carry_out(&self) -> Result<usize, StoreError> {
        let mut done = 0;
        for id in self.store.due_plans(PAGE).await? {
            // One that breaks its step must not take all others with it.
            let stepped = AssertUnwindSafe(self.step(&id)).catch_unwind().await;
            match stepped.unwrap_or_else(|_| Err(StoreError::panicked(&id))) {
                Ok(stepped) => done += usize::from(stepped),
                Err(error) if error.is_about_one() => {
                    tracing::warn!(plan.id = %id, %error, "a plan waits");
                    let later = self.clock.now() + UNREADABLE_REST;
                    self.store.postpone_plan(&id, later).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// One step of a plan, unless somebody else has it.
    async fn step(&self, id: &PlanId) -> Result<bool, StoreError> {
        let Some((mut plan, found)) = self.take(id).await? else {
            return Ok(false);
        };
        match plan.phase {
            Phase::Wanted => self.find(&mut plan).await?,
            Phase::Asking => self.ask_some(&mut plan).await?,
            Phase::Applying { .. } => return self.go_on(plan, found).await,
            Phase::Ready { .. } | Phase::Stopped { .. } | Phase::Done => {
                // Nobody wants to know any more.
                let write = PlanWrite {
                    text: &found.text,
                    due: None,
                    audit: None,
                };
                let forgotten = self.store.keep_plan(id, Some(&found), write);
                return forgotten.await.map(|gone| gone.is_some());
            }
        }
        self.keep(&plan, &found).await
    }

    /// Writes what a step made of a plan, unless somebody changed it meanwhile.
    async fn keep(&self, plan: &Plan, found: &FoundPlan) -> Result<bool, StoreError> {
        let kept = planning::write(&*self.store, Some(found), plan, None).await?;
        if kept.is_some() {
            tell_phase(plan);
        }
        Ok(kept.is_some())
    }

    /// Takes a plan for as long as a lease lasts, unless it is not due.
    async fn take(&self, id: &PlanId) -> Result<Option<(Plan, FoundPlan)>, StoreError> {
        let now = self.clock.now();
        let Some(found) = self.store.plan(id).await? else {
            self.store.postpone_plan(id, now + UNREADABLE_REST).await?;
            return Ok(None);
        };
        let mut plan = planning::read(id, &found)?;
        if plan.due_at > now {
            // The index says more than the plan.
            planning::write(&*self.store, Some(&found), &plan, None).await?;
            return Ok(None);
        }
        if plan.rests() || matches!(plan.phase, Phase::Applying { .. }) {
            // Nothing is asked of the gateway; and what is told is noted before.
            return Ok(Some((plan, found)));
        }
        plan.due_at = now + LEASE;
        let taken = planning::write(&*self.store, Some(&found), &plan, None).await?;
        Ok(taken.map(|taken| (plan, taken)))
    }

    /// Looks for the payments that a plan is of, or on from where a step before it came to.
    async fn find(&self, plan: &mut Plan) -> Result<(), StoreError> {
        let filter = match &plan.of {
            Selection::Payments(payments) => {
                let payments = payments.clone();
                plan.found(payments, None, self.clock.now());
                return Ok(());
            }
            Selection::Matching(filter) => filter.clone(),
        };
        let (mut found, mut cursor) = (Vec::new(), cursor_of(plan)?);
        for _ in 0..PAGES_IN_A_STEP {
            let by = By::State(filter.state);
            let page = self.store.list(&by, cursor.as_ref(), PAGE).await?;
            let now = self.clock.now();
            let fits = |loaded: &&Loaded| is_meant(plan, &filter, &loaded.payment, now);
            let fitting = page.payments.iter().filter(fits);
            found.extend(fitting.map(|loaded| loaded.payment.id().clone()));
            // Nobody knows whether they are meant: the plan says that it leaves them out. Nor whose they
            // are, which is for whoever sees all.
            let unread = page.unread.into_iter().filter(|_| plan.accounts.is_none());
            found.extend(unread.map(|it| it.payment));
            cursor = page.next;
            if cursor.is_none() || found.len() > MOST_PAYMENTS {
                break;
            }
        }
        let looked_to = cursor.map(|cursor| cursor.as_str().to_owned());
        plan.found(found, looked_to, self.clock.now());
        Ok(())
    }

    /// Asks about some payments, and notes what a rerun of each would do. A gateway that is slow makes the
    /// step short: it must end within the lease.
    async fn ask_some(&self, plan: &mut Plan) -> Result<(), StoreError> {
        let until = self.clock.now() + ASKED_FOR;
        let switches = self.store.switches().await?;
        let unasked = plan.payments.iter().enumerate();
        let unasked = unasked.filter(|(_, planned)| planned.fate == Fate::Unasked);
        let places: Vec<usize> = unasked.map(|(at, _)| at).take(ASKED_IN_A_STEP).collect();
        for places in places.chunks(ASKED_AT_ONCE) {
            let mut asking = Vec::with_capacity(places.len());
            for place in places {
                asking.push(self.ask_about(plan, &plan.payments[*place].payment, &switches));
            }
            let asked: Vec<_> = stream::iter(asking).buffered(ASKED_AT_ONCE).collect().await;
            for (place, planned) in places.iter().zip(asked) {
                plan.payments[*place] = planned?;
            }
            if self.clock.now() >= until {
                break;
            }
        }
        plan.asked(self.clock.now());
        Ok(())
    }

    async fn ask_about(
        &self,
        plan: &Plan,
        id: &PaymentId,
        switches: &Switches,
    ) -> Result<Planned, StoreError> {
        let mut planned = Planned::unasked(id.clone());
        let loaded = match self.store.load(id).await {
            Ok(loaded) => loaded.filter(|loaded| may_be_seen(plan, &loaded.payment)),
            Err(error) if error.is_about_one() => {
                return Ok(planned.left_out(LeftOut::Unreadable));
            }
            Err(error) => return Err(error),
        };
        let Some(mut loaded) = loaded else {
            return Ok(planned.left_out(LeftOut::Missing));
        };
        let account = loaded.payment.request().account.clone();
        planned.account = Some(account.clone());
        planned.seen = Some(Seen::of(&loaded));
        if loaded.payment.is_finished() {
            return Ok(planned.left_out(LeftOut::Finished));
        }
        let policies = self.policies.get();
        let Some(policy) = policies.get(&account) else {
            return Ok(planned.left_out(LeftOut::AccountMissing));
        };
        if loaded.payment.purchase().is_some()
            && let Some(why) = plan.leaves_alone(&account)
        {
            return Ok(planned.left_out(why));
        }
        // Dated by when it was asked for, as in a turn.
        let now = self.clock.now();
        let look = match loaded.payment.purchase() {
            Some(purchase) => Some(self.gateway.look_up(&account, &purchase.id).await),
            None => None,
        };
        planned.shown = look.as_ref().map(|look| look.as_str().to_owned());
        if let Some(why) = look.as_ref().and_then(unheard) {
            return Ok(planned.left_out(why));
        }
        loaded.payment.nudged(loaded.nudges);
        let foreseen = foresee(&loaded.payment, look.as_ref(), now, policy);
        if foreseen.then == Then::TakesNone {
            return Ok(planned.left_out(LeftOut::TakesNone));
        }
        if let Then::Sends { step } = foreseen.then {
            let call = Outgoing {
                account: &account,
                kind: loaded.payment.request().ask.kind(),
                step: step.as_str(),
                deadline: TimeDelta::zero(),
            };
            planned.stopped = switches.stops(call, now, now);
        }
        planned.most = Some(most_moved(&loaded.payment, &foreseen));
        planned.foreseen = Some(foreseen);
        planned.fate = Fate::Waits;
        Ok(planned)
    }
}

/// Where payments are looked for next, if not from the beginning.
fn cursor_of(plan: &Plan) -> Result<Option<Cursor>, StoreError> {
    let cursor = plan.looked_to().map(Cursor::from_text).transpose();
    cursor.map_err(|error| StoreError::Unreadable {
        id: plan.id.to_string(),
        problem: error.to_string(),
    })
}

fn is_meant(plan: &Plan, filter: &Filter, payment: &Payment, now: Timestamp) -> bool {
    may_be_seen(plan, payment) && filter.fits(payment, now)
}

/// Why a look-up said nothing, if it did not.
fn unheard(look: &LookUp) -> Option<LeftOut> {
    match look {
        LookUp::Failed { denied, .. } if denied.is_any() => Some(LeftOut::KeyRefused),
        LookUp::Failed {
            retry_after_ms: Some(_),
            ..
        } => Some(LeftOut::RateLimited),
        LookUp::Failed { why, .. } if why == RATE_LIMITED => Some(LeftOut::RateLimited),
        LookUp::Failed { .. } => Some(LeftOut::GatewaySilent),
        LookUp::Shown(_) | LookUp::NotFound => None,
    }
}

fn may_be_seen(plan: &Plan, payment: &Payment) -> bool {
    let account = &payment.request().account;
    let accounts = plan.accounts.as_ref();
    accounts.is_none_or(|accounts| accounts.contains(account))
}

/// Says what a person should know of a plan that was written.
fn tell_phase(plan: &Plan) {
    match &plan.phase {
        Phase::Stopped { why } => tracing::warn!(
            event = "plan_stopped", plan.id = %plan.id, why,
            "a plan was stopped: look at what came out otherwise than foreseen"
        ),
        Phase::Done => tracing::info!(plan.id = %plan.id, "a plan was applied"),
        _ => {}
    }
}

fn tell(error: &StoreError, told: &mut Option<Timestamp>, now: Timestamp) {
    if told.is_none_or(|told| now - told >= TROUBLE_EVERY) {
        *told = Some(now);
        tracing::warn!(event = "plans_wait", %error, "what operators plan waits");
    }
}
