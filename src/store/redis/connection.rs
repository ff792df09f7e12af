//! The link to Redis: one shared connection, and whoever finds it broken has it made anew.
//!
//! No command is repeated behind the caller's back. What may be repeated is repeated by name:
//! [`Link::insist`] for writes that know their own repeats, [`Link::read`] for reads.

mod measured;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, ProtocolVersion, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::call::{self, Call};
use super::durability::{Inspection, Lineage, question};
use super::keys::Keys;
use super::settings::{Profile, Settings};
use super::trouble::{LinkFault, Pause, may_pass, no_answer, refusal, refused, unreachable};
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
        let once = async || {
            let began = Instant::now();
            let replies = self.send(pipeline).await;
            self.measured("read", began, &replies);
            replies?
                .into_iter()
                .map(refused)
                .collect::<Result<Vec<_>, _>>()
        };
        let patience = self.0.response_timeout;
        let mut pause = Pause::default();
        let read = async {
            loop {
                match once().await {
                    Err(error) if may_pass(&error) => pause.rest().await,
                    done => return done,
                }
            }
        };
        timeout(patience, read)
            .await
            .unwrap_or_else(|_| Err(no_answer(patience)))
    }

    /// Calls scripts in one go, once each.
    pub(super) async fn call_all(
        &self,
        calls: &[Call],
    ) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        let began = Instant::now();
        let replies = self.send(&call::pipeline_of(calls.iter())).await;
        // All of one round trip are calls of one script.
        self.measured(calls.first().map_or("read", Call::name), began, &replies);
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
            tokio::spawn(connect_again(Arc::downgrade(&self.0)));
        }
    }
}

/// Runs until there is a connection or nobody wants one any more.
async fn connect_again(shared: Weak<Shared>) {
    let mut pause = Pause::default();
    loop {
        pause.rest().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match shared.establish().await {
            Ok(live) => {
                tracing::info!("connected to Redis again");
                shared.state.send_replace(State::Up(live));
                return;
            }
            Err(fault) => {
                shared.state.send_replace(State::Down(fault.into_text()));
            }
        }
    }
}

impl Shared {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn establish(&self) -> Result<Live, LinkFault> {
        let patience = self.connect_timeout + self.response_timeout;
        let late = |_| LinkFault::Unreachable(format!("no answer within {patience:?}"));
        timeout(patience, self.establish_slowly())
            .await
            .map_err(late)?
    }

    async fn establish_slowly(&self) -> Result<Live, LinkFault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| unreachable(&error))?;
        self.inspect(&mut connection).await?;
        let scripts = call::load_all();
        let loaded = connection
            .send_packed_commands(&scripts, 0, scripts.len())
            .await;
        for reply in loaded.map_err(|error| unreachable(&error))? {
            refused(reply).map_err(|error| LinkFault::Unusable(error.to_string()))?;
        }
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        Ok(Live { connection, epoch })
    }

    async fn inspect(&self, connection: &mut MultiplexedConnection) -> Result<(), LinkFault> {
        let question = question(&self.wake_up);
        let answers = connection
            .send_packed_commands(&question, 0, question.len())
            .await;
        let answers = answers.map_err(|error| unreachable(&error))?;
        if let Some(Value::ServerError(error)) = answers.first() {
            return Err(match error.code() {
                "LOADING" => LinkFault::Unreachable("it is still loading".to_owned()),
                _ => LinkFault::Unusable(refusal(error)),
            });
        }
        let seen = Inspection::read(&answers);
        if seen.loading {
            return Err(LinkFault::Unreachable("it is still loading".to_owned()));
        }
        seen.check_usable().map_err(LinkFault::Unusable)?;
        self.take_note(seen);
        Ok(())
    }

    fn take_note(&self, seen: Inspection) {
        let mut known = self.known();
        let seen = seen.after(known.seen.as_ref());
        let durability = seen.check_durable(self.profile);
        if known.lineage.as_ref() != Some(&seen.lineage) {
            if known.lineage.is_some() {
                tracing::warn!(
                    event = "redis_replaced",
                    "Redis was restarted or replaced; what is claimed is claimed anew"
                );
            }
            known.lineage = Some(seen.lineage.clone());
            known.number += 1;
        }
        if known.durability != durability {
            if let Err(lack) = &durability {
                tracing::error!(event = "money_stopped", %lack, "money steps stop");
            } else {
                tracing::info!(
                    event = "money_resumed",
                    "Redis is durable again; money steps go on"
                );
            }
        }
        known.durability = durability;
        let deaf = seen.deafness();
        if let Some(problem) = deaf.filter(|_| known.seen.is_some()) {
            tracing::warn!(
                event = "hints_refused",
                problem,
                "workers find new work later than they could"
            );
        }
        known.seen = Some(seen);
    }
}
