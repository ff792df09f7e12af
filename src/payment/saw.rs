//! What one sighting of the purchase changes: everything that is ever reported follows from here.

use chrono::TimeDelta;

use super::attempt::{AnswerClass, Attempt, Note, Step, Verdict};
use super::decline::Advice;
use super::evidence::{HeldProof, PaidProof, Seal, Sighting, Standing};
use super::ladder::millis;
use super::policy::UnknownPolicy;
use super::reading::{Reading, is_quiet, reading};
use super::record::{Decision, HoldOutcome, Payment};
use super::request::Ask;
use super::state::{Active, Event, FailReason, Mismatch, ParkReason, State};
use super::{Policy, Timestamp};

/// How long the tries at a capture that the acquirer keeps refusing are apart in the end.
const SLOW_CAPTURES: TimeDelta = TimeDelta::hours(8);
/// So many calls that left no trace are sent again; then a person must look at the gateway.
const MOST_RESENDS: usize = 3;

impl Payment {
    /// Takes in one sighting.
    pub(super) fn saw(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if self.is_finished() {
            return;
        }
        self.look_wanted = false;
        self.keep_purchase(seen);
        if let Err(what) = seen.check(self, policy)
            && !self.only_to_be_sealed(seen, what)
        {
            return self.contradiction(what, now, policy);
        }
        match &seen.standing {
            Standing::Paid => self.saw_paid(seen, now, policy),
            Standing::Held => self.saw_held(seen, now, policy),
            Standing::Payable => self.saw_payable(seen, now, policy),
            Standing::Released => self.saw_released(seen, now, policy),
            Standing::CardSaved => self.saw_card(seen, now, policy),
            Standing::Cancelled | Standing::Expired => self.saw_sealed(seen, now, policy),
            Standing::Pending | Standing::Other(_) => self.saw_nothing_certain(now, policy),
        }
    }

    /// Nothing is ever charged on what is not as asked, but it can still be cancelled.
    fn only_to_be_sealed(&self, seen: &Sighting, what: Mismatch) -> bool {
        let sealed = matches!(seen.standing, Standing::Cancelled | Standing::Expired);
        let given_up = seen.standing == Standing::Payable && self.ending.is_some();
        (sealed || given_up) && what != Mismatch::Identity
    }

    fn contradiction(&mut self, what: Mismatch, now: Timestamp, policy: &Policy) {
        self.rerun_wanted = false;
        self.park(ParkReason::Contradiction { what }, now, policy);
    }

    /// Reports an end or a state that a proof stands for; a state in which it cannot be is parked.
    pub(super) fn settle(&mut self, event: Event, now: Timestamp, policy: &Policy) {
        self.rerun_wanted = false;
        match self.on(event, now) {
            Ok(()) => {}
            Err(_) => self.contradiction(Mismatch::Kind, now, policy),
        }
    }

    fn saw_paid(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        match PaidProof::of(self, seen) {
            Ok(_) if self.ended_elsewhere(seen) => {
                self.contradiction(Mismatch::ElsewhereEnded, now, policy);
            }
            Ok(proof) => {
                self.close_as(Step::takes_money, now);
                self.settle(Event::Paid(proof), now, policy);
            }
            Err(what) => self.contradiction(what, now, policy),
        }
    }

    /// Whether a hold ended in a way that this payment did not ask for, and no person has looked at
    /// it since: somebody else captured or released it. A rerun takes what the gateway shows.
    fn ended_elsewhere(&self, seen: &Sighting) -> bool {
        let asked = self.decision.as_ref().map(|decision| decision.outcome);
        let as_asked = match seen.standing {
            Standing::Paid => matches!(asked, Some(HoldOutcome::Capture(_))),
            Standing::Released => asked == Some(HoldOutcome::Release),
            _ => true,
        };
        let hold = !matches!(self.request.ask, Ask::Charge(_));
        hold && !as_asked && !self.rerun_wanted
    }

    /// Closes the open call: done, if it is one that does what was seen.
    fn close_as(&mut self, does: fn(Step) -> bool, now: Timestamp) {
        let done = self.open_attempt().is_some_and(|open| does(open.step));
        self.close(
            if done {
                Verdict::Done
            } else {
                Verdict::DidNotHappen
            },
            now,
        );
    }

    fn saw_held(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if matches!(self.state.active(), Some(Active::Held(_))) {
            return self.saw_still_held(seen, now, policy);
        }
        match HeldProof::of(self, seen, now, policy) {
            Ok(proof) => {
                self.close_as(|step| step == Step::Charge, now);
                self.settle(Event::Held(proof), now, policy);
                self.pace.step_at = None;
                self.pace.declines = 0;
                self.seal_seen_at = None;
                if self.ending.take() == Some(FailReason::Cancelled) {
                    // The payer was quicker than the cancel: give the money back.
                    self.decision = Some(Decision {
                        outcome: HoldOutcome::Release,
                        by_command: true,
                    });
                }
            }
            Err(what) => self.contradiction(what, now, policy),
        }
    }

