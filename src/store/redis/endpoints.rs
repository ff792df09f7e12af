//! How endpoints stand, what people do about them, and how long the streams are kept.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::finder::time_of;
use super::keys::{Keys, PARTITIONS};
use super::outgoing::{id_of, streamed};
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::clock::from_millis;
use crate::store::{Deed, EndpointName, EventHead, Kept, Mark, Range, Sends, StoreError, Waiting};

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

    /// Decides whether events are sent to an endpoint. Whoever enables one has all that is pending
    /// for it tried at once, with all tries before it again; answers how many payments that were.
    pub async fn set_mark(&self, endpoint: &EndpointName, mark: &Mark) -> Result<u64, StoreError> {
        let (what, due) = match mark.sends {
            // The mark comes last: who is interrupted does it again.
            Sends::Enabled => ("enabled", self.make_due(endpoint).await?),
            Sends::Disabled => ("disabled", 0),
        };
        let json = serde_json::to_string(mark).map_err(|error| no_json(&error))?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HSET").arg(self.0.keys.endpoints());
        pipeline.arg(endpoint.as_str()).arg(json);
        self.0.link.read(&pipeline).await?;
        let deed = Deed {
            at: mark.at,
            endpoint: endpoint.to_string(),
            what: what.to_owned(),
            by: mark.by.clone(),
            why: mark.why.clone(),
        };
        self.note(&deed).await?;
        Ok(due)
    }

    /// Has all that is pending for an endpoint tried now. A delivery that is under way may be made
    /// once more.
    async fn make_due(&self, endpoint: &EndpointName) -> Result<u64, StoreError> {
        let now = self.0.clock.now().timestamp_millis();
        let mut sum = 0;
        for partition in 0..PARTITIONS {
            let (due, notes) = (
                self.0.keys.out(partition, endpoint, "due"),
                self.0.keys.out(partition, endpoint, "notes"),
            );
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZCARD").arg(&due);
            pipeline.cmd("HGET").arg(&notes).arg("accepted");
            let replies = self.0.link.read(&pipeline).await?;
            sum += replies.first().and_then(number::<u64>).unwrap_or(0);
            let mut pipeline = Pipeline::new();
            pipeline.cmd("DEL").arg(&notes);
            if let Some(accepted) = replies.get(1).and_then(text) {
                pipeline.cmd("HSET").arg(&notes).arg("accepted");
                pipeline.arg(accepted);
            }
            self.0.link.read(&pipeline).await?;
            loop {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("ZRANGE").arg(&due).arg(format!("({now}"));
                pipeline.arg("+inf").arg("BYSCORE");
                pipeline.arg("LIMIT").arg(0).arg(STEP);
                let replies = self.0.link.read(&pipeline).await?;
                let later: Vec<&str> = replies.iter().flat_map(items).filter_map(text).collect();
                if later.is_empty() {
                    break;
                }
                let mut pipeline = Pipeline::new();
                pipeline.cmd("ZADD").arg(&due).arg("XX").arg("LT");
                for payment in later {
                    pipeline.arg(now).arg(payment);
                }
                self.0.link.read(&pipeline).await?;
            }
        }
        Ok(sum)
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
        for partition in 0..PARTITIONS {
            let out = |what| self.0.keys.out(partition, endpoint, what);
            pipeline.cmd("ZCARD").arg(out("events"));
            pipeline.cmd("ZCARD").arg(out("due"));
            pipeline.cmd("ZRANGE").arg(out("ages")).arg(0).arg(0);
            pipeline.arg("WITHSCORES");
            pipeline.cmd("HGET").arg(out("notes")).arg("accepted");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut waiting = Waiting::default();
        let (mut oldest, mut accepted) = (None::<i64>, None::<i64>);
        for [events, payments, first, accepted_at] in replies.as_chunks::<4>().0 {
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

    /// Drops all that is known of an endpoint, and what is pending for it: it keeps the streams from
    /// being trimmed no more. Answers how many events were pending.
    pub async fn forget(&self, endpoint: &EndpointName) -> Result<u64, StoreError> {
        let pending = self.waiting(endpoint).await?.events;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HDEL").arg(self.0.keys.endpoints());
        pipeline.arg(endpoint.as_str());
        for partition in 0..PARTITIONS {
            pipeline.cmd("HDEL").arg(self.0.keys.cursors(partition));
            pipeline.arg(endpoint.as_str());
            for what in ["due", "notes", "events", "ages"] {
                let key = self.0.keys.out(partition, endpoint, what);
                pipeline.cmd("UNLINK").arg(key);
            }
        }
        self.0.link.read(&pipeline).await?;
        Ok(pending)
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
                    if let Some(written_at) = written_at(&event.id) {
                        each(Kept {
                            written_at,
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
                    let call = self.spreading(partition, endpoint, (cursor, cursor), &page.events);
                    match word(&self.0.link.call(call).await?) {
                        "spread" => break,
                        "outdated" => {}
                        _ => return Err(value::unexpected("a spread")),
                    }
                }
                sum += page.events.len() as u64;
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
        let last = items(&reply).last().and_then(id_of).map(ToOwned::to_owned);
        let mut events = streamed(&reply);
        if let Some(payment) = &range.payment {
            events.retain(|event| event.head.payment == *payment);
        }
        Ok(last.map(|last| PageOfEvents { last, events }))
    }

    /// Trims the streams of what was written longer ago than `keep`, but never of what was not yet
    /// copied for every endpoint. Answers how much. To be called now and then, such as hourly.
    pub async fn trim_events(&self, keep: TimeDelta) -> Result<u64, StoreError> {
        let mut trimmed = 0;
        for partition in 0..PARTITIONS {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("TIME");
            pipeline.cmd("HVALS").arg(self.0.keys.cursors(partition));
            let replies = self.0.link.read(&pipeline).await?;
            let Some(now) = replies.first().and_then(time_of) else {
                return Err(value::unexpected("TIME"));
            };
            let oldest = u64::try_from((now - keep).timestamp_millis()).unwrap_or(0);
            let cursors = replies.get(1).map(items).unwrap_or_default().iter();
            let cursors = cursors.map(|cursor| text(cursor).and_then(parts_of).unwrap_or((0, 0)));
            let (ms, count) = cursors.fold((oldest, 0), Ord::min);
            // By whole nodes of the stream, which costs nothing, and in steps.
            loop {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("XTRIM").arg(self.0.keys.events(partition));
                pipeline.arg("MINID").arg("~").arg(format!("{ms}-{count}"));
                let replies = self.0.link.read(&pipeline).await?;
                match replies.first().and_then(number::<u64>).unwrap_or(0) {
                    0 => break,
                    some => trimmed += some,
                }
            }
        }
        Ok(trimmed)
    }
}

struct PageOfEvents {
    last: String,
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

/// The time and the count in the id of an entry.
fn parts_of(id: &str) -> Option<(u64, u64)> {
    let (ms, count) = id.split_once('-')?;
    Some((ms.parse().ok()?, count.parse().ok()?))
}

fn written_at(id: &str) -> Option<crate::payment::Timestamp> {
    from_millis(i64::try_from(parts_of(id)?.0).ok()?)
}

fn no_json(error: &serde_json::Error) -> StoreError {
    StoreError::Refused(format!("a note that is no JSON: {error}"))
}
