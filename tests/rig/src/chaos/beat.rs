//! How often something strikes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};

use super::ground::Ground;

/// How long whoever rests may take to learn that it is over.
const STEP: Duration = Duration::from_millis(200);

/// How much of the time between two strikes there is at least after one.
const LEAST_REST: f64 = 0.4;

/// Strikes so often that a quota is met within the span of the run, at random moments.
pub(super) struct Beat {
    between: Option<Duration>,
    next: Instant,
    /// For whatever else is left to chance.
    pub(super) random: StdRng,
}

impl Beat {
    /// One for each quota and `who`; a quota of 0 never strikes.
    pub(super) fn of(ground: &Ground, quota: u64, who: u64) -> Self {
        Self {
            between: (quota > 0).then(|| ground.plan.between(quota)),
            next: Instant::now(),
            random: StdRng::seed_from_u64(ground.plan.seed ^ (who << 16)),
        }
    }

    /// Waits for the next strike; `false` when faults are over by then. What took long itself is
    /// made up for, but never so that nothing else gets on in between.
    pub(super) async fn strikes(&mut self, ground: &Ground) -> bool {
        let Some(between) = self.between else {
            return false;
        };
        self.next += between.mul_f64(self.random.random_range(0.3..1.7));
        self.next = self.next.max(Instant::now() + between.mul_f64(LEAST_REST));
        while !ground.is_over() && Instant::now() < self.next {
            sleep_until(self.next.min(Instant::now() + STEP)).await;
        }
        !ground.is_over()
    }
}
