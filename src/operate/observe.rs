//! What Redis holds, looked at now and then for the metrics: over a connection of its own, so that
//! nothing that is drawn holds up a payment. Sums over unfinished payments are those of the overview.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::overview::Overview;
use super::tally::{LAPSING_HOURS, Sums, Tally};
use crate::clock::Clock;
use crate::payment::Timestamp;
use crate::store::redis::RedisStore;
use crate::store::switches::{SwitchName, Switches};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{EndpointSeen, Observed, Sending, Stopped, Sum, Tallied};
use crate::worker::outbox::{Outbox, is_off};

/// How often it looks: as often as Prometheus usually asks.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks, and has the metrics tell what it saw.
pub struct Observer {
    store: RedisStore,
    overview: Arc<Overview>,
    outbox: Arc<Outbox>,
    clock: Clock,
    metrics: Metrics,
}

impl Observer {
    /// Over `store`, which no payment should wait for; `overview` counts, `outbox` knows the endpoints
    /// of now.
    #[must_use]
    pub const fn new(
        store: RedisStore,
        overview: Arc<Overview>,
        outbox: Arc<Outbox>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            overview,
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
                // What breaks a look must not end the worker: money goes on without it.
                let looked = AssertUnwindSafe(self.look()).catch_unwind().await;
                let looked = looked.unwrap_or_else(|_| Err(StoreError::panicked(&"a figure")));
                if let Err(error) = looked {
                    tracing::debug!(%error, "the metrics show what was before");
                }
                self.tally().await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    /// Looks once.
    pub async fn look(&self) -> Result<(), StoreError> {
        let stats = self.store.stats().await?;
        let (pushed, quarantined) = self.store.intake_backlog().await?;
        let (switches, now) = (self.store.switches().await?, self.clock.now());
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
            stopped: stopped(&switches, now),
        });
        Ok(())
    }

    /// Has the newest tally told, if there is one.
    pub async fn tally(&self) {
        if let Ok(tally) = self.overview.newest().await {
            self.metrics.tallied(tallied(&tally));
        }
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

/// What is stopped now. What this program does not understand stops everything.
fn stopped(switches: &Switches, now: Timestamp) -> Stopped {
    let (all, parts): (Vec<_>, Vec<_>) = switches
        .standing(now)
        .map(|(name, _)| name)
        .partition(|name| **name == SwitchName::All);
    let unknown = switches.unknown.first().map(|_| "unknown".to_owned());
    let sends = all.is_empty() && unknown.is_none();
    Stopped {
        all: if sends { Sending::On } else { Sending::Off },
        parts: (parts.into_iter().map(ToString::to_string))
            .chain(unknown)
            .collect(),
    }
}

/// The part of a tally that is drawn.
fn tallied(tally: &Tally) -> Tallied {
    let lapsing = LAPSING_HOURS.into_iter().zip(&tally.lapsing);
    let lapsing = lapsing.flat_map(|(hours, sums)| {
        let of_it = by_currency(sums);
        of_it.map(move |(account, currency, sum)| (account, currency, hours, sum))
    });
    let (mut unknown, mut parked) = (Vec::new(), Vec::new());
    for (step, sums) in &tally.in_doubt {
        let of_it = by_account(sums).into_iter();
        unknown.extend(of_it.map(|(account, count)| (account, step.as_str(), count)));
    }
    for (reason, sums) in &tally.parked {
        let of_it = by_account(sums).into_iter();
        parked.extend(of_it.map(|(account, count)| (account, reason.clone(), count)));
    }
    let about_money = (tally.in_doubt.iter()).filter(|(step, _)| step.is_about_money());
    Tallied {
        at: tally.as_of,
        held: by_currency(&tally.held).collect(),
        lapsing: lapsing.collect(),
        lapsed: by_currency(&tally.lapsed).collect(),
        unknown,
        oldest_unknown: about_money
            .filter_map(|(_, sums)| sums.whole().oldest)
            .min(),
        parked,
        uncounted: tally.uncounted,
    }
}

fn by_currency(sums: &Sums) -> impl Iterator<Item = (String, String, Sum)> {
    sums.each().filter_map(|(account, currency, of_it)| {
        let sum = Sum {
            minor: of_it.minor,
            holds: of_it.count,
        };
        Some((account.to_string(), currency?.as_str().to_owned(), sum))
    })
}

fn by_account(sums: &Sums) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (account, _, of_it) in sums.each() {
        *counts.entry(account.to_string()).or_default() += of_it.count;
    }
    counts
}
