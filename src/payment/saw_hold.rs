//! What a sighting says of a hold.

use chrono::TimeDelta;

use super::attempt::{Step, Verdict};
use super::decline::Advice;
use super::evidence::{HeldProof, Sighting};
use super::ladder::millis;
use super::reading::{Reading, reading};
use super::record::{Decision, HoldOutcome, Payment};
use super::request::Ask;
use super::state::{Active, Event, FailReason, Mismatch, ParkReason};
use super::{Policy, Timestamp};

/// How long the tries at a capture that the acquirer keeps refusing are apart in the end.
const SLOW_CAPTURES: TimeDelta = TimeDelta::hours(8);

impl Payment {
    pub(super) fn saw_held(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if matches!(self.state.active(), Some(Active::Held(_))) {
            return self.saw_still_held(seen, now, policy);
        }
        match HeldProof::of(self, seen, now, policy) {
            Ok(proof) => {
                self.close_as(|step| step == Step::Charge, now);
                self.settle(Event::Held(proof), now, policy);
                self.climb_anew();
                self.pace.declines = 0;
                self.seal_seen_at = None;
                let cancelled = self.ending.take() == Some(FailReason::Cancelled);
                if cancelled || self.was_cancelled() {
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
    pub(super) fn saw_still_held(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
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

    pub(super) fn saw_released(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        let held = matches!(self.state.active(), Some(Active::Held(_)));
        // A hold that came and went unseen: a person who looked at it may have that recorded.
        let unseen = matches!(self.request.ask, Ask::Authorize(_) | Ask::Adopt(_));
        let asked = self.rerun_wanted || self.is_taken_as_shown(now);
        if !(held || (unseen && asked)) || self.ended_elsewhere(seen, now) {
            return self.contradiction(Mismatch::ElsewhereEnded, now, policy);
        }
        self.close_as(|step| step == Step::Release, now);
        self.settle(Event::Released, now, policy);
    }
}
