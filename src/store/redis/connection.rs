//! The link to Redis: one shared connection, and whoever finds it broken has it made anew.
//!
//! No command is repeated behind the caller's back. What may be repeated is repeated by name:
//! [`Link::insist`] for writes that know their own repeats, [`Link::read`] for reads, [`Link::repeat`] for
//! writes that may be done twice.

mod making;
mod measured;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, Pipeline, ProtocolVersion, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::call::{self, Call};
use super::durability::{Inspection, Lineage};
use super::keys::Keys;
use super::settings::{Profile, Settings};
use super::trouble::{LinkFault, Pause, may_pass, no_answer, refused};
use crate::store::{NotDurable, StoreError};
use crate::telemetry::Metrics;

/// The shared link; clones share it.
#[derive(Clone)]
pub(super) struct Link(Arc<Shared>);

struct Shared {
    client: Client,
    profile: Profile,
    wake_up: String,
    response_timeout: Duration,
    connect_timeout: Duration,
    state: watch::Sender<State>,
    epochs: AtomicU64,
    known: Mutex<Known>,
    metrics: OnceLock<Metrics>,
}

struct Known {
    lineage: Option<Lineage>,
    /// Goes up whenever the lineage changes.
    number: u64,
    durability: Result<(), NotDurable>,
    /// The last inspection.
    seen: Option<Inspection>,
}

enum State {
    Up(Live),
    Down(String),
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    epoch: u64,
}

impl Link {
    /// Makes the first connection; the link mends itself from then on.
    pub(super) async fn open(settings: &Settings) -> Result<Self, LinkFault> {
        // The error may quote the address, and the address may hold a password.
        let address = |_| LinkFault::Address("it is no address of a Redis".to_owned());
        let info = settings
            .url
            .as_str()
            .into_connection_info()
            .map_err(address)?;
        // The replies are read as this protocol has them, whatever the address asks for.
        let settings_of = info.redis_settings().clone();
        let client = info
            .set_redis_settings(settings_of.set_protocol(ProtocolVersion::RESP2))
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .into_connection_info()
            .and_then(Client::open)
            .map_err(address)?;
        let known = Known {
            lineage: None,
            number: 0,
            durability: Ok(()),
            seen: None,
        };
        let shared = Shared {
            client,
            profile: settings.profile,
            wake_up: Keys::new(&settings.prefix).wake(),
            response_timeout: settings.response_timeout(),
            connect_timeout: settings.connect_timeout(),
            state: watch::Sender::new(State::Down("not connected yet".to_owned())),
            epochs: AtomicU64::new(0),
            known: Mutex::new(known),
            metrics: OnceLock::new(),
        };
        let live = shared.establish().await?;
        shared.state.send_replace(State::Up(live));
        Ok(Self(Arc::new(shared)))
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The number of the lineage. What was claimed under a lower one licenses nothing.
    pub(super) fn lineage(&self) -> u64 {
        self.0.known().number
    }

    /// Names this run of Redis: another one after each start.
    pub(super) fn run(&self) -> String {
        let known = self.0.known();
        let run = known.lineage.as_ref().map(Lineage::run);
        run.unwrap_or_default().to_owned()
    }

    /// Whether Redis was good enough to move money when it was last asked.
    pub(super) fn durability(&self) -> Result<(), NotDurable> {
        self.0.known().durability.clone()
    }

    /// What was seen at the last inspection.
    pub(super) fn seen(&self) -> Option<Inspection> {
        self.0.known().seen.clone()
    }

    /// Asks Redis again whether it is good enough, and who it is.
    pub(super) async fn inspect(&self) -> Result<(), StoreError> {
        let live = self.live().await?;
        match self.0.inspect(&mut live.connection.clone()).await {
            Ok(()) => Ok(()),
            Err(fault) => {
                let text = fault.into_text();
                self.broken(live.epoch, &text);
                Err(StoreError::Unavailable(text))
            }
        }
    }

    /// Sends commands in one go, once, and answers each one's reply, errors included.
    pub(super) async fn send(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let Live {
            mut connection,
            epoch,
        } = self.live().await?;
        let sent = connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await;
        match sent {
            Ok(replies) => {
                if replies
                    .iter()
                    .any(|reply| matches!(reply, Value::ServerError(e) if e.code() == "READONLY"))
                {
                    self.broken(epoch, "it is a replica by now");
                }
                Ok(replies)
            }
            Err(error) => {
                let text = error.to_string();
                self.broken(epoch, &text);
                Err(StoreError::Unavailable(text))
            }
        }
    }

    /// Reads, again if the link broke meanwhile. An error in any reply is an error.
    pub(super) async fn read(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        self.again("read", pipeline).await
    }

    /// Writes what may be written twice, again if the link broke meanwhile.
    pub(super) async fn repeat(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        self.again("write", pipeline).await
    }

    async fn again(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, StoreError> {
        if pipeline.is_empty() {
            // Nothing is timed that never was.
            return Ok(Vec::new());
        }
        let once = async || {
            let began = Instant::now();
            let replies = self.send(pipeline).await;
            self.measured(name, began, &replies);
            replies?
                .into_iter()
                .map(refused)
                .collect::<Result<Vec<_>, _>>()
        };
        let patience = self.0.response_timeout;
        let mut pause = Pause::default();
        let done = async {
            loop {
                match once().await {
                    Err(error) if may_pass(&error) => pause.rest().await,
                    done => return done,
                }
            }
        };
        timeout(patience, done)
            .await
            .unwrap_or_else(|_| Err(no_answer(patience)))
    }

    /// Calls scripts in one go, once each.
    pub(super) async fn call_all(
        &self,
        calls: &[Call],
    ) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        // All of one round trip are calls of one script; without any there is none.
        let Some(script) = calls.first().map(Call::name) else {
            return Ok(Vec::new());
        };
        let began = Instant::now();
        let replies = self.send(&call::pipeline_of(calls.iter())).await;
        self.measured(script, began, &replies);
        let mut replies = replies?;
        let unknown: Vec<usize> = (0..replies.len())
            .filter(|i| matches!(&replies[*i], Value::ServerError(e) if e.code() == "NOSCRIPT"))
            .collect();
        if !unknown.is_empty() {
            // Redis has forgotten the scripts, so none of these calls did anything.
            self.send(&call::load_all()).await?;
            let again = self
                .send(&call::pipeline_of(unknown.iter().map(|i| &calls[*i])))
                .await?;
            for (i, reply) in unknown.into_iter().zip(again) {
                replies[i] = reply;
            }
        }
        Ok(replies.into_iter().map(refused).collect())
    }

    /// Calls a script, once.
    pub(super) async fn call(&self, call: Call) -> Result<Value, StoreError> {
        let replies = self.call_all(&[call]).await?;
        replies
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(super::value::unexpected("a script")))
    }

