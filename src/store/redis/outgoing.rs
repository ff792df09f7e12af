//! Events on their way to endpoints. The streams are written with the changes themselves; from there
//! each event is copied to what is pending for an endpoint, and leaves it when it was accepted.
//!
//! Of a payment the event that was written first is first, and the next one is taken only when that
//! one has gone. A crash at any place leaves an event where it was, or sends it once more.

use redis::{Pipeline, Value};

use super::call::{self, Call};
use super::cursor::{Cursor, Standing, place_of};
use super::keys::{Keys, PARTITIONS};
use super::record::millis_of;
use super::value::{items, number, text, word};
use super::{RedisStore, value};
use crate::clock::from_millis;
use crate::payment::{PaymentId, Timestamp, millis};
use crate::store::write::due_ms;
use crate::store::{
    EndpointName, EventHead, EventPlace, Nonce, Outgoing, Owned, Reader, Spread, StoreError,
};

/// How many events of each partition one step copies at most.
const MOST_AT_ONCE: usize = 100;

/// An entry of a stream.
pub(super) struct Streamed {
    pub(super) place: EventPlace,
    pub(super) head: EventHead,
    pub(super) json: String,
}

/// Reads entries of a stream. What cannot be read is passed over, with a word in the log: one bad
/// entry must not hold up the others. It stays in the stream.
pub(super) fn streamed(entries: &[Value]) -> Vec<Streamed> {
    let read = |entry: &Value| {
        let (place, fields) = (place_of(entry)?, items(entry).get(1)?);
        let json = text(items(fields).get(1)?)?;
        let Ok(head) = serde_json::from_str(json) else {
            tracing::error!(
                event = "event_unreadable", entry = %place,
                "an event cannot be read and is sent to nobody"
            );
            return None;
        };
        Some(Streamed {
            place,
            head,
            json: json.to_owned(),
        })
    };
    entries.iter().filter_map(read).collect()
}

/// What names an event among the pending ones: the earlier one of a payment sorts first.
fn name_of(payment: &PaymentId, place: EventPlace) -> String {
    format!("{payment}:{}", place.sorted())
}

impl RedisStore {
    /// Copies what is new in the streams to what is pending for an endpoint, as far as it is
    /// wanted. An endpoint that was never seen begins at the end of the streams.
    pub async fn spread<F>(&self, reader: &Reader<F>) -> Result<Spread, StoreError>
    where
        F: Fn(&EventHead) -> bool + Send + Sync,
    {
        let cursors = self.cursors_of(&reader.endpoint).await?;
        let mut spread = Spread::default();
        if cursors
            .iter()
            .any(|cursor| cursor.standing(reader) == Standing::Outranked)
        {
            spread.outranked = true;
            return Ok(spread);
        }
        let replies = self.behind(&cursors).await?;
        let (mut calls, mut counts) = (Vec::new(), Vec::new());
        let found = (0..).zip(&cursors).zip(replies.as_chunks::<2>().0);
        for ((partition, cursor), [late, new]) in found {
            let (late, new) = (items(late), items(new));
            let stays = late.is_empty() && new.is_empty();
            if stays && cursor.standing(reader) == Standing::Holds {
                continue;
            }
            let mut events = streamed(late);
            events.extend(streamed(new));
            events.retain(|event| (reader.wants)(&event.head));
            counts.push((late.len() + new.len(), events.len()));
            let next = cursor.passed(reader, late, new);
            calls.push(self.spreading(partition, &reader.endpoint, (cursor, &next), &events));
        }
        let replies = self.0.link.call_all(&calls).await?;
        for (reply, (read, wanted)) in replies.into_iter().zip(counts) {
            match word(&reply?) {
                "spread" => {
                    spread.read += read;
                    spread.wanted += wanted;
                }
                // Whoever was quicker copies, and goes on.
                "outdated" => {}
                _ => return Err(value::unexpected("a spread")),
            }
        }
        Ok(spread)
    }

