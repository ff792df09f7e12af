//! To stop and to let go on: everything, an account, a step or a kind of request; and to know when it
//! stands. What was sent is never cut: a call under way goes to its end, and what it came to is written.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::payment::Timestamp;
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::{RedisStore, Switched};
use crate::store::switches::{Switch, SwitchName, WorkerNote};
use crate::worker::gate::BELIEVED_FOR;

/// A worker that has said nothing for so long is taken for gone. One that said something and then
/// stood still for less is waited for; one that stood still for longer believes nothing any more of
/// what it read. Its reading counts for as long after its last note as after itself, hence twice; the
/// rest is for clocks that differ.
const LIVES_FOR: TimeDelta = TimeDelta::seconds(40);
const _: () = assert!(LIVES_FOR.num_seconds() >= 2 * BELIEVED_FOR.num_seconds() + 15);
/// How often it is looked whether workers have seen a switch.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a switch stood at before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The version of the switches that workers are to see.
    pub version: u64,
    /// How it stood before; `None` if nothing was stopped.
    pub before: Option<Switch>,
}

/// Stops `name` by `wanted`, or lets it go on without one, whatever stood there; and adds that to the
/// audit log in the same step, under the word `action`. To let go on what goes on changes nothing.
pub async fn switch(
    store: &RedisStore,
    clock: &Clock,
    (action, name): (&str, &SwitchName),
    wanted: Option<&Switch>,
    by: &Mandate,
) -> Result<Changed, StoreError> {
    loop {
        let found = store.switches().await?;
        let before = found.set.get(name);
        if before.is_none() && wanted.is_none() {
            let version = found.version;
            return Ok(Changed {
                version,
                before: None,
            });
        }
        let change = [before, wanted].map(|switch| serde_json::to_value(switch).ok());
        let subject = name.to_string();
        let audit = AuditEntry::done(by, (action, &subject), change, clock.now());
        let switched = store.switch(name, before, wanted, &audit).await?;
        if let Switched::Now(version) = switched {
            let before = before.cloned();
            return Ok(Changed { version, before });
        }
    }
}

/// What workers know of a version of the switches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many workers there are.
    pub workers: usize,
    /// Which of them have not seen it yet, as far as anybody can read.
    pub behind: Vec<String>,
    /// Which of those have left a note that cannot be read.
    pub unreadable: Vec<String>,
    /// How many calls are under way, by step.
    pub under_way: BTreeMap<String, u64>,
}

/// Whether a worker was there a moment ago.
#[must_use]
pub fn lives(note: &WorkerNote, now: Timestamp) -> bool {
    now - note.seen <= LIVES_FOR
}

/// Who has seen a version of the switches.
pub async fn seen(store: &RedisStore, clock: &Clock, version: u64) -> Result<Seen, StoreError> {
    let (notes, now) = (store.workers().await?, clock.now());
    let unreadable: Vec<String> = notes.unreadable.into_keys().collect();
    let mut seen = Seen {
        workers: unreadable.len(),
        behind: unreadable.clone(),
        unreadable,
        ..Seen::default()
    };
    for (id, note) in notes.read.into_iter().filter(|(_, note)| lives(note, now)) {
        seen.workers += 1;
        if note.switches < version {
            seen.behind.push(id);
        }
        for (step, count) in note.under_way.into_iter().filter(|(_, count)| *count > 0) {
            *seen.under_way.entry(step).or_default() += count;
        }
    }
    Ok(seen)
}

/// Waits until every worker that is there has seen it, `patience` at the longest.
pub async fn wait_until_seen(
    store: &RedisStore,
    clock: &Clock,
    version: u64,
    patience: Duration,
) -> Result<Seen, StoreError> {
    let waiting = async {
        loop {
            let now = seen(store, clock, version).await?;
            if now.behind.is_empty() {
                return Ok(now);
            }
            sleep(LOOK_EVERY).await;
        }
    };
    match timeout(patience, waiting).await {
        Ok(seen) => seen,
        Err(_) => seen(store, clock, version).await,
    }
}

/// What is stopped, a line for each.
pub async fn standing(store: &RedisStore, clock: &Clock) -> Result<Vec<String>, StoreError> {
    let switches = store.switches().await?;
    let lines = switches.standing(clock.now());
    let mut lines: Vec<String> = lines.map(|(name, switch)| line(name, switch)).collect();
    lines.extend(switches.unknown.map(|name| {
        format!("everything is stopped: {name} is, and this version does not know what that is")
    }));
    Ok(lines)
}

/// A switch in words.
#[must_use]
pub fn line(name: &SwitchName, switch: &Switch) -> String {
    let time = |time: Timestamp| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let what = match name {
        SwitchName::All => "everything is stopped".to_owned(),
        SwitchName::Account(account) => format!("account {account} is paused"),
        SwitchName::Step(step) => format!("the step {step} is paused"),
        SwitchName::Kind(kind) => format!("payments of the kind {kind} are paused"),
        SwitchName::Drain => {
            let until = switch.until.map_or("for ever".to_owned(), time);
            format!("workers that run since before are drained until {until}")
        }
    };
    let (since, by, why) = (time(switch.since), &switch.actor, &switch.reason);
    format!("{what} since {since} by {by}: {why}").replace(char::is_control, "?")
}
