//! What one sighting of the purchase changes: everything that is ever reported follows from here.
//! What it says of a hold is in `saw_hold`, of a call that is open in `saw_call`, of a purchase that
//! can still be paid in `saw_unpaid`.

use super::attempt::{AnswerClass, Note, Step, Verdict};
use super::evidence::{PaidProof, Seal, Sighting, Standing, TryKind};
use super::ladder::millis;
use super::reading::{is_explained, is_quiet};
use super::record::{HoldOutcome, Payment};
use super::request::Ask;
use super::state::{Active, Event, FailReason, Mismatch, ParkReason, State};
use super::{Policy, Timestamp};

impl Payment {
    /// Takes in one sighting.
    pub(super) fn saw(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if self.is_finished() {
            return;
        }
        self.look_wanted = false;
        self.pace.missing = 0;
        self.pace.missing_since = None;
        self.pace.denied = None;
        self.keep_purchase(seen);
        if let Err(what) = seen.check(self, policy)
            && !self.only_to_be_sealed(seen, what)
        {
            return self.contradiction(what, now, policy);
        }
        if let Some(face) = &seen.face {
            self.face = Some(face.clone());
        }
        let half_paid = seen.standing == Standing::Paid && seen.taken.is_none();
        let busy = matches!(seen.standing, Standing::Pending | Standing::Other(_));
        self.pace.unsettled = busy || half_paid;
        match &seen.standing {
            Standing::Paid => self.saw_paid(seen, now, policy),
            Standing::Held => self.saw_held(seen, now, policy),
            Standing::Payable => self.saw_payable(seen, now, policy),
            Standing::Released => self.saw_released(seen, now, policy),
            Standing::CardSaved => self.saw_card(seen, now, policy),
            Standing::Cancelled | Standing::Expired => self.saw_sealed(seen, now, policy),
            Standing::Pending => self.saw_pending(now, policy),
            Standing::Other(_) => self.saw_nothing_certain(now, policy),
        }
    }

    /// Nothing is ever charged on what is not as asked, but it can still be cancelled.
    pub(super) fn only_to_be_sealed(&self, seen: &Sighting, what: Mismatch) -> bool {
        let sealed = matches!(seen.standing, Standing::Cancelled | Standing::Expired);
        let given_up = seen.standing == Standing::Payable && self.ending.is_some();
        (sealed || given_up) && what != Mismatch::Identity
    }

