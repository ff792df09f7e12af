//! Walking through all records and all indexes, a step at a time, to see whether they agree. Workers go
//! on meanwhile, and what is read is read in several steps: so what looks wrong is a suspicion, until it
//! was seen twice with nothing written to the record in between.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Pipeline, Value};

use super::RedisStore;
use super::fault::{Fault, Standing, entries_of, faults_of};
use super::keys::{self, PARTITIONS};
use super::record::{Problem, payment_of};
use super::trouble::refused;
use super::value::{items, number, text, unexpected};
use crate::payment::AccountName;
use crate::store::StoreError;

/// How many one step looks at: Redis is at it for a millisecond or two.
const STEP: usize = 200;
/// How many suspicions are kept. Where there are more, something is wrong with all of it.
const MOST_SUSPECTS: usize = 10_000;

/// What looks wrong about one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Which.
    pub id: String,
    /// The version of its record when it was looked at, if there is one.
    pub version: Option<u64>,
    /// What looks wrong.
    pub faults: BTreeSet<Fault>,
    partition: u64,
    /// Entries that the indexes had for it.
    found: BTreeSet<String>,
}

/// What a walk came to.
#[derive(Debug, Default)]
pub struct Walked {
    /// How many records it came by. One that was added or moved meanwhile may count twice.
    pub records: u64,
    /// How many entries of indexes.
    pub entries: u64,
    /// What looks wrong.
    pub suspects: Vec<Suspect>,
    /// Whether there was more than is kept.
    pub more: bool,
    /// The accounts that unfinished payments are of.
    pub accounts: BTreeSet<AccountName>,
}

/// One id to be looked at, and the entries that an index has for it.
struct Ask {
    partition: u64,
    id: String,
    found: Vec<String>,
}

/// What was gathered so far.
#[derive(Default)]
struct Gathered {
    walked: Walked,
    suspects: BTreeMap<(u64, String), Suspect>,
}

impl Gathered {
    fn suspect(&mut self, standing: &Standing, faults: Vec<Fault>) {
        if faults.is_empty() {
            return;
        }
        let key = (standing.partition, standing.id.clone());
        if self.suspects.len() >= MOST_SUSPECTS && !self.suspects.contains_key(&key) {
            self.walked.more = true;
            return;
        }
        let suspect = self.suspects.entry(key).or_insert_with(|| Suspect {
            id: standing.id.clone(),
            version: standing.version,
            faults: BTreeSet::new(),
            partition: standing.partition,
            found: BTreeSet::new(),
        });
        // Of two looks the newer one counts.
        if suspect.version != standing.version {
            suspect.version = standing.version;
            suspect.faults.clear();
        }
        suspect.faults.extend(faults);
        let found = standing.found.iter().map(|(member, _)| member.clone());
        suspect.found.extend(found);
    }

    fn take(&mut self, standings: &[Standing]) {
        for standing in standings {
            if let (Some(state), Some(Ok(payment))) = (standing.state, &standing.body)
                && !state.is_finished()
            {
                let account = &payment.request().account;
                if !self.walked.accounts.contains(account) {
                    self.walked.accounts.insert(account.clone());
                }
            }
            self.suspect(standing, faults_of(standing));
        }
    }
}

impl RedisStore {
    /// Looks at all records, at all that is due, and at all entries of the index of states and
    /// references. `seen` is told now and then how many were looked at.
    pub async fn walk(&self, seen: &mut (dyn FnMut(u64) + Send)) -> Result<Walked, StoreError> {
        let mut gathered = Gathered::default();
        self.walk_records(&mut gathered, seen).await?;
        for partition in 0..PARTITIONS {
            self.walk_due(partition, &mut gathered, seen).await?;
            self.walk_index(partition, &mut gathered, seen).await?;
        }
        let Gathered {
            mut walked,
            suspects,
        } = gathered;
        walked.suspects = suspects.into_values().collect();
        Ok(walked)
    }

