//! Events on their way to endpoints. The streams are written with the changes themselves; from there
//! each event is copied to what is pending for an endpoint, and leaves it when it was accepted.
//!
//! Of a payment the event with the lowest version is first, and the next one is taken only when that
//! one has gone. A crash at any place leaves an event where it was, or sends it once more.

use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::keys::{Keys, PARTITIONS};
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::payment::{PaymentId, Timestamp, millis};
use crate::store::write::due_ms;
use crate::store::{EndpointName, EventHead, Nonce, Outgoing, Owned, Spread, StoreError};

/// How many events of each partition one step copies at most.
const MOST_AT_ONCE: usize = 100;
/// Before the first entry of a stream.
const BEGINNING: &str = "0-0";

/// An entry of a stream.
pub(super) struct Streamed {
    pub(super) id: String,
    pub(super) head: EventHead,
    pub(super) json: String,
}

/// Reads entries of a stream. What cannot be read is passed over, with a word in the log: one bad
/// entry must not hold up the others. It stays in the stream.
pub(super) fn streamed(reply: &Value) -> Vec<Streamed> {
    let read = |entry: &Value| {
        let [id, fields] = items(entry) else {
            return None;
        };
        let (id, json) = (text(id)?, text(items(fields).get(1)?)?);
        let Ok(head) = serde_json::from_str(json) else {
            tracing::error!(entry = id, "an event cannot be read and is sent to nobody");
            return None;
        };
        Some(Streamed {
            id: id.to_owned(),
            head,
            json: json.to_owned(),
        })
    };
    items(reply).iter().filter_map(read).collect()
}

/// The id of an entry.
pub(super) fn id_of(entry: &Value) -> Option<&str> {
    text(items(entry).first()?)
}

/// What names an event among the ages.
fn name_of(head: &EventHead) -> String {
    format!("{}:{:012}", head.payment, head.version)
}

