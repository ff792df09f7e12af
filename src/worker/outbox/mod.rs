//! HOW events get out: every change of state, told to the endpoints of producers, until each has
//! accepted it.
//!
//! | file | what |
//! |---|---|
//! | `endpoint` | where to, signed with what, what of it |
//! | `sign` | signatures by Standard Webhooks |
//! | `message` | an event as it is posted |
//! | `schedule` | what an answer means, and when to try again |
//! | `deliver` | one delivery: take, send, settle |
//!
//! The event streams are the outbox: an event is written in the same script as its change. From there
//! it is copied to what is pending for each endpoint, and is taken from it under a lease, a payment's
//! events one after the other. It leaves when it was accepted, when a person skips it, or when the
//! settings do not want it any more; otherwise it is kept. All of it runs
//! on a connection to Redis and an HTTP client of its own, so that no receiver holds up a payment.

mod deliver;
mod endpoint;
mod message;
mod schedule;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use deliver::Settled;
pub use endpoint::Endpoint;
pub use message::Message;
pub use schedule::{Outcome, Schedule};
pub use sign::{SigningSecret, signature};

use crate::clock::Clock;
use crate::gateway::{Poster, TransportError};
use crate::payment::Timestamp;
use crate::store::redis::RedisStore;
use crate::store::{EventHead, Mark, Reader, Sends, Spread, StoreError};
use crate::telemetry::Metrics;

/// How long deliveries under way may take after a stop; the others are made again.
const DRAIN: Duration = Duration::from_secs(5);
/// How often a worker says that an endpoint is disabled, or that another one serves it.
const ALARM_EVERY: TimeDelta = TimeDelta::hours(1);
/// How often a worker says that events wait for Redis.
const TROUBLE_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How long an endpoint is left alone after Redis could not be asked, in polls.
const POLLS_AFTER_TROUBLE: u32 = 10;

/// How events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How often new events are looked for, in milliseconds.
    pub poll_ms: u64,
    /// How many deliveries to one endpoint are under way at once.
    pub in_flight: usize,
    /// When to try again.
    pub schedule: Schedule,
}

/// What sends events to endpoints.
pub struct Outbox {
    store: RedisStore,
    clock: Clock,
    poster: Poster,
    settings: Settings,
    configured: watch::Sender<Configured>,
    metrics: Metrics,
}

/// What the settings say, and when they were read.
#[derive(Clone)]
struct Configured {
    since: Timestamp,
    endpoints: Vec<Arc<Endpoint>>,
}

/// What one endpoint's task knows from one step to the next.
struct Serving {
    since: Timestamp,
    begun: bool,
    under_way: JoinSet<()>,
    told_at: Option<Timestamp>,
    trouble_told: Option<Timestamp>,
}

/// What there is to do next.
enum Step {
    /// More, at once.
    More,
    /// Nothing that is known.
    Nothing,
    /// What is pending is sent, but nothing new can be copied.
    Strained(StoreError),
}

impl Outbox {
    /// Over `store`, which nobody else should use, to `endpoints`.
    pub fn new(
        store: RedisStore,
        clock: Clock,
        settings: Settings,
        endpoints: Vec<Endpoint>,
    ) -> Result<Self, TransportError> {
        let configured = Configured {
            since: clock.now(),
            endpoints: endpoints.into_iter().map(Arc::new).collect(),
        };
        Ok(Self {
            store,
            poster: Poster::new(clock.clone())?,
            clock,
            settings,
            configured: watch::Sender::new(configured),
            metrics: Metrics::default(),
        })
    }

