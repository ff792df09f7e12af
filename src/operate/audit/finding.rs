//! What can be wrong with the audit log.

use serde_json::{Value, json};

use crate::payment::{IdempotencyKey, PaymentId};
use crate::store::audit::AuditStream;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which stream.
    pub stream: AuditStream,
    /// At which entry, as Redis names it.
    pub place: Option<String>,
    /// What.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its link does not follow: the entry or its link was changed, or what is before it.
    Unlinked,
    /// It has not the number that must come here.
    Misnumbered {
        /// Which one must.
        expected: u64,
    },
    /// It is not as this program writes entries.
    Unreadable,
    /// Redis has counted more entries than are there, or has deleted some.
    Vanished {
        /// How many were ever added.
        added: u64,
        /// How many are there.
        there: u64,
    },
    /// A head that was noted before is not in the chain.
    HeadGone {
        /// Its number.
        n: u64,
    },
    /// A record shows a command of which no entry tells.
    NoEntry {
        /// Of which payment.
        payment: PaymentId,
        /// Under which key.
        key: IdempotencyKey,
    },
    /// Another entry has its number and follows from the same one.
    Torn,
    /// It tells of a command that the payment's record does not show.
    NoCommand {
        /// Of which payment.
        payment: PaymentId,
        /// Under which key.
        key: IdempotencyKey,
    },
}

impl What {
    /// Whether somebody must have changed the log, or the records. The others a crash of Redis in the
    /// middle of a write can leave.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        !matches!(self, Self::Torn | Self::NoCommand { .. })
    }

    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unlinked => "unlinked",
            Self::Misnumbered { .. } => "misnumbered",
            Self::Unreadable => "unreadable",
            Self::Vanished { .. } => "vanished",
            Self::HeadGone { .. } => "head_gone",
            Self::NoEntry { .. } => "no_entry",
            Self::Torn => "torn",
            Self::NoCommand { .. } => "no_command",
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Unlinked => {
                "its link does not follow: the entry or its link was changed, or what is before it"
                    .to_owned()
            }
            Self::Misnumbered { expected } => {
                format!("number {expected} must come here: entries were taken out, put in or moved")
            }
            Self::Unreadable => "it was not written by Holdfast, or was changed".to_owned(),
            Self::Vanished { added, there } => {
                format!("{added} entries were added and {there} are there: some were deleted")
            }
            Self::HeadGone { n } => format!(
                "the head that was noted with number {n} is not in the chain: it was written anew, or \
                 its end was cut off"
            ),
            Self::NoEntry { payment, key } => {
                format!("{payment} shows the command {key}, and no entry tells of it")
            }
            Self::Torn => {
                "another entry has its number and follows from the same one: Redis crashed in the \
                 middle of a write, or somebody put it in"
                    .to_owned()
            }
            Self::NoCommand { payment, key } => format!(
                "it tells of the command {key}, which {payment} does not show: Redis crashed in the \
                 middle of a write, or somebody changed the record"
            ),
        }
    }
}

impl Finding {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let what = &self.what;
        json!({
            "stream": self.stream.to_string(), "place": self.place, "what": what.word(),
            "broken": what.is_broken(), "told": what.told(),
        })
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let weight = if self.what.is_broken() {
            "broken"
        } else {
            "warning"
        };
        write!(f, "{weight}: stream {}", self.stream)?;
        if let Some(place) = &self.place {
            write!(f, ", entry {place}")?;
        }
        write!(f, ": {}: {}", self.what.word(), self.what.told())
    }
}