    /// Held as before: what of the capture or release that was sent?
    fn saw_still_held(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        let Some(open) = self.open_attempt().cloned() else {
            return self.nothing_new(now, policy);
        };
        match reading(&open, seen, now, policy) {
            Reading::Refused(code) => {
                self.close(Verdict::Refused { code: code.clone() }, now);
                self.park(ParkReason::Refused { code }, now, policy);
            }
            Reading::Declined(code, Advice::InDoubt) => self.in_doubt(code, now, policy),
            Reading::Declined(code, Advice::NeedsOperator) => {
                self.close(Verdict::Declined { code: code.clone() }, now);
                self.park(ParkReason::DeclinedForOperator { code }, now, policy);
            }
            Reading::Declined(code, _) => {
                self.close(Verdict::Declined { code }, now);
                self.resume_if_asked(now);
                let rung = self.pace.declines;
                self.pace.declines = rung.saturating_add(1);
                let rungs = u32::try_from(policy.lookup.delays_ms.len()).unwrap_or(u32::MAX);
                let slow = if rung < rungs {
                    millis(0)
                } else {
                    SLOW_CAPTURES
                };
                self.pace.step_at = Some(now + self.lookup_delay(policy, rung).max(slow));
            }
            reading => self.no_trace(&reading, now, policy),
        }
    }

    fn saw_payable(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        match self.state.active() {
            // A hold never becomes payable again: the sighting is older than what we know.
            None | Some(Active::Held(_)) => self.saw_nothing_certain(now, policy),
            Some(Active::AwaitingPayer | Active::New) => match self.open_attempt().cloned() {
                Some(open) => self.saw_unpaid(&open, seen, now, policy),
                None => self.saw_waiting(now, policy),
            },
        }
    }

    /// Payable with a call of ours open: what of that call?
    fn saw_unpaid(&mut self, open: &Attempt, seen: &Sighting, now: Timestamp, policy: &Policy) {
        match reading(open, seen, now, policy) {
            Reading::Declined(code, advice) => self.declined(code, advice, now, policy),
            Reading::Refused(code) => {
                self.close(Verdict::Refused { code: code.clone() }, now);
                self.park(ParkReason::Refused { code }, now, policy);
            }
            reading => self.no_trace(&reading, now, policy),
        }
    }

    /// Payable with nothing of ours under way.
    fn saw_waiting(&mut self, now: Timestamp, policy: &Policy) {
        if self.state == State::New && self.is_checkout() {
            self.settle(Event::LinkMade, now, policy);
            return self.wait_for_payer(now, policy);
        }
        if matches!(self.request.ask, Ask::Adopt(_)) && self.state == State::New {
            return self.contradiction(Mismatch::Kind, now, policy);
        }
        self.seal_seen_at = None;
        self.resume_if_asked(now);
        if self.state == State::AwaitingPayer {
            self.wait_for_payer(now, policy);
        } else {
            self.nothing_new(now, policy);
        }
    }

    fn wait_for_payer(&mut self, now: Timestamp, policy: &Policy) {
        let end = self.link_ends(policy);
        let rung = self.pace.looks;
        let poll = now + policy.payer.delay(rung, self.id.as_str());
        self.pace.looking_since = None;
        self.pace.looks = rung.saturating_add(1);
        match end {
            Some(end) if now >= end => {
                self.ending.get_or_insert(FailReason::Expired);
            }
            Some(end) => self.pace.look_at = Some(poll.min(end)),
            None => self.pace.look_at = Some(poll),
        }
    }

    fn declined(&mut self, code: String, advice: Advice, now: Timestamp, policy: &Policy) {
        if advice == Advice::InDoubt {
            return self.in_doubt(code, now, policy);
        }
        self.resume_if_asked(now);
        self.close(Verdict::Declined { code: code.clone() }, now);
        match advice {
            Advice::NeedsOperator => {
                self.park(ParkReason::DeclinedForOperator { code }, now, policy);
            }
            Advice::Later => self.charge_later(code, now, policy),
            Advice::Never | Advice::NeedsCustomer | Advice::InDoubt => {
                self.ending = Some(FailReason::Declined { code });
                self.pace.step_at = None;
            }
        }
    }

