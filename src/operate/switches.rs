//! To stop and to let go on: everything, an account, a step or a kind of request; and to know when it
//! stands. What was sent is never cut: a call under way goes to its end, and what it came to is written.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::payment::{Timestamp, millis};
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::redis::{RedisStore, Switched};
use crate::store::switches::{Switch, SwitchName, Switches, WorkerNote};
use crate::worker::gate::BELIEVED_FOR;

/// A worker that has said nothing for so long is taken for gone. One that said something and then
/// stood still for less is waited for; one that stood still for longer believes nothing any more of
/// what it read. Its reading counts for as long after its last note as after itself, hence twice; the
/// rest is for clocks that differ.
const LIVES_FOR: TimeDelta = TimeDelta::seconds(40);
const _: () = assert!(LIVES_FOR.num_seconds() >= 2 * BELIEVED_FOR.num_seconds() + 15);
/// How often a switch is thrown that others throw at the same time.
const MOST_TRIES: usize = 20;
/// How often it is looked whether workers have seen a switch.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why something is neither stopped nor let go on.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// What stands there cannot be read by this version.
    #[error("{0} was stopped by another version of holdfast; lift it with that version")]
    Foreign(SwitchName),
    /// Others were quicker again and again.
    #[error("others keep stopping and resuming {0}; look at it, and try again")]
    Busy(SwitchName),
    /// The store failed. Whether it was done is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a switch stood at before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The version of the switches that workers are to see.
    pub version: u64,
    /// How it stood before; `None` if nothing was stopped.
    pub before: Option<Switch>,
}

/// What became of stopping something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It stands as it was wanted.
    Now(Changed),
    /// Another person has stopped it already: that stands, and nothing was changed.
    Already {
        /// The version of the switches that workers are to see.
        version: u64,
        /// What stands.
        stands: Switch,
    },
}

/// What became of letting something go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetGo {
    /// It goes on.
    Now(Changed),
    /// Somebody has stopped it since it was read: that stands, and nothing was changed.
    StoppedSince(Switch),
}

/// Stops `name` by `wanted`, and adds that to the audit log in the same step, under the word `action`.
/// Another person's stop is kept: whoever replaced it would let it go on with their own, and never have read
/// it. A drain ends by itself, and is replaced.
pub async fn stop(
    store: &RedisStore,
    clock: &Clock,
    (action, name): (&str, &SwitchName),
    wanted: &Switch,
    by: &Mandate,
) -> Result<Stopped, SwitchError> {
    let mut last = None;
    for _ in 0..MOST_TRIES {
        let found = store.switches().await?;
        let before = found.set.get(name);
        if is_foreign(&found, name) || (last.is_some() && last.as_ref() == before) {
            return Err(SwitchError::Foreign(name.clone()));
        }
        let anothers = |it: &&Switch| it.actor != wanted.actor && *name != SwitchName::Drain;
        if let Some(stands) = before.filter(anothers) {
            let (version, stands) = (found.version, stands.clone());
            return Ok(Stopped::Already { version, stands });
        }
        let audit = entry(by, (action, name), [before, Some(wanted)], clock);
        let switched = store.switch(name, before, Some(wanted), &audit).await?;
        let before = before.cloned();
        match switched {
            Switched::Now(version) => return Ok(Stopped::Now(Changed { version, before })),
            Switched::Outdated => last = before,
        }
    }
    Err(SwitchError::Busy(name.clone()))
}