    pub(super) fn contradiction(&mut self, what: Mismatch, now: Timestamp, policy: &Policy) {
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

    pub(super) fn saw_paid(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if seen.taken.is_none() {
            // Paid, and not a word of how much: the gateway is not done writing it.
            return self.saw_nothing_certain(now, policy);
        }
        match PaidProof::of(self, seen) {
            Ok(_) if self.ended_elsewhere(seen, now) => {
                let held = matches!(self.state.active(), Some(Active::Held(_)));
                let what = if held {
                    Mismatch::ElsewhereEnded
                } else {
                    Mismatch::Kind
                };
                self.contradiction(what, now, policy);
            }
            Ok(proof) => {
                self.close_as(Step::takes_money, now);
                self.settle(Event::Paid(proof), now, policy);
            }
            Err(_) if self.settle_as_shown(seen, now) => {}
            Err(what) => self.contradiction(what, now, policy),
        }
    }

    /// Whether a hold ended in a way that this payment did not ask for, and no person has looked at
    /// it since: somebody else captured or released it. Who asks again takes what the gateway shows.
    pub(super) fn ended_elsewhere(&self, seen: &Sighting, now: Timestamp) -> bool {
        let asked = self.decision.as_ref().map(|decision| decision.outcome);
        let as_asked = match seen.standing {
            Standing::Paid => matches!(asked, Some(HoldOutcome::Capture(_))),
            Standing::Released => asked == Some(HoldOutcome::Release),
            _ => true,
        };
        let hold = !matches!(self.request.ask, Ask::Charge(_));
        hold && !as_asked && !self.rerun_wanted && !self.is_taken_as_shown(now)
    }

    /// Closes the open call: done, if it is one that does what was seen.
    pub(super) fn close_as(&mut self, does: fn(Step) -> bool, now: Timestamp) {
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

    /// Under way at the acquirer: a sign of life of the call that is open.
    pub(super) fn saw_pending(&mut self, now: Timestamp, policy: &Policy) {
        if let Some(open) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) {
            open.note = Some(Note {
                at: now,
                class: AnswerClass::Pending,
                code: None,
            });
        }
        self.saw_nothing_certain(now, policy);
    }

    /// Pending, unknown or older than what we know: look again later. It says nothing against a call
    /// that is open, so whoever asked for a rerun has that looked for again; but nothing is sent on it.
    pub(super) fn saw_nothing_certain(&mut self, now: Timestamp, policy: &Policy) {
        let parked = matches!(self.state, State::Parked { .. });
        if self.rerun_wanted && parked && self.open_attempt().is_some() {
            self.resume_if_asked(now);
            return self.look_from(now, self.lookup_delay(policy, 0));
        }
        self.keep_looking(now, policy, None);
    }

    /// As expected. A parked payment goes on if a person asked for it.
    pub(super) fn nothing_new(&mut self, now: Timestamp, policy: &Policy) {
        self.resume_if_asked(now);
        self.stop_looking();
        if matches!(self.state, State::Parked { .. }) {
            self.rest_parked(now, policy);
        }
    }

    pub(super) fn resume_if_asked(&mut self, now: Timestamp) {
        let asked = std::mem::take(&mut self.rerun_wanted);
        if asked && self.on(Event::Resumed, now).is_ok() {
            self.climb_anew();
            self.pace.one_more = true;
        }
    }

    pub(super) fn saw_card(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        match &seen.card {
            Some(token) if matches!(self.request.ask, Ask::SaveCard(_)) => {
                self.close_as(|_| false, now);
                self.settle(Event::Saved(token.clone()), now, policy);
            }
            _ => self.contradiction(Mismatch::Kind, now, policy),
        }
    }

    /// From when on a second sight of a seal counts, if it was first seen at `first`. At once, unless
    /// money may be on its way that nothing shows. A call that takes money and was never explained: a
    /// gateway that cancels under a charge may show the seal and take the money all the same, for as
    /// long as that call may be on its way. Or the payer's last click, which came before the link was
    /// seen to be dead and before its end.
    pub(super) fn seal_counts_from(&self, first: Timestamp, policy: &Policy) -> Timestamp {
        let mut charges = self.attempts.iter().filter(|it| it.step.takes_money());
        let unexplained = charges.any(|charge| !is_explained(charge, policy));
        let ours = millis(if unexplained { policy.quiet_ms } else { 0 });
        if !self.is_checkout() {
            return first + ours;
        }
        let due = self.purchase.as_ref().and_then(|purchase| purchase.due);
        let last_click = due.map_or(first, |due| due.min(first));
        (first + ours).max(last_click + millis(policy.link_grace_ms))
    }

    /// Cancelled or expired: believed when it was read twice, and not while a call that takes
    /// money may still be on its way.
    pub(super) fn saw_sealed(&mut self, seen: &Sighting, now: Timestamp, policy: &Policy) {
        if matches!(self.state.active(), Some(Active::Held(_))) {
            return self.contradiction(Mismatch::ElsewhereEnded, now, policy);
        }
        let in_flight = self
            .open_attempt()
            .is_some_and(|open| open.step.takes_money() && !is_quiet(open, now, policy));
        // Sealed, and yet money is listed as taken or reserved: not a word of it is believed.
        let paid = seen.newest(TryKind::Pay).is_some_and(|pay| pay.successful);
        if in_flight || paid || seen.taken.is_some() {
            return self.saw_nothing_certain(now, policy);
        }
        let verdict = match self.open_attempt().map(|open| open.step) {
            Some(Step::Cancel) if seen.standing == Standing::Cancelled => Verdict::Done,
            _ => Verdict::DidNotHappen,
        };
        let Some(seal) = Seal::read_twice(self, seen, now, policy) else {
            self.close(verdict, now);
            let first = *self.seal_seen_at.get_or_insert(now);
            self.ending.get_or_insert(match seen.standing {
                Standing::Expired => FailReason::Expired,
                _ => FailReason::Cancelled,
            });
            let second = self.seal_counts_from(first, policy);
            return self.look_from(now, (second - now).max(millis(0)));
        };
        let reason = self.ending.clone().unwrap_or(FailReason::Cancelled);
        self.settle(Event::Sealed(seal, reason), now, policy);
    }
}
