//! A worker, between two of its actions. It may stay there for as long as it likes.

use super::payment::{Age, Attempt, NONE, Payment, PurchaseId};
use super::sighting::{Question, Sighting};
use super::store::{GONE, NOBODY};
use crate::setup::Setup;

/// Where a worker is in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum At {
    /// Between turns, or crashed and started anew.
    #[default]
    Idle,
    /// With the payment in hand, about to do what comes next.
    Deciding,
    /// Waiting for a look-up.
    Looking,
    /// Will make no call any more in this turn: writes what it knows, and rests.
    Ending,
    /// The note was written, and then the connection broke: it may be there or not.
    Repeating,
    /// The note was written, and the permit waits until it is durable.
    Gating,
    /// With a permit in hand that was not too old when it was last looked at.
    Permitted,
    /// Lost its claim, and knows of a call that was never made: about to say so.
    Testifying,
    /// The same, with the record read. Only where something can come between reading and writing.
    Swearing,
}

/// What was learned in this turn and is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Learned {
    created: PurchaseId,
    /// The number of the attempt whose call was made.
    sent: Option<u8>,
    seen: Option<Sighting>,
    /// The number of the attempt whose call was never made.
    never_sent: Option<u8>,
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
    /// The look-up that it waits for.
    pub(crate) question: Option<Question>,
    /// Whether the store failed over since it claimed. Its link tells it so when it asks for a
    /// permit, but nothing rests on that here: it may also go on.
    pub(crate) from_before: bool,
}

impl Learned {
    /// Calls the purchases by other names.
    pub(crate) fn rename(&mut self, name: impl Fn(PurchaseId) -> PurchaseId) {
        self.created = name(self.created);
    }
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

    /// `Worker::not_sent`: the call is not made, and that is to be written.
    pub(crate) fn give_up_call(&mut self) {
        self.learned.never_sent = self.payment.open.map(|open| open.number);
        self.at = At::Ending;
    }

    /// `Move::never_sent`, after a note that was outdated: an earlier try at it may have been
    /// written.
    pub(crate) fn give_up_note(&mut self, number: u8, setup: &Setup) {
        if self.payment.never_sent(number, self.signature(setup)) {
            self.learned.never_sent = Some(number);
        }
    }

    /// The testimony, for a record as it is now; `None` if there is nothing to say of it.
    pub(crate) fn testimony(&self, mut payment: Payment, setup: &Setup) -> Option<Payment> {
        let number = self.learned.never_sent?;
        let opened_by = self.signature(setup);
        payment.never_sent(number, opened_by).then_some(payment)
    }

    /// What its notes are signed with: the mark of its claim.
    pub(crate) const fn signature(&self, setup: &Setup) -> u8 {
        if setup.rules.signed_notes {
            self.nonce
        } else {
            NOBODY
        }
    }

    /// A turn ends whose claim was lost.
    pub(crate) fn end_without_claim(&mut self) {
        if self.learned.never_sent.is_some() {
            self.at = At::Testifying;
        } else {
            *self = Self::default();
        }
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
        if let Some(number) = self.learned.never_sent {
            self.payment.never_sent(number, self.signature(setup));
        }
        if self.at != At::Ending {
            self.at = At::Deciding;
        }
    }

    /// What is left of a worker whose claim can never come back: the call that it still makes, and
    /// what it can still say, if any record shows its attempt as open.
    pub(crate) fn without_claim(&self, noted: bool) -> Self {
        let left = Self {
            at: self.at,
            nonce: if noted { self.nonce } else { NOBODY },
            version: GONE,
            ..Self::default()
        };
        let open = self.payment.open;
        let never_sent = match self.at {
            At::Swearing => return *self,
            At::Permitted => return left.with_call(&self.payment, noted),
            At::Repeating | At::Gating => open.map(|open| open.number),
            At::Idle | At::Deciding | At::Looking | At::Ending | At::Testifying => {
                self.learned.never_sent
            }
        };
        if !noted || never_sent.is_none() {
            return Self::default();
        }
        Self {
            at: At::Testifying,
            learned: Learned {
                never_sent,
                ..Learned::default()
            },
            ..left
        }
    }

    fn with_call(mut self, payment: &Payment, noted: bool) -> Self {
        self.payment.purchase = payment.purchase;
        self.payment.open = payment.open.map(|open| Attempt {
            number: if noted { open.number } else { 0 },
            opened_by: if noted { open.opened_by } else { NOBODY },
            declines_before: 0,
            ..open
        });
        self
    }

    /// What is left of it without names.
    pub(crate) fn nameless(&self) -> Self {
        let mut nameless = *self;
        nameless.nonce = NOBODY;
        if let Some(open) = &mut nameless.payment.open {
            open.opened_by = NOBODY;
        }
        nameless.payment.purchase = nameless.payment.purchase.min(1);
        nameless.learned.rename(|id| id.min(1));
        nameless
    }

    /// The purchases it knows.
    pub(crate) const fn knows(&self) -> [PurchaseId; 2] {
        [self.payment.purchase, self.learned.created]
    }
}
