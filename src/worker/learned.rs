//! What one turn learned, kept until it is written.

use tracing::{info, warn};

use super::counted::Counted;
use crate::payment::{Answer, Event, LookUp, Payment, Policy, State, StateName, Step, Timestamp};
use crate::store::Claim;

/// What was learned in this turn and is not written yet.
pub(super) enum Learned {
    /// What a create that was opened at some time came to.
    Created {
        opened: Timestamp,
        answer: Answer,
        at: Timestamp,
    },
    /// What was answered to an attempt.
    Answered {
        number: u32,
        answer: Answer,
        at: Timestamp,
    },
    /// That an attempt was noted and its call never made.
    NeverSent { number: u32, at: Timestamp },
    /// What a look-up showed.
    LookedUp { outcome: LookUp, at: Timestamp },
}

/// One turn's claim, and what is not written yet.
pub(super) struct Move<'a> {
    pub(super) claim: Claim,
    pub(super) policy: &'a Policy,
    pub(super) unwritten: Vec<Learned>,
    pub(super) counted: Counted,
}

impl<'a> Move<'a> {
    pub(super) fn new(claim: Claim, policy: &'a Policy) -> Self {
        Self {
            counted: Counted::of(&claim.payment),
            claim,
            policy,
            unwritten: Vec::new(),
        }
    }

    /// Takes something in, and keeps it until it is written.
    pub(super) fn learn(&mut self, learned: Learned) {
        let before = self.claim.payment.state().name();
        let opener = self.claim.key.nonce.as_str();
        learned.apply(&mut self.claim.payment, opener, self.policy);
        self.unwritten.push(learned);
        self.tell(before);
    }

    /// Takes the record as it is stored now, and adds to it what was learned.
    pub(super) fn relearn(&mut self) {
        self.counted = Counted::of(&self.claim.payment);
        let opener = self.claim.key.nonce.as_str();
        let asked = self.claim.payment.asked();
        for learned in &self.unwritten {
            learned.apply(&mut self.claim.payment, opener, self.policy);
        }
        self.claim.payment.still_asked(asked);
    }

    /// Opens an attempt under this claim.
    pub(super) fn open(&mut self, step: Step, now: Timestamp) -> Option<u32> {
        let number = self.claim.payment.open(step, now, self.policy)?;
        self.claim.payment.sign_open(self.claim.key.nonce.as_str());
        Some(number)
    }

    /// Takes in that the call of attempt `number` was never made, if it is this claim's and open.
    pub(super) fn never_sent(&mut self, number: u32, at: Timestamp) {
        let opener = self.claim.key.nonce.as_str();
        if self
            .claim
            .payment
            .never_sent(number, opener, at, self.policy)
        {
            self.unwritten.push(Learned::NeverSent { number, at });
        }
    }

    pub(super) fn settle(&mut self, event: Event, now: Timestamp) {
        let before = self.claim.payment.state().name();
        self.claim.payment.settled(event, now, self.policy);
        self.tell(before);
    }

    fn tell(&self, before: StateName) {
        let state = self.claim.payment.state();
        match state {
            _ if state.name() == before => {}
            State::Parked { reason, .. } => {
                warn!(
                    event = "payment_parked", state = %state.name(), from = %before, ?reason,
                    "a person must look"
                );
            }
            _ => info!(state = %state.name(), from = %before, "changed"),
        }
    }
}

impl Learned {
    fn apply(&self, payment: &mut Payment, opener: &str, policy: &Policy) {
        match self {
            Self::Created { opened, answer, at } => {
                if payment.purchase().is_none()
                    && let Some(number) = payment.open(Step::Create, *opened, policy)
                {
                    payment.answered(number, answer, *at, policy);
                }
            }
            Self::Answered { number, answer, at } => {
                payment.answered(*number, answer, *at, policy);
            }
            Self::NeverSent { number, at } => {
                payment.never_sent(*number, opener, *at, policy);
            }
            Self::LookedUp { outcome, at } => payment.looked_up(outcome, *at, policy),
        }
    }
}
