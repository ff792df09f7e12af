//! A worker, between two of its actions. It may stay there for as long as it likes.

use super::payment::{Age, Attempt, NONE, Payment, PurchaseId};
use super::sighting::Sighting;
use super::store::NOBODY;
use crate::setup::Setup;

/// Where a worker is in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum At {
    /// Between turns, or crashed and started anew.
    #[default]
    Idle,
    /// With the payment in hand, about to do what comes next.
    Deciding,
    /// Will make no call any more in this turn: writes what it knows, and rests.
    Ending,
    /// The note was written, and then the connection broke: it may be there or not.
    Repeating,
    /// The note was written, and the permit waits until it is durable.
    Gating,
    /// With a permit in hand that was not too old when it was last looked at.
    Permitted,
}

/// What was learned in this turn and is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Learned {
    created: PurchaseId,
    /// The number of the attempt whose call was made.
    sent: Option<u8>,
    seen: Option<Sighting>,
    /// The number of the attempt whose call was not made.
    not_sent: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Worker {
    pub(crate) at: At,
    pub(crate) nonce: u8,
    /// The version that was read or written last.
    pub(crate) version: u8,
    /// The payment in memory.
    pub(crate) payment: Payment,
    pub(crate) learned: Learned,
    /// Whether the store failed over since it claimed. Its link tells it so when it asks for a
    /// permit, but nothing rests on that here: it may also go on.
    pub(crate) from_before: bool,
}

impl Worker {
    pub(crate) fn is_idle(&self) -> bool {
        self.at == At::Idle
    }

    /// `Worker::license` is answered that the note is durable. What was learned is written by now.
    pub(crate) fn take_permit(&mut self) {
        self.at = At::Permitted;
        self.learned = Learned::default();
    }

    /// `Worker::send`: an answer or a time-out is the last sign of the call.
    pub(crate) fn sent(&mut self) {
        self.at = At::Deciding;
        self.learned.sent = self.payment.open.map(|open| open.number);
        self.note_last_sign();
    }

    fn note_last_sign(&mut self) {
        if let Some(open) = &mut self.payment.open
            && self.learned.sent == Some(open.number)
        {
            open.age = Age::Fresh;
        }
    }

    pub(crate) fn created(&mut self, id: PurchaseId) {
        self.learned.created = id;
        self.payment.purchase = id;
    }

    pub(crate) fn saw(&mut self, seen: Sighting, setup: &Setup) {
        self.learned.seen = Some(seen);
        self.payment.saw(seen, setup);
    }

    /// `Worker::not_sent` in `src/worker.rs`: the call is not made, and that is to be written.
    pub(crate) fn give_up_call(&mut self) {
        self.learned.not_sent = self.payment.open.map(|open| open.number);
        self.at = At::Ending;
    }

    /// `Worker::reload`: takes what is recorded, and adds what was learned.
    pub(crate) fn reload(&mut self, payment: Payment, version: u8, setup: &Setup) {
        self.payment = payment;
        self.version = version;
        if self.learned.created != NONE && payment.purchase == NONE {
            self.payment.purchase = self.learned.created;
        }
        self.note_last_sign();
        if let Some(seen) = self.learned.seen {
            self.payment.saw(seen, setup);
        }
        if let Some(number) = self.learned.not_sent {
            self.payment.not_sent(number);
        }
        if self.at != At::Ending {
            self.at = At::Deciding;
        }
    }

    /// What is left of a worker whose claim can never come back: the call that it still makes.
    pub(crate) fn without_claim(&self) -> Self {
        if self.at != At::Permitted {
            return Self::default();
        }
        let payment = Payment {
            purchase: self.payment.purchase,
            open: self.payment.open.map(|open| Attempt {
                number: 0,
                declines_before: 0,
                ..open
            }),
            ..Payment::default()
        };
        Self {
            at: At::Permitted,
            nonce: NOBODY,
            payment,
            ..Self::default()
        }
    }

    /// What is left of it without names.
    pub(crate) fn nameless(&self) -> Self {
        let mut nameless = *self;
        nameless.nonce = NOBODY;
        nameless.rename(|id| id.min(1));
        nameless
    }

    /// Calls the purchases by other names.
    pub(crate) fn rename(&mut self, name: impl Fn(PurchaseId) -> PurchaseId) {
        self.payment.purchase = name(self.payment.purchase);
        self.learned.created = name(self.learned.created);
    }

    /// The purchases it knows.
    pub(crate) const fn knows(&self) -> [PurchaseId; 2] {
        [self.payment.purchase, self.learned.created]
    }
}
