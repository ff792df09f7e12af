//! The course of a plan: wanted, asked about, ready, applied stage by stage, done or stopped.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::foresee::{Fit, Touch};
use super::plan::{
    Applied, Fate, LASTS, LeftOut, NotNow, Phase, Plan, PlanCommand, Planned, Selection, VERSION,
};
use crate::payment::{
    AccountName, Currency, IdempotencyKey, InvalidName, Payment, PaymentId, Policy, State,
    Timestamp,
};
use crate::store::PlanId;
use crate::store::audit::Mandate;

/// How long a run that was stopped can be resumed.
const RESUMED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// How long it is kept, for whoever wants to know.
const KEPT: TimeDelta = TimeDelta::days(30);
/// How many payments one plan has at most.
pub const MOST_PAYMENTS: usize = 1_000;
/// How many payments are rerun at once: one first, then some, then many.
const STAGES: [usize; 3] = [1, 10, 100];
/// How long a payment may take to come to rest; after that it is no longer waited for.
const LONGEST_REST: TimeDelta = TimeDelta::minutes(2);
/// So many that came out otherwise than foreseen are borne, after the first stage.
const MOST_ODD: usize = 2;

impl Plan {
    /// A plan that a worker is to make.
    #[must_use]
    pub fn wanted(of: Selection, by: &str, now: Timestamp) -> Self {
        Self {
            v: VERSION,
            id: PlanId::fresh(),
            made_at: now,
            made_by: by.to_owned(),
            of,
            accounts: None,
            phase: Phase::Wanted,
            payments: Vec::new(),
            more: false,
            applied: None,
            resumed: Vec::new(),
            due_at: now,
        }
    }

