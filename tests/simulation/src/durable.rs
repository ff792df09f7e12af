//! How much of what was written outlives a failover.
//!
//! A mutex and one `Notify`: tokio's `watch` wakes those who wait in an order drawn at random.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A place among the writes of one lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// So many writes.
    pub(crate) written: u64,
    /// So often another server took over.
    pub(crate) lineage: u64,
}

/// Whether a write outlived it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    /// Another server took over first.
    Replaced,
}

/// The last write that is durable.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    upto: Mutex<Mark>,
    moved: Notify,
}

impl Durable {
    pub(crate) fn upto(&self) -> Mark {
        *self.upto.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn move_to(&self, mark: Mark) {
        *self.upto.lock().unwrap_or_else(PoisonError::into_inner) = mark;
        self.moved.notify_waiters();
    }

    /// Waits until it is decided whether a write is kept.
    pub(crate) async fn decided(&self, mark: Mark) -> Kept {
        loop {
            let moved = self.moved.notified();
            let upto = self.upto();
            if upto.lineage != mark.lineage {
                return Kept::Replaced;
            }
            if upto.written >= mark.written {
                return Kept::Yes;
            }
            moved.await;
        }
    }
}
