//! How long to wait, and how much to take in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::payment::Step;

/// How the gateway is called. The same for all accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long each call may take.
    pub deadlines: Deadlines,
    /// How long name resolution, connection and TLS may take, in milliseconds. What fails within
    /// this time is known not to have been sent; keep it well below the deadlines.
    pub connect_timeout_ms: u64,
    /// A larger answer is not read to its end and counts as unreadable, in bytes.
    pub largest_answer_bytes: usize,
    /// How many idle connections are kept for look-ups: at least as many as payments are worked
    /// on at once.
    pub idle_connections: usize,
    /// How long an idle connection is kept, in milliseconds: less than the gateway keeps it.
    pub idle_timeout_ms: u64,
    /// How often at most an account's company key is fetched, in milliseconds.
    pub company_key_every_ms: u64,
}

/// How long each call may take, in milliseconds: from the first step of connecting to the last
/// byte of the answer. The quiet period must be longer than the longest of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// To make a purchase.
    pub create_ms: u64,
    /// To ask what is true.
    pub look_up_ms: u64,
    /// To charge a card: the acquirer and the card's bank take part.
    pub charge_ms: u64,
    /// To take held money.
    pub capture_ms: u64,
    /// To give held money back.
    pub release_ms: u64,
    /// To seal a purchase.
    pub cancel_ms: u64,
}

impl Deadlines {
    /// How long a step may take.
    #[must_use]
    pub const fn of(&self, step: Step) -> u64 {
        match step {
            Step::Create => self.create_ms,
            Step::Charge => self.charge_ms,
            Step::Capture { .. } => self.capture_ms,
            Step::Release => self.release_ms,
            Step::Cancel => self.cancel_ms,
        }
    }

    /// The longest of them.
    #[must_use]
    pub fn longest_ms(&self) -> u64 {
        let Self {
            create_ms,
            look_up_ms,
            charge_ms,
            capture_ms,
            release_ms,
            cancel_ms,
        } = *self;
        [
            create_ms, look_up_ms, charge_ms, capture_ms, release_ms, cancel_ms,
        ]
        .into_iter()
        .fold(0, u64::max)
    }
}

impl Settings {
    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}
