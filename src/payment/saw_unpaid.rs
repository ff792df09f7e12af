//! What a sighting says of a purchase that can still be paid.

use super::attempt::{Attempt, Verdict};
use super::decline::Advice;
use super::evidence::Sighting;
use super::reading::{Reading, reading};
use super::record::Payment;
use super::request::Ask;
use super::state::{Active, Event, FailReason, Mismatch, ParkReason, State};
use super::{Policy, Timestamp};

impl Payment {
    pub(super) fn saw_payable(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
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
    pub(super) fn saw_unpaid(
        &mut self,
        open: &Attempt,
        seen: &Sighting,
        now: Timestamp,
        policy: &Policy,
    ) {
        match reading(open, seen, now, policy) {
            Reading::Declined(code, advice) => self.declined(code, advice, now, policy),
            Reading::Refused(code) => {
                self.close(Verdict::Refused { code: code.clone() }, now);
                if open.step.takes_money() && self.ending.is_some() {
                    self.pace.step_at = None;
                    return self.resume_if_asked(now);
                }
                self.park(ParkReason::Refused { code }, now, policy);
            }
            reading => self.no_trace(&reading, now, policy),
        }
    }

    /// Payable with nothing of ours under way.
    pub(super) fn saw_waiting(&mut self, now: Timestamp, policy: &Policy) {
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

    pub(super) fn wait_for_payer(&mut self, now: Timestamp, policy: &Policy) {
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

    pub(super) fn declined(
        &mut self,
        code: String,
        advice: Advice,
        now: Timestamp,
        policy: &Policy,
    ) {
        if advice == Advice::InDoubt {
            return self.in_doubt(code, now, policy);
        }
        self.resume_if_asked(now);
        self.close(Verdict::Declined { code: code.clone() }, now);
        if self.ending.is_some() {
            // Given up meanwhile: whatever the code asks for, it is sealed.
            self.pace.step_at = None;
            return;
        }
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
    pub(super) fn charge_later(&mut self, code: String, now: Timestamp, policy: &Policy) {
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
}
