//! The names of states.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::State;

/// A state's name: stored, logged, indexed and shown as the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`State::New`].
    New,
    /// See [`State::AwaitingPayer`].
    AwaitingPayer,
    /// See [`State::Held`].
    Held,
    /// See [`State::Paid`].
    Paid,
    /// See [`State::Released`].
    Released,
    /// See [`State::Saved`].
    Saved,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Parked`].
    Parked,
}

impl StateName {
    /// All of them, in the order of a payment's life.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::AwaitingPayer,
        Self::Held,
        Self::Paid,
        Self::Released,
        Self::Saved,
        Self::Failed,
        Self::Parked,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::AwaitingPayer => "awaiting_payer",
            Self::Held => "held",
            Self::Paid => "paid",
            Self::Released => "released",
            Self::Saved => "saved",
            Self::Failed => "failed",
            Self::Parked => "parked",
        }
    }

    /// Whether nothing more can happen.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(
            self,
            Self::Paid | Self::Released | Self::Saved | Self::Failed
        )
    }
}

impl std::fmt::Display for StateName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for StateName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| {
                let all = Self::ALL.map(Self::as_str).join(", ");
                format!("{text:?} is no state; use one of {all}")
            })
    }
}
