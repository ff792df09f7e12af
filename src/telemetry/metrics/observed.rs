//! What is not counted as it happens, but read now and then: whole snapshots, so that a scrape costs
//! nothing, never waits for Redis, and shows by a timestamp how old they are.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::catalogue::{self as all, Metric};
use super::labelled::tell;
use crate::payment::{StateName, Timestamp};

/// What Redis holds, as it was when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// How many payments there are in each state that has any.
    pub by_state: Vec<(StateName, u64)>,
    /// How many are not finished.
    pub unfinished: u64,
    /// How many are due, and not worked on.
    pub due: u64,
    /// When the first one is due.
    pub next_due: Option<Timestamp>,
    /// How endpoints stand.
    pub endpoints: Vec<EndpointSeen>,
    /// Pushes that were not taken in yet.
    pub pushed: u64,
    /// Pushes that were refused and wait for a decision.
    pub quarantined: u64,
    /// Cards that are to be looked at or deleted.
    pub cards: u64,
    /// What people have stopped.
    pub stopped: Stopped,
}

/// What people have stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Whether anything at all is still sent.
    pub all: Sending,
    /// What else is, as it is called where it is switched.
    pub parts: Vec<String>,
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSeen {
    /// Which.
    pub name: String,
    /// How many events are pending for it.
    pub pending: u64,
    /// When the oldest event happened that it has not accepted.
    pub oldest: Option<Timestamp>,
    /// Whether anything is sent to it.
    pub sends: Sending,
}

/// Whether anything is sent: to an endpoint, or to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It is.
    On,
    /// A person said that nothing is, or, of an endpoint, it failed for too long.
    Off,
}

impl Sending {
    const fn is_off(self) -> f64 {
        match self {
            Self::On => 0.0,
            Self::Off => 1.0,
        }
    }
}

/// What the unfinished payments come to, gone through one by one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tallied {
    /// When.
    pub at: Timestamp,
    /// Money held: account and currency.
    pub held: Vec<(String, String, Sum)>,
    /// Of that, what lapses soon: account, currency and within how many hours.
    pub lapsing: Vec<(String, String, i64, Sum)>,
    /// Holds that should have lapsed by now: account and currency.
    pub lapsed: Vec<(String, String, Sum)>,
    /// How many payments have a call of which it is not known what it did: account and step.
    pub unknown: Vec<(String, &'static str, u64)>,
    /// When the oldest such call about money was noted.
    pub oldest_unknown: Option<Timestamp>,
    /// How many wait for a person: account and reason.
    pub parked: Vec<(String, String, u64)>,
    /// How many of the unfinished payments are in none of these.
    pub uncounted: u64,
}

/// Some holds together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How much, in minor units.
    pub minor: u64,
    /// How many.
    pub holds: u64,
}

/// A connection to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSeen {
    /// Whether it stands.
    pub link: Standing,
    /// Whether Redis is good enough to move money.
    pub money: Standing,
    /// How many lives of Redis were met.
    pub lineages: u64,
    /// How many connections were made.
    pub connections: u64,
}

impl LinkSeen {
    /// One that was closed for good.
    pub const GONE: Self = Self {
        link: Standing::Down,
        money: Standing::Down,
        lineages: 0,
        connections: 0,
    };
}

/// Whether something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Up,
    /// It does not.
    Down,
}

impl Standing {
    const fn level(self) -> f64 {
        match self {
            Self::Up => 1.0,
            Self::Down => 0.0,
        }
    }
}

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// What is told at each scrape as it is known by then. Nothing here waits for anybody.
#[derive(Default)]
pub(super) struct Board(Mutex<Pinned>);

