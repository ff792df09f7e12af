//! What an answer or a look-up changes. Evidence outranks answers: an answer that is not the
//! purchase itself only says where to look, and the next sighting decides (`saw`).

use super::attempt::{Answer, AnswerClass, Attempt, LookUp, Looks, Note, Step, Verdict};
use super::evidence::Sighting;
use super::ladder::millis;
use super::reading::is_quiet;
use super::record::Payment;
use super::request::Ask;
use super::state::{Event, ParkReason, State};
use super::{Policy, Timestamp};

/// So often, at least, a purchase must be looked for in vain before it counts as missing.
const LOOKS_FOR_MISSING: u32 = 3;

impl Payment {
    /// Takes in the answer to attempt `number`. An answer to an attempt that somebody else has
    /// closed in the meantime counts only as far as it shows the purchase.
    pub fn answered(&mut self, number: u32, answer: &Answer, now: Timestamp, policy: &Policy) {
        let Some(attempt) = self
            .attempts
            .last_mut()
            .filter(|a| a.is_open() && a.number == number)
        else {
            if let Answer::Shown(seen) = answer {
                self.saw(seen, now, policy);
            }
            return;
        };
        let step = attempt.step;
        attempt.note = Some(answer.note(now));
        match answer {
            Answer::Shown(seen) => self.answered_with(step, seen, now, policy),
            Answer::NotSent { .. } => {
                self.close(Verdict::NotSent, now);
                self.try_later(now, policy, None);
            }
            _ if step == Step::Create => self.create_failed(answer, now, policy),
            Answer::NoEffect { code, denied } if self.refused_for_good(code, *denied) => {
                self.close(Verdict::Refused { code: code.clone() }, now);
                self.park(ParkReason::Refused { code: code.clone() }, now, policy);
            }
            Answer::NoEffect { .. } | Answer::Declined { .. } | Answer::Conflict { .. } => {
                self.look_from(now, millis(0));
            }
            Answer::RateLimited { retry_after_ms } => {
                let wait = retry_after_ms.unwrap_or(0).min(policy.retry_after_cap_ms);
                self.look_from(now, millis(wait).max(self.lookup_delay(policy, 0)));
            }
            Answer::Unknown { .. } => self.look_from(now, self.lookup_delay(policy, 0)),
        }
    }

    /// Takes in that the call of attempt `number`, opened under the claim `opener`, was noted and
    /// never made. Only whoever opened it can know that. Answers whether it is that attempt.
    pub fn never_sent(
        &mut self,
        number: u32,
        opener: &str,
        now: Timestamp,
        policy: &Policy,
    ) -> bool {
        let ours = |open: &Attempt| {
            open.is_open() && open.number == number && open.opened_by.as_deref() == Some(opener)
        };
        let Some(open) = self.attempts.last_mut().filter(|last| ours(last)) else {
            return false;
        };
        open.note = Some(Note {
            at: now,
            class: AnswerClass::NotSent,
            code: Some("the claim or Redis changed before the call".to_owned()),
        });
        self.close(Verdict::NotSent, now);
        self.try_later(now, policy, None);
        let in_doubt = matches!(
            self.state,
            State::Parked {
                reason: ParkReason::OutcomeUnknown | ParkReason::LookUpsExhausted,
                ..
            }
        );
        if in_doubt {
            // That it was in doubt was all that kept it, and it is not any more.
            self.rerun_wanted = true;
            self.resume_if_asked(now);
        }
        true
    }

    /// 401, 403 and 404 on the only call that may have reached the gateway: nothing happened, and
    /// nothing will until a person mends the configuration. After an unknown call it says nothing.
    fn refused_for_good(&self, code: &str, denied: bool) -> bool {
        let earlier_unknown = self.attempts.iter().any(|attempt| {
            attempt.step.takes_money()
                && attempt
                    .closed
                    .as_ref()
                    .is_some_and(|c| c.verdict == Verdict::DidNotHappen)
        });
        (denied || code == "not_found") && !earlier_unknown
    }

    fn answered_with(&mut self, step: Step, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if step == Step::Create {
            self.close(Verdict::Done, now);
            self.pace.step_at = None;
        } else {
            self.look_from(now, self.lookup_delay(policy, 0));
        }
        self.saw(seen, now, policy);
    }

