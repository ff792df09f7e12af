//! A store in memory, for simulation and tests: the same promises as on Redis, with a clock that
//! stands still, random numbers that repeat, and every trouble that Redis can make on demand.

mod books;
mod cards;
mod plans;
mod replica;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::books::Books;
use self::replica::Replica;
use super::audit::AuditEntry;
use super::{
    By, Claim, ClaimKey, Claims, Created, Cursor, Loaded, NotDurable, Nudged, Page, Permit,
    SaveError, Saved, StateEvent, Stats, Store, StoreError, Then, Tried,
};
use crate::clock::Clock;
use crate::payment::{Payment, PaymentId, Timestamp};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It never arrives: nothing is done, and the caller does not know.
    Unreached,
    /// It is done, and the caller does not know.
    ReplyLost,
}

/// A store in memory; clones share it.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    clock: Clock,
    books: Mutex<Books>,
    wake: Notify,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock, lease_ms: u64) -> Self {
        Self::with(clock, lease_ms, None)
    }

    /// An empty store whose nonces are the same in every run with this seed.
    #[must_use]
    pub fn seeded(clock: Clock, lease_ms: u64, seed: u64) -> Self {
        Self::with(clock, lease_ms, Some(seed))
    }

    fn with(clock: Clock, lease_ms: u64, seed: Option<u64>) -> Self {
        let books = Mutex::new(Books::new(lease_ms, seed));
        Self(Arc::new(Shared {
            clock,
            books,
            wake: Notify::new(),
        }))
    }

    /// The events so far, the oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<StateEvent> {
        self.books().events.clone()
    }

    /// Everything that is stored.
    #[must_use]
    pub fn all(&self) -> Vec<Loaded> {
        let now = self.0.clock.now();
        self.books()
            .records
            .values()
            .map(|record| record.loaded(now))
            .collect()
    }

    /// A payment as it is stored now.
    #[must_use]
    pub fn stored(&self, id: &PaymentId) -> Option<Payment> {
        let books = self.books();
        books.records.get(id).map(|record| record.payment.clone())
    }

    /// What the audit log says, the oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.books().audit.clone()
    }

    /// Makes the store fall short of its durability profile, or suffice again with `None`.
    pub fn fall_short(&self, problem: Option<&str>) {
        self.books().shortfall = problem.map(ToOwned::to_owned);
    }

    /// As after a failover: what was claimed before licenses nothing any more.
    pub fn change_lineage(&self) {
        self.books().lineage += 1;
    }

    /// From now on writes are durable only when [`MemoryStore::made_durable`] says so.
    pub fn replicate(&self) {
        let mut books = self.books();
        books.replica = Some(Replica::of(&books.records));
    }

    /// How many writes there were since [`MemoryStore::replicate`].
    #[must_use]
    pub fn written(&self) -> u64 {
        self.books().replica.as_ref().map_or(0, Replica::written)
    }

    /// The first `written` writes outlive a failover from now on.
    pub fn made_durable(&self, written: u64) {
        if let Some(replica) = &mut self.books().replica {
            replica.catch_up(written);
        }
    }

    /// Another server takes over: writes that are not durable are undone, and what was claimed
    /// licenses nothing any more.
    pub fn fail_over(&self) {
        self.books().fail_over();
        self.wake();
    }

    /// A payment as a failover would leave it.
    #[must_use]
    pub fn durable(&self, id: &PaymentId) -> Option<Payment> {
        let books = self.books();
        let record = match &books.replica {
            Some(replica) => replica.record(id),
            None => books.records.get(id),
        };
        record.map(|record| record.payment.clone())
    }

    /// Asks `disturb` before each call, by the name of the method, what goes wrong with it.
    pub fn disturb(&self, disturb: impl FnMut(&'static str) -> Option<Trouble> + Send + 'static) {
        self.books().disturb = Some(Box::new(disturb));
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.0.wake.notify_waiters();
    }

    /// Does `work`, unless the call is disturbed.
    fn ask<T, E: From<StoreError>>(
        &self,
        call: &'static str,
        work: impl FnOnce(&mut Books, Timestamp) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.0.clock.now();
        let mut books = self.books();
        let trouble = books.trouble(call);
        if trouble == Some(Trouble::Unreached) {
            return Err(StoreError::Unavailable(format!("{call} did not arrive")).into());
        }
        let answer = work(&mut books, now);
        match trouble {
            Some(_) => Err(StoreError::Unavailable(format!("{call} was not answered")).into()),
            None => answer,
        }
    }
}