    /// Of what looked wrong, what still does, with the record as it was. What changed was at work.
    pub async fn look_again(&self, suspects: Vec<Suspect>) -> Result<Vec<Suspect>, StoreError> {
        let mut left = Vec::new();
        for some in suspects.chunks(STEP) {
            let asks: Vec<Ask> = some
                .iter()
                .map(|suspect| Ask {
                    partition: suspect.partition,
                    id: suspect.id.clone(),
                    found: suspect.found.iter().cloned().collect(),
                })
                .collect();
            for (suspect, standing) in some.iter().zip(self.examine(&asks).await?) {
                let now: BTreeSet<Fault> = faults_of(&standing).into_iter().collect();
                let faults: BTreeSet<Fault> = suspect.faults.intersection(&now).cloned().collect();
                if standing.version == suspect.version && !faults.is_empty() {
                    left.push(Suspect {
                        faults,
                        ..suspect.clone()
                    });
                }
            }
        }
        Ok(left)
    }

    async fn walk_records(
        &self,
        gathered: &mut Gathered,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        let mut cursor = "0".to_owned();
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("SCAN").arg(&cursor);
            pipeline.arg("MATCH").arg(self.0.keys.all_payments());
            pipeline.arg("COUNT").arg(STEP);
            let (next, found) = self.scanned(&pipeline).await?;
            let keys = found.iter().filter_map(text);
            let asks: Vec<Ask> = keys
                .filter_map(|key| self.0.keys.payment_in(key))
                .map(|(partition, id)| Ask {
                    partition,
                    id: id.to_owned(),
                    found: Vec::new(),
                })
                .collect();
            for some in asks.chunks(STEP) {
                gathered.take(&self.examine(some).await?);
            }
            gathered.walked.records += asks.len() as u64;
            seen(gathered.walked.records);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Only whether there is a record: what else belongs to it was looked at with the record.
    async fn walk_due(
        &self,
        partition: u64,
        gathered: &mut Gathered,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        let mut cursor = "0".to_owned();
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZSCAN").arg(self.0.keys.due(partition));
            pipeline.arg(&cursor).arg("COUNT").arg(STEP);
            let (next, found) = self.scanned(&pipeline).await?;
            let ids: Vec<&str> = found
                .as_chunks::<2>()
                .0
                .iter()
                .filter_map(|[id, _]| text(id))
                .collect();
            for some in ids.chunks(STEP) {
                let mut pipeline = Pipeline::new();
                for id in some {
                    let key = self.0.keys.payment_named(partition, id);
                    pipeline.cmd("EXISTS").arg(key);
                }
                let there = self.0.link.read(&pipeline).await?;
                for (id, _) in some
                    .iter()
                    .zip(&there)
                    .filter(|(_, n)| **n == Value::Int(0))
                {
                    let standing = Standing {
                        partition,
                        id: (*id).to_owned(),
                        due: true,
                        ..Standing::default()
                    };
                    let faults = faults_of(&standing);
                    gathered.suspect(&standing, faults);
                }
            }
            gathered.walked.entries += ids.len() as u64;
            seen(gathered.walked.records + gathered.walked.entries);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn walk_index(
        &self,
        partition: u64,
        gathered: &mut Gathered,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        let mut from = "-".to_owned();
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZRANGE").arg(self.0.keys.states(partition));
            pipeline.arg(&from).arg("+").arg("BYLEX");
            pipeline.arg("LIMIT").arg(0).arg(STEP);
            let reply = self.0.link.read(&pipeline).await?.into_iter().next();
            let members: Vec<&str> = reply.iter().flat_map(items).filter_map(text).collect();
            let Some(last) = members.last() else {
                return Ok(());
            };
            let asks: Vec<Ask> = members
                .iter()
                .filter_map(|member| {
                    let (id, _) = keys::entry_of(member)?;
                    Some(Ask {
                        partition,
                        id: id.to_owned(),
                        found: vec![(*member).to_owned()],
                    })
                })
                .collect();
            gathered.take(&self.examine(&asks).await?);
            gathered.walked.entries += members.len() as u64;
            seen(gathered.walked.records + gathered.walked.entries);
            from = format!("({last}");
        }
    }

    /// The cursor and the items that one step of a scan answers.
    async fn scanned(&self, scan: &Pipeline) -> Result<(String, Vec<Value>), StoreError> {
        let reply = self.0.link.read(scan).await?.into_iter().next();
        match reply.as_ref().map(items) {
            Some([cursor, Value::Array(found)]) => {
                let next = text(cursor).ok_or_else(|| unexpected("SCAN"))?;
                Ok((next.to_owned(), found.clone()))
            }
            _ => Err(unexpected("SCAN")),
        }
    }

    /// Reads what stands at each id, and then whether the entries are there that it should have.
    async fn examine(&self, asks: &[Ask]) -> Result<Vec<Standing>, StoreError> {
        let keys = &self.0.keys;
        let mut pipeline = Pipeline::new();
        for ask in asks {
            let key = keys.payment_named(ask.partition, &ask.id);
            pipeline.cmd("HMGET").arg(&key);
            pipeline.arg(&["version", "state", "nonce", "told", "face", "body"]);
            pipeline.cmd("PTTL").arg(&key);
            pipeline
                .cmd("ZSCORE")
                .arg(keys.due(ask.partition))
                .arg(&ask.id);
            for entry in &ask.found {
                pipeline
                    .cmd("ZSCORE")
                    .arg(keys.states(ask.partition))
                    .arg(entry);
            }
        }
        let mut replies = self.0.link.send(&pipeline).await?.into_iter();
        let mut standings = Vec::with_capacity(asks.len());
        for ask in asks {
            let three = [replies.next(), replies.next(), replies.next()];
            let found = replies.by_ref().take(ask.found.len()).collect();
            standings.push(read(ask, three.map(Option::unwrap_or_default), found)?);
        }
        let mut pipeline = Pipeline::new();
        let expected: Vec<Vec<String>> = standings.iter().map(entries_of).collect();
        for (standing, entries) in standings.iter().zip(&expected) {
            for entry in entries {
                pipeline
                    .cmd("ZSCORE")
                    .arg(keys.states(standing.partition))
                    .arg(entry);
            }
        }
        let mut replies = self.0.link.read(&pipeline).await?.into_iter();
        for (standing, entries) in standings.iter_mut().zip(expected) {
            let there = entries.into_iter().zip(replies.by_ref());
            standing.expected = there
                .map(|(entry, score)| (entry, score != Value::Nil))
                .collect();
        }
        Ok(standings)
    }
}

/// What was answered about one id. A key that holds something else than a record is no reason to end.
fn read(ask: &Ask, replies: [Value; 3], found: Vec<Value>) -> Result<Standing, StoreError> {
    let [fields, ttl, score] = replies;
    let is_other = matches!(&fields, Value::ServerError(error) if error.code() == "WRONGTYPE");
    let fields = if is_other {
        Value::Nil
    } else {
        refused(fields)?
    };
    let (ttl, score) = (refused(ttl)?, refused(score)?);
    let found: Result<Vec<Value>, StoreError> = found.into_iter().map(refused).collect();
    let body = |value: &Value| match value {
        Value::BulkString(body) => Some(payment_of(body)),
        _ => None,
    };
    let word = |value: &Value| text(value).map(ToOwned::to_owned);
    let mut standing = Standing {
        partition: ask.partition,
        id: ask.id.clone(),
        // -2: there is no such key.
        there: number::<i64>(&ttl) != Some(-2),
        expires: number::<i64>(&ttl).is_some_and(|ms| ms >= 0),
        due: score != Value::Nil,
        ..Standing::default()
    };
    if let [version, state, nonce, told, face, stored] = items(&fields) {
        standing.version = number(version);
        standing.state = text(state).and_then(|state| state.parse().ok());
        standing.nonce = word(nonce).filter(|nonce| !nonce.is_empty());
        standing.told = word(told);
        standing.face = word(face);
        standing.body = body(stored);
    } else {
        standing.body = Some(Err(Problem::broken("it is no hash")));
    }
    let there = ask.found.iter().cloned().zip(found?);
    standing.found = there
        .map(|(entry, score)| (entry, score != Value::Nil))
        .collect();
    Ok(standing)
}
