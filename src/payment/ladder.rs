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

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(jitter_percent: u8) -> Ladder {
        Ladder {
            delays_ms: vec![100_000, 300_000, 700_000],
            jitter_percent,
            give_up_after_ms: 86_400_000,
        }
    }

    #[test]
    fn the_last_rung_repeats() {
        let waits = [0, 1, 2, 3, u32::MAX].map(|rung| ladder(0).delay(rung, "pay_1"));
        let expected = [100, 300, 700, 700, 700].map(TimeDelta::seconds);
        assert_eq!(waits, expected);
        let none = Ladder {
            delays_ms: Vec::new(),
            ..ladder(20)
        };
        assert_eq!(none.delay(5, "pay_1"), TimeDelta::zero());
    }

    #[test]
    fn a_wait_is_stretched_by_the_whole_jitter_and_by_no_more_and_never_shortened() {
        let waits: Vec<_> = (0..500)
            .map(|seed| ladder(20).delay(0, &format!("pay_{seed}")))
            .map(|wait| wait.num_milliseconds())
            .collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!((100_000..101_000).contains(least), "{least}");
        assert!((119_000..=120_000).contains(most), "{most}");
    }

    #[test]
    fn the_same_payment_always_waits_the_same_and_another_rung_is_stretched_otherwise() {
        let stretch = |rung, base| ladder(20).delay(rung, "pay_1") - TimeDelta::seconds(base);
        assert_eq!(stretch(0, 100), stretch(0, 100));
        assert_ne!(stretch(1, 300) * 7, stretch(2, 700) * 3);
        assert_ne!(ladder(20).delay(2, "pay_1"), ladder(20).delay(3, "pay_1"));
    }

    #[test]
    fn absurd_spans_become_a_hundred_years() {
        let years = TimeDelta::days(36_500);
        let limit = years.num_milliseconds().unsigned_abs();
        for (ms, span) in [
            (0, TimeDelta::zero()),
            (limit - 1, years - TimeDelta::milliseconds(1)),
            (limit, years),
            (limit + 1, years),
            (u64::MAX / 4, years),
            (u64::MAX, years),
        ] {
            assert_eq!(millis(ms), span, "{ms}");
        }
        assert_eq!(ladder(0).give_up_after(), TimeDelta::days(1));
    }
}