impl Store for MemoryStore {
    async fn create(&self, payment: &Payment, due: Timestamp) -> Result<Created, StoreError> {
        let created = self.ask("create", |books, now| Ok(books.create(payment, due, now)));
        self.wake();
        created
    }

    async fn load(&self, id: &PaymentId) -> Result<Option<Loaded>, StoreError> {
        self.ask("load", |books, now| {
            Ok(books.records.get(id).map(|record| record.loaded(now)))
        })
    }

    async fn claim(&self, slots: usize) -> Result<Claims, StoreError> {
        self.ask("claim", |books, now| Ok(books.claim(slots, now)))
    }

    async fn renew(&self, claims: &[ClaimKey]) -> Result<Vec<ClaimKey>, StoreError> {
        self.ask("renew", |books, now| Ok(books.renew(claims, now)))
    }

    async fn save(&self, claim: &mut Claim, then: Then) -> Result<Saved, SaveError> {
        let nudges = self.ask("save", |books, now| books.save(claim, then, now))?;
        Ok(claim.written(nudges))
    }

    async fn license(&self, claim: &mut Claim) -> Result<Permit, SaveError> {
        let nudges = self.ask("license", |books, now| books.license(claim, now))?;
        claim.written(nudges);
        Permit::for_open_attempt(&claim.payment).ok_or(SaveError::NothingToLicense)
    }

    async fn command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), SaveError> {
        let obeyed = self.ask("command", |books, now| {
            books.command(loaded, due, audit, now)
        });
        self.wake();
        obeyed
    }

    async fn give_back(
        &self,
        claim: &ClaimKey,
        due: Timestamp,
        tried: Tried,
    ) -> Result<(), StoreError> {
        let given = self.ask("give_back", |books, now| {
            books.give_back(claim, due, tried, now);
            Ok(())
        });
        self.wake();
        given
    }

    async fn nudge(&self, id: &PaymentId) -> Result<Nudged, StoreError> {
        let nudged = self.ask("nudge", |books, now| Ok(books.nudge(id, now)));
        self.wake();
        nudged
    }

    async fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.ask("list", |books, now| Ok(books.list(by, cursor, limit, now)))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.ask("stats", |books, now| Ok(books.stats(now)))
    }

    fn woken(&self) -> impl Future<Output = ()> + Send {
        self.0.wake.notified()
    }

    fn durability(&self) -> Result<(), NotDurable> {
        self.books().durability()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use crate::payment::Request;

    fn charge(key: &str) -> Payment {
        let json = format!(
            r#"{{"v":1,"account":"hotel","idempotency_key":"{key}","type":"charge","token":"t",
                "money":{{"amount":100,"currency":"MYR"}},"customer":{{"email":"a@b.example"}}}}"#
        );
        let now = from_millis(1_800_000_000_000).unwrap();
        Payment::new(Request::from_json(json.as_bytes()).unwrap(), now).unwrap()
    }

    #[tokio::test]
    async fn a_failover_undoes_what_was_not_durable_and_nothing_else() {
        let now = from_millis(1_800_000_000_000).unwrap();
        let store = MemoryStore::new(Clock::manual(now), 30_000);
        store.replicate();
        let (kept, gone) = (charge("kept"), charge("gone"));
        store.create(&kept, now).await.unwrap();
        let durable = store.written();
        let claimed = store.claim(1).await.unwrap().claims;
        store.create(&gone, now).await.unwrap();
        store.made_durable(durable);
        assert!(store.durable(kept.id()).is_some() && store.durable(gone.id()).is_none());
        store.fail_over();
        assert_eq!(store.load(gone.id()).await.unwrap(), None);
        assert!(!store.load(kept.id()).await.unwrap().unwrap().claimed);
        let keys = [claimed[0].key.clone()];
        assert_eq!(store.renew(&keys).await.unwrap(), keys);
        assert_eq!(store.claim(9).await.unwrap().claims.len(), 1);
    }
}
