//! How the record changes: the few moves out of which everything else is made.

use super::attempt::{Attempt, Closed, Step, Verdict};
use super::evidence::{Links, Sighting};
use super::record::{Change, Decision, HoldOutcome, Payment, Purchase};
use super::request::{Ask, Source};
use super::state::{Event, FailReason, Illegal, ParkReason, State};
use super::{Policy, Timestamp};

impl Payment {
    /// Takes note that the gateway's webhooks asked for a look, `count` times in all.
    pub fn nudged(&mut self, count: u64) {
        if count > self.nudges_seen {
            self.nudges_seen = count;
            self.look_wanted = self.purchase.is_some();
        }
    }

    /// Opens an attempt at `step`: the note that must be durable before the call is made.
    /// `None` while another one is open or the payment does not move any more.
    pub fn open(&mut self, step: Step, now: Timestamp, policy: &Policy) -> Option<u32> {
        if self.open_attempt().is_some() || self.state.active().is_none() {
            return None;
        }
        let number = u32::try_from(self.attempts.len()).ok()?.checked_add(1)?;
        match step {
            Step::Capture { amount } => self.decide(HoldOutcome::Capture(amount)),
            Step::Release => self.decide(HoldOutcome::Release),
            Step::Cancel => self.ending = self.why_ending(now),
            Step::Create | Step::Charge => {}
        }
        let tries_before = step.try_kind().map_or(0, |kind| self.tries_seen.of(kind));
        self.attempts.push(Attempt {
            number,
            step,
            opened_at: now,
            tries_before,
            opened_by: None,
            looks: None,
            note: None,
            closed: None,
        });
        self.pace.one_more = false;
        self.look_from(now, self.lookup_delay(policy, 0));
        Some(number)
    }

    /// Notes under which claim the open attempt was opened.
    pub fn sign_open(&mut self, claim: &str) {
        if let Some(open) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) {
            open.opened_by = Some(claim.to_owned());
        }
    }

    fn decide(&mut self, outcome: HoldOutcome) {
        if self.decision.is_none() {
            self.decision = Some(Decision {
                outcome,
                by_command: false,
            });
        }
    }

    /// Whether the time in which the money may be moved is over.
    #[must_use]
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        matches!(self.why_ending(now), Some(FailReason::Expired))
    }

    /// Why this payment is to fail, if it is: decided before, or its time is over.
    pub(super) fn why_ending(&self, now: Timestamp) -> Option<FailReason> {
        let too_late = match &self.request.ask {
            Ask::Charge(ask) => ask.not_after.is_some_and(|end| now > end),
            // A link that was not made in time would be dead when the payer gets it.
            Ask::Authorize(_) | Ask::SaveCard(_) => {
                self.purchase.is_none() && self.pay_by().is_some_and(|end| now >= end)
            }
            Ask::Adopt(_) => false,
        };
        let moving = matches!(self.state, State::New | State::AwaitingPayer);
        self.ending
            .clone()
            .or_else(|| (too_late && moving).then_some(FailReason::Expired))
    }

    /// Until when the payer may pay, if the request says.
    fn pay_by(&self) -> Option<Timestamp> {
        match &self.request.ask {
            Ask::Authorize(ask) => match &ask.source {
                Source::Checkout(checkout) => checkout.pay_by,
                Source::Token(_) => None,
            },
            Ask::SaveCard(ask) => ask.checkout.pay_by,
            Ask::Charge(_) | Ask::Adopt(_) => None,
        }
    }

    /// Whether any call at this hold may have reached the gateway.
    pub(super) fn hold_call_sent(&self) -> bool {
        self.attempts.iter().any(|attempt| {
            matches!(attempt.step, Step::Capture { .. } | Step::Release) && attempt.was_sent()
        })
    }

    pub(super) fn lookup_delay(&self, policy: &Policy, rung: u32) -> chrono::TimeDelta {
        policy.lookup.delay(rung, self.id.as_str())
    }

    /// Starts looking for a conclusion: first after `delay`.
    pub(super) fn look_from(&mut self, now: Timestamp, delay: chrono::TimeDelta) {
        self.pace.looks = 0;
        self.pace.looked_at = None;
        self.pace.looking_since = Some(now);
        self.pace.look_at = Some(now + delay);
    }

    /// Closes the open attempt.
    pub(super) fn close(&mut self, verdict: Verdict, now: Timestamp) {
        if matches!(verdict, Verdict::Done | Verdict::Declined { .. }) {
            self.pace.technical = 0;
            self.pace.technical_since = None;
            self.pace.failed_at = None;
        }
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.is_open()) {
            attempt.closed = Some(Closed { at: now, verdict });
            self.stop_looking();
        }
        let undecided = !self.hold_call_sent();
        if undecided
            && self
                .decision
                .as_ref()
                .is_some_and(|decision| !decision.by_command)
        {
            self.decision = None;
        }
    }

    /// Carries out one event of the table of transitions.
    pub(super) fn on(&mut self, event: Event, now: Timestamp) -> Result<(), Illegal> {
        let state = self.state.on(event)?;
        if state.name() != self.state.name() {
            self.history.push(Change {
                at: now,
                to: state.name(),
            });
            self.leave_words_behind(&state);
        }
        self.state = state;
        self.stop_looking();
        Ok(())
    }

    /// The next call is made at once, and the technical ladder begins anew.
    pub(super) fn climb_anew(&mut self) {
        self.pace.technical = 0;
        self.pace.technical_since = None;
        self.pace.failed_at = None;
        self.pace.step_at = None;
    }

    /// No conclusion is sought any more.
    pub(super) fn stop_looking(&mut self) {
        self.pace.look_at = None;
        self.pace.looking_since = None;
        self.pace.looked_at = None;
        self.pace.looks = 0;
    }

    /// Stops the machine; a person decides. Whatever was asked for before led here, and is used up.
    pub(super) fn park(&mut self, reason: ParkReason, now: Timestamp, policy: &Policy) {
        self.rerun_wanted = false;
        if self.on(Event::Stuck(reason), now).is_ok() {
            self.rest_parked(now, policy);
        }
    }

    pub(super) fn rest_parked(&mut self, now: Timestamp, policy: &Policy) {
        let every = super::ladder::millis(policy.parked_look_every_ms);
        self.pace.look_at = Some(now + every);
    }

    /// Keeps what a sighting tells about the payer's way; the id is set once and never changes.
    pub(super) fn keep_purchase(&mut self, seen: &Sighting) {
        let Links {
            checkout,
            direct_post,
        } = seen.links.clone();
        let purchase = self.purchase.get_or_insert_with(|| Purchase {
            id: seen.purchase.clone(),
            due: None,
            checkout_url: None,
            direct_post_url: None,
        });
        if purchase.id == seen.purchase {
            self.tries_seen.note(seen);
            purchase.due = seen.due.or(purchase.due);
            purchase.checkout_url = checkout.or_else(|| purchase.checkout_url.take());
            purchase.direct_post_url = direct_post.or_else(|| purchase.direct_post_url.take());
        }
    }
}
