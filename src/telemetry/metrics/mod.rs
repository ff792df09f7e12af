//! How much, how long, how late: figures for Prometheus.
//!
//! | file | what |
//! |---|---|
//! | `catalogue` | every metric: name, kind, labels, what it says |
//! | `labelled` | a metric with the labels that the catalogue gives it |
//! | `observed` | what is read now and then, and told as it was read |
//!
//! One [`Metrics`] belongs to a process; whoever has something to count is handed a clone. Counting
//! changes nothing and fails never. One that nobody was handed counts for nobody.

mod catalogue;
mod labelled;
mod observed;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use catalogue::{CATALOGUE, Kind, Row};
pub use observed::{EndpointSeen, LinkSeen, Observed, Sending, Standing, Stopped, Sum, Tallied};

use self::labelled::{By, Level};
use self::observed::{Board, seconds};
use crate::payment::{AccountName, Attempt, ParkReason, StateName, Timestamp};

/// What [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a turn ends. All of them are told from the start, as are the reasons to park of every account that
/// is known: whoever watches how much a counter grew never sees a counter's first figure as growth.
const ENDINGS: [&str; 5] = ["waits", "finished", "lost", "dropped", "panicked"];
/// Why a payment that is due cannot be worked on.
const UNWORKABLE: [&str; 3] = ["account_missing", "record_unreadable", "record_newer"];

/// All figures of a process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: Registry,
    turns: By<Counter, 1>,
    running: Level,
    limit: Level,
    late: Histogram,
    turn_seconds: Histogram,
    changes: By<Counter, 2>,
    parkings: By<Counter, 2>,
    unworkable: By<Counter, 1>,
    attempts: By<Counter, 3>,
    looked: By<Histogram, 1>,
    doubted: By<Histogram, 1>,
    answers: By<Counter, 3>,
    gateway: By<Histogram, 2>,
    breaker: By<Level, 1>,
    redis: By<Histogram, 2>,
    deliveries: By<Counter, 2>,
    board: Arc<Board>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        let build: By<Level, 1> = By::register(to, &catalogue::BUILD);
        build.of([env!("CARGO_PKG_VERSION")]).set(1.0);
        let board = Arc::<Board>::default();
        to.register_collector(Box::new(Arc::clone(&board)));
        let turns = By::register(to, &catalogue::TURNS);
        let unworkable = By::register(to, &catalogue::UNWORKABLE);
        for ending in ENDINGS {
            drop(turns.of([ending]));
        }
        for reason in UNWORKABLE {
            drop(unworkable.of([reason]));
        }
        Self(Arc::new(Figures {
            turns,
            unworkable,
            running: By::register(to, &catalogue::TURNS_RUNNING).of([]),
            limit: By::register(to, &catalogue::TURNS_LIMIT).of([]),
            late: By::register(to, &catalogue::LATE).of([]),
            turn_seconds: By::register(to, &catalogue::TURN_SECONDS).of([]),
            changes: By::register(to, &catalogue::CHANGES),
            parkings: By::register(to, &catalogue::PARKINGS),
            attempts: By::register(to, &catalogue::ATTEMPTS),
            looked: By::register(to, &catalogue::LOOKED),
            doubted: By::register(to, &catalogue::DOUBTED),
            answers: By::register(to, &catalogue::ANSWERS),
            gateway: By::register(to, &catalogue::GATEWAY),
            breaker: By::register(to, &catalogue::BREAKER),
            redis: By::register(to, &catalogue::REDIS_SECONDS),
            deliveries: By::register(to, &catalogue::DELIVERIES),
            board,
            registry,
        }))
    }
}

