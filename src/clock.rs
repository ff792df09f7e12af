//! The one place that asks the time.
//!
//! All workers live by the time of Redis: [`Clock::sync`] takes it in, and between two readings
//! the monotonic clock of the machine carries it on, so a jump of the machine's wall clock moves
//! nothing. Tests use a clock that moves only when told to; in a runtime whose time is simulated
//! a running clock shows simulated time. The clock decides when things are done. Of what keeps payments
//! safe, the quiet period alone is measured by it: a jump of Redis' clock by as much shortens that wait.
//!
//! That clock stands still while the machine is asleep, and goes back when Redis' does. Whoever must not
//! come too late also measures from a [`Mark`], which neither moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::payment::Timestamp;

/// A shared clock; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Face>>);

#[derive(Debug)]
enum Face {
    Running {
        at: Instant,
        was: Timestamp,
        machine: Machine,
    },
    Manual {
        now: Timestamp,
        slept: TimeDelta,
    },
}

/// What a running clock runs on.
#[derive(Debug)]
enum Machine {
    Real,
    /// A runtime whose time is simulated, and never asleep.
    Simulated(Instant),
}

/// A moment by the machine's own clock: nobody sets that, and it goes on while the machine is asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(TimeDelta);

impl Clock {
    /// The machine's clock, until the time of Redis is known.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the place that may ask")]
    pub fn system() -> Self {
        Self::with(Face::Running {
            at: Instant::now(),
            was: Utc::now(),
            machine: Machine::Real,
        })
    }

    /// A clock that shows `start` now and runs on from there by the runtime's time.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the place that may ask")]
    pub fn starting_at(start: Timestamp) -> Self {
        let at = Instant::now();
        Self::with(Face::Running {
            at,
            was: start,
            machine: Machine::Simulated(at),
        })
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::with(Face::Manual {
            now,
            slept: TimeDelta::zero(),
        })
    }

    fn with(face: Face) -> Self {
        Self(Arc::new(Mutex::new(face)))
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, to the millisecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = match &*self.face() {
            Face::Manual { now, .. } => *now,
            Face::Running { at, was, .. } => *was + elapsed(*at),
        };
        now.trunc_subsecs(3)
    }

    /// Takes in the time that Redis told in an answer that took so long; a manual clock does not
    /// follow.
    ///
    /// By now it is at least that time, and at most that much later. A clock that shows something
    /// in between is left alone: setting it back by the length of each answer would make
    /// everything late that waits for a certain time.
    #[allow(clippy::disallowed_methods, reason = "this is the place that may ask")]
    pub fn sync(&self, redis: Timestamp, round_trip: Duration) {
        if let Face::Running { at, was, .. } = &mut *self.face() {
            let latest = redis + TimeDelta::from_std(round_trip).unwrap_or(TimeDelta::zero());
            let shown = *was + elapsed(*at);
            (*at, *was) = (Instant::now(), shown.clamp(redis, latest));
        }
    }

    /// Moves a manual clock on; a running clock moves by itself.
    pub fn advance(&self, by: TimeDelta) {
        if let Face::Manual { now, .. } = &mut *self.face() {
            *now += by;
        }
    }

    /// Has the machine of a manual clock sleep for so long: the time that it shows does not notice.
    pub fn sleep(&self, by: TimeDelta) {
        if let Face::Manual { slept, .. } = &mut *self.face() {
            *slept += by;
        }
    }

    /// This moment, to measure from.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(match &*self.face() {
            Face::Manual { now, slept } => *now - Timestamp::UNIX_EPOCH + *slept,
            Face::Running { machine, .. } => match machine {
                Machine::Real => since_boot(),
                Machine::Simulated(began) => elapsed(*began),
            },
        })
    }

    /// How long ago that was.
    #[must_use]
    pub fn since(&self, mark: Mark) -> TimeDelta {
        self.mark().0 - mark.0
    }
}

/// How long the machine is up, asleep or not.
fn since_boot() -> TimeDelta {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    // Elsewhere this one goes on in sleep where any does.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let up = clock_gettime(clock);
    TimeDelta::seconds(up.tv_sec) + TimeDelta::nanoseconds(up.tv_nsec)
}

fn elapsed(since: Instant) -> TimeDelta {
    TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX)
}

/// A moment from microseconds since 1970; `None` when it is out of range.
#[must_use]
pub(crate) fn from_micros(us: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_micros(us)
}

/// A moment from milliseconds since 1970; `None` when it is out of range.
#[must_use]
pub fn from_millis(ms: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let start = from_millis(1_800_000_000_123).unwrap();
        let clock = Clock::manual(start);
        clock.sync(start + TimeDelta::days(1), Duration::ZERO);
        assert_eq!(clock.now(), start);
        clock.advance(TimeDelta::milliseconds(5));
        assert_eq!(clock.now(), start + TimeDelta::milliseconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_measured_goes_on_in_sleep_and_is_never_set_back() {
        let start = from_millis(1_800_000_000_000).unwrap();
        let manual = Clock::manual(start);
        let mark = manual.mark();
        manual.advance(TimeDelta::seconds(1));
        manual.sleep(TimeDelta::days(8));
        assert_eq!(manual.now(), start + TimeDelta::seconds(1));
        assert_eq!(
            manual.since(mark),
            TimeDelta::days(8) + TimeDelta::seconds(1)
        );

        let simulated = Clock::starting_at(start);
        let mark = simulated.mark();
        tokio::time::sleep(Duration::from_secs(60)).await;
        simulated.sync(start, Duration::ZERO);
        assert_eq!(simulated.now(), start, "Redis' clock went back");
        assert_eq!(simulated.since(mark), TimeDelta::seconds(60));

        let real = Clock::system();
        let mark = real.mark();
        real.sync(start, Duration::ZERO);
        assert!((TimeDelta::zero()..TimeDelta::minutes(1)).contains(&real.since(mark)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_runs_by_the_time_of_the_runtime() {
        let start = from_millis(1_800_000_000_000).unwrap();
        let clock = Clock::starting_at(start);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now(), start + TimeDelta::hours(1));
    }

    #[test]
    fn a_running_clock_follows_redis() {
        let clock = Clock::system();
        let redis = from_millis(1_800_000_000_000).unwrap();
        clock.sync(redis, Duration::ZERO);
        assert!(clock.now() >= redis && clock.now() < redis + TimeDelta::minutes(1));
    }

    #[test]
    fn an_answer_that_took_long_does_not_set_a_clock_back_that_was_right() {
        let clock = Clock::system();
        let redis = from_millis(1_800_000_000_000).unwrap();
        clock.sync(redis, Duration::ZERO);
        clock.sync(redis - TimeDelta::minutes(2), Duration::from_secs(600));
        assert!(clock.now() >= redis);
    }

    #[test]
    fn a_clock_that_is_ahead_is_set_back_to_the_latest_that_can_be_true() {
        let clock = Clock::system();
        let redis = from_millis(1_800_000_000_000).unwrap();
        clock.sync(redis + TimeDelta::days(1), Duration::ZERO);
        clock.sync(redis, Duration::from_secs(2));
        assert!(clock.now() >= redis + TimeDelta::seconds(2));
        assert!(clock.now() < redis + TimeDelta::minutes(1));
    }
}
