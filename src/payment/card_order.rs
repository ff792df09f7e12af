//! What somebody asks of a saved card, and what a worker is to carry out for that.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How long a name or a reason may be, in characters.
const LONGEST_WORD: usize = 500;

/// What somebody wants of a card, and a worker carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// That the gateway be asked whether it keeps it.
    Look,
    /// That the gateway keep it no more.
    Delete,
}

/// That somebody wants something of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What.
    pub what: Wish,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Whether a call to delete it was sent for that: before, nothing that is seen is its doing.
    #[serde(default)]
    pub sent: bool,
}

/// Who wants something of a card, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// The API key's name, or the person.
    pub by: String,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Voice {
    /// That somebody says something, as much of it as is kept.
    #[must_use]
    pub fn new(by: &str, reason: Option<&str>) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST_WORD).collect();
        Self {
            by: cut(by),
            reason: reason.map(cut),
        }
    }
}

/// What is asked of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum CardOrder {
    /// That the gateway be asked whether it keeps it.
    Look,
    /// That the gateway keep it no more.
    Delete(Voice),
    /// That nothing of that be done any more, as far as it is not done.
    Keep(Voice),
}

impl CardOrder {
    /// What a worker is to carry out.
    #[must_use]
    pub const fn wish(&self) -> Option<Wish> {
        match self {
            Self::Look => Some(Wish::Look),
            Self::Delete(_) => Some(Wish::Delete),
            Self::Keep(_) => None,
        }
    }
}

/// That something was asked of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardAsked {
    /// When.
    pub at: Timestamp,
    /// What, by whom and why.
    #[serde(flatten)]
    pub order: CardOrder,
}