/// Lets `name` go on, as it was `found`, and adds that to the audit log in the same step, under the word
/// `action`. What somebody has stopped since stays stopped: whoever did was told that it stands. To
/// let go on what goes on changes nothing.
pub async fn let_go(
    store: &RedisStore,
    clock: &Clock,
    (action, name): (&str, &SwitchName),
    found: &Switches,
    by: &Mandate,
) -> Result<LetGo, SwitchError> {
    let changed = |version, before: Option<&Switch>| {
        let before = before.cloned();
        LetGo::Now(Changed { version, before })
    };
    if is_foreign(found, name) {
        return Err(SwitchError::Foreign(name.clone()));
    }
    let Some(before) = found.set.get(name) else {
        return Ok(changed(found.version, None));
    };
    let audit = entry(by, (action, name), [Some(before), None], clock);
    if let Switched::Now(version) = store.switch(name, Some(before), None, &audit).await? {
        return Ok(changed(version, Some(before)));
    }
    let mut now = store.switches().await?;
    if is_foreign(&now, name) {
        return Err(SwitchError::Foreign(name.clone()));
    }
    match now.set.remove(name) {
        // Somebody stopped it, and somebody let that go on.
        None => Ok(changed(now.version, None)),
        Some(same) if same == *before => Err(SwitchError::Foreign(name.clone())),
        Some(since) => Ok(LetGo::StoppedSince(since)),
    }
}

fn entry(
    by: &Mandate,
    (action, name): (&str, &SwitchName),
    change: [Option<&Switch>; 2],
    clock: &Clock,
) -> AuditEntry {
    let change = change.map(|switch| serde_json::to_value(switch).ok());
    AuditEntry::done(by, (action, &name.to_string()), change, clock.now())
}

/// Whether it is stopped in a way that this version cannot read. What stands there is compared to the byte,
/// and so it can neither be replaced nor taken away by what was read.
fn is_foreign(found: &Switches, name: &SwitchName) -> bool {
    found.unknown.contains(&name.to_string())
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
    /// Which others say nothing any more, and may still have calls under way.
    pub lost: Vec<String>,
    /// How many calls are under way, by step, the last that lost workers said included.
    pub under_way: BTreeMap<String, u64>,
}

/// Whether a worker was there a moment ago.
#[must_use]
pub fn lives(note: &WorkerNote, now: Timestamp) -> bool {
    now - note.seen <= LIVES_FOR
}

/// Until when a call can be under way of a worker that says nothing any more: it makes none once what it
/// read counts no more, and none takes longer than it may.
#[must_use]
pub fn calls_until(note: &WorkerNote) -> Timestamp {
    note.seen + BELIEVED_FOR * 2 + millis(note.longest_call_ms)
}

/// Whether a worker says nothing any more, and may still have calls under way.
#[must_use]
pub fn is_lost(note: &WorkerNote, now: Timestamp) -> bool {
    !lives(note, now) && now <= calls_until(note)
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
    for (id, note) in notes.read {
        if is_lost(&note, now) {
            seen.lost.push(id);
        } else if lives(&note, now) {
            seen.workers += 1;
            if note.switches < version {
                seen.behind.push(id);
            }
        } else {
            continue;
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

/// Whether what another version stopped is named to whoever asks: it may be the name of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// To those who see all accounts.
    Named,
    /// To others.
    Unnamed,
}

/// What is stopped, a line for each that `concerns` whoever asks: who paused an account and why is for
/// those who see it.
pub async fn standing(
    store: &RedisStore,
    clock: &Clock,
    (concerns, unread): (&(dyn Fn(&SwitchName) -> bool + Sync), Unread),
) -> Result<Vec<String>, StoreError> {
    let switches = store.switches().await?;
    let lines = switches.standing(clock.now());
    let lines = lines.filter(|(name, _)| concerns(name));
    let mut lines: Vec<String> = lines.map(|(name, switch)| line(name, switch)).collect();
    lines.extend(unknown_lines(&switches, unread));
    Ok(lines)
}

/// What is stopped in a way that this version cannot read, in words.
#[must_use]
pub fn unknown_lines(switches: &Switches, unread: Unread) -> Vec<String> {
    let named = |name: &String| {
        format!("everything is stopped: {name} is, and this version does not know what that is")
    };
    match unread {
        _ if switches.unknown.is_empty() => vec![],
        Unread::Named => switches.unknown.iter().map(named).collect(),
        Unread::Unnamed => vec!["everything is stopped by another version".to_owned()],
    }
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
