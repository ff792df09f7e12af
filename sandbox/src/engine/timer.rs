//! What the engine has to do later.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use uuid::Uuid;

use super::LateCall;
use super::money::Flight;

/// Something to do at a time.
pub(crate) enum Timer {
    /// The due time of a purchase.
    Due(Uuid),
    /// The end of a pending operation.
    Settle(Box<Flight>),
    /// The end of a hold's lifetime.
    Lapse(Uuid),
    /// The moment from which a paid purchase shows its payment.
    ShowPayment(Uuid),
    /// The end of making a statement.
    Statement(Uuid),
    /// A request that takes effect late.
    Commit(Box<LateCall>),
    /// A try at delivering a webhook.
    Deliver(u64),
}

/// Timers in order of their time, then of their making.
#[derive(Default)]
pub(crate) struct Timers {
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    waiting: BTreeMap<u64, Timer>,
    made: u64,
}

impl Timers {
    pub(crate) fn at(&mut self, at_ms: i64, timer: Timer) {
        self.made += 1;
        self.queue.push(Reverse((at_ms, self.made)));
        self.waiting.insert(self.made, timer);
    }

    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    pub(crate) fn pop(&mut self, now_ms: i64) -> Option<(i64, Timer)> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let Reverse((at_ms, number)) = self.queue.pop()?;
        self.waiting.remove(&number).map(|timer| (at_ms, timer))
    }
}
