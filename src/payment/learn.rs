//! What an answer or a look-up changes. Evidence outranks answers: an answer that is not the
//! purchase itself only says where to look, and the next sighting decides (`saw`).

use chrono::TimeDelta;

use super::attempt::{Answer, AnswerClass, Attempt, Denial, LookUp, Looks, Note, Step, Verdict};
use super::evidence::Sighting;
use super::ladder::millis;
use super::reading::is_quiet;
use super::record::{Denied, Payment};
use super::request::Ask;
use super::state::{Event, ParkReason, State};
use super::{Policy, Timestamp};

/// So often, at least, a purchase must be looked for in vain before it counts as missing, or the key
/// be refused before that counts.
const LOOKS_IN_VAIN: u32 = 3;

/// So long after a payment was parked nobody has acted on it.
const ONLY_JUST: TimeDelta = TimeDelta::minutes(1);

impl Payment {
    /// What was asked for and has not been looked at: a look, a rerun.
    pub(crate) const fn asked(&self) -> (bool, bool) {
        (self.look_wanted, self.rerun_wanted)
    }

    /// Keeps what was asked for after a look that is older than the asking.
    pub(crate) fn still_asked(&mut self, (look, rerun): (bool, bool)) {
        self.look_wanted |= look && !self.is_finished();
        self.rerun_wanted |= rerun && matches!(self.state, State::Parked { .. });
    }

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
        if self.is_only_just_in_doubt(now) && !self.waits_for_a_look() {
            // That doubt was all that kept it, and nobody can have acted on it yet: one look, and
            // it goes on. Later a person may have settled it in another way, and decides.
            self.rerun_wanted = true;
            self.look_wanted = self.purchase.is_some();
        }
        true
    }

    /// Whether it was parked a moment ago because nobody knew what a call did.
    fn is_only_just_in_doubt(&self, now: Timestamp) -> bool {
        let parked = self.history.last().map_or(self.created_at, |last| last.at);
        let doubt = matches!(
            self.state,
            State::Parked {
                reason: ParkReason::OutcomeUnknown,
                ..
            }
        );
        doubt && now - parked <= ONLY_JUST
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
        let silence = self.pace.failed_at.map(|last| now - last);
        if silence.is_some_and(|silence| silence > policy.technical.give_up_after()) {
            // Nobody tried for so long that the earlier failures say nothing of the gateway now.
            self.climb_anew();
        }
        self.pace.failed_at = Some(now);
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
        let words = self.has_words_waiting();
        self.note_look(outcome, now);
        self.note_denial(outcome, now);
        match outcome {
            LookUp::Shown(seen) => self.saw(seen, now, policy),
            LookUp::NotFound if self.missing_for_good(now, policy) => {
                let code = "not_found".to_owned();
                // It was not seen, so whatever was asked for has not been looked at yet.
                let asked = self.rerun_wanted;
                self.park(ParkReason::Refused { code }, now, policy);
                self.rerun_wanted = asked;
            }
            LookUp::NotFound => self.keep_looking(now, policy, None),
            LookUp::Failed { retry_after_ms, .. } => {
                self.keep_looking(now, policy, *retry_after_ms);
            }
        }
        if words {
            self.left_behind_by(outcome);
        }
        self.resolve(outcome, now, policy);
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

    /// A refusal may be somebody's slip: it counts once it lasts, and is the gateway's own word. Whatever the gateway
    /// tells of the purchase ends it; what tells nothing does not.
    fn note_denial(&mut self, outcome: &LookUp, now: Timestamp) {
        match outcome {
            LookUp::Failed {
                denied: Denial::Said,
                ..
            } => {
                let first = Denied {
                    since: now,
                    looks: 0,
                };
                let denied = self.pace.denied.get_or_insert(first);
                denied.looks = denied.looks.saturating_add(1);
            }
            LookUp::Failed { .. } => {}
            LookUp::Shown(_) | LookUp::NotFound => self.pace.denied = None,
        }
    }

    /// A purchase that we created may be missing from a stale copy for a while; one that somebody
    /// named to us does not exist.
    fn missing_for_good(&mut self, now: Timestamp, policy: &Policy) -> bool {
        self.pace.missing_since.get_or_insert(now);
        self.pace.missing = self.pace.missing.saturating_add(1);
        let named = matches!(self.request.ask, Ask::Adopt(_)) && self.state == State::New;
        let for_long = self.is_missing_for_long(now, policy);
        let call_quiet = self
            .open_attempt()
            .is_none_or(|open| is_quiet(open, now, policy));
        named || (for_long && call_quiet)
    }

    /// Whether the gateway knew no such purchase in many looks over a quiet period: no stale copy is so old.
    pub(super) fn is_missing_for_long(&self, now: Timestamp, policy: &Policy) -> bool {
        let quiet = millis(policy.quiet_ms);
        let since = self.pace.missing_since;
        since.is_some_and(|since| now - since >= quiet) && self.pace.missing >= LOOKS_IN_VAIN
    }

    /// Whether the key was refused in many looks over a quiet period.
    pub(super) fn is_denied_for_long(&self, now: Timestamp, policy: &Policy) -> bool {
        let quiet = millis(policy.quiet_ms);
        self.pace
            .denied
            .is_some_and(|denied| now - denied.since >= quiet && denied.looks >= LOOKS_IN_VAIN)
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
            // Who asked for a look gets one that says something, only less often if it takes long.
            let for_long = now - since > policy.lookup.give_up_after();
            if for_long || !self.rerun_wanted {
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
        let has_a_plan = matches!(self.state, State::Held(_)) && !self.needs_a_conclusion();
        if has_a_plan && self.looked_enough(policy) {
            // The hold stands as far as is known, and its plan goes on.
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
