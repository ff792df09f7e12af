//! While the store does not answer.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::store::StoreError;

/// What to do while the store does not answer: wait, a little longer each time, and try again.
pub(super) struct Trouble {
    cannot: &'static str,
    failures: u32,
    dice: SmallRng,
}

impl Trouble {
    const FIRST_MS: u64 = 50;
    const LONGEST_MS: u64 = 1_000;

    /// `identity` spreads the waits of different processes.
    pub(super) fn new(cannot: &'static str, identity: u64) -> Self {
        Self {
            cannot,
            failures: 0,
            dice: SmallRng::seed_from_u64(identity),
        }
    }

    /// Notes a failure and answers how long to wait. Only the first one of a row is loud.
    pub(super) fn met(&mut self, error: &StoreError) -> Duration {
        if self.failures == 0 {
            tracing::warn!(%error, "the queue cannot {} now; it goes on trying", self.cannot);
        } else {
            tracing::debug!(%error, failures = self.failures, "still cannot {}", self.cannot);
        }
        let full_ms = (Self::FIRST_MS << self.failures.min(10)).min(Self::LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(self.dice.random_range(full_ms / 2..=full_ms))
    }

    /// Notes that the store answered.
    pub(super) fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                failures = self.failures,
                "the queue can {} again",
                self.cannot
            );
            self.failures = 0;
        }
    }
}
