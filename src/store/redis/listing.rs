//! Looking through what is stored: lists, counts, events, and what expired.

use std::cmp::Ordering;

use redis::{Pipeline, Value};

use super::RedisStore;
use super::keys::{self, Keys, PARTITIONS};
use super::record::{self, millis_of};
use super::value::{items, number, text};
use crate::clock::from_millis;
use crate::payment::{PaymentId, StateName, Timestamp};
use crate::store::write::due_ms;
use crate::store::{By, Cursor, Loaded, Page, StateEvent, Stats, StoreError, Unread};

/// The longest page of a listing.
const LONGEST_PAGE: usize = 1_000;
/// How many entries one step of the sweep looks at.
const SWEEP_STEP: usize = 500;

/// Which come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Oldest,
    Newest,
}

impl RedisStore {
    pub(super) async fn page(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let begins = match by {
            By::State(state) => keys::of_state(*state),
            By::Reference(account, reference) => keys::of_reference(account, reference),
            By::Due(before) => return self.page_of_due(*before, cursor, limit).await,
        };
        let range = keys::range(&begins, cursor.map(Cursor::as_str));
        self.page_of_places(&begins, (range, Order::Oldest), limit)
            .await
    }

    /// Those in a state, the newest first, behind a cursor of this very walk.
    pub async fn newest(
        &self,
        state: StateName,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let begins = keys::of_state(state);
        let range = keys::range_back(&begins, cursor.map(Cursor::as_str));
        self.page_of_places(&begins, (range, Order::Newest), limit)
            .await
    }

