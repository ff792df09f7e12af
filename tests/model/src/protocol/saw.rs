//! What one sighting of the purchase changes: `src/payment/saw.rs`, `saw_call.rs` and
//! `saw_unpaid.rs` in short.

use super::payment::{Age, Attempt, NONE, Payment, State, Step};
use super::sighting::{Advice, Shows, Sighting};
use crate::setup::{Seal, Setup, Unknown};

impl Payment {
    /// `Payment::saw` in `src/payment/saw.rs`.
    pub(crate) fn saw(&mut self, seen: Sighting, setup: &Setup) {
        if self.is_finished() {
            return;
        }
        // While an attempt is open, that alone says to look.
        self.unsettled = seen.shows == Shows::Pending && self.open.is_none();
        match seen.shows {
            Shows::Paid => {
                self.open = None;
                self.end(State::Paid);
            }
            Shows::Pending => self.saw_pending(seen.began),
            Shows::Payable { declines, advice } => {
                self.declines_seen = self.declines_seen.max(declines);
                match self.open {
                    None => {
                        self.seal_seen = None;
                        self.resume_if_asked();
                    }
                    Some(open) if open.step == Step::Charge && declines > open.declines_before => {
                        self.declined(advice);
                    }
                    Some(open) => self.no_trace(open, seen, setup),
                }
            }
            Shows::Cancelled => self.saw_sealed(seen, setup),
        }
    }

    fn saw_pending(&mut self, began: Age) {
        if let Some(open) = self.open_charge() {
            open.taken_on = true;
            open.age = open.age.min(began);
        }
        self.saw_nothing_certain();
    }

    fn declined(&mut self, advice: Advice) {
        self.resume_if_asked();
        self.open = None;
        self.ending |= advice == Advice::Never;
    }

    fn no_trace(&mut self, open: Attempt, seen: Sighting, setup: &Setup) {
        if open.step == Step::Cancel {
            self.open = None;
            return self.resume_if_asked();
        }
        if !(seen.quiet && open.age == Age::Quiet) {
            return self.saw_nothing_certain();
        }
        let resend = match setup.rules.unknown {
            _ if self.ending => true,
            _ if open.taken_on => return self.saw_nothing_certain(),
            Unknown::Park => false,
            Unknown::ResendSame | Unknown::NewPurchase => self.charges < setup.bounds.charges,
        };
        if !resend {
            return self.end(State::Parked);
        }
        self.close_unexplained();
        self.resume_if_asked();
        if setup.rules.unknown == Unknown::NewPurchase && !self.ending {
            self.purchase = NONE;
            self.declines_seen = 0;
        }
    }

    fn saw_sealed(&mut self, seen: Sighting, setup: &Setup) {
        let charge = self.open.filter(|open| open.step == Step::Charge);
        if charge.is_some_and(|open| !(seen.quiet && open.age == Age::Quiet)) {
            return self.saw_nothing_certain();
        }
        if charge.is_some() {
            self.close_unexplained();
        }
        self.open = None;
        match self.seal_seen {
            None => {
                self.seal_seen = Some(seen.began);
                self.ending = true;
            }
            Some(_) if self.seal_holds(seen, setup) => self.end(State::Failed),
            Some(_) => {}
        }
    }

    fn seal_holds(&self, seen: Sighting, setup: &Setup) -> bool {
        match setup.rules.seal {
            Seal::Nothing | Seal::TwoReads => true,
            Seal::TwoReadsApart => self.unexplained == 0 || seen.seal_quiet,
        }
    }

    fn close_unexplained(&mut self) {
        self.open = None;
        self.unexplained = self.unexplained.saturating_add(1);
    }

    fn saw_nothing_certain(&mut self) {
        if self.open.is_some() {
            self.resume_if_asked();
        }
    }

    pub(super) fn resume_if_asked(&mut self) {
        if std::mem::take(&mut self.rerun) && self.state == State::Parked {
            self.state = State::New;
        }
    }
}
