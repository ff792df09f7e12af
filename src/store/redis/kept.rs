//! The streams of events: what is shown and sent again from them, and how long they are kept.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::cards::READER;
use super::cursor::{Cursor, place_of};
use super::finder::time_of;
use super::keys::{Keys, PARTITIONS};
use super::outgoing::{Streamed, streamed};
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::clock::from_millis;
use crate::payment::Timestamp;
use crate::store::{EndpointName, EventHead, EventPlace, Kept, Range, StoreError, Trimmed};

/// How many entries one step reads.
const STEP: usize = 500;
/// How often a page is copied anew when the cursor moved meanwhile.
const MOST_TRIES: usize = 20;

impl RedisStore {
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
                sum += self.copy_again(partition, endpoint, &page.events).await?;
                from = format!("({}", page.last);
            }
        }
        Ok(sum)
    }

    /// Makes those of some events pending once more that the cursor of an endpoint has passed: the others
    /// come by themselves, when all before them have come. Answers how many they are.
    async fn copy_again(
        &self,
        partition: u64,
        endpoint: &EndpointName,
        events: &[Streamed],
    ) -> Result<u64, StoreError> {
        // The cursor stays, and may move meanwhile: then this is done again.
        for _ in 0..MOST_TRIES {
            let cursors = self.cursors_of(endpoint).await?;
            let index = usize::try_from(partition).unwrap_or_default();
            let Some(cursor) = cursors.get(index) else {
                return Err(value::unexpected("a cursor"));
            };
            let passed = events.partition_point(|event| event.place <= cursor.at);
            let passed = &events[..passed];
            // First, so that nobody takes them with the tries of before.
            self.count_tries_anew(endpoint, passed).await?;
            let call = self.spreading(partition, endpoint, (cursor, cursor), passed);
            match word(&self.0.link.call(call).await?) {
                "spread" => return Ok(passed.len() as u64),
                "outdated" => {}
                _ => return Err(value::unexpected("a spread")),
            }
        }
        Err(StoreError::Busy(endpoint.to_string()))
    }

    /// A person has mended what was wrong: what is sent again is not given up for earlier tries.
    async fn count_tries_anew(
        &self,
        endpoint: &EndpointName,
        events: &[Streamed],
    ) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        for event in events {
            let payment = &event.head.payment;
            let notes = self.0.keys.out(Keys::partition(payment), endpoint, "notes");
            pipeline.cmd("HDEL").arg(notes);
            pipeline
                .arg(format!("tries:{payment}"))
                .arg(format!("first:{payment}"));
        }
        if events.is_empty() {
            return Ok(());
        }
        self.0.link.repeat(&pipeline).await.map(drop)
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
    /// copied for every endpoint. To be called now and then, such as hourly. Whoever keeps what is
    /// known of cards has no say in it: what it missed it learns with the card's next payment.
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
                 `holdfast endpoints forget {name} --reason \"…\"`"
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
                let replies = self.0.link.repeat(&pipeline).await?;
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
        let pairs = pairs.as_chunks::<2>().0.iter();
        let pairs = pairs.filter(|[name, _]| text(name) != Some(READER));
        let cursor = |[name, cursor]: &[Value; 2]| {
            let at = text(cursor).and_then(Cursor::parse);
            let at = at.map(|cursor| cursor.at).unwrap_or_default();
            (text(name).unwrap_or_default().to_owned(), at)
        };
        Ok(pairs.map(cursor).collect())
    }
}

struct PageOfEvents {
    last: EventPlace,
    events: Vec<Streamed>,
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

pub(super) fn written_at(place: EventPlace) -> Option<Timestamp> {
    from_millis(i64::try_from(place.ms).ok()?)
}
