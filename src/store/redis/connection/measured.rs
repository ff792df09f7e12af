//! How long round trips take, and how the link stands, for the metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Link, Shared, State};
use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{LinkSeen, Standing};

impl Link {
    /// From now on round trips are timed, and this link is told of as `name`.
    pub(in crate::store::redis) fn measure(&self, name: &'static str, metrics: &Metrics) {
        let shared = Arc::downgrade(&self.0);
        metrics.watch_link(name, move || {
            shared.upgrade().map_or(LinkSeen::GONE, |it| it.seen())
        });
        // Measured once is enough.
        let _ = self.0.metrics.set(metrics.clone());
    }

    /// Tells that a payment could not be worked on.
    pub(in crate::store::redis) fn unworkable(&self, reason: &'static str) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.unworkable(reason);
        }
    }

    /// Tells how long a round trip took.
    pub(super) fn measured<T>(
        &self,
        script: &'static str,
        began: Instant,
        told: &Result<T, StoreError>,
    ) {
        if let Some(metrics) = self.0.metrics.get() {
            let outcome = if told.is_ok() { "answered" } else { "failed" };
            metrics.asked_redis((script, outcome), began.elapsed());
        }
    }
}

impl Shared {
    fn seen(&self) -> LinkSeen {
        let standing = |stands| if stands { Standing::Up } else { Standing::Down };
        let known = self.known();
        LinkSeen {
            link: standing(matches!(&*self.state.borrow(), State::Up(_))),
            money: standing(known.durability.is_ok()),
            lineages: known.number,
            connections: self.epochs.load(Ordering::Relaxed),
        }
    }
}