#[derive(Default)]
pub(super) struct Pinned {
    pub(super) observed: Option<Observed>,
    pub(super) tallied: Option<Tallied>,
    pub(super) links: Vec<(&'static str, Ask<LinkSeen>)>,
    pub(super) webhooks: Option<Ask<[(&'static str, u64); 5]>>,
}

impl Board {
    pub(super) fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}

impl Collector for Board {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pinned = self.pinned();
        links(&mut encoder, &pinned)?;
        if let Some(observed) = &pinned.observed {
            observed.encode(&mut encoder)?;
        }
        if let Some(tallied) = &pinned.tallied {
            tallied.encode(&mut encoder)?;
        }
        Ok(())
    }
}

fn links(encoder: &mut DescriptorEncoder<'_>, pinned: &Pinned) -> fmt::Result {
    let seen: Vec<(&str, LinkSeen)> = (pinned.links.iter())
        .map(|(name, ask)| (*name, ask()))
        .collect();
    let each =
        |level: fn(&LinkSeen) -> f64| seen.iter().map(move |(name, of)| ([*name], level(of)));
    tell(encoder, &all::REDIS_UP, each(|seen| seen.link.level()))?;
    tell(
        encoder,
        &all::REDIS_DURABLE,
        each(|seen| seen.money.level()),
    )?;
    let replaced = each(|seen| number(seen.lineages.saturating_sub(1)));
    tell(encoder, &all::REDIS_LINEAGES, replaced)?;
    let made = each(|seen| number(seen.connections));
    tell(encoder, &all::REDIS_CONNECTIONS, made)?;
    let webhooks = pinned.webhooks.as_ref().map(|ask| ask());
    let webhooks = webhooks.iter().flatten().map(|(of, n)| ([*of], number(*n)));
    tell(encoder, &all::WEBHOOKS, webhooks)
}

impl Observed {
    fn encode(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        alone(to, &all::OBSERVED, Some(seconds(self.at)))?;
        let count = |state| {
            let mut found = self.by_state.iter().filter(|(name, _)| *name == state);
            found.next().map_or(0, |(_, count)| *count)
        };
        let states = StateName::ALL.map(|state| ([state.as_str()], number(count(state))));
        tell(to, &all::PAYMENTS, states)?;
        alone(to, &all::UNFINISHED, Some(number(self.unfinished)))?;
        alone(to, &all::DUE, Some(number(self.due)))?;
        alone(to, &all::NEXT_DUE, self.next_due.map(seconds))?;
        let each = self.endpoints.iter();
        let pending = each.clone().map(|e| ([e.name.as_str()], number(e.pending)));
        tell(to, &all::PENDING, pending)?;
        let oldest = each
            .clone()
            .filter_map(|e| Some(([e.name.as_str()], seconds(e.oldest?))));
        tell(to, &all::PENDING_OLDEST, oldest)?;
        let off = each.map(|e| ([e.name.as_str()], e.sends.is_off()));
        tell(to, &all::ENDPOINT_OFF, off)?;
        alone(to, &all::PUSHED, Some(number(self.pushed)))?;
        alone(to, &all::QUARANTINED, Some(number(self.quarantined)))?;
        alone(to, &all::CARDS, Some(number(self.cards)))?;
        // Told at 0 too: what draws whether money may move multiplies by it.
        let parts = self.stopped.parts.iter().map(|scope| ([&**scope], 1.0));
        let whole = [(["all"], self.stopped.all.is_off())];
        tell(to, &all::STOPPED, whole.into_iter().chain(parts))
    }
}

impl Tallied {
    fn encode(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        alone(to, &all::TALLIED, Some(seconds(self.at)))?;
        let held = |of: fn(Sum) -> u64| {
            let each = self.held.iter();
            each.map(move |(account, currency, sum)| {
                ([account.as_str(), currency.as_str()], number(of(*sum)))
            })
        };
        tell(to, &all::HELD, held(|sum| sum.minor))?;
        tell(to, &all::HOLDS, held(|sum| sum.holds))?;
        let within: Vec<String> = (self.lapsing.iter())
            .map(|(_, _, hours, _)| format!("{hours}h"))
            .collect();
        let lapsing = |of: fn(Sum) -> u64| {
            let each = self.lapsing.iter().zip(&within);
            each.map(move |((account, currency, _, sum), within)| {
                let labels = [account.as_str(), currency.as_str(), within.as_str()];
                (labels, number(of(*sum)))
            })
        };
        tell(to, &all::LAPSING, lapsing(|sum| sum.minor))?;
        tell(to, &all::LAPSING_HOLDS, lapsing(|sum| sum.holds))?;
        let lapsed = self.lapsed.iter();
        let lapsed = lapsed.map(|(account, currency, sum)| {
            ([account.as_str(), currency.as_str()], number(sum.holds))
        });
        tell(to, &all::LAPSED_HOLDS, lapsed)?;
        let unknown = self.unknown.iter();
        let unknown = unknown.map(|(account, step, n)| ([account.as_str(), *step], number(*n)));
        tell(to, &all::UNKNOWN, unknown)?;
        alone(to, &all::UNKNOWN_OLDEST, self.oldest_unknown.map(seconds))?;
        let parked = self.parked.iter();
        let parked =
            parked.map(|(account, reason, n)| ([account.as_str(), reason.as_str()], number(*n)));
        tell(to, &all::PARKED, parked)?;
        alone(to, &all::UNCOUNTED, Some(number(self.uncounted)))
    }
}

fn alone(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &'static Metric<0>,
    value: Option<f64>,
) -> fmt::Result {
    tell(encoder, metric, value.map(|value| ([], value)))
}

/// Exact up to 2^53, which no count of payments and no sum of money reaches.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// A moment as Prometheus has it.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
