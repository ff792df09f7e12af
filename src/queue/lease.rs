//! What this process holds: slots, leases that are renewed, claims that are given back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::trouble::Trouble;
use super::{Cause, Rests, Settings, Stopped};
use crate::clock::Clock;
use crate::payment::{PaymentId, Timestamp, millis};
use crate::store::{Claim, ClaimKey, Store, StoreError, Tried};

/// How long a payment rests whose turn panicked, in milliseconds. It need not grow: the record
/// counts claims without a save, and too many park the payment.
const PANIC_REST_MS: u64 = 5_000;

/// All that this process holds, and what ends it.
pub(super) struct Leases<S> {
    pub(super) store: Arc<S>,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    /// No more claims; no more turns are begun.
    pub(super) stop: CancellationToken,
    /// Running turns are dropped.
    pub(super) deadline: CancellationToken,
    /// All is dropped.
    pub(super) end: CancellationToken,
    /// A turn ended somewhere, and its payment is due again.
    pub(super) turn_ended: Notify,
    /// When the first of those payments is due.
    due_again: Mutex<Option<Timestamp>>,
    slots: Arc<Semaphore>,
    held: Mutex<BTreeMap<ClaimKey, Arc<AtomicBool>>>,
    working: Mutex<BTreeMap<PaymentId, Arc<AtomicBool>>>,
    left_work: Notify,
    returns: TaskTracker,
    runtime: Handle,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    finished: AtomicU64,
    panicked: AtomicU64,
    abandoned: AtomicU64,
    unstarted: AtomicU64,
    to_give_back: AtomicU64,
    given_back: AtomicU64,
}

/// How a claim's time in this process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its turn ended by itself.
    Finished(Rests),
    /// Its turn panicked.
    Panicked,
    /// Its turn was dropped.
    Abandoned,
    /// Its turn had not begun.
    Unstarted,
    /// Its lease was lost before its turn began: there is nothing to give back.
    Lost,
}

impl<S: Store> Leases<S> {
    pub(super) fn new(
        store: Arc<S>,
        clock: Clock,
        settings: Settings,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let end = CancellationToken::new();
        Arc::new(Self {
            store,
            clock,
            settings,
            stop,
            deadline: end.child_token(),
            end,
            turn_ended: Notify::new(),
            due_again: Mutex::default(),
            slots: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            held: Mutex::default(),
            working: Mutex::default(),
            left_work: Notify::new(),
            returns: TaskTracker::new(),
            runtime: Handle::current(),
            counts: Counts::default(),
        })
    }

