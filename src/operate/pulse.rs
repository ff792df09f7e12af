//! How the work goes, over the last hour: how much ends, how late it begins, how much goes wrong. Made of
//! counts that the store keeps anyway, taken every few seconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::payment::{StateName, Timestamp};
use crate::store::redis::RedisStore;
use crate::store::{Stats, Store};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(15);
/// How many looks are kept: those of an hour.
const KEPT: usize = 241;

/// What was found at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    at: Timestamp,
    by_state: BTreeMap<StateName, u64>,
    late_ms: u64,
}

/// What happened within one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// How many payments ended.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many were parked, which is no end.
    pub parked: u64,
    /// How late the most overdue payment was at the worst look, in milliseconds; `None` if nobody
    /// looked.
    pub late_ms: Option<u64>,
}

impl Minute {
    /// How many went wrong.
    #[must_use]
    pub const fn wrong(&self) -> u64 {
        self.failed + self.parked
    }
}

/// Of what came to an end or to a stop, how much went wrong, in percent.
#[must_use]
pub fn share_wrong(minutes: &[Minute]) -> u64 {
    let sum = |of: fn(&Minute) -> u64| minutes.iter().map(of).sum::<u64>();
    let stopped = sum(|it| it.ended + it.parked);
    (sum(Minute::wrong) * 100)
        .checked_div(stopped)
        .unwrap_or_default()
}

/// How many minutes are shown.
pub const MINUTES: usize = 60;

/// The last hour, as one worker saw it.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<VecDeque<Look>>);

impl Pulse {
    /// Looks every few seconds until `stop`.
    pub async fn feel(&self, store: Arc<RedisStore>, clock: Clock, stop: CancellationToken) {
        let feeling = async {
            loop {
                match store.stats().await {
                    Ok(stats) => self.note(&stats, clock.now()),
                    Err(error) => tracing::debug!(%error, "nothing was counted"),
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(feeling).await;
    }

    /// Takes note of what was counted.
    pub fn note(&self, stats: &Stats, at: Timestamp) {
        let late = stats.next_due.filter(|_| stats.due_now > 0);
        let late = late.map_or(TimeDelta::zero(), |due| at - due);
        let look = Look {
            at,
            by_state: stats.by_state.iter().copied().collect(),
            late_ms: u64::try_from(late.num_milliseconds()).unwrap_or_default(),
        };
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push_back(look);
        if looks.len() > KEPT {
            looks.pop_front();
        }
    }

    /// The last hour by minutes, the oldest first.
    #[must_use]
    pub fn minutes(&self, now: Timestamp) -> [Minute; MINUTES] {
        let mut minutes = [Minute::default(); MINUTES];
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |look: &Look| {
            let ago = usize::try_from((now - look.at).num_minutes()).ok()?;
            (MINUTES - 1).checked_sub(ago)
        };
        for look in looks.iter() {
            if let Some(minute) = place(look).and_then(|at| minutes.get_mut(at)) {
                minute.late_ms = minute.late_ms.max(Some(look.late_ms));
            }
        }
        for (before, after) in looks.iter().zip(looks.iter().skip(1)) {
            if let Some(minute) = place(after).and_then(|at| minutes.get_mut(at)) {
                // The sweep takes old ones out of the counts: what is less says nothing.
                let more = |state: StateName| {
                    let of = |look: &Look| look.by_state.get(&state).copied().unwrap_or_default();
                    of(after).saturating_sub(of(before))
                };
                let ended = StateName::ALL
                    .into_iter()
                    .filter(|state| state.is_finished());
                minute.ended += ended.map(more).sum::<u64>();
                minute.failed += more(StateName::Failed);
                minute.parked += more(StateName::Parked);
            }
        }
        minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(paid: u64, failed: u64, next_due: Option<Timestamp>) -> Stats {
        Stats {
            by_state: vec![(StateName::Paid, paid), (StateName::Failed, failed)],
            due_now: u64::from(next_due.is_some()),
            unfinished: 1,
            next_due,
        }
    }

    #[test]
    fn what_ended_went_wrong_and_was_late_stands_in_its_minute() {
        let (pulse, start) = (Pulse::default(), Timestamp::UNIX_EPOCH + TimeDelta::days(1));
        let at = |minutes| start + TimeDelta::minutes(minutes);
        pulse.note(&counted(10, 1, None), at(0));
        pulse.note(&counted(14, 2, Some(start)), at(1));
        // A sweep took nine out.
        pulse.note(&counted(5, 2, None), at(2));
        let minutes = pulse.minutes(at(2));
        let [.., first, second, last] = minutes;
        assert_eq!((first.ended, first.wrong(), first.late_ms), (0, 0, Some(0)));
        assert_eq!((second.ended, second.wrong()), (5, 1));
        assert_eq!(second.late_ms, Some(60_000));
        assert_eq!((last.ended, last.wrong(), last.late_ms), (0, 0, Some(0)));
        assert_eq!(minutes[0], Minute::default());
        let later = pulse.minutes(at(60));
        assert_eq!(later[0].ended, 5, "the oldest minute that is shown");
        assert_eq!(later[2], Minute::default());
    }

    #[test]
    fn what_was_parked_is_no_end_and_counts_once_among_all_that_stopped() {
        let minute = |ended, failed, parked| Minute {
            ended,
            failed,
            parked,
            late_ms: None,
        };
        assert_eq!(share_wrong(&[minute(0, 0, 0)]), 0);
        assert_eq!(share_wrong(&[minute(10, 0, 10)]), 50);
        assert_eq!(share_wrong(&[minute(10, 10, 0)]), 100);
        assert_eq!(share_wrong(&[minute(5, 1, 0), minute(1, 0, 4)]), 50);
    }
}
