//! A process: it lives, it is stopped for a while, it is killed. What it does to the store or the
//! gateway happens only while it lives, and whatever it was doing when it was killed goes on
//! without it.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

const RUNNING: u8 = 0;
const PAUSED: u8 = 1;
const DEAD: u8 = 2;

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) number: u64,
    state: AtomicU8,
    changed: Notify,
    began: Notify,
    busy: Mutex<BTreeMap<&'static str, usize>>,
}

impl Process {
    pub(crate) fn new(name: String, number: u64) -> Self {
        Self {
            name,
            number,
            state: AtomicU8::new(RUNNING),
            changed: Notify::new(),
            began: Notify::new(),
            busy: Mutex::default(),
        }
    }

    /// Goes on while the process runs; never again once it was killed.
    pub(crate) async fn running(&self) {
        loop {
            let changed = self.changed.notified();
            match self.state.load(Ordering::Acquire) {
                RUNNING => return,
                DEAD => pending::<()>().await,
                _ => changed.await,
            }
        }
    }

    pub(crate) fn pause(&self) {
        self.state.store(PAUSED, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        self.state.store(RUNNING, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn kill(&self) {
        self.state.store(DEAD, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Resolves when the process is dead.
    pub(crate) async fn died(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state.load(Ordering::Acquire) == DEAD {
                return;
            }
            changed.await;
        }
    }

    /// What the process does, unless it dies before it is done.
    pub(crate) async fn outlived<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.died() => None,
            done = work => Some(done),
        }
    }

    /// Takes note of a call for as long as the answer is kept.
    pub(crate) fn begin(&self, call: &'static str) -> Busy<'_> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        *busy.entry(call).or_default() += 1;
        self.began.notify_waiters();
        Busy {
            process: self,
            call,
        }
    }

    /// Waits until such a call is under way.
    pub(crate) async fn comes_to(&self, call: &str) {
        loop {
            let began = self.began.notified();
            if self.doing().contains(&call) {
                return;
            }
            began.await;
        }
    }

    /// The calls that are under way.
    pub(crate) fn doing(&self) -> Vec<&'static str> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut doing: Vec<_> = busy
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(c, _)| *c)
            .collect();
        if doing.is_empty() {
            doing.push("nothing");
        }
        doing
    }
}

pub(crate) struct Busy<'a> {
    process: &'a Process,
    call: &'static str,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut busy = self
            .process
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(self.call) {
            *count = count.saturating_sub(1);
        }
    }
}
