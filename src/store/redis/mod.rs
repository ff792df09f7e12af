//! The store on Redis (7.0 or later) or Valkey.
//!
//! | file | what |
//! |---|---|
//! | `keys` | every name in Redis |
//! | `scripts/`, `call` | one script for each method, and how it is called |
//! | `record`, `value` | a payment as it is kept; reading replies |
//! | `connection` | the one link, made anew when it breaks |
//! | `durability` | whether Redis is good enough to move money |
//! | `finder`, `claiming` | what to try to claim next, and claiming it |
//! | `writes` | create, save, command |
//! | `trouble` | what goes wrong, and what may pass |
//! | `listing` | lists, counts, events, the sweep |
//! | `faces` | what overviews and searches read of unfinished payments |
//! | `cursor`, `outgoing` | events on their way to endpoints |
//! | `endpoints`, `kept` | how endpoints stand, and what is decided about them; replays, trimming |
//! | `cards`, `plans` | what is known of saved cards; what operators plan |
//! | `pushed`, `quarantine` | what producers push: intakes and answers; what was refused |
//! | `audit` | the audit log: adding to it, reading it |
//! | `switches` | what people have stopped, and which workers are there |
//! | `wake` | hints that there is something to do |
//! | `walk`, `examine`, `fault`, `mend` | whether records and indexes agree, and making them agree |
//! | `vitals`, `heard` | how Redis fares; when the gateway last posted something |

mod audit;
mod call;
mod cards;
mod claiming;
mod connection;
mod cursor;
mod durability;
mod endpoints;
mod examine;
mod faces;
mod fault;
mod finder;
mod heard;
mod kept;
mod keys;
mod listing;
mod mend;
mod outgoing;
mod plans;
mod pushed;
mod quarantine;
mod record;
mod settings;
mod switches;
mod trouble;
mod value;
mod vitals;
mod wake;
mod walk;
mod writes;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::Pipeline;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::audit::AuditOrder;
use self::call::Call;
pub use self::cards::Followed;
use self::connection::Link;
pub use self::durability::Asked;
pub use self::examine::Walking;
pub use self::faces::{FaceCursor, Faces};
pub use self::fault::Fault;
use self::finder::Finder;
use self::keys::Keys;
pub use self::mend::{Mend, Mended};
pub use self::pushed::{AnswerEntry, Elements, Lease, Portion, Settled, Settlement, Taken};
pub use self::quarantine::{
    Corrected, Deed, Did, Noted, PutRight, QuarantineId, QuarantineNote, Quarantined, Standing,
};
pub use self::record::{Problem as RecordProblem, payment_of as read_record};
pub use self::settings::{Profile, Settings};
pub use self::switches::Switched;
use self::trouble::LinkFault;
pub use self::vitals::{Memory, Rights, Vitals};
pub use self::walk::{MOST_SUSPECTS, Newest, Suspect, Walked};
use super::audit::AuditEntry;
use super::write::due_ms;
use super::{
    By, Claim, ClaimKey, Claims, Created, Cursor, Loaded, NotDurable, Nudged, Page, Permit,
    SaveError, Saved, Stats, Store, StoreError, Then, Tried,
};
use crate::clock::Clock;
use crate::payment::{Payment, PaymentId, Timestamp, millis};
use crate::telemetry::Metrics;

/// How often Redis is asked whether it is still good enough to move money.
const INSPECT_EVERY: Duration = Duration::from_secs(60);
/// How often it is asked whether it is good enough again.
const INSPECT_SHORT_EVERY: Duration = Duration::from_secs(5);
/// How many claims go into one round trip at most.
const MOST_AT_ONCE: usize = 256;

/// The store on Redis; clones share it.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    link: Link,
    keys: Keys,
    clock: Clock,
    settings: Settings,
    finder: Finder,
    waiting: Arc<Notify>,
    /// Not before somebody waits: Redis tells each hint to all that listen, in its one thread.
    listening: OnceLock<DropGuard>,
}

