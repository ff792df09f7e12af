//! What Redis holds, looked at now and then for the metrics: over a connection of its own, so that
//! nothing that is drawn holds up a payment.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::redis::RedisStore;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{EndpointSeen, Observed, Sending};
use crate::worker::outbox::{Outbox, is_off};

/// How often it looks: as often as Prometheus usually asks.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks, and has the metrics tell what it saw.
pub struct Observer {
    store: RedisStore,
    outbox: Arc<Outbox>,
    clock: Clock,
    metrics: Metrics,
}

impl Observer {
    /// Over `store`, which nobody else should use; `outbox` knows the endpoints of now.
    #[must_use]
    pub const fn new(
        store: RedisStore,
        outbox: Arc<Outbox>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            outbox,
            clock,
            metrics,
        }
    }

    /// Looks again and again until `stop`. While Redis is away the figures stay as they are, and say
    /// by their timestamp how old they are.
    pub async fn run(self, stop: CancellationToken) {
        let looking = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::debug!(%error, "the metrics show what was before");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    /// Looks once.
    pub async fn look(&self) -> Result<(), StoreError> {
        let stats = self.store.stats().await?;
        let (pushed, quarantined) = self.store.intake_backlog().await?;
        self.metrics.observed(Observed {
            at: self.clock.now(),
            by_state: stats.by_state,
            unfinished: stats.unfinished,
            due: stats.due_now,
            next_due: stats.next_due,
            endpoints: self.endpoints().await?,
            pushed,
            quarantined,
            cards: self.store.wanted_cards().await?,
        });
        Ok(())
    }

    async fn endpoints(&self) -> Result<Vec<EndpointSeen>, StoreError> {
        let marks = self.store.marks().await?;
        let mut seen = Vec::new();
        for endpoint in self.outbox.endpoints() {
            let waiting = self.store.waiting(&endpoint.name).await?;
            let mark = marks.get(&endpoint.name);
            let off = !endpoint.enabled || mark.is_some_and(|mark| is_off(&endpoint, mark));
            let oldest = waiting.oldest.into_iter().chain(waiting.unread_since).min();
            seen.push(EndpointSeen {
                name: endpoint.name.to_string(),
                pending: waiting.events,
                oldest,
                sends: if off { Sending::Off } else { Sending::On },
            });
        }
        Ok(seen)
    }
}