impl RedisStore {
    /// Copies what is new in the streams to what is pending for an endpoint, as far as it is
    /// `wanted`. An endpoint that was never seen begins at the end of the streams.
    pub async fn spread(
        &self,
        endpoint: &EndpointName,
        wanted: impl Fn(&EventHead) -> bool + Send,
    ) -> Result<Spread, StoreError> {
        let cursors = self.cursors_of(endpoint).await?;
        let mut pipeline = Pipeline::new();
        for (partition, cursor) in (0..).zip(&cursors) {
            let events = self.0.keys.events(partition);
            pipeline.cmd("XRANGE").arg(events).arg(format!("({cursor}"));
            pipeline.arg("+").arg("COUNT").arg(MOST_AT_ONCE);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut spread = Spread::default();
        let mut calls = Vec::new();
        for ((partition, cursor), reply) in (0..).zip(&cursors).zip(&replies) {
            let Some(last) = items(reply).last().and_then(id_of) else {
                continue;
            };
            let mut events = streamed(reply);
            events.retain(|event| wanted(&event.head));
            spread.read += items(reply).len();
            spread.wanted += events.len();
            calls.push(self.spreading(partition, endpoint, (cursor, last), &events));
        }
        for reply in self.0.link.call_all(&calls).await? {
            match word(&reply?) {
                // Whoever was quicker has copied the same.
                "spread" | "outdated" => {}
                _ => return Err(value::unexpected("a spread")),
            }
        }
        Ok(spread)
    }

    pub(super) fn spreading(
        &self,
        partition: u64,
        endpoint: &EndpointName,
        (found, next): (&str, &str),
        events: &[Streamed],
    ) -> Call {
        let keys = &self.0.keys;
        let out = |what| keys.out(partition, endpoint, what);
        let all = vec![
            keys.cursors(partition),
            out("due"),
            out("events"),
            out("ages"),
        ];
        let mut call = Call::new(&call::SPREAD, all)
            .arg(endpoint.as_str())
            .arg(found)
            .arg(next)
            .number(self.0.clock.now().timestamp_millis());
        for event in events {
            let name = name_of(&event.head);
            call = call
                .arg(event.head.payment.as_str())
                .arg(format!("{name}:{}", event.json))
                .arg(name)
                .number(event.head.at.timestamp_millis());
        }
        call
    }

    /// Up to where each stream was copied for an endpoint.
    pub(super) async fn cursors_of(
        &self,
        endpoint: &EndpointName,
    ) -> Result<Vec<String>, StoreError> {
        let found = self.found_cursors(endpoint).await?;
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let events = self.0.keys.events(partition);
            pipeline.cmd("XREVRANGE").arg(events).arg("+").arg("-");
            pipeline.arg("COUNT").arg(1);
        }
        let ends = self.0.link.read(&pipeline).await?;
        let mut pipeline = Pipeline::new();
        for (partition, end) in (0..).zip(&ends) {
            let last = items(end).first().and_then(id_of).unwrap_or(BEGINNING);
            let cursors = self.0.keys.cursors(partition);
            pipeline.cmd("HSETNX").arg(cursors).arg(endpoint.as_str());
            pipeline.arg(last);
        }
        self.0.link.read(&pipeline).await?;
        let found = self.found_cursors(endpoint).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn found_cursors(
        &self,
        endpoint: &EndpointName,
    ) -> Result<Vec<Option<String>>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let cursors = self.0.keys.cursors(partition);
            pipeline.cmd("HGET").arg(cursors).arg(endpoint.as_str());
        }
        let replies = self.0.link.read(&pipeline).await?;
        let cursor = |reply: &Value| text(reply).map(ToOwned::to_owned);
        Ok(replies.iter().map(cursor).collect())
    }

    /// Takes the first pending event of up to `slots` payments that are due for an endpoint, until a
    /// lease ends.
    pub async fn take_events(
        &self,
        endpoint: &EndpointName,
        slots: usize,
        lease_ms: u64,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let now = self.0.clock.now();
        let due = self.due_for(endpoint, slots, now).await?;
        let lease_end = due_ms(now + millis(lease_ms));
        let nonces: Vec<Nonce> = due.iter().map(|_| Nonce::fresh()).collect();
        let calls = due
            .iter()
            .zip(&nonces)
            .map(|((partition, payment), nonce)| {
                let out = |what| self.0.keys.out(*partition, endpoint, what);
                Call::new(
                    &call::TAKE_EVENT,
                    vec![out("due"), out("notes"), out("events")],
                )
                .arg(payment.as_str())
                .number(now.timestamp_millis())
                .number(lease_end)
                .arg(nonce.as_str())
            });
        let calls: Vec<Call> = calls.collect();
        let mut taken = Vec::new();
        for (reply, nonce) in self.0.link.call_all(&calls).await?.into_iter().zip(nonces) {
            let reply = reply?;
            let [entry, tries] = items(&reply) else {
                // It went to another worker, or nothing is pending any more.
                continue;
            };
            let entry = text(entry).unwrap_or_default();
            let json = entry.splitn(3, ':').nth(2).unwrap_or_default();
            taken.push(Outgoing {
                endpoint: endpoint.clone(),
                head: serde_json::from_str(json).map_err(|_| value::unexpected("a take"))?,
                json: json.to_owned(),
                tries: number(tries).unwrap_or(0),
                taken_at: now,
                entry: entry.to_owned(),
                nonce,
            });
        }
        Ok(taken)
    }

    /// Which payments are due for an endpoint, those that are due longest first.
    async fn due_for(
        &self,
        endpoint: &EndpointName,
        slots: usize,
        now: Timestamp,
    ) -> Result<Vec<(u64, PaymentId)>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let due = self.0.keys.out(partition, endpoint, "due");
            pipeline.cmd("ZRANGE").arg(due).arg("-inf");
            pipeline.arg(now.timestamp_millis()).arg("BYSCORE");
            pipeline.arg("LIMIT").arg(0).arg(slots).arg("WITHSCORES");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mut due: Vec<(i64, u64, PaymentId)> = Vec::new();
        for (partition, reply) in (0..).zip(&replies) {
            for [payment, score] in items(reply).as_chunks::<2>().0 {
                let payment = text(payment).and_then(|id| PaymentId::new(id).ok());
                let found = millis_of(score).zip(payment);
                due.extend(found.map(|(ms, payment)| (ms, partition, payment)));
            }
        }
        due.sort_unstable();
        due.truncate(slots);
        let places = due
            .into_iter()
            .map(|(_, partition, payment)| (partition, payment));
        Ok(places.collect())
    }

    /// The endpoint has accepted an event: it is pending no more.
    pub async fn delivered(&self, taken: &Outgoing) -> Result<(), StoreError> {
        let payment = &taken.head.payment;
        let out = |what| {
            let partition = Keys::partition(payment);
            self.0.keys.out(partition, &taken.endpoint, what)
        };
        let make = || {
            let all = vec![out("due"), out("notes"), out("events"), out("ages")];
            Call::new(&call::DELIVERED, all)
                .arg(payment.as_str())
                .arg(taken.nonce.as_str())
                .arg(taken.entry.as_str())
                .arg(name_of(&taken.head))
                .number(self.0.clock.now().timestamp_millis())
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            // Lost: it is sent again, or this is the repeat of a call whose reply was lost.
            "delivered" | "lost" => Ok(()),
            _ => Err(value::unexpected("a delivery")),
        }
    }

    /// The endpoint has not accepted an event: it is due again at `due`, after so many tries.
    pub async fn postpone(
        &self,
        taken: &Outgoing,
        due: Timestamp,
        tries: u32,
    ) -> Result<Owned, StoreError> {
        let payment = &taken.head.payment;
        let out = |what| {
            let partition = Keys::partition(payment);
            self.0.keys.out(partition, &taken.endpoint, what)
        };
        let make = || {
            Call::new(&call::POSTPONE, vec![out("due"), out("notes")])
                .arg(payment.as_str())
                .arg(taken.nonce.as_str())
                .number(due_ms(due))
                .number(tries)
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "postponed" => Ok(Owned::Still),
            "lost" => Ok(Owned::NoMore),
            _ => Err(value::unexpected("a delivery")),
        }
    }
}
