//! The store on Redis (7.0 or later) or Valkey.
//!
//! | file | what |
//! |---|---|
//! | `keys` | every name in Redis |
//! | `scripts/`, `call` | one script for each method, and how it is called |
//! | `record`, `value` | a payment as it is kept; reading replies |
//! | `connection` | the one link, made anew when it breaks |
//! | `durability` | whether Redis is good enough to move money |
//! | `finder` | what to try to claim next |
//! | `listing` | lists, counts, events, the sweep |
//! | `wake` | hints that there is something to do |

mod call;
mod connection;
mod durability;
mod finder;
mod keys;
mod listing;
mod record;
mod settings;
mod value;
mod wake;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::call::Call;
use self::connection::{Link, LinkFault};
use self::finder::{Finder, Hint};
use self::keys::Keys;
pub use self::settings::{Profile, Settings};
use super::write::due_ms;
use super::{
    Claim, ClaimKey, Claims, Created, Cursor, Loaded, Nonce, NotDurable, Nudged, Page, Permit,
    SaveError, Saved, Stats, Store, StoreError, Then,
};
use crate::clock::Clock;
use crate::payment::{Payment, PaymentId, StateName, Timestamp, millis};

/// How often Redis is asked whether it is still good enough to move money.
const INSPECT_EVERY: Duration = Duration::from_secs(60);
/// When a record that cannot be read is tried again, perhaps by a newer version.
const UNREADABLE_WAITS_MS: u64 = 60 * 60 * 1000;
/// How often one call looks anew when others were quicker.
const MOST_LOOKS: usize = 4;
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
    _listening: DropGuard,
}

/// Why the store cannot be opened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A setting cannot be right.
    #[error("the setting store.{0}")]
    Setting(String),
    /// Nobody answers at the address.
    #[error("Redis cannot be reached: {0}. Is it running, and is store.url right?")]
    Unreachable(String),
    /// What answers there cannot be used.
    #[error("the Redis at store.url {0}")]
    Unusable(String),
    /// It may lose what it was told.
    #[error("durability profile {}: {}", .0.profile, .0.problem)]
    NotDurable(NotDurable),
}

impl RedisStore {
    /// Connects. Fails when Redis cannot be reached, may throw payments away, or falls short of
    /// the durability profile; later the link mends itself, and a shortfall stops money only.
    pub async fn connect(settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        settings.check().map_err(OpenError::Setting)?;
        let link = Link::open(&settings).await.map_err(|fault| match fault {
            LinkFault::Address(why) => OpenError::Setting(format!("url is not usable: {why}")),
            LinkFault::Unreachable(why) => OpenError::Unreachable(why),
            LinkFault::Unusable(why) => OpenError::Unusable(why),
        })?;
        link.durability().map_err(OpenError::NotDurable)?;
        let keys = Keys::new(&settings.prefix);
        let waiting = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        tokio::spawn(wake::listen(
            link.client().clone(),
            keys.wake(),
            Arc::clone(&waiting),
            stop.clone(),
            settings.connect_timeout(),
        ));
        let store = Self(Arc::new(Shared {
            link,
            keys,
            clock,
            settings,
            finder: Finder::default(),
            waiting,
            _listening: stop.drop_guard(),
        }));
        store
            .sync_clock()
            .await
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        Ok(store)
    }

    /// Asks Redis every minute whether it is still good enough to move money, until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                tokio::time::sleep(INSPECT_EVERY).await;
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

