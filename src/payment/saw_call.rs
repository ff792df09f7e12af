//! What a sighting that shows no outcome says of the call that is open.

use super::attempt::{AnswerClass, Attempt, Note, Verdict};
use super::policy::UnknownPolicy;
use super::reading::{Reading, is_quiet};
use super::record::Payment;
use super::state::ParkReason;
use super::{Policy, Timestamp};

/// So many calls that left no trace are sent again; then a person must look at the gateway.
const MOST_RESENDS: usize = 3;

impl Payment {
    /// The acquirer's code leaves open whether money moved: look for long, never call again. Only
    /// a person who gives up lets it be sealed. Giving money back a second time takes none.
    pub(super) fn in_doubt(&mut self, code: String, now: Timestamp, policy: &Policy) {
        let Some(open) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) else {
            return;
        };
        let harmless = !open.step.takes_money();
        if (self.ending.is_some() || harmless) && is_quiet(open, now, policy) {
            self.close(Verdict::Declined { code }, now);
            self.resume_if_asked(now);
            if harmless {
                self.try_later(now, policy, None);
            }
            return;
        }
        let at = open.last_sign();
        open.note = Some(Note {
            at,
            class: AnswerClass::InDoubt,
            code: Some(code),
        });
        self.saw_nothing_certain(now, policy);
    }

    /// No sign of the call that is open.
    pub(super) fn no_trace(&mut self, reading: &Reading, now: Timestamp, policy: &Policy) {
        let harmless = self
            .open_attempt()
            .is_some_and(|open| !open.step.takes_money());
        let given_up = self.ending.is_some();
        let quiet = self
            .open_attempt()
            .is_none_or(|open| is_quiet(open, now, policy));
        match reading {
            Reading::RateLimited => {
                self.close(Verdict::DidNotHappen, now);
                self.resume_if_asked(now);
                self.try_later(now, policy, None);
            }
            Reading::NoTrace { .. } | Reading::TakenOn { .. } if harmless => {
                self.close(Verdict::DidNotHappen, now);
                self.resume_if_asked(now);
                self.try_later(now, policy, None);
            }
            Reading::NoTrace { quiet: true } if given_up => {
                self.close(Verdict::DidNotHappen, now);
                self.resume_if_asked(now);
            }
            Reading::NoTrace { quiet: true } => match policy.unknown {
                UnknownPolicy::ResendSame if self.resends() < MOST_RESENDS => {
                    self.close(Verdict::DidNotHappen, now);
                    self.resume_if_asked(now);
                    self.pace.step_at = None;
                }
                UnknownPolicy::Park | UnknownPolicy::ResendSame => {
                    self.rerun_wanted = false;
                    self.park(ParkReason::OutcomeUnknown, now, policy);
                }
            },
            Reading::TakenOn { listed: false } if given_up && quiet => {
                self.close(Verdict::DidNotHappen, now);
                self.resume_if_asked(now);
            }
            Reading::TakenOn { .. }
            | Reading::NoTrace { quiet: false }
            | Reading::Declined(..)
            | Reading::Refused(_) => self.saw_nothing_certain(now, policy),
        }
    }

    /// How many calls that take money left no trace so far.
    pub(super) fn resends(&self) -> usize {
        let traceless = |attempt: &&Attempt| {
            attempt.step.takes_money()
                && attempt.answer_class() != Some(AnswerClass::RateLimited)
                && attempt
                    .closed
                    .as_ref()
                    .is_some_and(|c| c.verdict == Verdict::DidNotHappen)
        };
        self.attempts.iter().filter(traceless).count()
    }
}
