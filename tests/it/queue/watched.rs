//! A store that is watched: it counts, and fails, hangs or goes deaf on demand.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use holdfast::payment::{CardId, KnownCard, Payment, PaymentId, Timestamp};
use holdfast::store::audit::AuditEntry;
use holdfast::store::switches::Switches;
use holdfast::store::{
    By, CardKept, Cards, Claim, ClaimKey, Claims, Created, Cursor, FoundCard, FoundPlan, Loaded,
    NotDurable, Nudged, Page, Permit, PlanId, PlanWrite, Plans, SaveError, Saved, Stats, Store,
    StoreError, Then, Tried,
};
use tokio::sync::watch;

pub(crate) struct Watched<S> {
    inner: S,
    asked: Mutex<Vec<usize>>,
    brought: AtomicUsize,
    saves: AtomicUsize,
    failures: AtomicUsize,
    renewals: Mutex<Vec<Vec<ClaimKey>>>,
    returned: Mutex<Vec<(ClaimKey, Timestamp)>>,
    away: AtomicBool,
    claims_held: watch::Sender<bool>,
    hints: Mutex<Hints>,
    withheld: AtomicBool,
    leases_lost: AtomicBool,
    renewals_broken: AtomicBool,
    records_change: AtomicBool,
}

#[derive(Clone, Copy)]
enum Hints {
    True,
    Lost,
    Always,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            asked: Mutex::default(),
            brought: AtomicUsize::default(),
            saves: AtomicUsize::default(),
            failures: AtomicUsize::default(),
            renewals: Mutex::default(),
            returned: Mutex::default(),
            away: AtomicBool::default(),
            claims_held: watch::Sender::new(false),
            hints: Mutex::new(Hints::True),
            withheld: AtomicBool::default(),
            leases_lost: AtomicBool::default(),
            renewals_broken: AtomicBool::default(),
            records_change: AtomicBool::default(),
        }
    }

    /// Claim calls so far.
    pub(super) fn claims(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// For how many slots each of them asked.
    pub(super) fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }

    /// Claims they brought.
    pub(super) fn brought(&self) -> usize {
        self.brought.load(Ordering::Acquire)
    }

    /// Saves that were done.
    pub(super) fn saves(&self) -> usize {
        self.saves.load(Ordering::Acquire)
    }

    /// Calls that failed because the store was away.
    pub(super) fn failures(&self) -> usize {
        self.failures.load(Ordering::Acquire)
    }

    /// The claims that each renewal named.
    pub(super) fn renewals(&self) -> Vec<Vec<ClaimKey>> {
        self.renewals.lock().unwrap().clone()
    }

    /// The claims that were given back.
    pub(super) fn returned(&self) -> Vec<(ClaimKey, Timestamp)> {
        self.returned.lock().unwrap().clone()
    }

    pub(super) fn go_away(&self) {
        self.away.store(true, Ordering::Release);
    }

    pub(super) fn come_back(&self) {
        self.away.store(false, Ordering::Release);
    }

    /// From now on, claim calls hang before they do anything.
    pub(super) fn hold_claims(&self) {
        self.claims_held.send_replace(true);
    }

    pub(super) fn let_claims_go(&self) {
        self.claims_held.send_replace(false);
    }

    pub(super) fn lose_hints(&self) {
        *self.hints.lock().unwrap() = Hints::Lost;
    }

    pub(super) fn always_hint(&self) {
        *self.hints.lock().unwrap() = Hints::Always;
    }

    /// From now on, claim calls bring nothing, though it is due.
    pub(super) fn withhold(&self) {
        self.withheld.store(true, Ordering::Release);
    }

    /// From now on, every renewal answers that the lease is lost, and so it is after every note.
    pub(super) fn lose_leases(&self) {
        self.leases_lost.store(true, Ordering::Release);
    }

    /// From now on, a renewal panics.
    pub(super) fn break_renewals(&self) {
        self.renewals_broken.store(true, Ordering::Release);
    }

    /// From now on, a record has always changed by the time that a command is to be written.
    pub(crate) fn let_records_change(&self) {
        self.records_change.store(true, Ordering::Release);
    }

    fn there(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::Acquire) {
            self.failures.fetch_add(1, Ordering::AcqRel);
            return Err(StoreError::Unavailable("it is away".to_owned()));
        }
        Ok(())
    }
}

impl<S: Store> Store for Watched<S> {
    async fn create(&self, payment: &Payment, due: Timestamp) -> Result<Created, StoreError> {
        self.there()?;
        self.inner.create(payment, due).await
    }

    async fn load(&self, id: &PaymentId) -> Result<Option<Loaded>, StoreError> {
        self.there()?;
        self.inner.load(id).await
    }