    async fn sync_clock(&self) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("TIME");
        let time = self.0.link.read(&pipeline).await?;
        if let Some(time) = time.first().and_then(finder::time_of) {
            self.0.clock.sync(time);
        }
        Ok(())
    }

    /// Looks at what is due in all partitions.
    async fn look(&self, slots: usize) -> Result<(), StoreError> {
        let depth = finder::depth_for(slots);
        let replies = self.0.link.read(&finder::look(&self.0.keys, depth)).await?;
        let Some((time, partitions)) = replies.split_first() else {
            return Err(value::unexpected("TIME"));
        };
        if let Some(time) = finder::time_of(time) {
            self.0.clock.sync(time);
        }
        self.0
            .finder
            .learn(partitions, depth, self.0.clock.now().timestamp_millis());
        Ok(())
    }

    /// Tries to claim what the finder hints at, up to `count`. Answers how many were tried.
    async fn try_hints(&self, count: usize, claims: &mut Vec<Claim>) -> Result<usize, StoreError> {
        let mut trying = self.0.finder.take(count.min(MOST_AT_ONCE));
        // Read before the calls: a claim may be thought older than it is, never younger.
        let lineage = self.0.link.lineage();
        let now = self.0.clock.now();
        let lease_end = due_ms(now + millis(self.0.settings.lease_ms));
        let mut calls = Vec::with_capacity(trying.hints.len());
        for hint in &mut trying.hints {
            let nonce = hint.nonce.get_or_insert_with(Nonce::fresh);
            calls.push(
                Call::new(&call::CLAIM, self.0.keys.two(&hint.id))
                    .arg(hint.id.as_str())
                    .number(now.timestamp_millis())
                    .number(lease_end)
                    .arg(nonce.as_str()),
            );
        }
        let replies = self.0.link.call_all(&calls).await?;
        let hints = trying.done();
        let tried = hints.len();
        for (hint, reply) in hints.into_iter().zip(replies) {
            let Hint {
                id,
                nonce: Some(nonce),
                ..
            } = hint
            else {
                continue;
            };
            let key = ClaimKey { id, nonce };
            match reply.map(|reply| claimed(&reply)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some((loaded, barren)))) => {
                    let loaded = Loaded {
                        due: crate::clock::from_millis(lease_end),
                        ..loaded
                    };
                    claims.push(Claim::new(key, loaded, barren, lineage));
                }
                Ok(Err(problem)) => self.set_aside(&key, &problem).await,
                Err(error) => {
                    tracing::error!(payment = %key.id, %error, "a payment cannot be claimed");
                }
            }
        }
        Ok(tried)
    }

    /// Leaves a record that cannot be read as it is, and tries again much later.
    async fn set_aside(&self, key: &ClaimKey, problem: &str) {
        tracing::error!(payment = %key.id, problem, "a record cannot be read; it is left as it is");
        let later = self.0.clock.now() + millis(UNREADABLE_WAITS_MS);
        if let Err(error) = self.give_back(key, later).await {
            tracing::warn!(payment = %key.id, %error, "it comes up again when its lease ends");
        }
    }
}

/// What a claim brought: the payment and the number of barren claims; `None` when it is not due.
fn claimed(reply: &Value) -> Result<Option<(Loaded, u32)>, record::Problem> {
    match reply {
        Value::Nil => Ok(None),
        Value::Array(fields) => match fields.as_slice() {
            [version, state, nudges, barren, body] => {
                let loaded = record::loaded([version, state, nudges, body])?;
                let barren = value::number(barren).unwrap_or(u32::MAX);
                Ok(Some((
                    Loaded {
                        claimed: true,
                        ..loaded
                    },
                    barren,
                )))
            }
            _ => Err("it is due, but it is not there".to_owned()),
        },
        _ => Err("it was answered in an unknown form".to_owned()),
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
            problem,
        })
    }

    async fn claim(&self, slots: usize) -> Result<Claims, StoreError> {
        let mut claims = Vec::new();
        let mut looks = 0;
        while claims.len() < slots {
            let wanted = slots - claims.len();
            let before = claims.len();
            let tried = match self.try_hints(wanted, &mut claims).await {
                Err(error) if claims.is_empty() => return Err(error),
                Err(_) => break,
                Ok(tried) => tried,
            };
            let got = claims.len() - before;
            if tried > got * 2 {
                self.0.finder.forget();
            }
            if tried > 0 && got > 0 {
                continue;
            }
            if looks == MOST_LOOKS {
                break;
            }
            looks += 1;
            match self.look(slots).await {
                Err(error) if claims.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) if self.0.finder.is_empty() => break,
                Ok(()) => {}
            }
        }
        Ok(Claims {
            claims,
            next_due: self.0.finder.next_due(),
        })
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
                if value::word(&reply?) != "renewed" {
                    lost.push(key.clone());
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

    async fn command(&self, loaded: &Loaded, due: Option<Timestamp>) -> Result<(), SaveError> {
        self.write_command(loaded, due).await
    }

    async fn give_back(&self, claim: &ClaimKey, due: Timestamp) -> Result<(), StoreError> {
        let call = Call::new(&call::GIVE_BACK, self.0.keys.two(&claim.id))
            .arg(claim.id.as_str())
            .arg(claim.nonce.as_str())
            .number(due_ms(due))
            .number(self.0.clock.now().timestamp_millis())
            .arg(self.0.keys.wake());
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
        state: StateName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.page(state, cursor, limit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.count().await
    }

    async fn woken(&self) {
        self.0.waiting.notified().await;
    }

    fn durability(&self) -> Result<(), NotDurable> {
        self.0.link.durability()
    }
}
