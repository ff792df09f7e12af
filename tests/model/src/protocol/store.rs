//! The store: one record, written by comparing and swapping, and what a failover can bring back.

use std::hash::{Hash, Hasher};

use super::payment::Payment;

/// The mark that says that nobody holds the record.
pub(crate) const NOBODY: u8 = 0;
/// A version that no record bears, nor ever will.
pub(crate) const GONE: u8 = u8::MAX;
/// How many states of the record a failover can bring back at most.
pub(crate) const LAG: usize = 3;

/// The record as it is written: what the scripts read, and the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Record {
    pub(crate) payment: Payment,
    pub(crate) version: u8,
    pub(crate) nonce: u8,
    /// How many claims there were, where they are counted.
    pub(crate) claims: u8,
    /// Whose write it is, where the claim's mark does not tell: every write has an id of its own.
    pub(crate) writer: u8,
}

/// The record, and those before it that a failover can still bring back, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Store {
    pub(crate) record: Record,
    older: [Record; LAG],
    count: u8,
}

/// Of what there is only: there are many states to be hashed.
impl Hash for Store {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.record.hash(hasher);
        self.older().hash(hasher);
    }
}

/// A save: `save.lua`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Save {
    pub(crate) payment: Payment,
    pub(crate) version: u8,
    pub(crate) nonce: u8,
    pub(crate) writer: u8,
    pub(crate) keep_claim: bool,
}

/// What a save was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    Written,
    Lost,
    Outdated,
}

impl Store {
    /// A new record is version 1: `create.lua`.
    pub(crate) fn start() -> Self {
        let record = Record {
            version: 1,
            ..Record::default()
        };
        Self {
            record,
            ..Self::default()
        }
    }

    /// What a failover can bring back.
    pub(crate) fn older(&self) -> &[Record] {
        &self.older[..usize::from(self.count)]
    }

    /// Whether all that was written is durable.
    pub(crate) const fn is_durable(&self) -> bool {
        self.count == 0
    }

    /// Everything written so far becomes durable.
    pub(crate) fn flush(&mut self) {
        self.older = Default::default();
        self.count = 0;
    }

    /// The durable part, or one a little longer, is all that is left.
    pub(crate) fn fail_over_to(&mut self, record: Record) {
        self.record = record;
        self.flush();
    }

    /// Writes. The record before it can come back, until `lag` writes later.
    pub(crate) fn write(&mut self, record: Record, lag: usize) {
        let before = std::mem::replace(&mut self.record, record);
        let older = self.older;
        let count = usize::from(self.count);
        self.flush();
        // One that is written again counts as new: it can come back for longer.
        for old in older[..count].iter().filter(|old| **old != before) {
            self.keep(*old, lag);
        }
        self.keep(before, lag);
    }

    /// Changes every record there is, and forgets those that make no difference then.
    pub(crate) fn change_all(&mut self, mut change: impl FnMut(&mut Record)) {
        change(&mut self.record);
        let older = self.older;
        let count = usize::from(self.count);
        self.flush();
        for mut record in older.into_iter().take(count) {
            change(&mut record);
            if !self.older().contains(&record) {
                self.keep(record, LAG);
            }
        }
    }

    fn keep(&mut self, record: Record, lag: usize) {
        if record == self.record {
            return;
        }
        if usize::from(self.count) >= lag.min(LAG) {
            self.older.rotate_left(1);
            self.count -= 1;
            // Behind the newest one, everything is as it was at first.
            self.older[lag.min(LAG) - 1..].fill(Record::default());
        }
        self.older[usize::from(self.count)] = record;
        self.count += 1;
    }

    /// `save.lua`: what is written, if version and nonce still match. A repeat is recognised.
    pub(crate) fn judge(&self, save: &Save, compare: bool) -> (Saved, Option<Record>) {
        let found = self.record;
        let repeated = save.keep_claim
            && (found.nonce, found.writer) == (save.nonce, save.writer)
            && found.version.checked_sub(1) == Some(save.version)
            && found.payment == save.payment;
        if repeated {
            return (Saved::Written, None);
        }
        if compare && found.nonce != save.nonce {
            return (Saved::Lost, None);
        }
        if compare && found.version != save.version {
            return (Saved::Outdated, None);
        }
        // A save that changes nothing counts a version up in the real store. Nothing depends on
        // that but who is told to read again what is as it was, and the states stay finite.
        let changed = u8::from(found.payment != save.payment);
        let record = Record {
            payment: save.payment,
            version: found.version + changed,
            nonce: if save.keep_claim { save.nonce } else { NOBODY },
            claims: found.claims,
            writer: save.writer,
        };
        (Saved::Written, Some(record))
    }
}
