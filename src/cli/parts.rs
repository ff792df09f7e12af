//! The parts of one worker, and its connections to Redis. Each part runs until the stop; one that ends
//! before, or panics, ends the worker: nobody would notice that it is not there any more.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::redis::{OpenError, RedisStore, Settings};
use crate::telemetry::Metrics;

/// What runs in a worker, and what all of it shares.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// Ends every part.
    pub(super) stop: CancellationToken,
    redis: Settings,
    running: JoinSet<Ended>,
    names: Vec<&'static str>,
    /// Cancelled when parts have had all the time that they get after the stop.
    late: CancellationToken,
}

/// A part, and whether it panicked.
type Ended = (&'static str, Result<(), Box<dyn Any + Send>>);

impl Parts {
    /// None yet, over this Redis. After the stop they get so long to end.
    pub(super) fn new(
        redis: Settings,
        clock: Clock,
        metrics: Metrics,
        stop: CancellationToken,
        longest_stop: Duration,
    ) -> Self {
        let late = CancellationToken::new();
        let (stopped, over) = (stop.clone(), late.clone());
        tokio::spawn(async move {
            stopped.cancelled().await;
            tokio::time::sleep(longest_stop).await;
            over.cancel();
        });
        Self {
            clock,
            metrics,
            stop,
            redis,
            running: JoinSet::new(),
            names: Vec::new(),
            late,
        }
    }

    /// A connection of its own for one part, which is told of as `link` in the metrics, and looked at
    /// for as long as the worker runs: what nobody looks at believes for ever what it saw at first.
    pub(super) async fn connect(&mut self, link: &'static str) -> Result<RedisStore, OpenError> {
        self.connect_by(self.redis.clone(), link).await
    }

    /// The same, by settings of its own.
    pub(super) async fn connect_by(
        &mut self,
        settings: Settings,
        link: &'static str,
    ) -> Result<RedisStore, OpenError> {
        let store = RedisStore::connect(settings, self.clock.clone()).await?;
        let store = store.measured(link, &self.metrics);
        let (watched, until) = (store.clone(), self.stop.clone());
        self.spawn("watch", async move { watched.watch(until).await });
        Ok(store)
    }

    /// Has a part run until the stop.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.names.push(name);
        let part = AssertUnwindSafe(part).catch_unwind();
        self.running.spawn(async move { (name, part.await) });
    }

    /// Does the work, which ends some time after the stop. If a part ends before the stop, that is the
    /// stop, and the part is named.
    pub(super) async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> (T, Option<&'static str>) {
        let stop = self.stop.clone();
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => (done, None),
            part = self.broken() => {
                tracing::error!(
                    event = "worker_ended",
                    part,
                    "a part of the worker ended by itself, and so does the worker; start the process again"
                );
                stop.cancel();
                (work.await, Some(part))
            }
        }
    }

    /// The first part that ends before the stop.
    async fn broken(&mut self) -> &'static str {
        while let Some(ended) = self.next_ended().await {
            if !self.stop.is_cancelled() {
                return ended;
            }
        }
        std::future::pending().await
    }

    /// Stops what still runs, and waits for it as long as it may take.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        let late = self.late.clone();
        let ending = async { while self.next_ended().await.is_some() {} };
        if late.run_until_cancelled(ending).await.is_some() {
            return;
        }
        tracing::warn!(
            event = "parts_cut_off",
            parts = self.names.join(","),
            "parts of the worker did not end in time; going without them"
        );
    }

    async fn next_ended(&mut self) -> Option<&'static str> {
        // A part that panics is caught, and none is aborted before all of them are.
        let (name, _) = self.running.join_next().await?.ok()?;
        if let Some(at) = self.names.iter().position(|known| *known == name) {
            self.names.swap_remove(at);
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(7);

    fn none() -> Parts {
        let (clock, metrics) = (Clock::system(), Metrics::default());
        Parts::new(
            Settings::default(),
            clock,
            metrics,
            CancellationToken::new(),
            LONGEST,
        )
    }

    /// A worker whose work and other parts go on until the stop; which part it says ended it.
    async fn ended_by(part: impl Future<Output = ()> + Send + 'static) -> Option<&'static str> {
        let mut parts = none();
        let stop = parts.stop.clone();
        parts.spawn("cards", stop.clone().cancelled_owned());
        parts.spawn("plans", part);
        let work = stop.clone().cancelled_owned();
        let within = tokio::time::timeout(LONGEST, parts.beside(work)).await;
        let ((), broken) = within.expect("it is noticed");
        assert!(stop.is_cancelled());
        parts.end().await;
        broken
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_ends_the_worker_and_is_named() {
        let part = async {
            tokio::task::yield_now().await;
            panic!("of this test");
        };
        assert_eq!(ended_by(part).await, Some("plans"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_returns_before_the_stop_ends_the_worker_and_is_named() {
        assert_eq!(ended_by(async {}).await, Some("plans"));
    }

    #[tokio::test(start_paused = true)]
    async fn parts_that_end_with_the_stop_are_no_fault() {
        let mut parts = none();
        let stop = parts.stop.clone();
        parts.spawn("cards", stop.clone().cancelled_owned());
        let asked = stop.clone();
        let work = async move {
            asked.cancel();
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let ((), broken) = parts.beside(work).await;
        assert_eq!(broken, None);
        parts.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_end_holds_up_no_stop_for_longer_than_it_may() {
        let mut parts = none();
        parts.spawn("cards", pending());
        let asked = Instant::now();
        parts.end().await;
        let took = asked.elapsed();
        assert!(took >= LONGEST && took < LONGEST * 2, "{took:?}");
    }
}
