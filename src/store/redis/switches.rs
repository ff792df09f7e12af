//! What people have stopped, and what workers say of themselves.

use redis::Pipeline;

use super::call::{self, Call};
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::store::audit::{AuditEntry, AuditStream};
use crate::store::switches::{Switch, SwitchName, Switches, WorkerNote, WorkerNotes};
use crate::store::{StoreError, json_of};

/// What became of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// It stands as asked, since this version.
    Now(u64),
    /// Somebody else switched it since it was read.
    Outdated,
}

impl RedisStore {
    /// Everything that is stopped.
    pub async fn switches(&self) -> Result<Switches, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.0.keys.switches());
        let replies = self.0.link.read(&pipeline).await?;
        let mut switches = Switches::default();
        for [name, value] in replies.first().map(items).unwrap_or_default().as_chunks().0 {
            let name = text(name).unwrap_or_default();
            if name == "version" {
                switches.version = number(value).ok_or_else(|| value::unexpected("HGETALL"))?;
                continue;
            }
            let read = || {
                let switch = serde_json::from_str::<Switch>(text(value)?).ok()?;
                Some((SwitchName::parse(name)?, switch))
            };
            match read() {
                Some((name, switch)) => drop(switches.set.insert(name, switch)),
                None => drop(switches.unknown.insert(name.to_owned())),
            }
        }
        Ok(switches)
    }

    /// Stops something, or lets it go on, unless it no longer stands as it was `found`.
    pub async fn switch(
        &self,
        name: &SwitchName,
        found: Option<&Switch>,
        wanted: Option<&Switch>,
        audit: &AuditEntry,
    ) -> Result<Switched, StoreError> {
        let json = |switch: Option<&Switch>| match switch {
            None => Ok(String::new()),
            Some(switch) => json_of(switch, "a switch"),
        };
        let (found, wanted) = (json(found)?, json(wanted)?);
        let (entry, hash) = audit.sealed()?;
        let make = || {
            let keys = vec![self.0.keys.switches(), self.0.keys.audit(AuditStream::Desk)];
            Call::new(&call::SWITCH, keys)
                .arg(name.to_string())
                .arg(found.as_str())
                .arg(wanted.as_str())
                .arg(entry.as_slice())
                .arg(hash.as_str())
                .arg(self.0.keys.wake())
        };
        let patience = self.0.settings.save_patience();
        let reply = self.0.link.insist(patience, make).await?;
        match (word(&reply), items(&reply).get(1).and_then(number)) {
            ("switched", Some(version)) => Ok(Switched::Now(version)),
            ("outdated", _) => Ok(Switched::Outdated),
            _ => Err(value::unexpected("a switch")),
        }
    }

    /// Says what a worker is and does.
    pub async fn note_worker(&self, id: &str, note: &WorkerNote) -> Result<(), StoreError> {
        let json = json_of(note, "a note")?;
        let call = Call::new(&call::NOTE_WORKER, vec![self.0.keys.workers()]);
        let call = call.arg(id).arg(json);
        self.0.link.call(call).await.map(drop)
    }

    /// Forgets workers.
    pub async fn forget_workers(&self, ids: &[String]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HDEL").arg(self.0.keys.workers()).arg(ids);
        self.0.link.repeat(&pipeline).await.map(drop)
    }

    /// What workers have said of themselves, those included that are there no more.
    pub async fn workers(&self) -> Result<WorkerNotes, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.0.keys.workers());
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies.first().map(items).unwrap_or_default();
        let mut notes = WorkerNotes::default();
        for [id, note] in pairs.as_chunks().0 {
            let (id, note) = (text(id).unwrap_or("?"), text(note).unwrap_or_default());
            match serde_json::from_str(note) {
                Ok(note) => drop(notes.read.insert(id.to_owned(), note)),
                Err(_) => drop(notes.unreadable.insert(id.to_owned(), note.to_owned())),
            }
        }
        Ok(notes)
    }
}
