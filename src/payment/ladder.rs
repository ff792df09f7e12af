//! How long to wait before the next try.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::id::digest_of;

/// Waits that grow. The last rung repeats until the ladder gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// The waits, in milliseconds, the first one first.
    pub delays_ms: Vec<u64>,
    /// How far a wait may be stretched so that payments do not move in step, in percent.
    pub jitter_percent: u8,
    /// After this long without a conclusion a person is asked, in milliseconds.
    pub give_up_after_ms: u64,
}

impl Ladder {
    /// The wait on `rung` (0 is the first). The stretch comes from `seed` alone, so that the same
    /// payment always waits the same: never less than the rung says, at most the jitter more.
    #[must_use]
    pub fn delay(&self, rung: u32, seed: &str) -> TimeDelta {
        let last = self.delays_ms.len().saturating_sub(1);
        let index = usize::try_from(rung).unwrap_or(last).min(last);
        let base = self.delays_ms.get(index).copied().unwrap_or(0);
        let digest = digest_of(&[seed.as_bytes(), &rung.to_be_bytes()]);
        let share = u64::from(u16::from_be_bytes([digest[0], digest[1]]));
        let stretch = base / 100 * u64::from(self.jitter_percent) * share / u64::from(u16::MAX);
        millis(base.saturating_add(stretch))
    }

    /// How long the ladder goes on in all.
    #[must_use]
    pub fn give_up_after(&self) -> TimeDelta {
        millis(self.give_up_after_ms)
    }
}

/// The longest span that is reckoned with: any date stays within what a calendar can hold.
const LONGEST: TimeDelta = TimeDelta::days(36_500);

/// A span of `ms` milliseconds; absurd spans become a hundred years.
#[must_use]
pub fn millis(ms: u64) -> TimeDelta {
    i64::try_from(ms)
        .ok()
        .and_then(TimeDelta::try_milliseconds)
        .map_or(LONGEST, |span| span.min(LONGEST))
}
