//! Which days are compared.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveTime};

use crate::payment::Timestamp;

/// The offset of Malaysian time, which has no summer time: CHIP's portal and the bank count days by it.
pub const MALAYSIA: &str = "+08:00";

/// A stretch of time: its end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From then on.
    pub from: Timestamp,
    /// Until just before then.
    pub to: Timestamp,
    /// In which time people named it.
    pub offset: FixedOffset,
}

/// Why a period was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeriod {
    /// Neither a day nor a time.
    #[error(
        "{0:?} is neither a day nor a time with offset; write 2027-01-31 or 2027-01-31T14:00:00+08:00"
    )]
    Text(String),
    /// Not an offset.
    #[error("{0:?} is no offset from UTC; write +08:00")]
    Offset(String),
    /// It ends before it begins.
    #[error("the period ends before it begins; --to is the last day")]
    Backwards,
}

impl Period {
    /// The period from a day or time to another one. A day that ends it belongs to it; a time does
    /// not.
    pub fn of(from: &str, to: &str, offset: &str) -> Result<Self, InvalidPeriod> {
        let offset: FixedOffset = offset
            .parse()
            .map_err(|_| InvalidPeriod::Offset(offset.to_owned()))?;
        let begin = |day: NaiveDate| {
            let midnight = day.and_time(NaiveTime::MIN).and_local_timezone(offset);
            midnight.single().map(|at| at.to_utc())
        };
        let read = |text: &str, later: Days| {
            let exact = || {
                DateTime::parse_from_rfc3339(text)
                    .ok()
                    .map(|at| at.to_utc())
            };
            let day = text.parse::<NaiveDate>().ok();
            let day = day.and_then(|day| begin(day.checked_add_days(later)?));
            day.or_else(exact)
                .ok_or_else(|| InvalidPeriod::Text(text.to_owned()))
        };
        let (from, to) = (read(from, Days::new(0))?, read(to, Days::new(1))?);
        if from < to {
            Ok(Self { from, to, offset })
        } else {
            Err(InvalidPeriod::Backwards)
        }
    }

    /// Whether a moment is part of it.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// A moment as the people who asked read clocks.
    #[must_use]
    pub fn shown(&self, at: Timestamp) -> String {
        at.with_timezone(&self.offset)
            .format("%Y-%m-%d %H:%M")
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_day_belongs_to_a_period_and_days_are_malaysian() {
        let period = Period::of("2027-01-01", "2027-01-31", MALAYSIA).unwrap();
        assert_eq!(period.from, at("2026-12-31T16:00:00Z"));
        assert_eq!(period.to, at("2027-01-31T16:00:00Z"));
        assert!(period.has(at("2027-01-31T15:59:59Z")) && !period.has(period.to));
        assert_eq!(period.shown(period.from), "2027-01-01 00:00");
        let one_day = Period::of("2027-01-01", "2027-01-01", "+00:00").unwrap();
        assert_eq!(one_day.to - one_day.from, chrono::TimeDelta::days(1));
    }

    #[test]
    fn a_time_is_taken_as_it_stands() {
        let from = "2027-01-01T10:00:00+08:00";
        let period = Period::of(from, "2027-01-01T03:00:00Z", MALAYSIA).unwrap();
        assert_eq!(period.from, at("2027-01-01T02:00:00Z"));
        assert_eq!(period.to, at("2027-01-01T03:00:00Z"));
    }

    #[test]
    fn what_is_no_period_is_refused_with_what_to_write() {
        for (from, to) in [
            ("yesterday", "2027-01-01"),
            ("2027-13-01", "2027-01-01"),
            ("2027-01-01T10:00:00", "2027-01-01"),
            ("2027-01-02", "2027-01-01"),
        ] {
            assert!(Period::of(from, to, MALAYSIA).is_err(), "{from} {to}");
        }
        let error = Period::of("2027-01-01", "2027-01-01", "Asia/Kuala_Lumpur");
        assert!(error.unwrap_err().to_string().contains("+08:00"));
    }
}
