//! How Redis fares, for people: what its own words say, and what that means for Holdfast.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::RedisStore;
use super::durability::Asked;
use super::finder::time_of;
use super::keys::{self, PARTITIONS};
use super::value::{number, text, unexpected};
use crate::clock::Clock;
use crate::payment::StateName;
use crate::store::StoreError;
use crate::store::audit::AuditStream;

/// What it has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// `maxmemory` in bytes, if there is one.
    pub limit: Option<u64>,
    /// What the machine has, in bytes, if that is known.
    pub machine: Option<u64>,
    /// How many payments are kept.
    pub payments: u64,
    /// How many of them were recorded in the last 24 hours.
    pub lately: u64,
}

/// What our user may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// All that a worker does.
    Enough,
    /// Not these commands.
    Lacking(Vec<&'static str>),
    /// Our user may not ask.
    Unasked,
}

/// How Redis fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Its version.
    pub version: String,
    /// The beginning of the id of this run of it.
    pub run: String,
    /// For how long it has been up.
    pub up: Option<TimeDelta>,
    /// What the durability profile asks.
    pub asked: Vec<Asked>,
    /// Whether its append-only file is being rewritten.
    pub rewriting: bool,
    /// What workers lack to be woken.
    pub deaf: Option<String>,
    /// Its room.
    pub memory: Memory,
    /// How many slow commands it has noted, if our user may ask.
    pub slow: Option<u64>,
    /// How far its clock is ahead of this machine's.
    pub ahead: TimeDelta,
    /// What our user may do.
    pub rights: Rights,
}

impl RedisStore {
    /// Asks Redis how it fares; `machine` is this machine's clock.
    pub async fn vitals(&self, machine: &Clock) -> Result<Vitals, StoreError> {
        self.inspect().await?;
        let seen = self.0.link.seen().ok_or_else(|| unexpected("INFO"))?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("TIME");
        let asked_at = machine.now();
        let replies = self.0.link.read(&pipeline).await?;
        let half_way = asked_at + (machine.now() - asked_at) / 2;
        let time = replies
            .first()
            .and_then(time_of)
            .ok_or_else(|| unexpected("TIME"))?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("memory");
        pipeline.cmd("INFO").arg("server");
        pipeline.cmd("SLOWLOG").arg("LEN");
        let replies = self.0.link.send(&pipeline).await?;
        let info = |name: &str| {
            let texts = replies.iter().take(2).filter_map(text);
            texts.flat_map(str::lines).find_map(|line| {
                let (key, value) = line.trim_end().split_once(':')?;
                (key == name).then(|| value.parse::<u64>().ok())?
            })
        };
        let up = info("uptime_in_seconds").and_then(|s| i64::try_from(s).ok());
        let stats = self.count().await?;
        Ok(Vitals {
            version: seen.version.clone(),
            run: seen.lineage.run().to_owned(),
            up: up.map(TimeDelta::seconds),
            asked: seen.asked(self.0.settings.profile),
            rewriting: seen.rewriting,
            deaf: seen.deafness(),
            memory: Memory {
                used: info("used_memory").unwrap_or_default(),
                limit: info("maxmemory").filter(|limit| *limit > 0),
                machine: info("total_system_memory").filter(|size| *size > 0),
                payments: stats.by_state.iter().map(|(_, count)| count).sum(),
                lately: self.recorded_since(TimeDelta::days(1)).await?,
            },
            slow: replies.get(2).and_then(number),
            ahead: time - half_way,
            rights: self.rights().await?,
        })
    }