    /// The business ladder: charge the same purchase again on another day, while there is one.
    fn charge_later(&mut self, code: String, now: Timestamp, policy: &Policy) {
        let rung = self.pace.declines;
        self.pace.declines = rung.saturating_add(1);
        let at = now + policy.business.delay(rung, self.id.as_str());
        let rungs = u32::try_from(policy.business.delays_ms.len()).unwrap_or(u32::MAX);
        let too_late = match &self.request.ask {
            Ask::Charge(ask) => ask.not_after.is_some_and(|end| at > end),
            Ask::Authorize(_) | Ask::SaveCard(_) | Ask::Adopt(_) => false,
        };
        if rung >= rungs || too_late {
            self.ending = Some(FailReason::Declined { code });
            self.pace.step_at = None;
        } else {
            self.pace.step_at = Some(at);
        }
    }

    /// The acquirer's code leaves open whether money moved: look for long, never call again. Only
    /// a person who gives up lets it be sealed.
    fn in_doubt(&mut self, code: String, now: Timestamp, policy: &Policy) {
        let Some(open) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) else {
            return;
        };
        if self.ending.is_some() && is_quiet(open, now, policy) {
            self.close(Verdict::Declined { code }, now);
            return self.resume_if_asked(now);
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
    fn no_trace(&mut self, reading: &Reading, now: Timestamp, policy: &Policy) {
        let harmless = self
            .open_attempt()
            .is_some_and(|open| !open.step.takes_money());
        let given_up = self.ending.is_some();
        match reading {
            Reading::RateLimited => {
                self.close(Verdict::DidNotHappen, now);
                self.resume_if_asked(now);
                self.try_later(now, policy, None);
            }
            Reading::NoTrace { .. } if harmless => {
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
            Reading::NoTrace { quiet: false } | Reading::Declined(..) | Reading::Refused(_) => {
                self.saw_nothing_certain(now, policy);
            }
        }
    }

    /// How many calls that take money left no trace so far.
    fn resends(&self) -> usize {
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

    fn saw_released(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        let held = matches!(self.state.active(), Some(Active::Held(_)));
        if !held || self.ended_elsewhere(seen) {
            return self.contradiction(Mismatch::ElsewhereEnded, now, policy);
        }
        self.close_as(|step| step == Step::Release, now);
        self.settle(Event::Released, now, policy);
    }

    fn saw_card(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        match &seen.card {
            Some(token) if matches!(self.request.ask, Ask::SaveCard(_)) => {
                self.close(Verdict::Done, now);
                self.settle(Event::Saved(token.clone()), now, policy);
            }
            _ => self.contradiction(Mismatch::Kind, now, policy),
        }
    }

    /// Cancelled or expired: believed when it was read twice, and not while a call that takes
    /// money may still be on its way.
    fn saw_sealed(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if matches!(self.state.active(), Some(Active::Held(_))) {
            return self.contradiction(Mismatch::ElsewhereEnded, now, policy);
        }
        let in_flight = self
            .open_attempt()
            .is_some_and(|open| open.step.takes_money() && !is_quiet(open, now, policy));
        if in_flight {
            return self.saw_nothing_certain(now, policy);
        }
        let verdict = match self.open_attempt().map(|open| open.step) {
            Some(Step::Cancel) => Verdict::Done,
            _ => Verdict::DidNotHappen,
        };
        let Some(seal) = Seal::read_twice(self, seen) else {
            self.close(verdict, now);
            self.seal_seen_at = Some(now);
            self.ending.get_or_insert(match seen.standing {
                Standing::Expired => FailReason::Expired,
                _ => FailReason::Cancelled,
            });
            self.look_wanted = matches!(self.state, State::Parked { .. });
            return self.look_from(now, millis(0));
        };
        let reason = self.ending.clone().unwrap_or(FailReason::Cancelled);
        self.settle(Event::Sealed(seal, reason), now, policy);
    }

    /// Pending, unknown or older than what we know: look again later.
    fn saw_nothing_certain(&mut self, now: Timestamp, policy: &Policy) {
        if self.rerun_wanted && matches!(self.state, State::Parked { .. }) {
            self.resume_if_asked(now);
            return self.look_from(now, self.lookup_delay(policy, 0));
        }
        self.keep_looking(now, policy, None);
    }

    /// As expected. A parked payment goes on if a person asked for it.
    fn nothing_new(&mut self, now: Timestamp, policy: &Policy) {
        self.resume_if_asked(now);
        if matches!(self.state, State::Parked { .. }) {
            return self.rest_parked(now, policy);
        }
        self.pace.looks = 0;
        self.pace.looking_since = None;
        self.pace.look_at = None;
    }

    pub(super) fn resume_if_asked(&mut self, now: Timestamp) {
        let asked = std::mem::take(&mut self.rerun_wanted);
        if asked && self.on(Event::Resumed, now).is_ok() {
            self.pace.technical = 0;
            self.pace.technical_since = None;
            self.pace.step_at = None;
            self.pace.one_more = true;
        }
    }
}