    /// Calls a script that knows its own repeats, again and again for as long as `patience`
    /// lasts. `make` is asked for the call each time, because the end of a lease moves on.
    pub(super) async fn insist(
        &self,
        patience: Duration,
        mut make: impl FnMut() -> Call + Send,
    ) -> Result<Value, StoreError> {
        let mut last = None;
        let mut pause = Pause::default();
        let insisting = async {
            loop {
                match self.call(make()).await {
                    Err(error) if may_pass(&error) => last = Some(error),
                    done => return done,
                }
                pause.rest().await;
            }
        };
        let done = timeout(patience, insisting).await;
        done.unwrap_or_else(|_| Err(last.unwrap_or_else(|| no_answer(patience))))
    }

    async fn live(&self) -> Result<Live, StoreError> {
        let mut state = self.0.state.subscribe();
        let up = state.wait_for(|state| matches!(state, State::Up(_)));
        if let Ok(Ok(state)) = timeout(self.0.connect_timeout, up).await
            && let State::Up(live) = &*state
        {
            return Ok(live.clone());
        }
        let why = match &*self.0.state.borrow() {
            State::Down(why) => why.clone(),
            State::Up(_) => "it is only just back".to_owned(),
        };
        Err(StoreError::Unavailable(why))
    }

    /// Gives a connection up, and has a new one made unless somebody did so before.
    fn broken(&self, epoch: u64, why: &str) {
        let first = self.0.state.send_if_modified(|state| {
            let same = matches!(state, State::Up(live) if live.epoch == epoch);
            if same {
                *state = State::Down(why.to_owned());
            }
            same
        });
        if first {
            tracing::warn!(
                event = "redis_lost",
                why,
                "the connection to Redis broke; connecting again"
            );
            tokio::spawn(making::connect_again(Arc::downgrade(&self.0)));
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