    /// How many payments were recorded in this time up to now.
    async fn recorded_since(&self, time: TimeDelta) -> Result<u64, StoreError> {
        let from = (self.0.clock.now() - time).timestamp_millis();
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            for state in StateName::ALL {
                let begins = keys::of_state(state);
                let (_, end) = keys::range(&begins, None);
                pipeline.cmd("ZLEXCOUNT").arg(self.0.keys.states(partition));
                pipeline.arg(format!("[{begins}{from:013}")).arg(end);
            }
        }
        let counts = self.0.link.read(&pipeline).await?;
        Ok(counts.iter().filter_map(number::<u64>).sum())
    }

    /// Whether our user may do all that a worker does. Nothing is done: Redis only says whether it
    /// would be.
    async fn rights(&self) -> Result<Rights, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ACL").arg("WHOAMI");
        let replies = self.0.link.send(&pipeline).await?;
        let Some(user) = replies.first().and_then(text) else {
            return Ok(Rights::Unasked);
        };
        let deeds = self.samples();
        let mut pipeline = Pipeline::new();
        for (_, words) in &deeds {
            pipeline.cmd("ACL").arg("DRYRUN").arg(user).arg(words);
        }
        let replies = self.0.link.send(&pipeline).await?;
        if replies
            .iter()
            .any(|reply| matches!(reply, Value::ServerError(_)))
        {
            return Ok(Rights::Unasked);
        }
        let refused = deeds
            .iter()
            .zip(&replies)
            .filter(|(_, reply)| **reply != Value::Okay);
        let mut refused: Vec<&str> = refused.map(|((name, _), _)| *name).collect();
        let mut named = BTreeSet::new();
        refused.retain(|name| named.insert(*name));
        Ok(if refused.is_empty() {
            Rights::Enough
        } else {
            Rights::Lacking(refused)
        })
    }

    /// One of each kind of thing that a worker does. What it writes, in every partition: a rule may name
    /// them one by one.
    fn samples(&self) -> Vec<(&'static str, Vec<String>)> {
        let keys = &self.0.keys;
        let payment = keys.payment_named(0, "pay_none");
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let audit = |stream| own(&["XADD", &keys.audit(stream), "*", "n", "1"]);
        let desk = "HSET on what is stopped, on workers and on plans ({hf:desk}:*)";
        let mut samples = Vec::new();
        for partition in 0..PARTITIONS {
            let payment = keys.payment_named(partition, "pay_none");
            samples.extend([
                ("HSET", own(&["HSET", &payment, "version", "1"])),
                (
                    "XADD on the audit log",
                    audit(AuditStream::Partition(partition)),
                ),
            ]);
        }
        samples.extend([
            (desk, own(&["HSET", &keys.switches(), "version", "1"])),
            (desk, own(&["HSET", &keys.workers(), "none", ""])),
            (desk, own(&["ZADD", &keys.plans_due(), "0", "none"])),
            (
                "XADD on the audit log of the desk",
                audit(AuditStream::Desk),
            ),
            ("HMGET", own(&["HMGET", &payment, "version"])),
            ("PEXPIRE", own(&["PEXPIRE", &payment, "1"])),
            ("ZADD", own(&["ZADD", &keys.due(0), "0", "pay_none"])),
            ("ZRANGE", own(&["ZRANGE", &keys.states(0), "0", "0"])),
            ("XADD", own(&["XADD", &keys.events(0), "*", "event", ""])),
            ("XTRIM", own(&["XTRIM", &keys.events(0), "MINID", "0"])),
            ("LREM", own(&["LREM", &keys.intake(0), "1", ""])),
            ("SET", own(&["SET", &keys.intake_two(0)[1], ""])),
            (
                "HSET on endpoints",
                own(&["HSET", &keys.endpoints(), "name", ""]),
            ),
            ("EVALSHA", own(&["EVALSHA", "0", "1", &payment])),
            ("SCRIPT LOAD", own(&["SCRIPT", "LOAD", ""])),
            ("PUBLISH", own(&["PUBLISH", &keys.wake(), ""])),
            ("SUBSCRIBE", own(&["SUBSCRIBE", &keys.wake()])),
            ("CONFIG GET", own(&["CONFIG", "GET", "appendfsync"])),
            ("INFO", own(&["INFO"])),
            ("TIME", own(&["TIME"])),
            ("SCAN", own(&["SCAN", "0"])),
        ]);
        samples
    }
}
