//! What is to be done now. Pure: the payment, the time and the policy decide.

use super::attempt::{AnswerClass, Step, Verdict};
use super::evidence::Seal;
use super::ladder::millis;
use super::money::Amount;
use super::record::{Decision, HoldOutcome, Payment};
use super::request::{Ask, BeforeExpiry, Source};
use super::state::{Active, Event, FailReason, Hold, ParkReason, State};
use super::{Policy, Timestamp};

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Open an attempt at this step and send it.
    Send(Step),
    /// Ask the gateway what is true.
    LookUp,
    /// Something can be concluded without asking anybody.
    Settle(Event),
    /// Nothing before this time.
    WaitUntil(Timestamp),
    /// Nothing any more.
    Nothing,
}

impl Payment {
    /// What is to be done at `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp, policy: &Policy) -> Next {
        let Some(active) = self.state.active() else {
            return Next::Nothing;
        };
        if self.look_wanted && self.purchase.is_some() {
            return Next::LookUp;
        }
        if matches!(self.state, State::Parked { .. }) {
            return self.next_parked(now, policy);
        }
        if self.needs_a_conclusion() {
            return self.look_or_give_up(now, policy);
        }
        match (active, self.why_ending(now)) {
            (Active::Held(hold), _) => {
                let planned = self.next_held(&hold, now, policy);
                self.look_meanwhile(planned, now)
            }
            (Active::New | Active::AwaitingPayer, Some(reason)) => {
                self.next_seal(reason, now, policy)
            }
            (Active::New, None) => self.next_new(now, policy),
            (Active::AwaitingPayer, None) => self.look_or_give_up(now, policy),
        }
    }

    /// When the payment next needs a turn; `None` once it is finished.
    #[must_use]
    pub fn due(&self, now: Timestamp, policy: &Policy) -> Option<Timestamp> {
        match self.next(now, policy) {
            Next::Nothing => None,
            Next::WaitUntil(time) => Some(time),
            Next::Send(_) | Next::LookUp | Next::Settle(_) => Some(now),
        }
    }

    fn next_parked(&self, now: Timestamp, policy: &Policy) -> Next {
        if self.rerun_wanted && self.purchase.is_none() {
            return Next::Settle(Event::Resumed);
        }
        let at = self.pace.look_at.unwrap_or(now);
        if at > now {
            Next::WaitUntil(at)
        } else if self.purchase.is_some() {
            Next::LookUp
        } else {
            Next::WaitUntil(now + millis(policy.parked_look_every_ms))
        }
    }

    /// Whether nothing can go on before the gateway has shown what is true.
    pub(super) fn needs_a_conclusion(&self) -> bool {
        self.open_attempt().is_some() || (self.pace.unsettled && self.purchase.is_some())
    }

    /// Whether look-ups went up the whole ladder and for as long as it allows. What counts is the
    /// last look, not the clock: after a long silence there is another look first.
    pub(super) fn looked_enough(&self, policy: &Policy) -> bool {
        let rungs = u32::try_from(policy.lookup.delays_ms.len()).unwrap_or(u32::MAX);
        let span = self.pace.looking_since.zip(self.pace.looked_at);
        self.pace.looks >= rungs
            && span.is_some_and(|(since, last)| last - since > policy.lookup.give_up_after())
    }

    fn look_or_give_up(&self, now: Timestamp, policy: &Policy) -> Next {
        let at = self.pace.look_at.unwrap_or(now);
        if self.looked_enough(policy) {
            Next::Settle(Event::Stuck(ParkReason::LookUpsExhausted))
        } else if at <= now {
            Next::LookUp
        } else {
            Next::WaitUntil(at)
        }
    }

    /// A look at a hold that came to nothing is made again while the plan's time has not come.
    fn look_meanwhile(&self, planned: Next, now: Timestamp) -> Next {
        match (planned, self.pace.looking_since.and(self.pace.look_at)) {
            (Next::WaitUntil(_), Some(at)) if at <= now => Next::LookUp,
            (Next::WaitUntil(time), Some(at)) => Next::WaitUntil(time.min(at)),
            (planned, _) => planned,
        }
    }

    fn next_new(&self, now: Timestamp, policy: &Policy) -> Next {
        let token = match &self.request.ask {
            Ask::Adopt(_) => return self.look_or_give_up(now, policy),
            Ask::Charge(ask) => {
                if let Some(start) = ask.not_before.filter(|start| *start > now) {
                    return Next::WaitUntil(start);
                }
                true
            }
            Ask::Authorize(ask) => matches!(ask.source, Source::Token(_)),
            Ask::SaveCard(_) => false,
        };
        if self.purchase.is_none() {
            self.send(Step::Create, now, policy)
        } else if token {
            self.send(Step::Charge, now, policy)
        } else {
            self.look_or_give_up(now, policy)
        }
    }

    /// Sends `step`, or waits for the technical or business ladder, or gives up on the gateway.
    fn send(&self, step: Step, now: Timestamp, policy: &Policy) -> Next {
        match self.pace.step_at {
            _ if self.is_failing(policy) && !self.pace.one_more => {
                Next::Settle(Event::Stuck(self.why_failing()))
            }
            Some(at) if at > now => Next::WaitUntil(at.min(self.charge_ends().unwrap_or(at))),
            _ => Next::Send(step),
        }
    }

    /// Whether calls failed for as long as the ladder allows: from the first to the last one that
    /// was made. After a long silence there is another one first.
    fn is_failing(&self, policy: &Policy) -> bool {
        let rungs = u32::try_from(policy.technical.delays_ms.len()).unwrap_or(u32::MAX);
        let span = self.pace.technical_since.zip(self.pace.failed_at);
        self.pace.technical >= rungs
            && span.is_some_and(|(since, last)| last - since > policy.technical.give_up_after())
    }

    /// Why calls have come to nothing for so long: refused again and again, not reached, or reached
    /// and of no use. That nothing was sent is said only of calls none of which left.
    fn why_failing(&self) -> ParkReason {
        let note = self
            .attempts
            .last()
            .and_then(|attempt| attempt.note.as_ref());
        match note {
            Some(note) if matches!(note.class, AnswerClass::Conflict | AnswerClass::NoEffect) => {
                let code = note.code.clone().unwrap_or_default();
                ParkReason::Refused { code }
            }
            _ if self.none_left() => ParkReason::GatewayUnreachable,
            _ => ParkReason::GatewayFailing,
        }
    }

    /// Whether of all the calls that came to nothing, up to the last one, no byte left.
    fn none_left(&self) -> bool {
        let closed = self.attempts.iter().rev().map_while(|attempt| {
            let closed = attempt.closed.as_ref()?;
            Some(&closed.verdict)
        });
        let nothing =
            |verdict: &&Verdict| matches!(verdict, Verdict::NotSent | Verdict::DidNotHappen);
        closed
            .take_while(nothing)
            .all(|verdict| *verdict == Verdict::NotSent)
    }

    /// Just after the last moment at which a charge may start.
    fn charge_ends(&self) -> Option<Timestamp> {
        match &self.request.ask {
            Ask::Charge(ask) => ask.not_after.map(|end| end + millis(1)),
            Ask::Authorize(_) | Ask::SaveCard(_) | Ask::Adopt(_) => None,
        }
    }

    /// When the payer's last click must have arrived.
    pub(super) fn link_ends(&self, policy: &Policy) -> Option<Timestamp> {
        let due = self.purchase.as_ref()?.due?;
        Some(due + millis(policy.link_grace_ms))
    }

    /// Towards `Failed`: cancel, look, look again.
    fn next_seal(&self, reason: FailReason, now: Timestamp, policy: &Policy) -> Next {
        if let Some(seal) = Seal::nothing_created(self) {
            return Next::Settle(Event::Sealed(seal, reason));
        }
        if self.seal_seen_at.is_some() {
            return self.look_or_give_up(now, policy);
        }
        self.send_seal(now, policy)
    }

    fn send_seal(&self, now: Timestamp, policy: &Policy) -> Next {
        match self.send(Step::Cancel, now, policy) {
            // The end of the charge's time is why it is being sealed; it cannot be waited for.
            Next::WaitUntil(_) => Next::WaitUntil(self.pace.step_at.unwrap_or(now)),
            next => next,
        }
    }

    fn next_held(&self, hold: &Hold, now: Timestamp, policy: &Policy) -> Next {
        if let Some(decision) = &self.decision {
            return self.carry_out(decision, hold, now, policy);
        }
        match self.intent(hold, policy) {
            Intent::Capture(amount, at) if at <= now => {
                let planned = Decision::planned(self.late_capture(amount, now));
                self.carry_out(&planned, hold, now, policy)
            }
            Intent::Release(at) if at <= now => {
                self.carry_out(&Decision::planned(HoldOutcome::Release), hold, now, policy)
            }
            Intent::Park(at) if at <= now => Next::Settle(Event::Stuck(ParkReason::BeforeExpiry)),
            Intent::Capture(_, at) | Intent::Release(at) | Intent::Park(at) => Next::WaitUntil(at),
        }
    }

    /// A capture that is due; released instead if it could not be sent before `release_at`.
    fn late_capture(&self, amount: Amount, now: Timestamp) -> HoldOutcome {
        match self.plan.release_at {
            Some(end) if now >= end => HoldOutcome::Release,
            _ => HoldOutcome::Capture(amount),
        }
    }

    /// What the plan says, as far as the guard lets it.
    fn intent(&self, hold: &Hold, policy: &Policy) -> Intent {
        let amount = self.plan.capture_amount.unwrap_or(hold.money.amount);
        let planned = match (self.plan.capture_at, self.plan.release_at) {
            (Some(at), _) => Some(Intent::Capture(amount, at)),
            (None, Some(at)) => Some(Intent::Release(at)),
            (None, None) => None,
        };
        let guard_at = (hold.expires_at - millis(policy.expiry_margin_ms)).max(hold.since);
        match planned {
            Some(intent) if intent.at() <= guard_at || self.plan_by_command => intent,
            // The shop wants the money, only later than the hold is sure to last: its own word
            // counts, and without one a person is asked. It is not simply given back.
            Some(Intent::Capture(..)) if self.plan.before_expiry.is_none() => {
                Intent::Park(guard_at)
            }
            _ => match self.plan.before_expiry.unwrap_or(policy.before_expiry) {
                BeforeExpiry::Release => Intent::Release(guard_at),
                BeforeExpiry::Capture => Intent::Capture(amount, guard_at),
                BeforeExpiry::Park => Intent::Park(guard_at),
            },
        }
    }

    fn carry_out(&self, decision: &Decision, hold: &Hold, now: Timestamp, policy: &Policy) -> Next {
        let plan_end = self.plan.release_at.filter(|_| !decision.by_command);
        let (end, lost) = match decision.outcome {
            HoldOutcome::Capture(_) => {
                let end = plan_end.map_or(hold.expires_at, |end| end.min(hold.expires_at));
                let lost = if now < hold.expires_at {
                    ParkReason::NotCaptured
                } else {
                    ParkReason::HoldLost
                };
                (end, lost)
            }
            HoldOutcome::Release => (hold.expires_at, ParkReason::ReleaseRefused),
        };
        if self.hold_call_sent() && now >= end && !self.pace.one_more {
            return Next::Settle(Event::Stuck(lost));
        }
        // An unreachable gateway, and one that fails, is tried for as long as the hold lasts; one that
        // keeps refusing is not.
        let given_up = self.is_failing(policy)
            && (now >= end || matches!(self.why_failing(), ParkReason::Refused { .. }));
        match self.pace.step_at {
            _ if given_up && !self.pace.one_more => Next::Settle(Event::Stuck(self.why_failing())),
            Some(at) if at > now && now < end => Next::WaitUntil(at.min(end)),
            Some(at) if at > now => Next::WaitUntil(at),
            _ => Next::Send(decision.outcome.step()),
        }
    }
}

enum Intent {
    Capture(Amount, Timestamp),
    Release(Timestamp),
    Park(Timestamp),
}

impl Intent {
    const fn at(&self) -> Timestamp {
        match self {
            Self::Capture(_, at) | Self::Release(at) | Self::Park(at) => *at,
        }
    }
}