impl Metrics {
    /// Everything, as Prometheus reads it. Asks nobody.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut told = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut told, &self.0.registry);
        told
    }

    /// How many turns may be under way at once.
    pub fn limit(&self, turns: usize) {
        self.0
            .limit
            .set(f64::from(u32::try_from(turns).unwrap_or(u32::MAX)));
    }

    /// From now on there may be payments of this account.
    pub fn know(&self, account: &AccountName) {
        for reason in ParkReason::WORDS {
            drop(self.0.parkings.of([account.as_str(), reason]));
        }
    }

    /// A payment was due, and could not be worked on, for one of the reasons that are told from the start.
    pub fn unworkable(&self, reason: &'static str) {
        self.0.unworkable.of([reason]).inc();
    }

    /// A turn begins, so long after its payment was due, if that is known.
    #[must_use]
    pub fn turn_begins(&self, late: Option<TimeDelta>) -> TurnRunning {
        self.0.running.inc();
        if let Some(late) = late {
            self.0.late.observe(length(late));
        }
        TurnRunning {
            metrics: self.clone(),
            ended: None,
        }
    }

    /// A payment was brought into a state, and that is written.
    pub fn changed(&self, account: &AccountName, state: StateName) {
        self.0.changes.of([account.as_str(), state.as_str()]).inc();
    }

    /// A payment was parked, and that is written.
    pub fn parked(&self, account: &AccountName, reason: &ParkReason) {
        self.0
            .parkings
            .of([account.as_str(), reason.as_str()])
            .inc();
    }

    /// It is known what a call did, and that is written.
    pub fn closed(&self, account: &AccountName, attempt: &Attempt) {
        let Some(closed) = &attempt.closed else {
            return;
        };
        let step = attempt.step.as_str();
        let labels = [account.as_str(), step, closed.verdict.as_str()];
        self.0.attempts.of(labels).inc();
        if let Some(looks) = &attempt.looks {
            self.0.looked.of([step]).observe(f64::from(looks.count));
            let doubted = closed.at - attempt.opened_at;
            self.0.doubted.of([step]).observe(length(doubted));
        }
    }

    /// The gateway was called.
    pub fn answered(
        &self,
        account: &AccountName,
        (operation, class): (&'static str, &'static str),
        took: Duration,
    ) {
        let labels = [account.as_str(), operation, class];
        self.0.answers.of(labels).inc();
        let took = took.as_secs_f64();
        self.0.gateway.of([operation, class]).observe(took);
    }

    /// Until when an account is left alone, because its key was refused.
    pub fn key_refused(&self, account: &AccountName, until: Timestamp) {
        self.0.breaker.of([account.as_str()]).set(seconds(until));
    }

    /// The gateway takes the key of an account.
    pub fn key_taken(&self, account: &AccountName) {
        self.0.breaker.of([account.as_str()]).set(0.0);
    }

    /// Redis was asked.
    pub fn asked_redis(&self, (script, outcome): (&'static str, &'static str), took: Duration) {
        self.0
            .redis
            .of([script, outcome])
            .observe(took.as_secs_f64());
    }

    /// An event was posted to an endpoint.
    pub fn delivered(&self, endpoint: &str, outcome: &'static str) {
        self.0.deliveries.of([endpoint, outcome]).inc();
    }

    /// From now on a connection to Redis is told of, as `ask` finds it at each scrape.
    pub fn watch_link(
        &self,
        name: &'static str,
        ask: impl Fn() -> LinkSeen + Send + Sync + 'static,
    ) {
        self.0.board.pinned().links.push((name, Box::new(ask)));
    }

    /// From now on the webhooks are told of that `ask` has counted.
    pub fn watch_webhooks(
        &self,
        ask: impl Fn() -> [(&'static str, u64); 5] + Send + Sync + 'static,
    ) {
        self.0.board.pinned().webhooks = Some(Box::new(ask));
    }

    /// Takes the place of what was observed before.
    pub fn observed(&self, observed: Observed) {
        self.0.board.pinned().observed = Some(observed);
    }

    /// Takes the place of what was tallied before.
    pub fn tallied(&self, tallied: Tallied) {
        self.0.board.pinned().tallied = Some(tallied);
    }
}

/// A turn that is under way. Whoever drops it without a word had it cut off.
#[derive(Debug)]
pub struct TurnRunning {
    metrics: Metrics,
    ended: Option<&'static str>,
}

impl TurnRunning {
    /// It ended by itself, in this way, after so long.
    pub fn ended(mut self, ending: &'static str, took: TimeDelta) {
        self.ended = Some(ending);
        self.metrics.0.turn_seconds.observe(length(took));
    }
}

impl Drop for TurnRunning {
    fn drop(&mut self) {
        let cut_off = || {
            if std::thread::panicking() {
                "panicked"
            } else {
                "dropped"
            }
        };
        let ending = self.ended.unwrap_or_else(cut_off);
        self.metrics.0.running.dec();
        self.metrics.0.turns.of([ending]).inc();
    }
}

/// In seconds; what lies in the future by another clock is no time at all.
fn length(time: TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::payment::{Closed, Looks, Step, Verdict};

    fn now() -> Timestamp {
        "2027-01-31T06:00:00Z".parse().unwrap()
    }

    /// A charge of which it was not known for a while what it did.
    fn doubted() -> Attempt {
        let looks = Looks {
            count: 3,
            last_at: now(),
            last_saw: "paid".to_owned(),
        };
        let verdict = Verdict::Done;
        Attempt {
            number: 1,
            step: Step::Charge,
            opened_at: now() - TimeDelta::seconds(22),
            tries_before: 0,
            opened_by: None,
            looks: Some(looks),
            note: None,
            closed: Some(Closed { at: now(), verdict }),
        }
    }

    /// Everything that can be told, with something in it.
    fn full() -> Metrics {
        let metrics = Metrics::default();
        let hotel = AccountName::new("hotel").unwrap();
        metrics.limit(32);
        let turn = metrics.turn_begins(Some(TimeDelta::seconds(2)));
        turn.ended("finished", TimeDelta::seconds(1));
        metrics.changed(&hotel, StateName::Parked);
        metrics.parked(&hotel, &ParkReason::Poison);
        metrics.closed(&hotel, &doubted());
        metrics.answered(&hotel, ("charge", "unknown"), Duration::from_secs(1));
        metrics.key_refused(&hotel, now());
        metrics.asked_redis(("save", "answered"), Duration::from_millis(2));
        metrics.delivered("shop", "delivered");
        metrics.watch_link("worker", || LinkSeen {
            link: Standing::Up,
            money: Standing::Down,
            lineages: 2,
            connections: 3,
        });
        metrics.watch_webhooks(|| [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]);
        metrics.observed(Observed {
            at: now(),
            by_state: vec![(StateName::Held, 7)],
            unfinished: 7,
            due: 1,
            next_due: Some(now()),
            endpoints: vec![EndpointSeen {
                name: "shop".to_owned(),
                pending: 4,
                oldest: Some(now()),
                sends: Sending::Off,
            }],
            pushed: 5,
            quarantined: 6,
            cards: 8,
            stopped: Stopped {
                all: Sending::On,
                parts: vec!["account:hotel".to_owned()],
            },
        });
        let (hotel, myr) = ("hotel".to_owned(), "MYR".to_owned());
        let sum = Sum {
            minor: 45_000,
            holds: 2,
        };
        metrics.tallied(Tallied {
            at: now(),
            held: vec![(hotel.clone(), myr.clone(), sum)],
            lapsing: vec![(hotel.clone(), myr.clone(), 24, sum)],
            lapsed: vec![(hotel.clone(), myr, sum)],
            unknown: vec![(hotel.clone(), "charge", 1)],
            oldest_unknown: Some(now()),
            parked: vec![(hotel, "poison".to_owned(), 1)],
            uncounted: 3,
        });
        metrics
    }

    #[test]
    fn all_of_the_catalogue_is_told_and_nothing_else_as_it_says() {
        let told = full().encode();
        let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let told: BTreeSet<&str> = types.collect();
        let listed = CATALOGUE.iter().map(|row| {
            let name = row.name.trim_end_matches("_total");
            format!("{name} {}", row.kind.as_str())
        });
        let listed: BTreeSet<String> = listed.collect();
        assert_eq!(told, listed.iter().map(String::as_str).collect());
    }

    #[test]
    fn what_was_tallied_is_told_in_minor_units_and_moments() {
        let told = full().encode();
        let at = "1801375200.0";
        for line in [
            r#"holdfast_held_minor{account="hotel",currency="MYR"} 45000.0"#,
            r#"holdfast_lapsing_holds{account="hotel",currency="MYR",within="24h"} 2.0"#,
            r#"holdfast_unknown_payments{account="hotel",step="charge"} 1.0"#,
            &format!("holdfast_oldest_unknown_timestamp_seconds {at}"),
            r#"holdfast_parked_payments{account="hotel",reason="poison"} 1.0"#,
            "holdfast_uncounted_payments 3.0",
            r#"holdfast_endpoint_disabled{endpoint="shop"} 1.0"#,
            r#"holdfast_stopped{scope="all"} 0.0"#,
            r#"holdfast_stopped{scope="account:hotel"} 1.0"#,
            r#"holdfast_redis_durable{link="worker"} 0.0"#,
            r#"holdfast_redis_replaced_total{link="worker"} 1.0"#,
            r#"holdfast_webhooks_total{outcome="d"} 4.0"#,
            r#"holdfast_attempt_doubt_seconds_sum{step="charge"} 22.0"#,
        ] {
            assert!(told.lines().any(|it| it == line), "{line} is not in {told}");
        }
    }

    #[test]
    fn what_is_counted_by_its_growth_is_told_before_it_happens() {
        let metrics = Metrics::default();
        metrics.know(&AccountName::new("hotel").unwrap());
        let told = metrics.encode();
        let is_zero = |series: String| {
            let line = format!("{series} 0");
            assert!(told.lines().any(|it| it == line), "{line} is not in {told}");
        };
        for ending in ENDINGS {
            is_zero(format!(r#"holdfast_turns_total{{ending="{ending}"}}"#));
        }
        for reason in ParkReason::WORDS {
            let labels = format!(r#"account="hotel",reason="{reason}""#);
            is_zero(format!("holdfast_parkings_total{{{labels}}}"));
        }
        for reason in UNWORKABLE {
            is_zero(format!(r#"holdfast_unworkable_total{{reason="{reason}"}}"#));
        }
    }

    #[test]
    fn what_was_not_there_any_more_is_told_no_more() {
        let metrics = full();
        metrics.tallied(Tallied {
            at: now(),
            ..Tallied::default()
        });
        let told = metrics.encode();
        assert!(!told.contains("holdfast_held_minor{"), "{told}");
        assert!(!told.contains("holdfast_oldest_unknown"), "{told}");
    }
}