    /// Waits for a free slot and takes all that are free, a batch at most, so that turns that end
    /// together cost one call together. `None` at the stop.
    pub(super) async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut slots = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok()?,
        };
        let more = self
            .slots
            .available_permits()
            .min(self.settings.batch.saturating_sub(1));
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(&self.slots).try_acquire_many_owned(more) {
            slots.merge(more);
        }
        Some(slots)
    }

    /// Takes a claim into the renewals, from the moment it was made.
    pub(super) fn take(
        self: &Arc<Self>,
        claim: &Claim,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Lease<S> {
        let lost = claim.lost_mark();
        if let Some(older) = lock(&self.working).get(&claim.key.id) {
            older.store(true, Ordering::Release);
        }
        lock(&self.held).insert(claim.key.clone(), Arc::clone(&lost));
        Lease {
            key: claim.key.clone(),
            ending: Ending::Unstarted,
            lost,
            leases: Arc::clone(self),
            _slot: slot,
        }
    }

    /// Waits until no other turn of this process works on the payment: a claim can come back to a
    /// process whose turn lost it and does not know yet.
    pub(super) async fn begin(&self, claim: &Claim) -> Working<'_, S> {
        loop {
            let left = self.left_work.notified();
            {
                let mut working = lock(&self.working);
                if !working.contains_key(&claim.key.id) {
                    working.insert(claim.key.id.clone(), claim.lost_mark());
                    return Working {
                        id: claim.key.id.clone(),
                        leases: self,
                    };
                }
            }
            left.await;
        }
    }

    /// Renews all leases with one call and marks those that are lost.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let keys: Vec<ClaimKey> = lock(&self.held)
            .iter()
            .filter(|(_, lost)| !lost.load(Ordering::Acquire))
            .map(|(key, _)| key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let lost = self.store.renew(&keys).await?;
        let held = lock(&self.held);
        for mark in lost.iter().filter_map(|key| held.get(key)) {
            mark.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn give_back(self: &Arc<Self>, key: ClaimKey, rest_ms: u64, tried: Tried) {
        self.counts.to_give_back.fetch_add(1, Ordering::Relaxed);
        let leases = Arc::clone(self);
        let due = self.clock.now() + millis(rest_ms);
        let giving_back = async move {
            let mut trouble = Trouble::new("give claims back", leases.settings.identity);
            while let Err(error) = leases.store.give_back(&key, due, tried).await {
                sleep(trouble.met(&error)).await;
            }
            leases.counts.given_back.fetch_add(1, Ordering::Relaxed);
        };
        // When the lease has run out there is nothing left to give back.
        let lease = Duration::from_millis(self.settings.lease_ms);
        let end = self.end.clone();
        let task = async move { end.run_until_cancelled(timeout(lease, giving_back)).await };
        self.returns.spawn_on(task, &self.runtime);
    }

    fn is_due_again(&self, due: Timestamp) {
        let mut first = lock(&self.due_again);
        *first = Some(first.map_or(due, |known| known.min(due)));
        drop(first);
        self.turn_ended.notify_one();
    }

    /// When the first payment is due whose turn ended since this was asked last.
    pub(super) fn take_due_again(&self) -> Option<Timestamp> {
        lock(&self.due_again).take()
    }

    /// Resolves when nothing waits to be given back. For the end, when nothing new is claimed.
    pub(super) async fn all_given_back(&self) {
        self.returns.close();
        self.returns.wait().await;
    }

    pub(super) fn summary(&self, cause: Cause) -> Stopped {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let given_back = read(&self.counts.given_back);
        Stopped {
            cause,
            finished: read(&self.counts.finished),
            panicked: read(&self.counts.panicked),
            abandoned: read(&self.counts.abandoned),
            unstarted: read(&self.counts.unstarted),
            given_back,
            left_leased: read(&self.counts.to_give_back) - given_back,
        }
    }
}

/// Renews all leases, again and again.
pub(super) async fn keep_renewing<S: Store>(leases: Arc<Leases<S>>) {
    let every = Duration::from_millis(leases.settings.renew_ms);
    let mut trouble = Trouble::new("renew leases", leases.settings.identity);
    loop {
        sleep(every).await;
        while let Err(error) = leases.renew().await {
            sleep(trouble.met(&error).min(every)).await;
        }
        trouble.over();
    }
}

/// One claim in this process: its slot, and its place in the renewals. Dropping it lets go of
/// both, and gives the claim back unless its turn finished.
pub(super) struct Lease<S: Store> {
    pub(super) key: ClaimKey,
    /// How it ended; set before it is dropped.
    pub(super) ending: Ending,
    lost: Arc<AtomicBool>,
    leases: Arc<Leases<S>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<S: Store> Drop for Lease<S> {
    fn drop(&mut self) {
        let leases = &self.leases;
        lock(&leases.held).remove(&self.key);
        let (count, back) = match self.ending {
            Ending::Finished(_) => (Some(&leases.counts.finished), None),
            Ending::Lost => (None, None),
            Ending::Panicked => {
                let back = (PANIC_REST_MS, Tried::Yes);
                (Some(&leases.counts.panicked), Some(back))
            }
            Ending::Abandoned => (Some(&leases.counts.abandoned), Some((0, Tried::Yes))),
            Ending::Unstarted => (Some(&leases.counts.unstarted), Some((0, Tried::No))),
        };
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((rest_ms, tried)) = back {
            // Should its turn still run somewhere, it shall send nothing more.
            self.lost.store(true, Ordering::Release);
            leases.give_back(self.key.clone(), rest_ms, tried);
        }
        let now = leases.clock.now();
        match (self.ending, back) {
            (Ending::Finished(Rests::ForGood) | Ending::Lost, _) => {}
            (Ending::Finished(Rests::Until(due)), _) => leases.is_due_again(due),
            (_, Some((rest_ms, _))) => leases.is_due_again(now + millis(rest_ms)),
            (_, None) => leases.is_due_again(now),
        }
    }
}

/// The sign that a turn of this process works on a payment.
pub(super) struct Working<'a, S> {
    id: PaymentId,
    leases: &'a Leases<S>,
}

impl<S> Drop for Working<'_, S> {
    fn drop(&mut self) {
        lock(&self.leases.working).remove(&self.id);
        self.leases.left_work.notify_waiters();
    }
}

/// What is locked here is never left half-changed, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
