//! What is asked of a payment that exists, and the honest answers.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::id::IdempotencyKey;
use super::money::Amount;
use super::request::offset_time;
use super::resolution::StatedEnd;

/// One command on one payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Take the held money now.
    Capture {
        /// How much; the planned amount, or the whole hold, without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
    },
    /// Give the held money back now.
    Release,
    /// Change when the hold is captured or released. What is not given stays as it is.
    Reschedule {
        /// The new capture time.
        #[serde(
            default,
            with = "offset_time::option",
            skip_serializing_if = "Option::is_none"
        )]
        capture_at: Option<Timestamp>,
        /// The new amount to capture.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture_amount: Option<Amount>,
        /// The new release time.
        #[serde(
            default,
            with = "offset_time::option",
            skip_serializing_if = "Option::is_none"
        )]
        release_at: Option<Timestamp>,
    },
    /// Never take this money: seal the payment before it is paid or held.
    Cancel,
    /// Take what the gateway shows for the end of a parked payment, though it is not as asked: another
    /// amount, or ended by somebody else. Leads to no call.
    ResolveAsShown {
        /// Why, for the record.
        reason: String,
        /// Who says so.
        actor: String,
    },
    /// State how a parked payment ended, where the gateway does not show it. Nothing follows before
    /// somebody else approves it.
    ProposeByHand {
        /// How it ended.
        outcome: StatedEnd,
        /// Why, for the record.
        reason: String,
        /// Who says so.
        actor: String,
    },
    /// Approve what somebody else stated within a day: it is reported, unless the gateway shows
    /// otherwise. Leads to no call.
    ApproveByHand {
        /// How it ended: what was stated.
        outcome: StatedEnd,
        /// Why, for the record.
        reason: String,
        /// Who says so: another person.
        actor: String,
    },
    /// Look again, and go on from what is true. Changes no state by itself.
    Rerun {
        /// Why, for the record.
        reason: String,
        /// Who asks.
        actor: String,
    },
}

impl Command {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Capture { .. } => "capture",
            Self::Release => "release",
            Self::Reschedule { .. } => "reschedule",
            Self::Cancel => "cancel",
            Self::Rerun { .. } => "rerun",
            Self::ResolveAsShown { .. } => "resolve_as_shown",
            Self::ProposeByHand { .. } => "propose_by_hand",
            Self::ApproveByHand { .. } => "approve_by_hand",
        }
    }

    /// Why it is given, where it must say that.
    #[must_use]
    pub const fn reason(&self) -> Option<&str> {
        match self {
            Self::Rerun { reason, .. }
            | Self::ResolveAsShown { reason, .. }
            | Self::ProposeByHand { reason, .. }
            | Self::ApproveByHand { reason, .. } => Some(reason.as_str()),
            Self::Capture { .. } | Self::Release | Self::Reschedule { .. } | Self::Cancel => None,
        }
    }

    /// Whether there is more to it than its word.
    #[must_use]
    pub const fn says_more(&self) -> bool {
        !matches!(self, Self::Release | Self::Cancel)
    }
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandAnswer {
    /// Recorded; the worker carries it out now.
    Accepted,
    /// What it asks for is already true.
    Done,
    /// A call that decides the matter was sent, and the money has not been seen to move.
    TooLateInDoubt,
    /// Another command, or two people's word, has decided about it, and is being carried out.
    AlreadyDecided,
    /// The money was taken.
    TooLateCaptured,
    /// The hold is gone: given back, or lapsed as two people stated.
    TooLateReleased,
    /// The payment's time was over before anything was taken.
    Expired,
    /// The payment ended before: it failed, or its card is saved.
    Ended,
    /// The payment is not in a state in which this means anything; nothing was changed.
    NotApplicable,
}

impl CommandAnswer {
    /// Whether the command changed the record.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::TooLateInDoubt => "too_late_in_doubt",
            Self::AlreadyDecided => "already_decided",
            Self::TooLateCaptured => "too_late_captured",
            Self::TooLateReleased => "too_late_released",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// A command as it was answered; repeating its key answers the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEntry {
    /// The caller's key for this command.
    pub key: IdempotencyKey,
    /// What was asked.
    pub command: Command,
    /// What was answered.
    pub answer: CommandAnswer,
    /// When.
    pub at: Timestamp,
}
