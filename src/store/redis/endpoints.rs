//! How endpoints stand, what people do about them, and how long the streams are kept.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::cursor::{Cursor, place_of};
use super::finder::time_of;
use super::keys::{Keys, PARTITIONS};
use super::outgoing::streamed;
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::clock::from_millis;
use crate::payment::Timestamp;
use crate::store::{
    Decided, Deed, EndpointName, EventHead, EventPlace, Kept, Mark, Outgoing, Range, Sends,
    StoreError, Trimmed, Waiting,
};

/// How many entries one step reads.
const STEP: usize = 500;
/// About how many deeds are kept.
const DEEDS: usize = 1_000;

impl RedisStore {
    /// What was last decided about each endpoint that anything was decided about.
    pub async fn marks(&self) -> Result<BTreeMap<EndpointName, Mark>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.0.keys.endpoints());
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies.first().map(items).unwrap_or_default();
        let mark = |[name, mark]: &[Value; 2]| {
            let name = EndpointName::new(text(name)?)?;
            Some((name, serde_json::from_str(text(mark)?).ok()?))
        };
        Ok(pairs.as_chunks::<2>().0.iter().filter_map(mark).collect())
    }

    /// Decides whether events are sent to an endpoint, whatever was decided before. Whoever enables
    /// one has all that is pending for it tried at once, with all tries before it again; answers how
    /// many payments that were.
    pub async fn set_mark(&self, endpoint: &EndpointName, mark: &Mark) -> Result<u64, StoreError> {
        // The mark comes last: who is interrupted does it again.
        let due = match mark.sends {
            Sends::Enabled => self.make_due(endpoint).await?,
            Sends::Disabled | Sends::Forgotten => 0,
        };
        loop {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("HGET").arg(self.0.keys.endpoints());
            pipeline.arg(endpoint.as_str());
            let replies = self.0.link.read(&pipeline).await?;
            let found = replies.first().and_then(text).unwrap_or_default();
            if self.decide(endpoint, found, mark).await? == Decided::Now {
                return Ok(due);
            }
        }
    }

    /// Decides whether events are sent to the endpoint of a delivery, unless somebody decided since
    /// it was taken.
    pub async fn decide_after(&self, taken: &Outgoing, mark: &Mark) -> Result<Decided, StoreError> {
        self.decide(&taken.endpoint, &taken.mark, mark).await
    }

    async fn decide(
        &self,
        endpoint: &EndpointName,
        found: &str,
        mark: &Mark,
    ) -> Result<Decided, StoreError> {
        let json = serde_json::to_string(mark).map_err(|error| no_json(&error))?;
        let make = || {
            Call::new(&call::MARK, vec![self.0.keys.endpoints()])
                .arg(endpoint.as_str())
                .arg(found)
                .arg(json.as_str())
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "marked" => {}
            "outdated" => return Ok(Decided::Before),
            _ => return Err(value::unexpected("a mark")),
        }
        let what = match mark.sends {
            Sends::Enabled => "enabled",
            Sends::Disabled => "disabled",
            Sends::Forgotten => "forgotten",
        };
        let deed = Deed {
            at: mark.at,
            endpoint: endpoint.to_string(),
            what: what.to_owned(),
            event: None,
            by: mark.by.clone(),
            why: mark.why.clone(),
        };
        self.note(&deed).await?;
        Ok(Decided::Now)
    }

    /// Has all that is pending for an endpoint tried now, with all tries before it again, but for what
    /// is being sent. Goes once through what was pending when it began.
    async fn make_due(&self, endpoint: &EndpointName) -> Result<u64, StoreError> {
        let now = self.0.clock.now().timestamp_millis();
        let mut sum = 0;
        for partition in 0..PARTITIONS {
            let (due, notes) = (
                self.0.keys.out(partition, endpoint, "due"),
                self.0.keys.out(partition, endpoint, "notes"),
            );
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZRANGE").arg(&due).arg(0).arg(-1);
            let replies = self.0.link.read(&pipeline).await?;
            let pending: Vec<&str> = replies.iter().flat_map(items).filter_map(text).collect();
            sum += pending.len() as u64;
            for some in pending.chunks(STEP) {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("HMGET").arg(&notes);
                for payment in some {
                    pipeline.arg(format!("nonce:{payment}"));
                }
                let replies = self.0.link.read(&pipeline).await?;
                let nonces = replies.iter().flat_map(items);
                let free = some.iter().zip(nonces);
                let free: Vec<&str> = free
                    .filter(|(_, nonce)| matches!(nonce, Value::Nil))
                    .map(|(payment, _)| *payment)
                    .collect();
                let mut pipeline = Pipeline::new();
                pipeline.cmd("HDEL").arg(&notes);
                for payment in some {
                    pipeline.arg(format!("tries:{payment}"));
                    pipeline.arg(format!("first:{payment}"));
                }
                if !free.is_empty() {
                    pipeline.cmd("ZADD").arg(&due).arg("XX").arg("LT");
                }
                for payment in &free {
                    pipeline.arg(now).arg(*payment);
                }
                self.0.link.read(&pipeline).await?;
            }
        }
        Ok(sum)
    }

    /// When an endpoint last accepted an event.
    pub async fn accepted_at(
        &self,
        endpoint: &EndpointName,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let notes = self.0.keys.out(partition, endpoint, "notes");
            pipeline.cmd("HGET").arg(notes).arg("accepted");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let latest = replies.iter().filter_map(number::<i64>).max();
        Ok(latest.and_then(from_millis))
    }

    /// Has the event of a payment that is first at an endpoint tried as if it never was.
    pub async fn forget_tries(&self, taken: &Outgoing) -> Result<(), StoreError> {
        let payment = &taken.head.payment;
        let notes = (self.0.keys).out(Keys::partition(payment), &taken.endpoint, "notes");
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HDEL").arg(notes);
        pipeline.arg(format!("tries:{payment}"));
        pipeline.arg(format!("first:{payment}"));
        self.0.link.read(&pipeline).await.map(drop)
    }

    /// Writes down what was done about an endpoint.
    pub async fn note(&self, deed: &Deed) -> Result<(), StoreError> {
        let json = serde_json::to_string(deed).map_err(|error| no_json(&error))?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XADD").arg(self.0.keys.deeds());
        pipeline.arg("MAXLEN").arg("~").arg(DEEDS).arg("*");
        pipeline.arg("deed").arg(json);
        self.0.link.read(&pipeline).await.map(drop)
    }

    /// What was done about endpoints, the newest first.
    pub async fn deeds(&self, limit: usize) -> Result<Vec<Deed>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XREVRANGE").arg(self.0.keys.deeds());
        pipeline.arg("+").arg("-").arg("COUNT").arg(limit);
        let replies = self.0.link.read(&pipeline).await?;
        let deed = |entry: &Value| {
            let fields = items(entry).get(1)?;
            serde_json::from_str(text(items(fields).get(1)?)?).ok()
        };
        let entries = replies.iter().flat_map(items);
        Ok(entries.filter_map(deed).collect())
    }

    /// How an endpoint stands.
    pub async fn waiting(&self, endpoint: &EndpointName) -> Result<Waiting, StoreError> {
        let mut pipeline = Pipeline::new();
        let cursors = self.found_cursors(endpoint).await?;
        for (partition, cursor) in (0..).zip(&cursors) {
            let out = |what| self.0.keys.out(partition, endpoint, what);
            let from = cursor
                .as_ref()
                .map_or("+".to_owned(), |c| format!("({}", c.at));
            pipeline.cmd("XRANGE").arg(self.0.keys.events(partition));
            pipeline.arg(from).arg("+").arg("COUNT").arg(1);
            pipeline.cmd("ZCARD").arg(out("events"));
            pipeline.cmd("ZCARD").arg(out("due"));
            pipeline.cmd("ZRANGE").arg(out("ages")).arg(0).arg(0);
            pipeline.arg("WITHSCORES");
            pipeline.cmd("HGET").arg(out("notes")).arg("accepted");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut waiting = Waiting::default();
        let (mut oldest, mut accepted) = (None::<i64>, None::<i64>);
        for (cursor, of_it) in cursors.iter().zip(replies.as_chunks::<5>().0) {
            let [unread, events, payments, first, accepted_at] = of_it;
            let unread = items(unread).first().filter(|_| cursor.is_some());
            let unread = unread.and_then(place_of).and_then(written_at);
            let known = waiting.unread_since.into_iter();
            waiting.unread_since = known.chain(unread).min();
            waiting.events += number::<u64>(events).unwrap_or(0);
            waiting.payments += number::<u64>(payments).unwrap_or(0);
            let first = items(first).get(1).and_then(millis_of);
            oldest = oldest.into_iter().chain(first).min();
            accepted = accepted.max(number::<i64>(accepted_at));
        }
        waiting.oldest = oldest.and_then(from_millis);
        waiting.accepted_at = accepted.and_then(from_millis);
        Ok(waiting)
    }

    /// Every endpoint that events were ever copied for, and was not forgotten.
    pub async fn known_endpoints(&self) -> Result<BTreeSet<EndpointName>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            pipeline.cmd("HKEYS").arg(self.0.keys.cursors(partition));
        }
        let replies = self.0.link.read(&pipeline).await?;
        let names = replies.iter().flat_map(items).filter_map(text);
        Ok(names.filter_map(EndpointName::new).collect())
    }

    /// Drops what is pending for an endpoint, and keeps events for it no more, so that it keeps no
    /// stream from being trimmed; workers that have it still leave it alone. Answers how many events
    /// were pending.
    pub async fn forget(&self, endpoint: &EndpointName, mark: &Mark) -> Result<u64, StoreError> {
        let pending = self.waiting(endpoint).await?.events;
        // Workers learn of it first. The cursors come behind what is pending, so that who is
        // interrupted finds it still; what a worker copied meanwhile goes then.
        self.set_mark(endpoint, mark).await?;
        let mut pipeline = Pipeline::new();
        self.unlink(endpoint, &mut pipeline);
        for partition in 0..PARTITIONS {
            pipeline.cmd("HDEL").arg(self.0.keys.cursors(partition));
            pipeline.arg(endpoint.as_str());
        }
        self.unlink(endpoint, &mut pipeline);
        self.0.link.read(&pipeline).await?;
        Ok(pending)
    }

    fn unlink(&self, endpoint: &EndpointName, pipeline: &mut Pipeline) {
        for partition in 0..PARTITIONS {
            for what in ["due", "notes", "events", "ages"] {
                let key = self.0.keys.out(partition, endpoint, what);
                pipeline.cmd("UNLINK").arg(key);
            }
        }
    }

    /// Shows the events of a range that are kept, a partition's in the order in which they were
    /// written, one page after the other: there may be millions.
    pub async fn visit_events(
        &self,
        range: &Range,
        mut each: impl FnMut(Kept),
    ) -> Result<(), StoreError> {
        for partition in partitions(range) {
            let mut from = begin(range);
            while let Some(page) = self.page_of_events(partition, &from, range).await? {
                from = format!("({}", page.last);
                for event in page.events {
                    if let Some(written_at) = written_at(event.place) {
                        each(Kept {
                            written_at,
                            place: event.place,
                            head: event.head,
                            json: event.json,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the events of a range pending once more, as far as they are `wanted`: they are sent
    /// again under the names they have. Answers how many they are.
    pub async fn replay(
        &self,
        endpoint: &EndpointName,
        range: &Range,
        wanted: impl Fn(&EventHead) -> bool + Send,
    ) -> Result<u64, StoreError> {
        let mut sum = 0;
        for partition in partitions(range) {
            let mut from = begin(range);
            while let Some(mut page) = self.page_of_events(partition, &from, range).await? {
                page.events.retain(|event| wanted(&event.head));
                // The cursor stays, and may move meanwhile: then this is done again.
                loop {
                    let cursors = self.cursors_of(endpoint).await?;
                    let index = usize::try_from(partition).unwrap_or_default();
                    let Some(cursor) = cursors.get(index) else {
                        return Err(value::unexpected("a cursor"));
                    };
                    // What it has not passed comes by itself, when all before it has come.
                    let passed = page
                        .events
                        .partition_point(|event| event.place <= cursor.at);
                    let events = &page.events[..passed];
                    let call = self.spreading(partition, endpoint, (cursor, cursor), events);
                    match word(&self.0.link.call(call).await?) {
                        "spread" => {
                            sum += passed as u64;
                            break;
                        }
                        "outdated" => {}
                        _ => return Err(value::unexpected("a spread")),
                    }
                }
                from = format!("({}", page.last);
            }
        }
        Ok(sum)
    }

    async fn page_of_events(
        &self,
        partition: u64,
        from: &str,
        range: &Range,
    ) -> Result<Option<PageOfEvents>, StoreError> {
        let to = range.to.map_or("+".to_owned(), |to| {
            // To the end of that millisecond.
            to.timestamp_millis().to_string()
        });
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XRANGE").arg(self.0.keys.events(partition));
        pipeline.arg(from).arg(to).arg("COUNT").arg(STEP);
        let reply = self.0.link.read(&pipeline).await?.into_iter().next();
        let Some(reply) = reply else {
            return Ok(None);
        };
        let last = items(&reply).last().and_then(place_of);
        let mut events = streamed(items(&reply));
        if let Some(payment) = &range.payment {
            events.retain(|event| event.head.payment == *payment);
        }
        Ok(last.map(|last| PageOfEvents { last, events }))
    }

    /// Trims the streams of what was written longer ago than `keep`, but never of what was not yet
    /// copied for every endpoint. To be called now and then, such as hourly.
    pub async fn trim_events(&self, keep: TimeDelta) -> Result<Trimmed, StoreError> {
        let mut trimmed = Trimmed {
            events: 0,
            pinned: self.pinned(keep).await?,
        };
        for name in &trimmed.pinned {
            tracing::error!(
                event = "events_pinned",
                endpoint = %name,
                "events are kept beyond their time, as this endpoint has not had them yet, and Redis \
                 grows: serve it, or take it out of the settings of all workers and then \
                 `holdfast endpoints forget {name}`"
            );
        }
        let oldest = self.oldest_kept(keep).await?;
        for partition in 0..PARTITIONS {
            let cursors = self.cursors_in(partition).await?;
            let oldest = EventPlace {
                ms: oldest,
                count: 0,
            };
            let first = cursors.iter().map(|(_, at)| *at).fold(oldest, Ord::min);
            // By whole nodes of the stream, which costs nothing, and in steps.
            loop {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("XTRIM").arg(self.0.keys.events(partition));
                pipeline.arg("MINID").arg("~").arg(first.to_string());
                let replies = self.0.link.read(&pipeline).await?;
                match replies.first().and_then(number::<u64>).unwrap_or(0) {
                    0 => break,
                    some => trimmed.events += some,
                }
            }
        }
        Ok(trimmed)
    }

    /// For which endpoints events are kept that were written longer ago than `keep`, as they were not
    /// copied yet.
    pub async fn pinned(&self, keep: TimeDelta) -> Result<BTreeSet<EndpointName>, StoreError> {
        let oldest = self.oldest_kept(keep).await?;
        let mut pinned = BTreeSet::new();
        for partition in 0..PARTITIONS {
            let mut late = self.cursors_in(partition).await?;
            late.retain(|(_, at)| at.ms < oldest);
            let mut pipeline = Pipeline::new();
            for (_, at) in &late {
                pipeline.cmd("XRANGE").arg(self.0.keys.events(partition));
                pipeline.arg(format!("({at}")).arg(format!("({oldest}-0"));
                pipeline.arg("COUNT").arg(1);
            }
            let replies = self.0.link.read(&pipeline).await?;
            for ((name, _), kept) in late.into_iter().zip(&replies) {
                let name = EndpointName::new(&name).filter(|_| !items(kept).is_empty());
                pinned.extend(name);
            }
        }
        Ok(pinned)
    }

    /// Before when an event need not be kept, by the time of Redis, which dates them.
    async fn oldest_kept(&self, keep: TimeDelta) -> Result<u64, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("TIME");
        let replies = self.0.link.read(&pipeline).await?;
        let now = replies.first().and_then(time_of);
        let now = now.ok_or_else(|| value::unexpected("TIME"))?;
        Ok(u64::try_from((now - keep).timestamp_millis()).unwrap_or(0))
    }

    /// Up to where a stream was copied, for each endpoint. What cannot be read counts as the
    /// beginning.
    async fn cursors_in(&self, partition: u64) -> Result<Vec<(String, EventPlace)>, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.0.keys.cursors(partition));
        let replies = self.0.link.read(&pipeline).await?;
        let pairs = replies.first().map(items).unwrap_or_default();
        let cursor = |[name, cursor]: &[Value; 2]| {
            let at = text(cursor).and_then(Cursor::parse);
            let at = at.map(|cursor| cursor.at).unwrap_or_default();
            (text(name).unwrap_or_default().to_owned(), at)
        };
        Ok(pairs.as_chunks::<2>().0.iter().map(cursor).collect())
    }
}

struct PageOfEvents {
    last: EventPlace,
    events: Vec<super::outgoing::Streamed>,
}

fn partitions(range: &Range) -> std::ops::Range<u64> {
    match &range.payment {
        Some(payment) => {
            let partition = Keys::partition(payment);
            partition..partition + 1
        }
        None => 0..PARTITIONS,
    }
}

fn begin(range: &Range) -> String {
    range
        .from
        .map_or("-".to_owned(), |from| from.timestamp_millis().to_string())
}

fn written_at(place: EventPlace) -> Option<Timestamp> {
    from_millis(i64::try_from(place.ms).ok()?)
}

fn no_json(error: &serde_json::Error) -> StoreError {
    StoreError::Refused(format!("a note that is no JSON: {error}"))
}
