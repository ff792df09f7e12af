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
//! events one after the other. It leaves when it was accepted, and for no other reason. All of it runs
//! on a connection to Redis and an HTTP client of its own, so that no receiver holds up a payment.

mod deliver;
mod endpoint;
mod message;
mod schedule;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use deliver::Settled;
pub use endpoint::Endpoint;
pub use message::Message;
pub use schedule::{Outcome, Schedule};
pub use sign::{SigningSecret, signature};

use crate::clock::Clock;
use crate::gateway::{Poster, TransportError};
use crate::payment::Timestamp;
use crate::store::redis::RedisStore;
use crate::store::{EventHead, Mark, Sends, Spread, StoreError};

/// How long deliveries under way may take after a stop; the others are made again.
const DRAIN: Duration = Duration::from_secs(5);
/// How often a worker says that an endpoint is disabled.
const ALARM_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);
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
    endpoints: watch::Sender<Vec<Arc<Endpoint>>>,
}

/// What one endpoint's task knows from one step to the next.
#[derive(Default)]
struct Serving {
    under_way: JoinSet<()>,
    told_at: Option<Timestamp>,
}

/// Whether there is more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    More,
    Nothing,
}

impl Outbox {
    /// Over `store`, which nobody else should use, to `endpoints`.
    pub fn new(
        store: RedisStore,
        clock: Clock,
        settings: Settings,
        endpoints: Vec<Endpoint>,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            store,
            poster: Poster::new(clock.clone())?,
            clock,
            settings,
            endpoints: watch::Sender::new(endpoints.into_iter().map(Arc::new).collect()),
        })
    }

    /// Puts other endpoints in the place of those that are there.
    pub fn replace(&self, endpoints: Vec<Endpoint>) {
        let endpoints = endpoints.into_iter().map(Arc::new).collect();
        self.endpoints.send_replace(endpoints);
    }

    /// Sends events until `stop`, to each endpoint by itself.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut configured = self.endpoints.subscribe();
        let tasks = TaskTracker::new();
        loop {
            let endpoints = configured.borrow_and_update().clone();
            let until = stop.child_token();
            for endpoint in endpoints {
                tasks.spawn(Arc::clone(&self).serve(endpoint, until.clone()));
            }
            let goes_on = tokio::select! {
                biased;
                () = stop.cancelled() => false,
                other = configured.changed() => other.is_ok(),
            };
            until.cancel();
            if !goes_on {
                break;
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn serve(self: Arc<Self>, endpoint: Arc<Endpoint>, until: CancellationToken) {
        let mut serving = Serving::default();
        let poll = Duration::from_millis(self.settings.poll_ms);
        let mut trouble = false;
        while !until.is_cancelled() {
            let pause = match self.step(&endpoint, &mut serving).await {
                Ok(Step::More) => Duration::ZERO,
                Ok(Step::Nothing) => poll,
                Err(error) => {
                    if !trouble {
                        tracing::warn!(endpoint = %endpoint.name, %error, "events wait");
                    }
                    poll * POLLS_AFTER_TROUBLE
                }
            };
            trouble = pause > poll;
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                Some(_) = serving.under_way.join_next(), if !trouble => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let drained = async { while serving.under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::info!(endpoint = %endpoint.name, "deliveries were cut off; they are made again");
        }
    }

    /// Copies what is new, and begins as many deliveries as there is room for.
    async fn step(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        serving: &mut Serving,
    ) -> Result<Step, StoreError> {
        while serving.under_way.try_join_next().is_some() {}
        let spread = self.spread(endpoint).await?;
        if self.sends(endpoint, &mut serving.told_at).await? {
            let free = self
                .settings
                .in_flight
                .saturating_sub(serving.under_way.len());
            let taken = self.take(endpoint, free).await?;
            for event in taken {
                let (outbox, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
                serving.under_way.spawn(async move {
                    let id = event.head.id();
                    if let Err(error) = outbox.deliver(&endpoint, &event).await {
                        let endpoint = &endpoint.name;
                        tracing::warn!(%endpoint, event.id = id, %error, "it is sent again");
                    }
                });
            }
        }
        Ok(if spread.read > 0 {
            Step::More
        } else {
            Step::Nothing
        })
    }

    /// Copies what is new in the streams to what is pending for an endpoint.
    pub async fn spread(&self, endpoint: &Endpoint) -> Result<Spread, StoreError> {
        let wanted = |head: &EventHead| endpoint.wants(head);
        self.store.spread(&endpoint.name, wanted).await
    }

    /// Whether events are to be sent to an endpoint now; if not, and somebody must know, says so.
    async fn sends(
        &self,
        endpoint: &Endpoint,
        told_at: &mut Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        if !endpoint.enabled {
            return Ok(false);
        }
        let marks = self.store.marks().await?;
        let Some(mark) = marks.get(&endpoint.name).filter(|mark| is_off(mark)) else {
            *told_at = None;
            return Ok(true);
        };
        let now = self.clock.now();
        if told_at.is_none_or(|told| now - told >= ALARM_EVERY) {
            *told_at = Some(now);
            alarm(endpoint, mark);
        }
        Ok(false)
    }
}

fn is_off(mark: &Mark) -> bool {
    mark.sends == Sends::Disabled
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
        "no events are sent to this endpoint, and all are kept for it: mend it, then \
         `holdfast endpoints enable {name}`"
    );
}
