//! What a failover keeps: the writes that have become durable, always the first ones of all.

use std::collections::{BTreeMap, VecDeque};

use super::books::Record;
use crate::payment::PaymentId;

/// A copy that lags behind.
#[derive(Default)]
pub(super) struct Replica {
    records: BTreeMap<PaymentId, Record>,
    behind: VecDeque<(PaymentId, Record)>,
    written: u64,
}

impl Replica {
    /// A copy that has all there is.
    pub(super) fn of(records: &BTreeMap<PaymentId, Record>) -> Self {
        Self {
            records: records.clone(),
            ..Self::default()
        }
    }

    /// How many writes there were in all.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    fn durable(&self) -> u64 {
        self.written - self.behind.len() as u64
    }

    pub(super) fn note(&mut self, id: &PaymentId, record: &Record) {
        self.written += 1;
        self.behind.push_back((id.clone(), record.clone()));
    }

    /// The first `written` writes are durable now.
    pub(super) fn catch_up(&mut self, written: u64) {
        while self.durable() < written {
            let Some((id, record)) = self.behind.pop_front() else {
                return;
            };
            self.records.insert(id, record);
        }
    }

    /// Forgets what is not durable; answers what is left.
    pub(super) fn take_over(&mut self) -> BTreeMap<PaymentId, Record> {
        self.behind.clear();
        self.records.clone()
    }

    pub(super) fn record(&self, id: &PaymentId) -> Option<&Record> {
        self.records.get(id)
    }
}