/// Why the store cannot be opened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A setting cannot be right.
    #[error("the setting redis.{0}")]
    Setting(String),
    /// Nobody answers at the address.
    #[error("Redis cannot be reached: {0}. Is it running, and is redis.url right?")]
    Unreachable(String),
    /// What answers there cannot be used.
    #[error("the Redis at redis.url {0}")]
    Unusable(String),
    /// It may lose what it was told.
    #[error("durability profile {}: {}", .0.profile, .0.problem)]
    NotDurable(NotDurable),
}

impl RedisStore {
    /// Connects. Fails when Redis cannot be reached, may throw payments away, or falls short of
    /// the durability profile; later the link mends itself, and a shortfall stops money only.
    pub async fn connect(settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        let store = Self::connect_for_reading(settings, clock).await?;
        let deaf = store.0.link.seen().and_then(|seen| seen.deafness());
        deaf.map_or(Ok(()), |deaf| Err(OpenError::Unusable(deaf)))?;
        store.durability().map_err(OpenError::NotDurable)?;
        Ok(store)
    }

    /// Connects as [`RedisStore::connect`] does, but also to what falls short of the durability
    /// profile: for those who only look. What is written to such a Redis may be lost.
    pub async fn connect_for_reading(settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        settings.check().map_err(OpenError::Setting)?;
        let link = Link::open(&settings).await.map_err(|fault| match fault {
            LinkFault::Address(why) => OpenError::Setting(format!("url is not usable: {why}")),
            LinkFault::Unreachable(why) => OpenError::Unreachable(why),
            LinkFault::Unusable(why) => OpenError::Unusable(why),
        })?;
        let store = Self(Arc::new(Shared {
            link,
            keys: Keys::new(&settings.prefix),
            clock,
            settings,
            finder: Finder::default(),
            waiting: Arc::new(Notify::new()),
            listening: OnceLock::new(),
        }));
        store
            .sync_clock()
            .await
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        Ok(store)
    }

    /// Has round trips timed, and tells of this connection as `link` in the metrics.
    #[must_use]
    pub fn measured(self, link: &'static str, metrics: &Metrics) -> Self {
        self.0.link.measure(link, metrics);
        self
    }

    /// Asks Redis every minute whether it is still good enough to move money, until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                let mut waited = Duration::ZERO;
                while waited < INSPECT_EVERY && (waited.is_zero() || self.durability().is_ok()) {
                    tokio::time::sleep(INSPECT_SHORT_EVERY).await;
                    waited += INSPECT_SHORT_EVERY;
                }
                if let Err(error) = self.inspect().await {
                    tracing::warn!(%error, "Redis was not inspected");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watching => {}
        }
    }

    /// Asks Redis now whether it is good enough to move money; see [`Store::durability`].
    pub async fn inspect(&self) -> Result<(), StoreError> {
        self.0.link.inspect().await
    }

    /// Hears hints until the last clone is gone.
    fn listen(&self) -> DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(wake::listen(
            self.0.link.client().clone(),
            self.0.keys.wake(),
            Arc::clone(&self.0.waiting),
            stop.clone(),
            self.0.settings.connect_timeout(),
        ));
        stop.drop_guard()
    }

    async fn sync_clock(&self) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("TIME");
        let asked = Instant::now();
        let time = self.0.link.read(&pipeline).await?;
        if let Some(time) = time.first().and_then(finder::time_of) {
            self.0.clock.sync(time, asked.elapsed());
        }
        Ok(())
    }
}

impl Store for RedisStore {
    async fn create(&self, payment: &Payment, due: Timestamp) -> Result<Created, StoreError> {
        self.write_new(payment, due).await
    }

