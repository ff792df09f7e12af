//! The course of a plan: wanted, asked about, ready, applied stage by stage, done or stopped.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::plan::{
    Applied, Fate, LASTS, LeftOut, NotNow, Phase, Plan, PlanCommand, Planned, Selection, VERSION,
};
use crate::payment::{AccountName, IdempotencyKey, InvalidName, PaymentId, Timestamp};
use crate::store::PlanId;
use crate::store::audit::Mandate;

/// How long a run that was stopped can be resumed.
pub(super) const RESUMED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// How long it is kept, for whoever wants to know.
const KEPT: TimeDelta = TimeDelta::days(30);
/// How many payments one plan has at most.
pub const MOST_PAYMENTS: usize = 1_000;
/// How many payments are rerun at once: one first, then some, then many.
const STAGES: [usize; 3] = [1, 10, 100];
/// So many that came out otherwise than foreseen are borne, after the first stage.
const MOST_ODD: usize = 2;
/// How many steps look for payments: where there are millions in a state it is given up. Steps and not
/// time: a worker that died leaves its step to another for as long.
const MOST_LOOKS: u32 = 500;
/// How long those that were told are left alone before they are looked at again: a quarter of the time
/// that it has taken, but at least and at most so long.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);
const LOOK_SELDOM: TimeDelta = TimeDelta::seconds(10);

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
            looked_to: None,
            looks: 0,
            cut_off: false,
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

    /// Up to where payments were looked for, if they are not all found yet.
    #[must_use]
    pub fn looked_to(&self) -> Option<&str> {
        self.looked_to.as_deref()
    }

    /// Takes in payments that were found, and up to where they were looked for, if there may be others
    /// behind it: then another step looks on.
    pub fn found(&mut self, payments: Vec<PaymentId>, looked_to: Option<String>, now: Timestamp) {
        let known = self.payments.iter().map(|planned| planned.payment.clone());
        let mut known: BTreeSet<_> = known.collect();
        let new = payments.into_iter().filter(|id| known.insert(id.clone()));
        self.payments.extend(new.map(Planned::unasked));
        self.due_at = now;
        let many = self.payments.len() > MOST_PAYMENTS;
        self.looked_to = looked_to.filter(|_| !many);
        self.looks = self.looks.saturating_add(1);
        if self.looked_to.is_some() && self.looks < MOST_LOOKS {
            return;
        }
        self.cut_off = self.looked_to.take().is_some();
        self.more |= many;
        self.payments.truncate(MOST_PAYMENTS);
        self.phase = Phase::Asking;
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
            PlanCommand::Resume if !self.payments.iter().any(Planned::may_be_told) => {
                Err(NotNow::Empty)
            }
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

    /// The places of the payments that are told next, once nothing is open of those told before. The
    /// first stage tries the one that tells most of the others.
    #[must_use]
    pub fn next_stage(&self) -> Vec<usize> {
        let Phase::Applying { stage, .. } = self.phase else {
            return Vec::new();
        };
        let size = STAGES[stage.min(STAGES.len() - 1)];
        let waiting = self.payments.iter().enumerate();
        let waiting = waiting.filter(|(_, planned)| planned.waits());
        let mut waiting: Vec<_> = waiting.collect();
        if stage == 0 {
            waiting.sort_by_key(|(_, planned)| std::cmp::Reverse(planned.tells()));
        }
        let places = waiting.into_iter().map(|(place, _)| place);
        places.take(size).collect()
    }

    /// Those of these places that were told since it was set going last.
    #[must_use]
    pub fn told_in_this_run(&self, places: &[usize]) -> Vec<usize> {
        let last = self.resumed.last().or(self.applied.as_ref());
        let since = last.map_or(self.made_at, |applied| applied.at);
        let told = |place: &&usize| match self.payments[**place].fate {
            Fate::Given { at } => at >= since,
            _ => false,
        };
        places.iter().filter(told).copied().collect()
    }

    /// How long those that were told are left alone before they are looked at again: longer, the longer
    /// it takes.
    #[must_use]
    pub fn look_after(&self, now: Timestamp) -> TimeDelta {
        let told = self.payments.iter().filter_map(|it| match it.fate {
            Fate::Given { at } => Some(at),
            _ => None,
        });
        let taken = told.max().map_or(TimeDelta::zero(), |at| now - at);
        (taken / 4).clamp(LOOK_AGAIN, LOOK_SELDOM)
    }

    /// The places of the payments of which it is not known what came of them.
    #[must_use]
    pub fn open(&self) -> Vec<usize> {
        let open = self.payments.iter().enumerate();
        let open = open.filter(|(_, planned)| matches!(planned.fate, Fate::Given { .. }));
        open.map(|(place, _)| place).collect()
    }

    /// Once those that were `tried` have come to rest: goes on with the next stage, or stops, or is done.
    /// The first one is over once a payment came out as foreseen; that others had changed, or could not
    /// be told, says nothing of the rest. Those that are `held_back` were noted as told by a run before
    /// this one, and wait to be.
    pub fn staged(&mut self, tried: &[usize], held_back: &[usize], now: Timestamp) {
        let Phase::Applying { stage, odd_before } = self.phase else {
            return;
        };
        let open = self.open();
        if !open.iter().all(|place| held_back.contains(place)) {
            return;
        }
        let odd = self.odd() - odd_before;
        let borne = if stage == 0 { 0 } else { MOST_ODD };
        if odd > borne {
            let why = self.why_stopped(odd);
            return self.rest(Phase::Stopped { why });
        }
        if open.is_empty() && !self.payments.iter().any(Planned::waits) {
            return self.rest(Phase::Done);
        }
        let came = |fits: fn(&Fate) -> bool| {
            let mut fates = tried.iter().map(|place| &self.payments[*place].fate);
            fates.any(fits)
        };
        if stage > 0 || came(|fate| matches!(fate, Fate::AsForeseen { .. })) {
            self.phase = Phase::Applying {
                stage: stage + 1,
                odd_before,
            };
        }
        // One that changes too quickly to be told is not tried again at once.
        if !came(|fate| *fate == Fate::Waits) {
            self.due_at = now;
        }
    }

    /// Of those that a worker noted as told and told not, the ones to tell now: one first, as of all
    /// others, for they may be what a run was stopped for.
    #[must_use]
    pub fn told_now(&self, untold: &[usize], tried: &[usize]) -> Vec<usize> {
        if !matches!(self.phase, Phase::Applying { stage: 0, .. }) {
            return untold.to_vec();
        }
        if !tried.is_empty() || self.open().len() > untold.len() {
            return Vec::new();
        }
        let first = untold.iter().rev().copied();
        let first = first.max_by_key(|place| self.payments[*place].tells());
        first.into_iter().collect()
    }

    /// How many did not come out as foreseen, or not yet.
    fn odd(&self) -> usize {
        let odd =
            |planned: &&Planned| matches!(planned.fate, Fate::Odd { .. } | Fate::LooksOn { .. });
        self.payments.iter().filter(odd).count()
    }

    /// The same of the last `many`, in words.
    fn why_stopped(&self, many: usize) -> String {
        let look_on = |planned: &&Planned| matches!(planned.fate, Fate::LooksOn { .. });
        // Which of them are of this run is not noted.
        match self.payments.iter().filter(look_on).count() {
            0 => format!("{many} came out otherwise than foreseen"),
            on if on == self.odd() => format!("{many} still looked on after two minutes"),
            _ => format!("{many} came out otherwise than foreseen, or still looked on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::StateName;

    #[test]
    fn a_first_stage_ends_with_one_that_came_out_as_foreseen_and_with_nothing_less() {
        let now = Timestamp::UNIX_EPOCH;
        let account = AccountName::new("hotel").unwrap();
        let state = StateName::Paid;
        let why = LeftOut::TakesNone;
        for (fate, next) in [
            (Fate::AsForeseen { state }, 10),
            // It changed between the look and the word, or too quickly, or takes no word any more.
            (Fate::ChangedSince, 1),
            (Fate::Waits, 1),
            (Fate::LeftOut { why }, 1),
        ] {
            let mut plan = Plan::wanted(Selection::Payments(Vec::new()), "aina", now);
            plan.payments = (0..20)
                .map(|at| IdempotencyKey::new(format!("k{at}")).unwrap())
                .map(|key| Planned {
                    fate: Fate::Waits,
                    ..Planned::unasked(PaymentId::derive(&account, &key))
                })
                .collect();
            plan.run(now);
            plan.payments[0].fate = fate.clone();
            plan.staged(&[0], &[], now);
            assert!(matches!(plan.phase, Phase::Applying { .. }), "{fate:?}");
            assert_eq!(plan.next_stage().len(), next, "{fate:?}");
        }
    }
}
