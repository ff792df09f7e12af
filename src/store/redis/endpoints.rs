//! How endpoints stand, and what people do about them.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::cursor::place_of;
use super::kept::written_at;
use super::keys::{Keys, PARTITIONS};
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::clock::from_millis;
use crate::payment::{PaymentId, Timestamp};
use crate::store::{
    Decided, Deed, EndpointName, Mark, Outgoing, Sends, StoreError, Waiting, json_of,
};

/// How many entries one step reads.
const STEP: usize = 500;
/// How often a mark is written anew when others were quicker.
const MOST_TRIES: usize = 20;
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
        for _ in 0..MOST_TRIES {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("HGET").arg(self.0.keys.endpoints());
            pipeline.arg(endpoint.as_str());
            let replies = self.0.link.read(&pipeline).await?;
            let found = replies.first().and_then(text).unwrap_or_default();
            if self.decide(endpoint, found, mark).await? == Decided::Now {
                return Ok(due);
            }
        }
        Err(StoreError::Busy(endpoint.to_string()))
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
        let json = json_of(mark, "a mark")?;
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
            pipeline.cmd("ZCARD").arg(&due);
            let replies = self.0.link.read(&pipeline).await?;
            sum += replies.first().and_then(number::<u64>).unwrap_or(0);
            // What is there throughout is seen, and what is seen twice is changed once.
            let mut cursor = "0".to_owned();
            loop {
                let mut pipeline = Pipeline::new();
                pipeline.cmd("ZSCAN").arg(&due).arg(&cursor);
                pipeline.arg("COUNT").arg(STEP);
                let (next, found) = self.scanned(&pipeline).await?;
                let pairs = found.as_chunks::<2>().0.iter();
                let pending: Vec<&str> = pairs.filter_map(|[it, _]| text(it)).collect();
                for some in pending.chunks(STEP) {
                    self.hurry((&due, &notes), some, now).await?;
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(sum)
    }

    /// Has what is pending of some payments tried now, with all tries before it again, but for what is
    /// being sent.
    async fn hurry(
        &self,
        (due, notes): (&str, &str),
        payments: &[&str],
        now: i64,
    ) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HMGET").arg(notes);
        for payment in payments {
            pipeline.arg(format!("nonce:{payment}"));
        }
        let replies = self.0.link.read(&pipeline).await?;
        let nonces = replies.iter().flat_map(items);
        let free = payments.iter().zip(nonces);
        let free: Vec<&str> = free
            .filter(|(_, nonce)| matches!(nonce, Value::Nil))
            .map(|(payment, _)| *payment)
            .collect();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HDEL").arg(notes);
        for payment in payments {
            pipeline.arg(format!("tries:{payment}"));
            pipeline.arg(format!("first:{payment}"));
        }
        if !free.is_empty() {
            pipeline.cmd("ZADD").arg(due).arg("XX").arg("LT");
        }
        for payment in &free {
            pipeline.arg(now).arg(*payment);
        }
        self.0.link.repeat(&pipeline).await.map(drop)
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

    /// Has the event of a payment that is first at an endpoint tried now, as if it never was.
    pub async fn try_anew(&self, taken: &Outgoing) -> Result<(), StoreError> {
        let payment = &taken.head.payment;
        let partition = Keys::partition(payment);
        let (due, notes) = (
            self.0.keys.out(partition, &taken.endpoint, "due"),
            self.0.keys.out(partition, &taken.endpoint, "notes"),
        );
        let now = self.0.clock.now().timestamp_millis();
        self.hurry((&due, &notes), &[payment.as_str()], now).await
    }

    /// Writes down what was done about an endpoint.
    pub async fn note(&self, deed: &Deed) -> Result<(), StoreError> {
        let json = json_of(deed, "a deed")?;
        let make = || {
            Call::new(&call::DEED, vec![self.0.keys.deeds()])
                .arg(json.as_str())
                .number(DEEDS)
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "noted" => Ok(()),
            _ => Err(value::unexpected("a deed")),
        }
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
        let cursors = self.found_cursors(endpoint.as_str()).await?;
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

    /// What is pending of one payment for each of these endpoints: how many events, and how often the
    /// first of them was tried in vain.
    pub async fn pending_of(
        &self,
        payment: &PaymentId,
        endpoints: &BTreeSet<EndpointName>,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let partition = Keys::partition(payment);
        let (from, to) = (format!("[{payment}:"), format!("({payment};"));
        let mut pipeline = Pipeline::new();
        for endpoint in endpoints {
            let out = |what| self.0.keys.out(partition, endpoint, what);
            pipeline.cmd("ZLEXCOUNT").arg(out("events"));
            pipeline.arg(&from).arg(&to);
            pipeline.cmd("HGET").arg(out("notes"));
            pipeline.arg(format!("tries:{payment}"));
        }
        if endpoints.is_empty() {
            return Ok(Vec::new());
        }
        let replies = self.0.link.read(&pipeline).await?;
        let count = |reply: &Value| number::<u64>(reply).unwrap_or(0);
        let pairs = replies.as_chunks::<2>().0.iter();
        Ok(pairs
            .map(|[events, tries]| (count(events), count(tries)))
            .collect())
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
        self.0.link.repeat(&pipeline).await?;
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
}