    /// The same, counting in `metrics`.
    #[must_use]
    pub fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Which endpoints there are.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.configured.borrow().endpoints.clone()
    }

    /// Puts other endpoints in the place of those that are there.
    pub fn replace(&self, endpoints: Vec<Endpoint>) {
        let now = self.clock.now();
        self.configured.send_modify(|configured| {
            // Later than what it replaces, even if no time has passed.
            let after = configured.since + TimeDelta::milliseconds(1);
            configured.since = now.max(after);
            configured.endpoints = endpoints.into_iter().map(Arc::new).collect();
        });
    }

    /// Whether an endpoint is configured still, at the address that it had.
    fn still_serves(&self, endpoint: &Endpoint) -> bool {
        let configured = self.configured.borrow();
        let same = |known: &Arc<Endpoint>| known.name == endpoint.name && known.url == endpoint.url;
        configured.endpoints.iter().any(same)
    }

    /// Sends events until `stop`, to each endpoint by itself. Ends before if that breaks for one of them:
    /// it must be noticed.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.configured.subscribe();
        let mut serving = JoinSet::new();
        loop {
            let configured = changes.borrow_and_update().clone();
            let until = stop.child_token();
            for endpoint in configured.endpoints {
                let (outbox, ends) = (Arc::clone(&self), (until.clone(), stop.clone()));
                serving.spawn(outbox.serve(endpoint, configured.since, ends));
            }
            let goes_on = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break false,
                    other = changes.changed() => break other.is_ok(),
                    // Those that were replaced end in time; one that panics is missed by nobody else.
                    Some(ended) = serving.join_next() => if ended.is_err() { return },
                }
            };
            until.cancel();
            if !goes_on {
                break;
            }
        }
        while serving.join_next().await.is_some() {}
    }

    /// Serves an endpoint until it is replaced, or all of it ends with `stop`.
    async fn serve(
        self: Arc<Self>,
        endpoint: Arc<Endpoint>,
        since: Timestamp,
        (until, stop): (CancellationToken, CancellationToken),
    ) {
        let mut serving = Serving {
            since,
            begun: false,
            under_way: JoinSet::new(),
            told_at: None,
            trouble_told: None,
        };
        let poll = Duration::from_millis(self.settings.poll_ms);
        while !until.is_cancelled() {
            let (pause, trouble) = match self.step(&endpoint, &mut serving).await {
                Ok(Step::More) => (Duration::ZERO, None),
                Ok(Step::Nothing) => (poll, None),
                Ok(Step::Strained(error)) => (poll, Some(error)),
                Err(error) => (poll * POLLS_AFTER_TROUBLE, Some(error)),
            };
            serving.tell(&endpoint, trouble.as_ref(), self.clock.now());
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                Some(_) = serving.under_way.join_next(), if pause <= poll => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        // What is replaced may finish what it began; who stops has no such time.
        let mut drained = async || while serving.under_way.join_next().await.is_some() {};
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            biased;
            () = drained() => {}
            () = late => {
                let name = &endpoint.name;
                tracing::info!(endpoint = %name, "deliveries were cut off; they are made again");
            }
        }
    }

    /// Copies what is new, and begins as many deliveries as there is room for: those first, as they
    /// need no memory, and free it.
    async fn step(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        serving: &mut Serving,
    ) -> Result<Step, StoreError> {
        while serving.under_way.try_join_next().is_some() {}
        if !self.sends(endpoint, serving).await? {
            return Ok(Step::Nothing);
        }
        let copied = self.copy(endpoint, serving.since).await;
        if let Ok(Spread {
            outranked: true, ..
        }) = copied
        {
            self.stand_back(endpoint, serving);
            return Ok(Step::Nothing);
        }
        serving.told_at = None;
        let free = self
            .settings
            .in_flight
            .saturating_sub(serving.under_way.len());
        for event in self.take(endpoint, free).await? {
            let (outbox, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
            serving.under_way.spawn(async move {
                if let Err(error) = outbox.deliver(&endpoint, &event).await {
                    let endpoint = &endpoint.name;
                    tracing::warn!(%endpoint, event.id = event.id(), %error, "it is sent again");
                }
            });
        }
        Ok(match copied {
            Ok(spread) if spread.read > 0 => Step::More,
            Ok(_) => Step::Nothing,
            Err(error) => Step::Strained(error),
        })
    }

    /// Copies what is new in the streams to what is pending for an endpoint.
    pub async fn spread(&self, endpoint: &Endpoint) -> Result<Spread, StoreError> {
        let since = self.configured.borrow().since;
        self.copy(endpoint, since).await
    }

    async fn copy(&self, endpoint: &Endpoint, since: Timestamp) -> Result<Spread, StoreError> {
        let reader = Reader {
            endpoint: endpoint.name.clone(),
            filter: endpoint.filter(),
            since,
            wants: |head: &EventHead| endpoint.wants(head),
        };
        self.store.spread(&reader).await
    }

    /// Leaves an endpoint to workers that read their settings later, and says so now and then.
    fn stand_back(&self, endpoint: &Endpoint, serving: &mut Serving) {
        let now = self.clock.now();
        if serving.told_at.is_none_or(|told| now - told >= ALARM_EVERY) {
            serving.told_at = Some(now);
            tracing::error!(
                event = "endpoint_outdated",
                endpoint = %endpoint.name,
                "another worker read its settings later, and in those this endpoint wants other \
                 events: this worker sends it nothing until it reads them anew"
            );
        }
    }

    /// Whether events are to be sent to an endpoint now; if not, and somebody must know, says so. Then
    /// nothing is copied either: the streams keep it, for all endpoints together.
    async fn sends(&self, endpoint: &Endpoint, serving: &mut Serving) -> Result<bool, StoreError> {
        let marks = self.store.marks().await?;
        let mark = marks.get(&endpoint.name);
        let forgotten = mark.is_some_and(|mark| mark.sends == Sends::Forgotten);
        if !serving.begun && !forgotten {
            self.store.begin(&endpoint.name).await?;
            serving.begun = true;
        }
        if !endpoint.enabled {
            return Ok(false);
        }
        let Some(mark) = mark.filter(|mark| is_off(endpoint, mark)) else {
            return Ok(true);
        };
        let now = self.clock.now();
        if serving.told_at.is_none_or(|told| now - told >= ALARM_EVERY) {
            serving.told_at = Some(now);
            alarm(endpoint, mark);
        }
        Ok(false)
    }
}

impl Serving {
    /// Says that events wait: at first, and as an error again and again while it lasts.
    fn tell(&mut self, endpoint: &Endpoint, trouble: Option<&StoreError>, now: Timestamp) {
        let (name, told) = (&endpoint.name, self.trouble_told);
        match trouble {
            None => self.trouble_told = None,
            Some(error) if told.is_none() => {
                self.trouble_told = Some(now);
                tracing::warn!(endpoint = %name, %error, "events wait");
            }
            Some(error) if told.is_some_and(|told| now - told >= TROUBLE_EVERY) => {
                self.trouble_told = Some(now);
                tracing::error!(event = "events_wait", endpoint = %name, %error, "events still wait");
            }
            Some(_) => {}
        }
    }
}

/// Whether a mark says that nothing is sent to this endpoint, and is about the address it has now.
pub(crate) fn is_off(endpoint: &Endpoint, mark: &Mark) -> bool {
    let address = mark.address.as_ref();
    mark.sends != Sends::Enabled && address.is_none_or(|address| *address == endpoint.address())
}

/// What somebody must do something about. The field `event` never changes, for alarms.
fn alarm(endpoint: &Endpoint, mark: &Mark) {
    let name = &endpoint.name;
    tracing::error!(
        event = "endpoint_disabled",
        endpoint = %name,
        since = %mark.at,
        why = mark.why,
        by = mark.by,
        "no events are sent to this endpoint; unless it was forgotten, all are kept for it: mend it, \
         then `holdfast endpoints enable {name} --reason \"…\"`"
    );
}
