//! Walking through all records and all indexes, a step at a time, to see whether they agree. Workers go
//! on meanwhile, and what is read is read in several steps: so what looks wrong is a suspicion, until it
//! was seen twice with nothing written to the record in between.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::RedisStore;
use super::examine::{Ask, Walking};
use super::fault::{Fault, Standing, faults_of};
use super::keys::{self, PARTITIONS};
use super::value::{items, text, unexpected};
use crate::payment::{
    AccountName, Attempt, Payment, PurchaseId, StateName, Step, Timestamp, Verdict,
};
use crate::store::StoreError;

/// How many one step looks at: Redis is at it for a millisecond or two.
const STEP: usize = 200;
/// For how long the gateway is given to tell of what happened there.
const YOUNG: TimeDelta = TimeDelta::minutes(10);
/// How many suspicions are usually kept. Where there are more, something is wrong with all of it.
pub const MOST_SUSPECTS: usize = 10_000;
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
    /// How many entries are of a kind that this program does not know. They are left alone.
    pub unknown: u64,
    /// How many unfinished payments there are of which nobody can tell when they must be due: their record
    /// cannot be read, or the settings lack their account.
    pub undated: u64,
    /// The accounts that unfinished payments are of.
    pub accounts: BTreeSet<AccountName>,
    /// What is newest of each account at the gateway.
    pub newest: BTreeMap<AccountName, Newest>,
}

/// What is newest of an account at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// When something last happened there of which it tells by itself, and must have told by now.
    pub told_at: Option<Timestamp>,
    /// When the newest payment was made that has a purchase.
    pub made_at: Timestamp,
    /// That purchase.
    pub purchase: PurchaseId,
}

/// What was gathered so far.
struct Gathered {
    most: usize,
    /// Of what happened before then, the gateway must have told.
    told_until: Timestamp,
    walked: Walked,
    suspects: BTreeMap<(u64, String), Suspect>,
}

impl Gathered {
    fn suspect(&mut self, standing: &Standing, faults: Vec<Fault>) {
        if faults.is_empty() {
            return;
        }
        let key = (standing.partition, standing.id.clone());
        if self.suspects.len() >= self.most && !self.suspects.contains_key(&key) {
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

    /// Keeps what is newest of its account.
    fn happened(&mut self, payment: &Payment) {
        let Some(purchase) = payment.purchase() else {
            return;
        };
        let (account, made_at) = (&payment.request().account, payment.created_at());
        if !self.walked.newest.contains_key(account) {
            let newest = Newest {
                told_at: None,
                made_at,
                purchase: purchase.id.clone(),
            };
            self.walked.newest.insert(account.clone(), newest);
        }
        if let Some(newest) = self.walked.newest.get_mut(account) {
            newest.told_at = newest.told_at.max(told_at(payment, self.told_until));
            if newest.made_at < made_at {
                newest.made_at = made_at;
                newest.purchase.clone_from(&purchase.id);
            }
        }
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
            if let Some(Ok(payment)) = &standing.body {
                self.happened(payment);
            }
            self.suspect(standing, faults_of(standing));
        }
    }
}

/// When something last came to a payment before `until` of which the gateway tells by itself: a call of
/// ours that did what was asked, or the payer's last click. Not what was learned long after it had happened.
fn told_at(payment: &Payment, until: Timestamp) -> Option<Timestamp> {
    let about_money = |step| matches!(step, Step::Charge | Step::Capture { .. } | Step::Release);
    let done = |attempt: &Attempt| {
        let closed = attempt.closed.as_ref()?;
        let counts = about_money(attempt.step) && closed.verdict == Verdict::Done;
        counts.then_some(attempt.opened_at)
    };
    let called = payment.attempts().iter().filter_map(done);
    let clicked = payment.history().windows(2).filter_map(|changes| {
        let [before, after] = changes else {
            return None;
        };
        let counts = matches!(
            after.to,
            StateName::Held | StateName::Paid | StateName::Saved
        );
        (before.to == StateName::AwaitingPayer && counts).then_some(after.at)
    });
    called.chain(clicked).filter(|at| *at < until).max()
}

impl RedisStore {
    /// Looks at all records, at all that is due, and at all entries of the index of states and
    /// references. `seen` is told now and then how many were looked at.
    pub async fn walk(
        &self,
        by: &Walking,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Walked, StoreError> {
        let mut gathered = Gathered {
            most: by.most,
            told_until: self.0.clock.now() - YOUNG,
            walked: Walked::default(),
            suspects: BTreeMap::new(),
        };
        self.walk_records(by, &mut gathered, seen).await?;
        for partition in 0..PARTITIONS {
            self.walk_due(partition, &mut gathered, seen).await?;
            self.walk_index((by, partition), &mut gathered, seen)
                .await?;
        }
        let Gathered {
            mut walked,
            suspects,
            ..
        } = gathered;
        walked.suspects = suspects.into_values().collect();
        Ok(walked)
    }

    /// Of what looked wrong, what still does, with the record as it was. What changed was at work.
    pub async fn look_again(
        &self,
        by: &Walking,
        suspects: Vec<Suspect>,
    ) -> Result<Vec<Suspect>, StoreError> {
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
            for (suspect, standing) in some.iter().zip(self.examine(by, &asks).await?) {
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
        by: &Walking,
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
                let standings = self.examine(by, some).await?;
                let undated = standings.iter().filter(|standing| by.is_undated(standing));
                gathered.walked.undated += undated.count() as u64;
                gathered.take(&standings);
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
        (by, partition): (&Walking, u64),
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
            gathered.take(&self.examine(by, &asks).await?);
            gathered.walked.entries += members.len() as u64;
            gathered.walked.unknown += (members.len() - asks.len()) as u64;
            seen(gathered.walked.records + gathered.walked.entries);
            from = format!("({last}");
        }
    }

    /// The cursor and the items that one step of a scan answers.
    pub(super) async fn scanned(
        &self,
        scan: &Pipeline,
    ) -> Result<(String, Vec<Value>), StoreError> {
        let reply = self.0.link.read(scan).await?.into_iter().next();
        match reply.as_ref().map(items) {
            Some([cursor, Value::Array(found)]) => {
                let next = text(cursor).ok_or_else(|| unexpected("SCAN"))?;
                Ok((next.to_owned(), found.clone()))
            }
            _ => Err(unexpected("SCAN")),
        }
    }
}
