//! The model's payment on its own, so that the worker's payment can be compared with it, decision
//! by decision (`src/payment/modelled.rs`).

use crate::protocol::{Advice, Age, NONE, Next, Payment, Shows, Sighting, State, Step};
use crate::rows;
use crate::setup::{Setup, Unknown};

/// A purchase and a claim of whatever name.
const ANY: u8 = 1;

/// What a look-up shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not paid, with so many declined charges, the newest one for good or not.
    Payable {
        /// How many.
        declines: u8,
        /// Whether the newest one says never to try again.
        for_good: bool,
    },
    /// A charge is under way.
    Pending,
    /// Paid.
    Paid,
    /// Cancelled.
    Cancelled,
}

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one for each thing that can be compared"
)]
pub struct Outline {
    /// `new`, `parked`, `paid` or `failed`.
    pub state: &'static str,
    /// Whether a purchase is recorded.
    pub purchase: bool,
    /// The step whose attempt is open: `charge` or `cancel`.
    pub open: Option<&'static str>,
    /// How many attempts at a charge were opened.
    pub charges: usize,
    /// How many of them were closed without ever being explained.
    pub unexplained: usize,
    /// Whether it is to fail.
    pub ending: bool,
    /// Whether it was seen cancelled once.
    pub seal_seen: bool,
    /// Whether a rerun is asked for.
    pub rerun: bool,
}

/// The model's payment.
#[derive(Debug, Clone)]
pub struct Twin {
    payment: Payment,
    setup: Setup,
}

impl Twin {
    /// A new one, whose charges without a trace are sent again, or parked.
    #[must_use]
    pub fn new(resend_same: bool) -> Self {
        let mut setup = rows::AS_BUILT;
        setup.bounds.charges = u8::MAX;
        if resend_same {
            setup.rules.unknown = Unknown::ResendSame;
        }
        Self {
            payment: Payment::default(),
            setup,
        }
    }

    /// What is to be done: `create`, `charge`, `cancel`, `look`, `fail`, `resume`, `park` or
    /// `nothing`.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self.payment.next(&self.setup) {
            Next::Create => "create",
            Next::Send(Step::Charge) => "charge",
            Next::Send(Step::Cancel) => "cancel",
            Next::Look => "look",
            Next::Fail => "fail",
            Next::Resume => "resume",
            Next::GiveUp => "park",
            Next::Nothing => "nothing",
        }
    }

    /// Does what is to be done, as far as it needs no look.
    pub fn follow(&mut self) {
        match self.payment.next(&self.setup) {
            Next::Create => self.payment.purchase = ANY,
            Next::Send(step) => self.payment.open(step, ANY),
            next => self.payment.settle(next),
        }
    }

    /// The call of the open attempt was never made.
    pub fn never_sent(&mut self) {
        if let Some(open) = self.payment.open {
            self.payment.never_sent(open.number, ANY);
        }
    }

    /// Takes in a look-up.
    pub fn saw(&mut self, seen: Seen) {
        let shows = match seen {
            Seen::Payable { declines, for_good } => {
                let advice = if for_good {
                    Advice::Never
                } else {
                    Advice::Later
                };
                Shows::Payable { declines, advice }
            }
            Seen::Pending => Shows::Pending,
            Seen::Paid => Shows::Paid,
            Seen::Cancelled => Shows::Cancelled,
        };
        let sighting = Sighting {
            shows,
            quiet: self.payment.open.is_some_and(|open| open.age == Age::Quiet),
            seal_quiet: self.payment.seal_seen == Some(Age::Quiet),
            began: Age::Fresh,
        };
        self.payment.saw(sighting, &self.setup);
    }

    /// The quiet period passes.
    pub fn quiet_passes(&mut self) {
        self.payment.grow_quiet();
    }

    /// Takes the command to cancel.
    pub fn cancel(&mut self) {
        self.payment.cancel();
    }

    /// Takes the command to rerun.
    pub fn rerun(&mut self) {
        self.payment.ask_again();
    }

    /// What can be compared.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let Payment {
            state,
            purchase,
            open,
            charges,
            unexplained,
            ending,
            seal_seen,
            rerun,
            ..
        } = self.payment;
        Outline {
            state: match state {
                State::New => "new",
                State::Parked => "parked",
                State::Paid => "paid",
                State::Failed => "failed",
            },
            purchase: purchase != NONE,
            open: open.map(|open| match open.step {
                Step::Charge => "charge",
                Step::Cancel => "cancel",
            }),
            charges: charges.into(),
            unexplained: unexplained.into(),
            ending,
            seal_seen: seal_seen.is_some(),
            rerun,
        }
    }
}
