//! What can happen next, in words.

use std::fmt;

use super::gateway::Outcome;
use super::payment::{Next, PurchaseId, Step};
use super::sighting::{Advice, Shows};
use super::store::Saved;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Claim,
    Create(PurchaseId),
    /// Opens an attempt and writes it.
    Note(Step, Saved),
    /// Writes it again, since the connection broke before an answer came.
    Repeat(Saved),
    Send(Step, PurchaseId),
    /// What must never be done: charge what is not recorded.
    SendUnrecorded(PurchaseId),
    GiveUpCall,
    /// Asks for a look-up, where the answer may take long.
    Ask(PurchaseId),
    IsAnswered(PurchaseId, Shows, bool),
    Look(PurchaseId, Shows, bool),
    LookTooLate(PurchaseId),
    Settle(Next),
    /// Look-ups lead nowhere for too long, or claims are never followed by a save.
    ParkAnyway,
    Rest(Saved),
    Testify(Said),
    Crash,
}

/// What became of a testimony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The record was read.
    NotYet,
    Written,
    Outdated,
    /// The attempt is not open in the record.
    Nothing,
}

/// A command to the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Cancel,
    Rerun,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Worker(usize, Act),
    ChargeArrives(PurchaseId),
    ChargeEnds(PurchaseId, Outcome),
    ChargeIsLost(PurchaseId),
    CancelArrives(PurchaseId),
    CancelledOutside(PurchaseId),
    Commanded(Command),
    DeskReads,
    DeskWrites(bool),
    Flushed,
    FailedOver,
    QuietPasses,
}

impl Action {
    /// Whether something goes wrong. A payment must come to rest without any more of that.
    pub(crate) const fn is_fault(self) -> bool {
        match self {
            Self::Worker(_, act) => {
                matches!(
                    act,
                    Act::Crash
                        | Act::Look(_, _, true)
                        | Act::IsAnswered(_, _, true)
                        | Act::ParkAnyway
                )
            }
            Self::ChargeIsLost(_) | Self::CancelledOutside(_) | Self::FailedOver => true,
            Self::ChargeArrives(_)
            | Self::ChargeEnds(..)
            | Self::CancelArrives(_)
            | Self::Commanded(_)
            | Self::DeskReads
            | Self::DeskWrites(_)
            | Self::Flushed
            | Self::QuietPasses => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Worker(w, act) => write!(f, "W{}       {act}", w + 1),
            Self::ChargeArrives(id) => write!(f, "gateway  a charge of P{id} arrives"),
            Self::ChargeEnds(id, Outcome::Taken) => {
                write!(f, "gateway  the acquirer takes the money for P{id}")
            }
            Self::ChargeEnds(id, Outcome::Declined) => {
                write!(f, "gateway  the acquirer declines a charge of P{id}")
            }
            Self::ChargeIsLost(id) => write!(f, "network  a charge of P{id} is lost"),
            Self::CancelArrives(id) => write!(f, "gateway  the cancel of P{id} arrives"),
            Self::CancelledOutside(id) => {
                write!(f, "gateway  somebody cancels P{id} behind our back")
            }
            Self::Commanded(Command::Cancel) => f.write_str("person   commands: cancel"),
            Self::Commanded(Command::Rerun) => f.write_str("person   commands: rerun"),
            Self::DeskReads => f.write_str("person   reads the record, to command a cancel"),
            Self::DeskWrites(true) => {
                f.write_str("person   writes the cancel: the version matches")
            }
            Self::DeskWrites(false) => f.write_str("person   cannot write the cancel: outdated"),
            Self::Flushed => f.write_str("store    all that was written is durable now"),
            Self::FailedOver => {
                f.write_str("store    fails over: writes that were not durable are gone")
            }
            Self::QuietPasses => f.write_str("time     the quiet period passes"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Claim => f.write_str("claims the payment"),
            Self::Create(id) => write!(f, "creates a purchase, P{id}"),
            Self::Note(step, saved) => write!(f, "notes that it will {step}: {saved}"),
            Self::Repeat(saved) => write!(f, "writes its note again: {saved}"),
            Self::Send(step, id) => write!(f, "sends: {step} P{id}"),
            Self::SendUnrecorded(id) => write!(f, "sends: charge P{id}, which is not recorded"),
            Self::GiveUpCall => f.write_str("does not make the call, and reads the record again"),
            Self::Ask(id) => write!(f, "asks for P{id}"),
            Self::IsAnswered(id, shows, stale) => {
                let how = if stale { "an old answer" } else { "an answer" };
                write!(f, "gets {how} about P{id}: {shows}")
            }
            Self::Look(id, shows, stale) => {
                let how = if stale { "sees an old" } else { "sees" };
                write!(f, "{how} P{id}: {shows}")
            }
            Self::LookTooLate(id) => {
                write!(f, "throws the answer about P{id} away: it took too long")
            }
            Self::Settle(Next::Fail) => f.write_str("concludes: failed"),
            Self::Settle(Next::Resume) => f.write_str("goes on, as it was asked to"),
            Self::Settle(_) | Self::ParkAnyway => f.write_str("gives up: a person must look"),
            Self::Rest(saved) => write!(f, "writes what it knows and rests: {saved}"),
            Self::Testify(said) => f.write_str(match said {
                Said::NotYet => "reads the record, to say that its call was never made",
                Said::Written => "says that its call was never made: written",
                Said::Outdated => "says that its call was never made: outdated",
                Said::Nothing => "has nothing more to say",
            }),
            Self::Crash => f.write_str("crashes"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Charge => "charge",
            Self::Cancel => "cancel",
        })
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Written => "written",
            Self::Lost => "its claim is lost",
            Self::Outdated => "outdated",
        })
    }
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payable { declines: 0, .. } => f.write_str("not paid, no trace of a charge"),
            Self::Payable { declines, advice } => {
                let advice = match advice {
                    Advice::Never => "for good",
                    Advice::Later => "for now",
                };
                write!(f, "not paid, {declines} charges declined ({advice})")
            }
            Self::Pending => f.write_str("a charge is pending"),
            Self::Paid => f.write_str("paid"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
