//! Times, and what many of them say together.

use std::time::Duration;

use serde_json::{Value, json};

/// Microseconds since 1970 by the machine's clock. All processes of a run share that machine.
#[allow(
    clippy::disallowed_methods,
    reason = "the bench measures real processes by real time"
)]
#[must_use]
pub(super) fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Many measurements of one thing, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<i64>);

impl Sample {
    /// Adds one.
    pub(super) fn add(&mut self, us: i64) {
        self.0.push(us);
    }

    /// Adds one.
    pub(super) fn add_duration(&mut self, taken: Duration) {
        self.add(i64::try_from(taken.as_micros()).unwrap_or(i64::MAX));
    }

    /// Both together.
    #[must_use]
    pub(super) fn with(&self, other: &Self) -> Self {
        Self([self.0.as_slice(), other.0.as_slice()].concat())
    }

    /// How many there are.
    #[must_use]
    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The value that `percent` of all do not exceed, in milliseconds.
    #[must_use]
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).map_or(f64::NAN, |us| as_ms(*us))
    }

    /// p50, p99 and the greatest, as a line of a table.
    #[must_use]
    pub(super) fn line(&self) -> String {
        format!(
            "p50 {:>7.2}  p99 {:>7.2}  max {:>7.2} ms  (n = {})",
            self.percentile_ms(50),
            self.percentile_ms(99),
            self.percentile_ms(100),
            self.count()
        )
    }

    /// The same as JSON.
    #[must_use]
    pub(super) fn json(&self) -> Value {
        json!({
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "max_ms": self.percentile_ms(100),
            "count": self.count(),
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "times of a run are far below 2^52 microseconds"
)]
fn as_ms(us: i64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_measurements_and_the_last_is_the_greatest() {
        let mut sample = Sample::default();
        for ms in (1..=200).rev() {
            sample.add(ms * 1_000);
        }
        let seen = [50, 99, 100].map(|percent| sample.percentile_ms(percent));
        assert_eq!(
            seen.map(f64::round).map(|ms| format!("{ms}")),
            ["100", "198", "200"]
        );
    }
}