    async fn page_of_places(
        &self,
        begins: &str,
        ((from, to), order): ((String, String), Order),
        limit: usize,
    ) -> Result<Page, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let states = self.0.keys.states(partition);
            pipeline.cmd("ZRANGE").arg(states).arg(&from).arg(&to);
            pipeline.arg("BYLEX");
            if order == Order::Newest {
                pipeline.arg("REV");
            }
            pipeline.arg("LIMIT").arg(0).arg(limit + 1);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut found: Vec<(u64, &str)> = (0..)
            .zip(&replies)
            .flat_map(|(partition, reply)| items(reply).iter().map(move |m| (partition, m)))
            .filter_map(|(partition, member)| {
                Some((partition, text(member)?.strip_prefix(begins)?))
            })
            .collect();
        found.sort_by_key(|(_, place)| *place);
        if order == Order::Newest {
            found.reverse();
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| more)
            .map(|(_, place)| Cursor::at(place));
        self.page_of(&found, next).await
    }

    /// What is due before a time; within a millisecond one partition after the other.
    async fn page_of_due(
        &self,
        before: Timestamp,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let begins = self.begins_after(cursor).await?;
        let mut pipeline = Pipeline::new();
        for (partition, (from, passed)) in (0..).zip(&begins) {
            let due = self.0.keys.due(partition);
            pipeline.cmd("ZRANGE").arg(due).arg(from);
            pipeline.arg(format!("({}", due_ms(before)));
            pipeline
                .arg("BYSCORE")
                .arg("LIMIT")
                .arg(*passed)
                .arg(limit + 1);
            pipeline.arg("WITHSCORES");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut found: Vec<(i64, u64, &str)> = Vec::new();
        for (partition, reply) in (0..).zip(&replies) {
            for [id, score] in items(reply).as_chunks::<2>().0 {
                let (id, ms) = (text(id), millis_of(score));
                found.extend(id.zip(ms).map(|(id, ms)| (ms, partition, id)));
            }
        }
        found.sort_unstable();
        let more = found.len() > limit;
        found.truncate(limit);
        let places: Vec<(u64, String)> = found
            .iter()
            .map(|(ms, partition, id)| (*partition, format!("{ms:013}:{id}")))
            .collect();
        let next = places.last().filter(|_| more);
        let next = next.map(|(_, place)| Cursor::at(place));
        let places: Vec<(u64, &str)> = places.iter().map(|(p, place)| (*p, &**place)).collect();
        self.page_of(&places, next).await
    }

    async fn page_of(
        &self,
        places: &[(u64, &str)],
        next: Option<Cursor>,
    ) -> Result<Page, StoreError> {
        let (payments, unread) = self.load_places(places).await?;
        Ok(Page {
            payments,
            unread,
            next,
        })
    }

    /// From which time on each partition's due index is read after a cursor, and how many of those
    /// that are due at that very time are passed over. By time and not by rank: what was due is
    /// claimed all the while, and ranks would move.
    async fn begins_after(
        &self,
        cursor: Option<&Cursor>,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let Some((ms, id)) = cursor.and_then(|cursor| cursor.as_str().split_once(':')) else {
            return Ok((0..PARTITIONS).map(|_| ("-inf".to_owned(), 0)).collect());
        };
        let own = PaymentId::new(id).map(|id| Keys::partition(&id));
        let own = own.unwrap_or_default();
        let due = self.0.keys.due(own);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANK").arg(&due).arg(id);
        pipeline.cmd("ZSCORE").arg(&due).arg(id);
        pipeline
            .cmd("ZCOUNT")
            .arg(&due)
            .arg("-inf")
            .arg(format!("({ms}"));
        let replies = self.0.link.read(&pipeline).await?;
        let passed = match &*replies {
            [rank, score, earlier] if millis_of(score) == ms.parse().ok() => number::<u64>(rank)
                .zip(number::<u64>(earlier))
                .map_or(0, |(rank, earlier)| (rank + 1).saturating_sub(earlier)),
            // It was moved meanwhile: what is due at the same time is listed once more.
            _ => 0,
        };
        let begin = |partition: u64| match partition.cmp(&own) {
            // Of what is due at that very time, the partitions before were listed whole.
            Ordering::Less => (format!("({ms}"), 0),
            Ordering::Equal => (ms.to_owned(), passed),
            Ordering::Greater => (ms.to_owned(), 0),
        };
        Ok((0..PARTITIONS).map(begin).collect())
    }

    /// Loads what an index names. What has expired since is left out. What cannot be read stands apart,
    /// and in the log: one bad record must not hide the others, nor be hidden.
    pub(super) async fn load_places(
        &self,
        places: &[(u64, &str)],
    ) -> Result<(Vec<Loaded>, Vec<Unread>), StoreError> {
        if places.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let ids = || {
            places
                .iter()
                .filter_map(|(partition, place)| Some((*partition, place.split(':').nth(1)?)))
        };
        let mut pipeline = Pipeline::new();
        for (partition, id) in ids() {
            record::ask(&mut pipeline, &self.0.keys, partition, id);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let now = self.0.clock.now();
        let (mut loaded, mut unread) = (Vec::with_capacity(places.len()), Vec::new());
        for ((_, id), [fields, score]) in ids().zip(replies.as_chunks::<2>().0) {
            match record::read(fields, score, now) {
                Ok(found) => loaded.extend(found),
                Err(problem) => {
                    tracing::error!(
                        event = "record_unreadable", payment.id = id, %problem,
                        "a record cannot be read"
                    );
                    let problem = problem.to_string();
                    unread.extend(
                        PaymentId::new(id)
                            .ok()
                            .map(|payment| Unread { payment, problem }),
                    );
                }
            }
        }
        Ok((loaded, unread))
    }

    pub(super) async fn count(&self) -> Result<Stats, StoreError> {
        let now = due_ms(self.0.clock.now());
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let due = self.0.keys.due(partition);
            for state in StateName::ALL {
                let (from, to) = keys::range(&keys::of_state(state), None);
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
    /// answers how many there were; and faces that a crash left behind. To be called now and then,
    /// such as hourly.
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
        for partition in 0..PARTITIONS {
            self.sweep_faces(partition).await?;
        }
        Ok(swept)
    }

    /// The oldest expire first: a step without an expired one is the last.
    async fn sweep_partition(&self, state: StateName, partition: u64) -> Result<u64, StoreError> {
        let index = self.0.keys.states(partition);
        let begins = keys::of_state(state);
        let (mut from, to) = keys::range(&begins, None);
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
                let id = member.split(':').nth(2).unwrap_or_default();
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
            let places = gone
                .iter()
                .filter_map(|member| member.strip_prefix(&*begins));
            let references: Vec<String> = places.filter_map(keys::reference_at).collect();
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZREM").arg(&index).arg(&gone).arg(&references);
            self.0.link.repeat(&pipeline).await?;
            swept += gone.len() as u64;
            from = format!("({last}");
        }
    }
}