    async fn claim(&self, slots: usize) -> Result<Claims, StoreError> {
        self.asked.lock().unwrap().push(slots);
        self.claims_held
            .subscribe()
            .wait_for(|held| !held)
            .await
            .expect("the sender lives");
        self.there()?;
        if self.withheld.load(Ordering::Acquire) {
            let next_due = self.inner.stats().await?.next_due;
            return Ok(Claims {
                claims: Vec::new(),
                next_due,
            });
        }
        let found = self.inner.claim(slots).await?;
        self.brought.fetch_add(found.claims.len(), Ordering::AcqRel);
        Ok(found)
    }

    async fn renew(&self, claims: &[ClaimKey]) -> Result<Vec<ClaimKey>, StoreError> {
        self.there()?;
        assert!(
            !self.renewals_broken.load(Ordering::Acquire),
            "it is meant to break"
        );
        self.renewals.lock().unwrap().push(claims.to_vec());
        if self.leases_lost.load(Ordering::Acquire) {
            return Ok(claims.to_vec());
        }
        self.inner.renew(claims).await
    }

    async fn save(&self, claim: &mut Claim, then: Then) -> Result<Saved, SaveError> {
        self.there()?;
        let saved = self.inner.save(claim, then).await?;
        self.saves.fetch_add(1, Ordering::AcqRel);
        Ok(saved)
    }

    async fn license(&self, claim: &mut Claim) -> Result<Permit, SaveError> {
        self.there()?;
        let permit = self.inner.license(claim).await;
        if self.leases_lost.load(Ordering::Acquire) {
            // Whoever renews was told so while the write was on its way.
            claim.lost_mark().store(true, Ordering::Release);
        }
        permit
    }

    async fn command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), SaveError> {
        self.there()?;
        if self.records_change.load(Ordering::Acquire) {
            return Err(SaveError::Outdated);
        }
        self.inner.command(loaded, due, audit).await
    }

    async fn give_back(
        &self,
        claim: &ClaimKey,
        due: Timestamp,
        tried: Tried,
    ) -> Result<(), StoreError> {
        self.there()?;
        self.returned.lock().unwrap().push((claim.clone(), due));
        self.inner.give_back(claim, due, tried).await
    }

    async fn nudge(&self, id: &PaymentId) -> Result<Nudged, StoreError> {
        self.there()?;
        self.inner.nudge(id).await
    }

    async fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.there()?;
        self.inner.list(by, cursor, limit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.there()?;
        self.inner.stats().await
    }

    fn woken(&self) -> impl Future<Output = ()> + Send {
        // Made at once, as the store promises: whatever comes from now on is heard.
        let inner = self.inner.woken();
        let hints = *self.hints.lock().unwrap();
        async move {
            match hints {
                Hints::True => inner.await,
                Hints::Lost => pending().await,
                Hints::Always => {}
            }
        }
    }

    fn durability(&self) -> Result<(), NotDurable> {
        self.inner.durability()
    }
}

impl<S: Cards> Cards for Watched<S> {
    async fn card(&self, id: &CardId) -> Result<Option<FoundCard>, StoreError> {
        self.there()?;
        self.inner.card(id).await
    }

    async fn keep_card(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
    ) -> Result<CardKept, StoreError> {
        self.there()?;
        self.inner.keep_card(found, card).await
    }

    async fn keep_ordered_card(
        &self,
        found: &FoundCard,
        card: &KnownCard,
        audit: &AuditEntry,
    ) -> Result<CardKept, StoreError> {
        self.there()?;
        self.inner.keep_ordered_card(found, card, audit).await
    }

    async fn due_cards(&self, slots: usize) -> Result<Vec<CardId>, StoreError> {
        self.there()?;
        self.inner.due_cards(slots).await
    }

    async fn postpone_card(&self, id: &CardId, until: Timestamp) -> Result<(), StoreError> {
        self.there()?;
        self.inner.postpone_card(id, until).await
    }
}

impl<S: Plans> Plans for Watched<S> {
    async fn plan(&self, id: &PlanId) -> Result<Option<FoundPlan>, StoreError> {
        self.there()?;
        self.inner.plan(id).await
    }

    async fn keep_plan(
        &self,
        id: &PlanId,
        found: Option<&FoundPlan>,
        write: PlanWrite<'_>,
    ) -> Result<Option<FoundPlan>, StoreError> {
        self.there()?;
        self.inner.keep_plan(id, found, write).await
    }

    async fn due_plans(&self, slots: usize) -> Result<Vec<PlanId>, StoreError> {
        self.there()?;
        self.inner.due_plans(slots).await
    }

    async fn postpone_plan(&self, id: &PlanId, until: Timestamp) -> Result<(), StoreError> {
        self.there()?;
        self.inner.postpone_plan(id, until).await
    }

    async fn plans(&self, most: usize) -> Result<Vec<PlanId>, StoreError> {
        self.there()?;
        self.inner.plans(most).await
    }

    async fn switches(&self) -> Result<Switches, StoreError> {
        self.there()?;
        self.inner.switches().await
    }
}