    /// Whether this version can read it.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.v == VERSION
    }

    /// The key under which its reruns are known: the same however often one is told.
    pub fn key(&self) -> Result<IdempotencyKey, InvalidName> {
        IdempotencyKey::new(self.id.as_str())
    }

    /// On whose word its reruns are told: of who had it go on last.
    #[must_use]
    pub fn mandate(&self) -> Option<&Mandate> {
        let last = self.resumed.last().or(self.applied.as_ref());
        last.map(|applied| &applied.mandate)
    }

    /// Whether it can be applied no more though it never was.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.phase, Phase::Ready { until } if now > until)
    }

    /// Whether no worker has anything to do about it.
    #[must_use]
    pub const fn rests(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ready { .. } | Phase::Stopped { .. } | Phase::Done
        )
    }

    /// Whether the gateway is asked no more about payments of `account`, and why not.
    #[must_use]
    pub fn leaves_alone(&self, account: &AccountName) -> Option<LeftOut> {
        let of = |planned: &&Planned| planned.account.as_ref() == Some(account);
        let mut fates = self.payments.iter().filter(of).map(|planned| &planned.fate);
        fates.find_map(|fate| match fate {
            Fate::LeftOut { why } if why.is_of_account() => Some(*why),
            _ => None,
        })
    }

    /// Puts it to rest in a phase in which no worker does anything about it, until it is forgotten.
    fn rest(&mut self, phase: Phase) {
        self.phase = phase;
        self.due_at = self.made_at + KEPT;
    }

    /// Takes in the payments that were found.
    pub fn found(&mut self, payments: Vec<PaymentId>, now: Timestamp) {
        let mut known = BTreeSet::new();
        let payments = payments.into_iter().filter(|id| known.insert(id.clone()));
        self.payments = payments.map(Planned::unasked).collect();
        self.more |= self.payments.len() > MOST_PAYMENTS;
        self.payments.truncate(MOST_PAYMENTS);
        self.phase = Phase::Asking;
        self.due_at = now;
    }

    /// Takes note that some payments were asked about; once all were, it can be applied for a while.
    pub fn asked(&mut self, now: Timestamp) {
        let unasked = |planned: &Planned| planned.fate == Fate::Unasked;
        if self.payments.iter().any(unasked) {
            self.due_at = now;
        } else {
            self.rest(Phase::Ready { until: now + LASTS });
        }
    }

    /// Whether this can be commanded of it now, and why not.
    pub fn may(&self, command: PlanCommand, now: Timestamp) -> Result<(), NotNow> {
        match command {
            PlanCommand::Apply => self.may_be_applied(now),
            PlanCommand::Stop if !matches!(self.phase, Phase::Applying { .. }) => {
                Err(NotNow::NothingToStop)
            }
            PlanCommand::Resume if !matches!(self.phase, Phase::Stopped { .. }) => {
                Err(NotNow::NothingToResume)
            }
            PlanCommand::Resume if now > self.resumed_until() => Err(NotNow::Expired),
            PlanCommand::Stop | PlanCommand::Resume => Ok(()),
        }
    }

    fn may_be_applied(&self, now: Timestamp) -> Result<(), NotNow> {
        match self.phase {
            Phase::Wanted | Phase::Asking => Err(NotNow::NotReady),
            Phase::Applying { .. } | Phase::Stopped { .. } | Phase::Done => {
                Err(NotNow::AppliedBefore)
            }
            Phase::Ready { until } if now > until => Err(NotNow::Expired),
            Phase::Ready { .. } if self.payments.iter().any(Planned::waits) => Ok(()),
            Phase::Ready { .. } => Err(NotNow::Empty),
        }
    }

    /// Until when it can be resumed, if it is stopped.
    #[must_use]
    pub fn resumed_until(&self) -> Timestamp {
        self.made_at + RESUMED_WITHIN
    }

    /// How many payments are still to be told.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.payments
            .iter()
            .filter(|planned| planned.waits())
            .count()
    }

    /// How often it was set going.
    #[must_use]
    pub fn runs(&self) -> usize {
        usize::from(self.applied.is_some()) + self.resumed.len()
    }

    /// Has it applied.
    pub fn apply(&mut self, applied: Applied, now: Timestamp) -> Result<(), NotNow> {
        self.may(PlanCommand::Apply, now)?;
        self.applied = Some(applied);
        self.run(now);
        Ok(())
    }

    /// Begins with one payment, whatever was done before.
    fn run(&mut self, now: Timestamp) {
        self.phase = Phase::Applying {
            stage: 0,
            odd_before: self.odd(),
        };
        self.due_at = now;
    }

    /// Stops the run: what was told to a payment is carried out, and nothing more is told.
    pub fn stop(&mut self, why: String, now: Timestamp) -> Result<(), NotNow> {
        self.may(PlanCommand::Stop, now)?;
        self.rest(Phase::Stopped { why });
        Ok(())
    }

    /// Goes on with a run that was stopped. Each payment is compared with its plan once more.
    pub fn resume(&mut self, resumed: Applied, now: Timestamp) -> Result<(), NotNow> {
        self.may(PlanCommand::Resume, now)?;
        self.resumed.push(resumed);
        self.run(now);
        Ok(())
    }

    /// The places of the payments that are told next, once nothing is open of those told before.
    #[must_use]
    pub fn next_stage(&self) -> Vec<usize> {
        let Phase::Applying { stage, .. } = self.phase else {
            return Vec::new();
        };
        let size = STAGES[stage.min(STAGES.len() - 1)];
        let waiting = self.payments.iter().enumerate();
        let waiting = waiting.filter(|(_, planned)| planned.waits());
        waiting.take(size).map(|(place, _)| place).collect()
    }

    /// The places of the payments of which it is not known what came of them.
    #[must_use]
    pub fn open(&self) -> Vec<usize> {
        let open = self.payments.iter().enumerate();
        let open = open.filter(|(_, planned)| matches!(planned.fate, Fate::Given { .. }));
        open.map(|(place, _)| place).collect()
    }

    /// Once a stage has come to rest: goes on with the next, or stops, or is done.
    pub fn staged(&mut self, now: Timestamp) {
        let Phase::Applying { stage, odd_before } = self.phase else {
            return;
        };
        if !self.open().is_empty() {
            return;
        }
        if !self.payments.iter().any(Planned::waits) {
            return self.rest(Phase::Done);
        }
        let odd = self.odd() - odd_before;
        let borne = if stage == 0 { 0 } else { MOST_ODD };
        if odd > borne {
            let why = format!("{odd} came out otherwise than foreseen");
            return self.rest(Phase::Stopped { why });
        }
        self.phase = Phase::Applying {
            stage: stage + 1,
            odd_before,
        };
        self.due_at = now;
    }

    fn odd(&self) -> usize {
        let odd = |planned: &&Planned| matches!(planned.fate, Fate::Odd { .. });
        self.payments.iter().filter(odd).count()
    }

    /// How much money its reruns are about, by currency and by what becomes of it, in minor units.
    #[must_use]
    pub fn touches(&self) -> BTreeMap<(Currency, Touch), u64> {
        let mut sums = BTreeMap::new();
        for planned in self.payments.iter().filter(|planned| planned.is_planned()) {
            if let Some(touched) = planned.foreseen.as_ref().and_then(|it| it.touches) {
                let sum = sums
                    .entry((touched.money.currency, touched.how))
                    .or_insert(0_u64);
                *sum = sum.saturating_add(touched.money.amount.minor());
            }
        }
        sums
    }

    /// The largest amount that one of its reruns takes or reserves, in minor units.
    #[must_use]
    pub fn largest_moved(&self) -> u64 {
        let touches = self.payments.iter().filter(|planned| planned.is_planned());
        let touches = touches.filter_map(|planned| planned.foreseen.as_ref()?.touches);
        let moves = touches.filter(|touch| matches!(touch.how, Touch::Takes | Touch::Reserves));
        let largest = moves.map(|touch| touch.money.amount.minor()).max();
        largest.unwrap_or(0)
    }
}

impl Planned {
    /// One that is to be asked about.
    #[must_use]
    pub const fn unasked(payment: PaymentId) -> Self {
        Self {
            payment,
            account: None,
            seen: None,
            shown: None,
            foreseen: None,
            stopped: None,
            fate: Fate::Unasked,
        }
    }

    /// The same, not to be rerun.
    #[must_use]
    pub fn left_out(self, why: LeftOut) -> Self {
        let fate = Fate::LeftOut { why };
        Self { fate, ..self }
    }

    /// Takes in how the payment stands after it was told, if that is known by now.
    pub fn came_out(&mut self, payment: &Payment, now: Timestamp, policy: Option<&Policy>) {
        let (Some(foreseen), Fate::Given { at }) = (&self.foreseen, &self.fate) else {
            return;
        };
        let state = payment.state().name();
        self.fate = match foreseen.fits(payment, now, policy) {
            Fit::AsForeseen => Fate::AsForeseen { state },
            Fit::NotYet if now - *at <= LONGEST_REST => return,
            Fit::NotYet | Fit::Otherwise => Fate::Odd {
                state,
                reason: match payment.state() {
                    State::Parked { reason, .. } => Some(reason.clone()),
                    _ => None,
                },
            },
        };
    }

    fn waits(&self) -> bool {
        self.fate == Fate::Waits
    }

    /// Whether it is rerun by the plan, or was.
    const fn is_planned(&self) -> bool {
        !matches!(self.fate, Fate::Unasked | Fate::LeftOut { .. })
    }
}
