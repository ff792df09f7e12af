//! The newest tally, for whoever shows it: pages and metrics read the same one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::redis::RedisStore;

/// Counting is done at most so often.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// And at most this part of the time goes into it: one fiftieth.
const REST_FOR_WORK: u32 = 50;
/// Unless that would be so long that alert rules no longer believe the count (half an hour).
const LONGEST_REST: Duration = Duration::from_secs(600);
/// How long whoever asks waits for a newer count than the last one.
const PATIENCE: Duration = Duration::from_secs(2);
/// A count that is older than this many pauses is counted anew before it is shown.
const STALE_PAUSES: i32 = 2;

/// Nothing has been counted yet, and counting takes long or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payments are not counted yet; ask again in some seconds")]
pub struct NotCounted;

/// The newest tally. Counted only while somebody asks.
pub struct Overview {
    store: Arc<RedisStore>,
    clock: Clock,
    newest: watch::Sender<Option<Arc<Tally>>>,
    asked: Notify,
}

impl Overview {
    /// Over a store. Nothing is counted unless [`Overview::count_on_demand`] runs.
    #[must_use]
    pub fn new(store: Arc<RedisStore>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            newest: watch::Sender::new(None),
            asked: Notify::new(),
        }
    }

    /// The newest tally: of a moment ago, if somebody asked lately, and else counted now, if that does
    /// not take long. It says as of when it is.
    pub async fn newest(&self) -> Result<Arc<Tally>, NotCounted> {
        self.asked.notify_one();
        let mut heard = self.newest.subscribe();
        let is_fresh = |known: &Option<Arc<Tally>>| {
            let known = known.as_ref();
            known.is_some_and(|known| !self.is_stale(known))
        };
        let fresh = heard.wait_for(is_fresh);
        if let Ok(Ok(known)) = tokio::time::timeout(PATIENCE, fresh).await {
            return known.as_ref().map(Arc::clone).ok_or(NotCounted);
        }
        self.newest.borrow().clone().ok_or(NotCounted)
    }

    fn is_stale(&self, known: &Tally) -> bool {
        let pause = TimeDelta::from_std(pause_after(known)).unwrap_or(TimeDelta::MAX);
        self.clock.now() - known.as_of > pause * STALE_PAUSES
    }

    /// Counts whenever somebody asked, and rests in between, until `stop`.
    pub async fn count_on_demand(&self, stop: CancellationToken) {
        let counting = async {
            loop {
                self.asked.notified().await;
                // What breaks a count must not end the worker: money goes on without it.
                let counting = AssertUnwindSafe(count(&self.store, &self.clock)).catch_unwind();
                let broken = |_| Err(StoreError::panicked(&"a count"));
                let pause = match counting.await.unwrap_or_else(broken) {
                    Ok(tally) => {
                        let pause = pause_after(&tally);
                        self.newest.send_replace(Some(Arc::new(tally)));
                        pause
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the payments were not counted; it is tried again");
                        AT_MOST_EVERY
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        stop.run_until_cancelled(counting).await;
    }
}

fn pause_after(tally: &Tally) -> Duration {
    let took = Duration::from_millis(tally.took_ms);
    took.saturating_mul(REST_FOR_WORK)
        .clamp(AT_MOST_EVERY, LONGEST_REST)
}

/// Counts all unfinished payments now.
pub async fn count(store: &RedisStore, clock: &Clock) -> Result<Tally, StoreError> {
    let mut tally = Tally::new(clock.now());
    let mut after = None;
    loop {
        let page = store.faces(None, after.as_ref()).await?;
        page.faces.iter().for_each(|face| tally.add(face));
        if page.next.is_none() {
            break;
        }
        after = page.next;
    }
    tally.uncounted = store.faceless().await?;
    let took = clock.now() - tally.as_of;
    tally.took_ms = u64::try_from(took.num_milliseconds()).unwrap_or_default();
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_counting_takes_alert_rules_believe_the_count() {
        let rules = include_str!("../../deploy/prometheus/alerts.yml");
        let gate = "holdfast_tallied_timestamp_seconds < ";
        let gates = rules.split(gate).skip(1);
        let gates = gates.filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
        let least = gates.map(Duration::from_secs).min().unwrap();
        for (took_s, pause_s) in [(0, 5), (1, 50), (12, 600), (60, 600), (300, 600)] {
            let mut tally = Tally::new(Clock::system().now());
            tally.took_ms = took_s * 1_000;
            let pause = pause_after(&tally);
            assert_eq!(pause, Duration::from_secs(pause_s), "{took_s} s");
            assert!(pause + 2 * Duration::from_secs(took_s) < least);
        }
    }
}
