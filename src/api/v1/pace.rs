//! How many requests each key may make.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use super::keys::KeyName;
use crate::payment::Timestamp;

/// How many requests a batch may have, which may be more than a burst.
pub(super) const LARGEST_BATCH: u32 = 1_000;

/// How many requests a key may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// In a second, in the long run.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// What each key has left. A number a key: when its bucket will be full again.
#[derive(Debug)]
pub(super) struct Paces {
    pace: Pace,
    full_at: Mutex<BTreeMap<KeyName, Timestamp>>,
}

impl Paces {
    pub(super) const fn new(pace: Pace) -> Self {
        Self {
            pace,
            full_at: Mutex::new(BTreeMap::new()),
        }
    }

    /// Takes so many requests out of a key's bucket; how long to wait, if there are not as many.
    pub(super) fn take(
        &self,
        key: &KeyName,
        requests: u32,
        now: Timestamp,
    ) -> Result<(), TimeDelta> {
        let each = |count: u32| {
            let micros = i64::from(count) * 1_000_000 / i64::from(self.pace.per_second.max(1));
            TimeDelta::microseconds(micros)
        };
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let at = full_at.entry(key.clone()).or_insert(now);
        // A clock that went back must not lock a key out for longer than a whole bucket takes.
        let (least, most) = (now, now + each(self.pace.burst.max(LARGEST_BATCH)));
        *at = if *at > most {
            now + each(self.pace.burst)
        } else {
            (*at).max(least)
        };
        let after = *at + each(requests);
        // The request that carries a batch was counted before it was known to be one.
        let wait = after - now - each(self.pace.burst.max(requests.saturating_add(1)));
        if wait > TimeDelta::zero() {
            return Err(wait);
        }
        *at = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_make_a_burst_and_then_so_many_a_second() {
        let paces = Paces::new(Pace {
            per_second: 10,
            burst: 5,
        });
        let (one, other) = (KeyName::new("one").unwrap(), KeyName::new("other").unwrap());
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..5 {
            assert_eq!(paces.take(&one, 1, now), Ok(()));
        }
        assert_eq!(paces.take(&one, 1, now), Err(TimeDelta::milliseconds(100)));
        assert_eq!(paces.take(&other, 1, now), Ok(()));
        let later = now + TimeDelta::milliseconds(100);
        assert_eq!(paces.take(&one, 1, later), Ok(()));
        assert!(paces.take(&one, 1, later).is_err());
    }

    #[test]
    fn a_batch_that_is_larger_than_a_burst_goes_through_when_the_bucket_is_full() {
        let paces = Paces::new(Pace {
            per_second: 10,
            burst: 5,
        });
        let key = KeyName::new("key").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(paces.take(&key, 20, now), Ok(()));
        assert!(
            paces
                .take(&key, 1, now + TimeDelta::milliseconds(400))
                .is_err()
        );
        assert_eq!(paces.take(&key, 1, now + TimeDelta::seconds(2)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let paces = Paces::new(Pace {
            per_second: 10,
            burst: 5,
        });
        let key = KeyName::new("key").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(paces.take(&key, 5, now + TimeDelta::days(1)), Ok(()));
        assert!(paces.take(&key, 1, now).is_err());
        assert_eq!(
            paces.take(&key, 1, now + TimeDelta::milliseconds(500)),
            Ok(())
        );
    }
}
