//! Reads what people have stopped, for the gate; and says in Redis that this worker is there, what it
//! has read, and how many calls are under way.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::gate::{BELIEVED_FOR, Gate};
use crate::clock::Clock;
use crate::gateway::Deadlines;
use crate::payment::Timestamp;
use crate::store::redis::RedisStore;
use crate::store::switches::{Switches, WorkerNote};
use crate::store::{Store as _, StoreError};

/// How soon it is read again at the earliest: hints may come by the thousand.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// How long after that at the latest, when no hint comes: a second in all.
const LONGEST_REST: Duration = Duration::from_millis(800);
/// How often a worker says that it is there.
const TELL_EVERY: TimeDelta = TimeDelta::seconds(3);
/// The same, while the calls under way change.
const TELL_BUSY_EVERY: TimeDelta = TimeDelta::seconds(1);
/// A worker that has said nothing for so long is forgotten.
const FORGET_AFTER: TimeDelta = TimeDelta::hours(1);
/// How often it is looked for such workers.
const TIDY_EVERY: TimeDelta = TimeDelta::minutes(10);

/// Stands at the gate of a worker.
pub struct Doorman {
    store: RedisStore,
    clock: Clock,
    gate: Gate,
    id: String,
    concurrency: usize,
    told: Option<(Timestamp, u64, BTreeMap<String, u64>)>,
    tidied: Option<Timestamp>,
    /// Notes of others that could not be read, as they stood then.
    unreadable: BTreeMap<String, String>,
    /// What was stopped when that was logged last.
    stopped: Option<String>,
    troubled: bool,
}

impl Doorman {
    /// At this gate, over a store of its own, for the worker that is called `id`.
    #[must_use]
    pub fn new(
        store: RedisStore,
        clock: Clock,
        gate: Gate,
        (id, concurrency): (u64, usize),
    ) -> Self {
        let stopped = gate.told(clock.now());
        Self {
            store,
            clock,
            gate,
            id: format!("{id:016x}"),
            concurrency,
            told: None,
            tidied: None,
            unreadable: BTreeMap::new(),
            stopped,
            troubled: false,
        }
    }

    /// Reads what people have stopped, before anything is sent, and stands at a gate that knows it.
    /// Before that it says that the worker is there and has read nothing: whoever stops something from
    /// now on waits for it.
    pub async fn arrive(
        store: RedisStore,
        clock: &Clock,
        deadlines: Deadlines,
        worker: (u64, usize),
    ) -> Result<(Gate, Self), StoreError> {
        let started = clock.now();
        let gate = Gate::watched(started, deadlines, Switches::default());
        let mut doorman = Self::new(store, clock.clone(), gate.clone(), worker);
        doorman.note((started, 0, BTreeMap::new())).await?;
        doorman.read().await?;
        doorman.stopped = gate.told(clock.now());
        if let Some(stopped) = &doorman.stopped {
            tracing::warn!(
                event = "switches_changed",
                stopped,
                "this is stopped already"
            );
        }
        Ok((gate, doorman))
    }

    /// Stands there until `end`, and says that the worker is gone.
    pub async fn run(mut self, end: CancellationToken) {
        let hints = self.store.clone();
        let standing = async {
            loop {
                // Made before the look, so that whatever is switched from now on is heard.
                let woken = hints.woken();
                self.round().await;
                sleep(SHORTEST_PAUSE).await;
                tokio::select! {
                    () = woken => {}
                    () = sleep(LONGEST_REST) => {}
                }
            }
        };
        end.run_until_cancelled(standing).await;
        if let Err(error) = self.store.forget_workers(&[self.id]).await {
            tracing::debug!(%error, "the worker is forgotten by itself later");
        }
    }

    /// Reads once, and says what there is to say.
    pub async fn round(&mut self) {
        let read = self.read().await;
        if let Err(error) = &read
            && !self.troubled
        {
            tracing::error!(
                event = "switches_unread", %error,
                "it cannot be read what is stopped; after 10 s nothing more is sent"
            );
        }
        self.troubled = read.is_err();
        if let Ok(read_at) = read {
            match self.tell().await {
                Ok(()) => self.gate.stand(read_at),
                Err(error) => {
                    tracing::warn!(%error, "it cannot be said that this worker is there");
                }
            }
        }
        self.log();
    }

    /// Answers when it was read.
    async fn read(&self) -> Result<Timestamp, StoreError> {
        // As of when it was asked: the answer may be older than its arrival.
        let now = self.clock.now();
        let switches = self.store.switches().await?;
        // What is read counts as long as others can know that this worker is there: nobody waits for
        // one whose notes are refused.
        let known_until = self.told.as_ref().map(|(at, ..)| *at + BELIEVED_FOR);
        self.gate
            .learn(switches, known_until.map_or(now, |until| until.min(now)));
        Ok(now)
    }

    fn log(&mut self) {
        let stopped = self.gate.told(self.clock.now());
        if self.stopped != stopped {
            tracing::warn!(
                event = "switches_changed",
                stopped = stopped.as_deref().unwrap_or("nothing"),
                "people have stopped something, or let it go on"
            );
            self.stopped = stopped;
        }
    }

    async fn tell(&mut self) -> Result<(), StoreError> {
        let Some((started, switches, under_way)) = self.gate.standing() else {
            return Ok(());
        };
        let now = self.clock.now();
        let quiet = self.told.as_ref().is_some_and(|(at, version, counts)| {
            let pause = if *counts == under_way {
                TELL_EVERY
            } else {
                TELL_BUSY_EVERY
            };
            *version == switches && now - *at < pause
        });
        if quiet {
            return Ok(());
        }
        self.note((started, switches, under_way)).await?;
        if self.tidied.is_none_or(|at| now - at >= TIDY_EVERY) {
            self.tidied = Some(now);
            self.tidy(now).await?;
        }
        Ok(())
    }

    /// Forgets workers that are gone. A note that cannot be read is one's that is gone if it is the
    /// same as when it was looked last: a worker that is there writes another time into it.
    async fn tidy(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let all = self.store.workers().await?;
        let gone = (all.read.into_iter()).filter(|(_, note)| now - note.seen > FORGET_AFTER);
        let mut gone: Vec<String> = gone.map(|(id, _)| id).collect();
        let same =
            (all.unreadable.iter()).filter(|(id, note)| self.unreadable.get(*id) == Some(*note));
        gone.extend(same.map(|(id, _)| id.clone()));
        self.unreadable = all.unreadable;
        self.store.forget_workers(&gone).await
    }

    /// Says that this worker obeys this version of what is stopped.
    async fn note(
        &mut self,
        (started, switches, under_way): (Timestamp, u64, BTreeMap<String, u64>),
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let note = WorkerNote {
            started,
            seen: now,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            switches,
            concurrency: self.concurrency,
            under_way: under_way.clone(),
            longest_call_ms: self.gate.longest_call_ms(),
        };
        self.store.note_worker(&self.id, &note).await?;
        self.told = Some((now, switches, under_way));
        Ok(())
    }
}