    async fn load(&self, id: &PaymentId) -> Result<Option<Loaded>, StoreError> {
        let mut pipeline = Pipeline::new();
        record::ask(
            &mut pipeline,
            &self.0.keys,
            Keys::partition(id),
            id.as_str(),
        );
        let replies = self.0.link.read(&pipeline).await?;
        let [fields, score] = replies.as_slice() else {
            return Err(value::unexpected("HMGET"));
        };
        record::read(fields, score, self.0.clock.now()).map_err(|problem| StoreError::Unreadable {
            id: id.to_string(),
            problem: problem.to_string(),
        })
    }

    async fn claim(&self, slots: usize) -> Result<Claims, StoreError> {
        self.claim_due(slots).await
    }

    async fn renew(&self, claims: &[ClaimKey]) -> Result<Vec<ClaimKey>, StoreError> {
        let lease_end = due_ms(self.0.clock.now() + millis(self.0.settings.lease_ms));
        let call = |key: &ClaimKey| {
            Call::new(&call::RENEW, self.0.keys.two(&key.id))
                .arg(key.id.as_str())
                .arg(key.nonce.as_str())
                .number(lease_end)
        };
        let mut lost = Vec::new();
        for some in claims.chunks(MOST_AT_ONCE) {
            let calls: Vec<Call> = some.iter().map(call).collect();
            for (key, reply) in some.iter().zip(self.0.link.call_all(&calls).await?) {
                match reply {
                    Ok(reply) if value::word(&reply) == "renewed" => {}
                    Ok(_) => lost.push(key.clone()),
                    // One record's trouble is no reason to lose the others.
                    Err(error) => {
                        tracing::error!(
                            event = "lease_refused", payment.id = %key.id, %error,
                            "a lease cannot be renewed"
                        );
                    }
                }
            }
        }
        Ok(lost)
    }

    async fn save(&self, claim: &mut Claim, then: Then) -> Result<Saved, SaveError> {
        let nudges = self.write_claimed(claim, then).await?;
        Ok(claim.written(nudges))
    }

    async fn license(&self, claim: &mut Claim) -> Result<Permit, SaveError> {
        self.check_license(claim)?;
        claim.check_license()?;
        let nudges = self.write_claimed(claim, Then::Keep).await?;
        // Redis may have been replaced or reconfigured since; then nothing is sent.
        self.check_license(claim)?;
        claim.written(nudges);
        if claim.is_lost() {
            return Err(SaveError::Lost);
        }
        Permit::for_open_attempt(&claim.payment).ok_or(SaveError::NothingToLicense)
    }

    async fn command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), SaveError> {
        self.write_command(loaded, due, audit).await
    }

    async fn give_back(
        &self,
        claim: &ClaimKey,
        due: Timestamp,
        tried: Tried,
    ) -> Result<(), StoreError> {
        let call = self.giving_back(claim, due, tried);
        self.0.link.call(call).await.map(drop)
    }

    async fn nudge(&self, id: &PaymentId) -> Result<Nudged, StoreError> {
        let call = Call::new(&call::NUDGE, self.0.keys.two(id))
            .arg(id.as_str())
            .number(self.0.clock.now().timestamp_millis())
            .arg(self.0.keys.wake());
        match value::word(&self.0.link.call(call).await?) {
            "due" => Ok(Nudged::Due),
            "busy" => Ok(Nudged::Busy),
            "finished" => Ok(Nudged::Finished),
            "missing" => Ok(Nudged::Missing),
            _ => Err(value::unexpected("a nudge")),
        }
    }

    async fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.page(by, cursor, limit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.count().await
    }

    fn woken(&self) -> impl Future<Output = ()> + Send {
        // Made at once, so that whatever comes from now on is heard; what came before it listens is a
        // hint as soon as it does.
        let woken = self.0.waiting.notified();
        self.0.listening.get_or_init(|| self.listen());
        woken
    }

    fn durability(&self) -> Result<(), NotDurable> {
        self.0.link.durability()
    }
}
