//! Reading what stands at an id: its record, its place in the due index, and the entries that it must have.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use redis::{Pipeline, Value};

use super::RedisStore;
use super::fault::{Standing, entries_of};
use super::record::{Problem, millis_of, payment_of};
use super::trouble::refused;
use super::value::{items, number, text};
use crate::payment::{AccountName, Policy, StateName, Timestamp, millis};
use crate::store::StoreError;
use crate::store::write::due_ms;

/// How much later than it must be a payment may be due: a turn that came to nothing waits, and so does
/// what people have stopped, an account whose key is refused, or one that a worker does not have.
const LATE_AT_MOST: TimeDelta = TimeDelta::minutes(5);

/// By what is walked.
#[derive(Debug, Clone)]
pub struct Walking {
    /// By which payments of each account are due. Of others nobody can tell.
    pub policies: BTreeMap<AccountName, Policy>,
    /// How many suspicions are kept.
    pub most: usize,
}

/// One id to be looked at, and the entries that an index has for it.
pub(super) struct Ask {
    pub(super) partition: u64,
    pub(super) id: String,
    pub(super) found: Vec<String>,
}

impl Walking {
    /// When a payment needs its next turn, if it can be read and needs one.
    fn due(&self, standing: &Standing, now: Timestamp) -> Option<Timestamp> {
        let mut payment = standing.body.as_ref()?.as_ref().ok()?.clone();
        // What was nudged and not looked at since is due, whatever its body says.
        payment.nudged(standing.nudges);
        let policy = self.policies.get(&payment.request().account)?;
        payment.due(now, policy)
    }

    /// Whether nobody can tell when it needs its next turn, although it is not finished, as far as anybody
    /// can see.
    pub(super) fn is_undated(&self, standing: &Standing) -> bool {
        if !standing.there || standing.state.is_some_and(StateName::is_finished) {
            return false;
        }
        match &standing.body {
            Some(Ok(payment)) => !self.policies.contains_key(&payment.request().account),
            Some(Err(_)) | None => true,
        }
    }
}

impl RedisStore {
    /// Reads what stands at each id, and then whether the entries are there that it should have.
    pub(super) async fn examine(
        &self,
        by: &Walking,
        asks: &[Ask],
    ) -> Result<Vec<Standing>, StoreError> {
        let (keys, now) = (&self.0.keys, self.0.clock.now());
        let slack = millis(self.0.settings.lease_ms) + LATE_AT_MOST;
        let mut pipeline = Pipeline::new();
        for ask in asks {
            let key = keys.payment_named(ask.partition, &ask.id);
            pipeline.cmd("HMGET").arg(&key);
            pipeline.arg(&[
                "version", "state", "nonce", "told", "face", "body", "nudges",
            ]);
            pipeline.cmd("PTTL").arg(&key);
            pipeline
                .cmd("ZSCORE")
                .arg(keys.due(ask.partition))
                .arg(&ask.id);
            for entry in &ask.found {
                pipeline
                    .cmd("ZSCORE")
                    .arg(keys.states(ask.partition))
                    .arg(entry);
            }
        }
        let mut replies = self.0.link.send(&pipeline).await?.into_iter();
        let mut standings = Vec::with_capacity(asks.len());
        for ask in asks {
            let three = [replies.next(), replies.next(), replies.next()];
            let found = replies.by_ref().take(ask.found.len()).collect();
            let mut standing = read(ask, three.map(Option::unwrap_or_default), found)?;
            standing.latest = by
                .due(&standing, now)
                .map(|due| due_ms(due.max(now) + slack));
            standings.push(standing);
        }
        let mut pipeline = Pipeline::new();
        let expected: Vec<Vec<String>> = standings.iter().map(entries_of).collect();
        for (standing, entries) in standings.iter().zip(&expected) {
            for entry in entries {
                pipeline
                    .cmd("ZSCORE")
                    .arg(keys.states(standing.partition))
                    .arg(entry);
            }
        }
        let mut replies = self.0.link.read(&pipeline).await?.into_iter();
        for (standing, entries) in standings.iter_mut().zip(expected) {
            let there = entries.into_iter().zip(replies.by_ref());
            standing.expected = there
                .map(|(entry, score)| (entry, score != Value::Nil))
                .collect();
        }
        Ok(standings)
    }
}

/// What was answered about one id. A key that holds something else than a record is no reason to end.
fn read(ask: &Ask, replies: [Value; 3], found: Vec<Value>) -> Result<Standing, StoreError> {
    let [fields, ttl, score] = replies;
    let is_other = matches!(&fields, Value::ServerError(error) if error.code() == "WRONGTYPE");
    let fields = if is_other {
        Value::Nil
    } else {
        refused(fields)?
    };
    let (ttl, score) = (refused(ttl)?, refused(score)?);
    let found: Result<Vec<Value>, StoreError> = found.into_iter().map(refused).collect();
    let body = |value: &Value| match value {
        Value::BulkString(body) => Some(payment_of(body)),
        _ => None,
    };
    let word = |value: &Value| text(value).map(ToOwned::to_owned);
    let mut standing = Standing {
        partition: ask.partition,
        id: ask.id.clone(),
        // -2: there is no such key.
        there: number::<i64>(&ttl) != Some(-2),
        expires: number::<i64>(&ttl).is_some_and(|ms| ms >= 0),
        due: score != Value::Nil,
        due_at: (score != Value::Nil).then(|| millis_of(&score).unwrap_or(i64::MAX)),
        ..Standing::default()
    };
    if let [version, state, nonce, told, face, stored, nudges] = items(&fields) {
        standing.version = number(version);
        standing.state = text(state).and_then(|state| state.parse().ok());
        standing.nonce = word(nonce).filter(|nonce| !nonce.is_empty());
        standing.told = word(told);
        standing.face = word(face);
        standing.body = body(stored);
        standing.nudges = number(nudges).unwrap_or(0);
    } else {
        standing.body = Some(Err(Problem::broken("it is no hash")));
    }
    let there = ask.found.iter().cloned().zip(found?);
    standing.found = there
        .map(|(entry, score)| (entry, score != Value::Nil))
        .collect();
    Ok(standing)
}
