//! Which payments to try to claim next.
//!
//! One look at all partitions brings more than is wanted now; the rest are kept as hints, so that
//! a busy worker needs one round trip for a claim. A hint is only a guess: the script decides.

use std::sync::{Mutex, PoisonError};

use rand::seq::SliceRandom;
use redis::{Pipeline, Value};

use super::keys::{Keys, PARTITIONS};
use super::record::millis_of;
use super::value::{items, number, text};
use crate::clock::{from_micros, from_millis};
use crate::payment::{PaymentId, Timestamp};
use crate::store::Nonce;

/// How many payments of each partition one look brings at least.
const LOOK_AHEAD: usize = 32;

/// A payment that was due when it was last looked at.
pub(super) struct Hint {
    pub(super) id: PaymentId,
    due: i64,
    /// Under this nonce it was claimed already, and the answer was lost.
    pub(super) nonce: Option<Nonce>,
}

/// The hints, and what was seen besides.
#[derive(Default)]
pub(super) struct Finder(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    hints: Vec<Hint>,
    /// The earliest due time that lies in the future.
    later: Option<i64>,
    /// The end of a look that did not reach everything that was due.
    more: Option<i64>,
}

impl Finder {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `count` hints.
    pub(super) fn take(&self, count: usize) -> Trying<'_> {
        let mut seen = self.seen();
        let left = seen.hints.len().saturating_sub(count);
        Trying {
            finder: self,
            hints: seen.hints.split_off(left),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen().hints.is_empty()
    }

    /// Forgets the hints that others have been quicker at. What may already be ours is kept.
    pub(super) fn forget(&self) {
        self.seen().hints.retain(|hint| hint.nonce.is_some());
    }

    /// When the next payment is due that was not claimed, as far as is known.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let seen = self.seen();
        let hinted = seen.hints.iter().map(|hint| hint.due).min();
        hinted
            .into_iter()
            .chain(seen.more)
            .chain(seen.later)
            .min()
            .and_then(from_millis)
    }

    /// Takes in what a look showed at `now`, by the time of Redis.
    pub(super) fn learn(&self, partitions: &[Value], depth: usize, now: i64) {
        let mut found = Vec::new();
        let (mut later, mut more) = (None::<i64>, None::<i64>);
        for [due_now, next] in partitions.as_chunks::<2>().0 {
            let entries = items(due_now);
            let mut last = None;
            later = items(next)
                .get(1)
                .and_then(millis_of)
                .into_iter()
                .chain(later)
                .min();
            for [id, due] in entries.as_chunks::<2>().0 {
                let (Some(id), Some(due)) = (text(id), millis_of(due)) else {
                    continue;
                };
                last = Some(due);
                if due > now {
                    later = Some(later.map_or(due, |known| known.min(due)));
                    break;
                }
                if let Ok(id) = PaymentId::new(id) {
                    found.push(Hint {
                        id,
                        due,
                        nonce: None,
                    });
                }
            }
            if entries.len() >= depth * 2 && last.is_some_and(|due| due <= now) {
                more = last.into_iter().chain(more).min();
            }
        }
        // Workers that look at the same time see the same: each one tries in another order.
        found.shuffle(&mut rand::rng());
        let mut seen = self.seen();
        seen.hints.retain(|hint| hint.nonce.is_some());
        found.retain(|new| !seen.hints.iter().any(|kept| kept.id == new.id));
        found.append(&mut seen.hints);
        *seen = Seen {
            hints: found,
            later,
            more,
        };
    }
}

/// Hints that are being tried. Dropped before the answer is known, they go back to be tried
/// again under the same nonces: a claim whose answer was lost is found, not waited for.
pub(super) struct Trying<'a> {
    finder: &'a Finder,
    pub(super) hints: Vec<Hint>,
}

impl Trying<'_> {
    /// The hints, once their answers are known.
    pub(super) fn done(mut self) -> Vec<Hint> {
        std::mem::take(&mut self.hints)
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        self.finder.seen().hints.append(&mut self.hints);
    }
}

/// How deep to look for `slots` claims.
pub(super) fn depth_for(slots: usize) -> usize {
    slots.clamp(LOOK_AHEAD, 1_000)
}

/// The commands that look at all partitions, and at the time: what is due by `now`, and the first
/// that falls due later.
pub(super) fn look(keys: &Keys, depth: usize, now: i64) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("TIME");
    for partition in 0..PARTITIONS {
        let due = keys.due(partition);
        pipeline
            .cmd("ZRANGE")
            .arg(&due)
            .arg("-inf")
            .arg(now)
            .arg("BYSCORE");
        pipeline.arg("LIMIT").arg(0).arg(depth).arg("WITHSCORES");
        pipeline
            .cmd("ZRANGE")
            .arg(&due)
            .arg(format!("({now}"))
            .arg("+inf")
            .arg("BYSCORE");
        pipeline.arg("LIMIT").arg(0).arg(1).arg("WITHSCORES");
    }
    pipeline
}

/// The time that Redis tells.
pub(super) fn time_of(reply: &Value) -> Option<Timestamp> {
    let [seconds, micros] = items(reply) else {
        return None;
    };
    let (seconds, micros): (i64, i64) = (number(seconds)?, number(micros)?);
    from_micros(seconds.checked_mul(1_000_000)?.checked_add(micros)?)
}
