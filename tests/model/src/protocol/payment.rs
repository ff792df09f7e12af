//! The record of the one payment, and how it is decided and changed: `src/payment/` in short.

use crate::setup::{Seal, Setup};

/// Which purchase; 0 is none.
pub(crate) type PurchaseId = u8;
/// No purchase.
pub(crate) const NONE: PurchaseId = 0;

/// What is true of the money, as the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum State {
    #[default]
    New,
    Parked,
    Paid,
    Failed,
}

/// A step that needs an open attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Charge,
    Cancel,
}

/// Whether the quiet period has passed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Age {
    Fresh,
    Quiet,
}

/// The open attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attempt {
    pub(crate) step: Step,
    /// Which charge; nothing depends on the number of a cancel, or on how old it is.
    pub(crate) number: u8,
    pub(crate) age: Age,
    /// How many declines were known when it was opened.
    pub(crate) declines_before: u8,
    /// The mark of the claim under which it was opened.
    pub(crate) opened_by: u8,
    /// Whether a look-up showed that the gateway had taken it on.
    pub(crate) taken_on: bool,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Create,
    Send(Step),
    Look,
    Fail,
    Resume,
    GiveUp,
    Nothing,
}

/// The body of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Payment {
    pub(crate) state: State,
    pub(crate) purchase: PurchaseId,
    pub(crate) open: Option<Attempt>,
    /// How many attempts at a charge were opened.
    pub(crate) charges: u8,
    /// How many of them were closed without ever being explained.
    pub(crate) unexplained: u8,
    pub(crate) declines_seen: u8,
    /// It is to fail; the seal decides whether it does.
    pub(crate) ending: bool,
    /// Seen cancelled once, so long ago.
    pub(crate) seal_seen: Option<Age>,
    /// A person asked for another look.
    pub(crate) rerun: bool,
    /// A charge was under way when it was last looked at, whoever sent it.
    pub(crate) unsettled: bool,
}

impl Payment {
    pub(crate) const fn is_finished(&self) -> bool {
        matches!(self.state, State::Paid | State::Failed)
    }

    /// `Payment::next` in `src/payment/next.rs`.
    pub(crate) fn next(&self, setup: &Setup) -> Next {
        match self.state {
            State::Parked if self.purchase != NONE => Next::Look,
            State::Parked if self.rerun => Next::Resume,
            State::Parked | State::Paid | State::Failed => Next::Nothing,
            State::New if self.needs_a_conclusion(setup) => Next::Look,
            State::New if self.ending => self.next_seal(setup),
            State::New if self.purchase == NONE => Next::Create,
            State::New if self.charges >= setup.bounds.charges => Next::GiveUp,
            State::New => Next::Send(Step::Charge),
        }
    }

    fn needs_a_conclusion(&self, setup: &Setup) -> bool {
        setup.rules.look_first && (self.open.is_some() || self.unsettled)
    }

    fn next_seal(&self, setup: &Setup) -> Next {
        if self.purchase == NONE || setup.rules.seal == Seal::Nothing {
            Next::Fail
        } else if self.seal_seen.is_some() {
            Next::Look
        } else {
            Next::Send(Step::Cancel)
        }
    }

    /// `Payment::open` and `Payment::sign_open` in `src/payment/change.rs`.
    pub(crate) fn open(&mut self, step: Step, opened_by: u8) {
        if step == Step::Charge {
            self.charges += 1;
        }
        self.open = Some(Attempt {
            step,
            number: if step == Step::Charge {
                self.charges
            } else {
                0
            },
            age: Age::Fresh,
            declines_before: self.declines_seen,
            opened_by,
            taken_on: false,
        });
    }

    /// `Payment::never_sent` in `src/payment/learn.rs`: answers whether it is that attempt.
    pub(crate) fn never_sent(&mut self, number: u8, opened_by: u8) -> bool {
        let ours = |open: &Attempt| (open.number, open.opened_by) == (number, opened_by);
        let is_ours = self.open.as_ref().is_some_and(ours);
        if is_ours {
            self.open = None;
            self.rerun |= self.state == State::Parked;
        }
        is_ours
    }

    /// The charge that is open. Nothing depends on how long ago a cancel was sent.
    pub(crate) fn open_charge(&mut self) -> Option<&mut Attempt> {
        let open = self.open.as_mut();
        open.filter(|open| open.step == Step::Charge)
    }

    /// What [`Next`] concluded without asking anybody.
    pub(crate) fn settle(&mut self, next: Next) {
        match next {
            Next::Fail => self.end(State::Failed),
            Next::Resume => self.resume_if_asked(),
            Next::GiveUp => self.end(State::Parked),
            Next::Create | Next::Send(_) | Next::Look | Next::Nothing => {}
        }
    }

    /// Whatever was asked for before led here, and is used up.
    pub(super) fn end(&mut self, state: State) {
        self.rerun = false;
        self.state = state;
    }

    /// The command `Cancel` in `src/payment/obey.rs`; false if it is too late or nothing new.
    pub(crate) fn cancel(&mut self) -> bool {
        let before = *self;
        let in_doubt = self.open.is_some_and(|open| open.step == Step::Charge);
        match self.state {
            State::New if !in_doubt => self.ending = true,
            State::Parked => {
                self.ending = true;
                self.rerun = true;
            }
            State::New | State::Paid | State::Failed => {}
        }
        *self != before
    }

    /// The command `Rerun` in `src/payment/obey.rs`; false if there is nothing to it.
    pub(crate) fn ask_again(&mut self) -> bool {
        self.state == State::Parked && !std::mem::replace(&mut self.rerun, true)
    }

    /// The quiet period passes.
    pub(crate) fn grow_quiet(&mut self) {
        if let Some(open) = self.open_charge() {
            open.age = Age::Quiet;
        }
        self.seal_seen = self.seal_seen.map(|_| Age::Quiet);
    }
}