    /// What each stream has at its cursor's edge, and behind its cursor: two replies for each.
    pub(super) async fn behind(&self, cursors: &[Cursor]) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = Pipeline::new();
        for (partition, cursor) in (0..).zip(cursors) {
            let events = self.0.keys.events(partition);
            // Without an edge nothing lies between.
            let (from, to) = cursor.edge().map_or_else(
                || ("2".to_owned(), "1".to_owned()),
                |(from, to)| (format!("({from}"), format!("({to}")),
            );
            pipeline.cmd("XRANGE").arg(&events).arg(from).arg(to);
            pipeline.arg("COUNT").arg(MOST_AT_ONCE);
            pipeline.cmd("XRANGE").arg(&events);
            pipeline.arg(format!("({}", cursor.at));
            pipeline.arg("+").arg("COUNT").arg(MOST_AT_ONCE);
        }
        self.0.link.read(&pipeline).await
    }

    pub(super) fn spreading(
        &self,
        partition: u64,
        endpoint: &EndpointName,
        (found, next): (&Cursor, &Cursor),
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
            .arg(found.written())
            .arg(next.written())
            .number(self.0.clock.now().timestamp_millis());
        for event in events {
            let name = name_of(&event.head.payment, event.place);
            call = call
                .arg(event.head.payment.as_str())
                .arg(format!("{name}:{}", event.json))
                .arg(name)
                .number(event.head.at.timestamp_millis());
        }
        call
    }

    /// Has the events of an endpoint kept from now on, if it was never seen before.
    pub async fn begin(&self, endpoint: &EndpointName) -> Result<(), StoreError> {
        self.cursors_of(endpoint).await.map(drop)
    }

    /// Up to where each stream was copied for an endpoint.
    pub(super) async fn cursors_of(
        &self,
        endpoint: &EndpointName,
    ) -> Result<Vec<Cursor>, StoreError> {
        let found = self.found_cursors(endpoint.as_str()).await?;
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
            let last = items(end).first().and_then(Cursor::behind);
            let cursors = self.0.keys.cursors(partition);
            pipeline.cmd("HSETNX").arg(cursors).arg(endpoint.as_str());
            pipeline.arg(last.unwrap_or_default().written());
        }
        self.0.link.repeat(&pipeline).await?;
        let found = self.found_cursors(endpoint.as_str()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    pub(super) async fn found_cursors(
        &self,
        reader: &str,
    ) -> Result<Vec<Option<Cursor>>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let cursors = self.0.keys.cursors(partition);
            pipeline.cmd("HGET").arg(cursors).arg(reader);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let cursor = |reply: &Value| match reply {
            Value::Nil => Ok(None),
            reply => match text(reply).and_then(Cursor::parse) {
                Some(cursor) => Ok(Some(cursor)),
                None => Err(value::unexpected("a cursor")),
            },
        };
        replies.iter().map(cursor).collect()
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
        let (due, mark) = self.due_for(endpoint, slots, now).await?;
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
            let [entry, tries, first_tried] = items(&reply) else {
                // It went to another worker, or nothing is pending any more.
                continue;
            };
            let entry = text(entry).unwrap_or_default();
            let mut parts = entry.splitn(3, ':').skip(1);
            let place = parts.next().and_then(|place| place.parse().ok());
            let json = parts.next().unwrap_or_default();
            taken.push(Outgoing {
                endpoint: endpoint.clone(),
                head: serde_json::from_str(json).map_err(|_| value::unexpected("a take"))?,
                place: place.ok_or_else(|| value::unexpected("a take"))?,
                json: json.to_owned(),
                tries: number(tries).unwrap_or(0),
                first_tried_at: number(first_tried).and_then(from_millis),
                taken_at: now,
                mark: mark.clone(),
                entry: entry.to_owned(),
                nonce,
            });
        }
        Ok(taken)
    }

    /// Which payments are due for an endpoint, those that are due longest first, and its mark.
    async fn due_for(
        &self,
        endpoint: &EndpointName,
        slots: usize,
        now: Timestamp,
    ) -> Result<(Vec<(u64, PaymentId)>, String), StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGET").arg(self.0.keys.endpoints());
        pipeline.arg(endpoint.as_str());
        for partition in 0..PARTITIONS {
            let due = self.0.keys.out(partition, endpoint, "due");
            pipeline.cmd("ZRANGE").arg(due).arg("-inf");
            pipeline.arg(now.timestamp_millis()).arg("BYSCORE");
            pipeline.arg("LIMIT").arg(0).arg(slots).arg("WITHSCORES");
        }
        let replies = self.0.link.read(&pipeline).await?;
        let mark = replies.first().and_then(text).unwrap_or_default();
        let mut due: Vec<(i64, u64, PaymentId)> = Vec::new();
        for (partition, reply) in (0..).zip(replies.iter().skip(1)) {
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
        Ok((places.collect(), mark.to_owned()))
    }

    /// The endpoint has accepted an event: it is pending no more.
    pub async fn delivered(&self, taken: &Outgoing) -> Result<(), StoreError> {
        self.end(taken, Some(self.0.clock.now())).await
    }

    /// The endpoint wants an event no more: it is pending no more.
    pub async fn unwanted(&self, taken: &Outgoing) -> Result<(), StoreError> {
        self.end(taken, None).await
    }

    async fn end(&self, taken: &Outgoing, accepted: Option<Timestamp>) -> Result<(), StoreError> {
        let payment = &taken.head.payment;
        let accepted = accepted.map_or(String::new(), |at| due_ms(at).to_string());
        let make = || {
            Call::new(&call::DELIVERED, self.out_four(&taken.endpoint, payment))
                .arg(payment.as_str())
                .arg(taken.nonce.as_str())
                .arg(taken.entry.as_str())
                .arg(name_of(payment, taken.place))
                .number(self.0.clock.now().timestamp_millis())
                .arg(accepted.as_str())
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
        let first = taken.first_tried_at.unwrap_or(taken.taken_at);
        let mut keys = self.out_four(&taken.endpoint, payment);
        keys.truncate(2);
        let make = || {
            Call::new(&call::POSTPONE, keys.clone())
                .arg(payment.as_str())
                .arg(taken.nonce.as_str())
                .number(due_ms(due))
                .number(tries)
                .number(due_ms(first))
        };
        let patience = self.0.settings.save_patience();
        match word(&self.0.link.insist(patience, make).await?) {
            "postponed" => Ok(Owned::Still),
            "lost" => Ok(Owned::NoMore),
            _ => Err(value::unexpected("a delivery")),
        }
    }

    /// Takes an event off what is pending for an endpoint, which did not accept it. Whether it was
    /// pending.
    pub async fn skip(
        &self,
        endpoint: &EndpointName,
        payment: &PaymentId,
        place: EventPlace,
    ) -> Result<bool, StoreError> {
        let (keys, name) = (self.out_four(endpoint, payment), name_of(payment, place));
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANGE").arg(&keys[2]);
        pipeline.arg(format!("[{name}:")).arg(format!("({name};"));
        pipeline.arg("BYLEX").arg("LIMIT").arg(0).arg(1);
        let replies = self.0.link.read(&pipeline).await?;
        let Some(entry) = replies
            .first()
            .and_then(|found| text(items(found).first()?))
        else {
            return Ok(false);
        };
        let call = Call::new(&call::SKIP, keys)
            .arg(payment.as_str())
            .arg(entry)
            .arg(name)
            .number(self.0.clock.now().timestamp_millis());
        match word(&self.0.link.call(call).await?) {
            "skipped" => Ok(true),
            "missing" => Ok(false),
            _ => Err(value::unexpected("a skip")),
        }
    }

    /// Due, notes, events and ages of an endpoint, where those of a payment are.
    fn out_four(&self, endpoint: &EndpointName, payment: &PaymentId) -> Vec<String> {
        let partition = Keys::partition(payment);
        let out = |what| self.0.keys.out(partition, endpoint, what);
        ["due", "notes", "events", "ages"].map(out).into()
    }
}