    /// A create that did not answer with a purchase. What it may have made is a link that nobody
    /// knows and that expires by itself, so another one can be made.
    fn create_failed(&mut self, answer: &Answer, now: Timestamp, policy: &Policy) {
        match answer {
            Answer::RateLimited { retry_after_ms } => {
                self.close(Verdict::DidNotHappen, now);
                self.try_later(now, policy, *retry_after_ms);
            }
            Answer::NoEffect { code, .. }
            | Answer::Declined { code }
            | Answer::Conflict { code } => {
                self.close(Verdict::Refused { code: code.clone() }, now);
                self.park(ParkReason::Refused { code: code.clone() }, now, policy);
            }
            Answer::Unknown { .. } | Answer::NotSent { .. } | Answer::Shown(_) => {
                self.close(Verdict::DidNotHappen, now);
                self.try_later(now, policy, None);
            }
        }
    }

    /// The technical ladder: the same step again, later.
    pub(super) fn try_later(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        retry_after_ms: Option<u64>,
    ) {
        let rung = self.pace.technical;
        let asked = millis(retry_after_ms.unwrap_or(0).min(policy.retry_after_cap_ms));
        let wait = policy.technical.delay(rung, self.id.as_str()).max(asked);
        self.pace.technical = rung.saturating_add(1);
        self.pace.technical_since.get_or_insert(now);
        self.pace.step_at = Some(now + wait);
    }

    /// Takes in what came of a look-up.
    pub fn looked_up(&mut self, outcome: &LookUp, now: Timestamp, policy: &Policy) {
        self.look_wanted = false;
        self.note_look(outcome, now);
        match outcome {
            LookUp::Shown(seen) => self.saw(seen, now, policy),
            LookUp::NotFound if self.missing_for_good(now, policy) => {
                let code = "not_found".to_owned();
                self.park(ParkReason::Refused { code }, now, policy);
            }
            LookUp::NotFound => self.keep_looking(now, policy, None),
            LookUp::Failed { retry_after_ms, .. } => {
                self.keep_looking(now, policy, *retry_after_ms);
            }
        }
    }

    fn note_look(&mut self, outcome: &LookUp, now: Timestamp) {
        if let Some(open) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) {
            let count = open.looks.as_ref().map_or(0, |looks| looks.count);
            open.looks = Some(Looks {
                count: count.saturating_add(1),
                last_at: now,
                last_saw: outcome.as_str().to_owned(),
            });
        }
    }

    /// A purchase that we created may be missing from a stale copy for a while; one that somebody
    /// named to us does not exist.
    fn missing_for_good(&self, now: Timestamp, policy: &Policy) -> bool {
        let named = matches!(self.request.ask, Ask::Adopt(_)) && self.state == State::New;
        let quiet = millis(policy.quiet_ms);
        let for_long = self
            .pace
            .looking_since
            .is_some_and(|since| now - since >= quiet && self.pace.looks >= LOOKS_FOR_MISSING);
        let call_quiet = self
            .open_attempt()
            .is_none_or(|open| is_quiet(open, now, policy));
        named || (for_long && call_quiet)
    }

    /// One more look, a rung further on.
    pub(super) fn keep_looking(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        retry_after_ms: Option<u64>,
    ) {
        let since = *self.pace.looking_since.get_or_insert(now);
        if matches!(self.state, State::Parked { .. }) {
            // Who asked for a look gets one that says something, unless it takes for ever.
            self.rerun_wanted &= now - since <= policy.lookup.give_up_after();
            if !self.rerun_wanted {
                self.stop_looking();
                return self.rest_parked(now, policy);
            }
        }
        let asked = millis(retry_after_ms.unwrap_or(0).min(policy.retry_after_cap_ms));
        let rung = self.pace.looks.saturating_add(1);
        let ladder = match self.state {
            State::AwaitingPayer if self.open_attempt().is_none() => &policy.payer,
            _ => &policy.lookup,
        };
        self.pace.looks = rung;
        self.pace.looked_at = Some(now);
        if self.looked_enough(policy) && !self.needs_a_conclusion() {
            return self.stop_looking();
        }
        self.pace.look_at = Some(now + ladder.delay(rung, self.id.as_str()).max(asked));
    }

    /// Carries out what [`super::Next::Settle`] concluded.
    pub fn settled(&mut self, event: Event, now: Timestamp, policy: &Policy) {
        match event {
            Event::Stuck(reason) => self.park(reason, now, policy),
            Event::Resumed => self.resume_if_asked(now),
            event => self.settle(event, now, policy),
        }
    }
}
