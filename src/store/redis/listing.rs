//! Looking through what is stored: lists, counts, events, and what expired.

use redis::{Pipeline, Value};

use super::RedisStore;
use super::keys::{PARTITIONS, state_range};
use super::record::{self, millis_of};
use super::value::{items, number, text};
use crate::clock::from_millis;
use crate::payment::StateName;
use crate::store::write::due_ms;
use crate::store::{Cursor, Page, StateEvent, Stats, StoreError};

/// The longest page of a listing.
const LONGEST_PAGE: usize = 1_000;
/// How many entries one step of the sweep looks at.
const SWEEP_STEP: usize = 500;

impl RedisStore {
    pub(super) async fn page(
        &self,
        state: StateName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let (from, to) = state_range(state, cursor.map(Cursor::as_str));
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            pipeline
                .cmd("ZRANGE")
                .arg(self.0.keys.states(partition))
                .arg(&from)
                .arg(&to);
            pipeline.arg("BYLEX").arg("LIMIT").arg(0).arg(limit + 1);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut found: Vec<(u64, &str)> = (0..)
            .zip(&replies)
            .flat_map(|(partition, reply)| items(reply).iter().map(move |m| (partition, m)))
            .filter_map(|(partition, member)| Some((partition, text(member)?.split_once(':')?.1)))
            .collect();
        found.sort_by_key(|(_, place)| *place);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| more)
            .map(|(_, place)| Cursor((*place).to_owned()));
        let payments = self.load_places(&found).await?;
        Ok(Page { payments, next })
    }

    /// Loads what an index names. What has expired since is left out, and so is, with a word in
    /// the log, what cannot be read: one bad record must not hide the others.
    async fn load_places(
        &self,
        places: &[(u64, &str)],
    ) -> Result<Vec<crate::store::Loaded>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids = || {
            places.iter().map(|(partition, place)| {
                (
                    *partition,
                    place.split_once(':').map_or(*place, |(_, id)| id),
                )
            })
        };
        let mut pipeline = Pipeline::new();
        for (partition, id) in ids() {
            record::ask(&mut pipeline, &self.0.keys, partition, id);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let now = self.0.clock.now();
        let mut loaded = Vec::with_capacity(places.len());
        for ((_, id), [fields, score]) in ids().zip(replies.as_chunks::<2>().0) {
            match record::read(fields, score, now) {
                Ok(found) => loaded.extend(found),
                Err(problem) => {
                    tracing::error!(payment.id = id, %problem, "a record cannot be read");
                }
            }
        }
        Ok(loaded)
    }

    pub(super) async fn count(&self) -> Result<Stats, StoreError> {
        let now = due_ms(self.0.clock.now());
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let due = self.0.keys.due(partition);
            for state in StateName::ALL {
                let (from, to) = state_range(state, None);
                let states = self.0.keys.states(partition);
                pipeline.cmd("ZLEXCOUNT").arg(states).arg(from).arg(to);
            }
            pipeline.cmd("ZCOUNT").arg(&due).arg("-inf").arg(now);
            pipeline.cmd("ZCARD").arg(&due);
            pipeline
                .cmd("ZRANGE")
                .arg(&due)
                .arg(0)
                .arg(0)
                .arg("WITHSCORES");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut counts = [0_u64; StateName::ALL.len()];
        let mut stats = Stats::default();
        let mut next_due = None::<i64>;
        for partition in replies.chunks_exact(counts.len() + 3) {
            let (by_state, rest) = partition.split_at(counts.len());
            for (count, reply) in counts.iter_mut().zip(by_state) {
                *count += number::<u64>(reply).unwrap_or(0);
            }
            stats.due_now += rest.first().and_then(number::<u64>).unwrap_or(0);
            stats.unfinished += rest.get(1).and_then(number::<u64>).unwrap_or(0);
            let first = rest
                .get(2)
                .and_then(|reply| items(reply).get(1))
                .and_then(millis_of);
            next_due = next_due.into_iter().chain(first).min();
        }
        let by_state = StateName::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0);
        stats.by_state = by_state.collect();
        stats.next_due = next_due.and_then(from_millis);
        Ok(stats)
    }

    /// The newest events of each partition, up to `limit` of each; the oldest first within one.
    pub async fn events(&self, limit: usize) -> Result<Vec<StateEvent>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let events = self.0.keys.events(partition);
            pipeline
                .cmd("XREVRANGE")
                .arg(events)
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(limit);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let event = |entry: &Value| {
            let fields = items(entry).get(1)?;
            serde_json::from_str(text(items(fields).get(1)?)?).ok()
        };
        Ok(replies
            .iter()
            .flat_map(|reply| items(reply).iter().rev().filter_map(event))
            .collect())
    }

    /// Takes those finished payments out of the state index whose time to live is over, and
    /// answers how many there were. To be called now and then, such as hourly.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let mut swept = 0;
        for state in StateName::ALL
            .into_iter()
            .filter(|state| state.is_finished())
        {
            for partition in 0..PARTITIONS {
                swept += self.sweep_partition(state, partition).await?;
            }
        }
        Ok(swept)
    }

    /// The oldest expire first: a step without an expired one is the last.
    async fn sweep_partition(&self, state: StateName, partition: u64) -> Result<u64, StoreError> {
        let index = self.0.keys.states(partition);
        let (mut from, to) = state_range(state, None);
        let mut swept = 0;
        loop {
            let mut pipeline = Pipeline::new();
            pipeline
                .cmd("ZRANGE")
                .arg(&index)
                .arg(&from)
                .arg(&to)
                .arg("BYLEX");
            pipeline.arg("LIMIT").arg(0).arg(SWEEP_STEP);
            let reply = self.0.link.read(&pipeline).await?.into_iter().next();
            let members: Vec<&str> = reply.iter().flat_map(items).filter_map(text).collect();
            let Some(last) = members.last() else {
                return Ok(swept);
            };
            let mut pipeline = Pipeline::new();
            for member in &members {
                let id = member.rsplit(':').next().unwrap_or_default();
                pipeline
                    .cmd("EXISTS")
                    .arg(self.0.keys.payment_named(partition, id));
            }
            let found = self.0.link.read(&pipeline).await?;
            let gone = members
                .iter()
                .zip(&found)
                .filter(|(_, found)| **found == Value::Int(0));
            let gone: Vec<&str> = gone.map(|(member, _)| *member).collect();
            if gone.is_empty() {
                return Ok(swept);
            }
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZREM").arg(&index).arg(&gone);
            self.0.link.read(&pipeline).await?;
            swept += gone.len() as u64;
            from = format!("({last}");
        }
    }
}
