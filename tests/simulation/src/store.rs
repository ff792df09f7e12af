//! The store as a process reaches it: the product's store in memory, behind a network that the
//! seed decides, with writes that become durable after a while.

use std::future::Future;
use std::sync::Arc;

use holdfast::clock::Clock;
use holdfast::payment::{Payment, PaymentId, Timestamp};
use holdfast::store::audit::AuditEntry;
use holdfast::store::memory::MemoryStore;
use holdfast::store::{
    By, Claim, ClaimKey, Claims, Created, Cursor, Loaded, NotDurable, Nudged, Page, Permit,
    SaveError, Saved, Stats, Store, StoreError, Then, Tried,
};
use tokio::time::{Duration, Instant, timeout};

use crate::dice::Dice;
use crate::durable::{Kept, Mark};
use crate::oracle;
use crate::plan::Durability;
use crate::points::{self, Manner};
use crate::process::{Busy, Process};
use crate::world::{World, rest};

/// How long somebody waits for a write to become durable.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store, as one process reaches it.
pub(crate) struct SimulatedStore {
    world: Arc<World>,
    process: Arc<Process>,
    /// The clock of the process, which follows the store's.
    clock: Option<Clock>,
}

/// A call that has arrived at the store and is not answered yet.
struct Visit<'a> {
    dice: Dice,
    reply: Reply,
    met: Option<Manner>,
    _busy: Busy<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Heard,
    Lost,
}

impl SimulatedStore {
    pub(crate) fn of(world: &Arc<World>, process: &Arc<Process>) -> Self {
        Self {
            world: Arc::clone(world),
            process: Arc::clone(process),
            clock: None,
        }
    }

    /// The same, telling the time to a clock with every claim, as the store on Redis does.
    pub(crate) fn telling(self, clock: &Clock) -> Self {
        Self {
            clock: Some(clock.clone()),
            ..self
        }
    }

    fn inner(&self) -> &MemoryStore {
        &self.world.store
    }

    /// The way there. What fails here did not happen.
    async fn arrive(&self, call: &'static str, subject: u64) -> Result<Visit<'_>, StoreError> {
        self.process.running().await;
        let world = &self.world;
        let busy = self.process.begin(call);
        let (mut dice, id) = world.next_dice(call, subject);
        let mut reply = Reply::Heard;
        let rate = world.plan.faults_in_1000 / 3;
        let struck = dice.in_1000(rate) && world.may_strike(id);
        let fault = struck.then(|| *dice.pick(&["unreached", "reply_lost", "slow"]));
        rest(1).await;
        if let Some(fault) = fault {
            match call {
                // About whatever is due, and about the worker itself.
                "store.claim" | "store.renew" => world.struck(id, (call, fault)),
                _ => world.struck_at(subject, id, (call, fault)),
            }
            let name = &self.process.name;
            world.note(name, format_args!("{call}: {fault}"));
            match fault {
                "slow" => rest(dice.between(10, 2_500)).await,
                "reply_lost" => reply = Reply::Lost,
                _ => return Err(unavailable(call)),
            }
        }
        self.process.running().await;
        let met = points::meet(world, &self.process, call).await;
        if world.is_out() || met == Some(Manner::NotArrived) {
            return Err(unavailable(call));
        }
        if met == Some(Manner::ReplyLost) {
            reply = Reply::Lost;
        }
        if reply == Reply::Lost {
            world.lose_next_reply();
        }
        Ok(Visit {
            dice,
            reply,
            met,
            _busy: busy,
        })
    }

    /// The way back: the process may be gone by then.
    async fn return_from(&self, mut visit: Visit<'_>) {
        points::after(&self.world, &self.process, visit.met).await;
        if visit.reply == Reply::Lost {
            rest(2_000).await;
        } else if visit.dice.in_1000(300) {
            rest(1).await;
        }
        self.world.written.notify_one();
        self.process.running().await;
    }

    /// What is written by one server alone is kept, unless it has fallen short for a while.
    fn keep(&self) {
        if self.world.plan.durability == Durability::Solo && !self.world.is_forgetful() {
            self.inner().made_durable(self.inner().written());
        }
    }

    /// The doors take nothing while the store falls short.
    fn admit(&self) -> Result<(), StoreError> {
        match self.inner().durability() {
            Err(_) if self.clock.is_none() => Err(unavailable("the store falls short")),
            _ => Ok(()),
        }
    }

    /// All that is written by now.
    fn mark(&self) -> Mark {
        Mark {
            written: self.inner().written(),
            lineage: self.world.durable.upto().lineage,
        }
    }

    /// Waits until what was written outlives a failover, if that is how the store is.
    async fn until_durable(&self, mark: Mark) -> Result<(), NotKept> {
        if self.world.plan.durability == Durability::Solo {
            return Ok(());
        }
        let kept = timeout(PATIENCE, self.world.durable.decided(mark)).await;
        self.process.running().await;
        match kept {
            Ok(Kept::Yes) => Ok(()),
            Ok(Kept::Replaced) => Err(NotKept::Replaced),
            Err(_) => Err(NotKept::TooSlow),
        }
    }

    fn subject(&self, id: &PaymentId) -> u64 {
        self.world.number(id)
    }

    fn wrote(&self, call: &str, payment: &Payment, done: &str) {
        self.world.name_purchase(payment);
        let number = self.subject(payment.id());
        let state = payment.state().name();
        let name = &self.process.name;
        self.world
            .note(name, format_args!("p{number:02} {call} {state}: {done}"));
    }
}

/// Why a write may be undone.
enum NotKept {
    /// Another server took over.
    Replaced,
    /// The others are far behind.
    TooSlow,
}

impl From<NotKept> for StoreError {
    fn from(_: NotKept) -> Self {
        unavailable("it was not known to be durable")
    }
}

impl From<NotKept> for SaveError {
    fn from(why: NotKept) -> Self {
        match why {
            NotKept::Replaced => Self::Lost,
            NotKept::TooSlow => Self::NotDurable(NotDurable {
                profile: "simulated",
                problem: "the replicas are far behind".to_owned(),
            }),
        }
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

fn told<T, E: std::fmt::Display>(outcome: &Result<T, E>) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}

impl Store for SimulatedStore {
    async fn create(&self, payment: &Payment, due: Timestamp) -> Result<Created, StoreError> {
        let visit = self
            .arrive("store.create", self.subject(payment.id()))
            .await?;
        self.admit()?;
        let created = self.inner().create(payment, due).await;
        self.keep();
        self.wrote("create", payment, &told(&created));
        let mark = self.mark();
        self.return_from(visit).await;
        self.until_durable(mark).await?;
        created
    }

    async fn load(&self, id: &PaymentId) -> Result<Option<Loaded>, StoreError> {
        let visit = self.arrive("store.load", self.subject(id)).await?;
        self.admit()?;
        let loaded = self.inner().load(id).await;
        let mark = self.mark();
        self.return_from(visit).await;
        // What is told to the outside must outlive a failover; a repeated command is answered
        // from what is read. A worker only acts on it, and its own writes are decided in order.
        if self.clock.is_none() {
            self.until_durable(mark).await?;
        }
        loaded
    }

    async fn claim(&self, slots: usize) -> Result<Claims, StoreError> {
        let visit = self.arrive("store.claim", self.process.number).await?;
        let asked = Instant::now();
        let (claims, now) = (self.inner().claim(slots).await, self.world.now());
        self.keep();
        for claim in claims.iter().flat_map(|found| &found.claims) {
            let number = self.subject(&claim.key.id);
            self.world.name_purchase(&claim.payment);
            points::claimed(&self.world, &self.process, &claim.key);
            let name = &self.process.name;
            self.world.note(
                name,
                format_args!("p{number:02} claimed ({})", claim.barren),
            );
        }
        self.return_from(visit).await;
        if let Some(clock) = self.clock.as_ref().filter(|_| claims.is_ok()) {
            clock.sync(now, asked.elapsed());
        }
        claims
    }

    async fn renew(&self, claims: &[ClaimKey]) -> Result<Vec<ClaimKey>, StoreError> {
        let visit = self.arrive("store.renew", self.process.number).await?;
        let lost = self.inner().renew(claims).await;
        self.keep();
        self.return_from(visit).await;
        lost
    }

    async fn save(&self, claim: &mut Claim, then: Then) -> Result<Saved, SaveError> {
        let visit = self
            .arrive("store.save", self.subject(&claim.key.id))
            .await?;
        let saved = self.inner().save(claim, then).await;
        self.keep();
        self.wrote("save", &claim.payment, &told(&saved));
        oracle::check_stored(&self.world, &claim.key.id);
        self.return_from(visit).await;
        saved
    }

    async fn license(&self, claim: &mut Claim) -> Result<Permit, SaveError> {
        let visit = self
            .arrive("store.license", self.subject(&claim.key.id))
            .await?;
        let permit = self.inner().license(claim).await;
        self.keep();
        self.wrote("license", &claim.payment, &told(&permit));
        if permit.is_ok() {
            oracle::check_license(&self.world, &claim.payment);
            points::licensed(&self.world, &self.process).await;
        }
        let mark = self.mark();
        self.return_from(visit).await;
        let permit = permit?;
        self.until_durable(mark).await?;
        Ok(permit)
    }

    async fn command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), SaveError> {
        let subject = self.subject(loaded.payment.id());
        let visit = self.arrive("store.command", subject).await?;
        self.admit()?;
        let obeyed = self.inner().command(loaded, due, audit).await;
        self.keep();
        self.wrote("command", &loaded.payment, &told(&obeyed));
        let mark = self.mark();
        self.return_from(visit).await;
        obeyed?;
        self.until_durable(mark).await.map_err(StoreError::from)?;
        Ok(())
    }

    async fn give_back(
        &self,
        claim: &ClaimKey,
        due: Timestamp,
        tried: Tried,
    ) -> Result<(), StoreError> {
        let visit = self
            .arrive("store.give_back", self.subject(&claim.id))
            .await?;
        let given = self.inner().give_back(claim, due, tried).await;
        self.keep();
        self.return_from(visit).await;
        given
    }

    async fn nudge(&self, id: &PaymentId) -> Result<Nudged, StoreError> {
        let visit = self.arrive("store.nudge", self.subject(id)).await?;
        let nudged = self.inner().nudge(id).await;
        self.keep();
        self.return_from(visit).await;
        nudged
    }

    async fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let visit = self.arrive("store.list", 0).await?;
        let page = self.inner().list(by, cursor, limit).await;
        self.return_from(visit).await;
        page
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let visit = self.arrive("store.stats", 0).await?;
        let stats = self.inner().stats().await;
        self.return_from(visit).await;
        stats
    }

    fn woken(&self) -> impl Future<Output = ()> + Send {
        self.inner().woken()
    }

    fn durability(&self) -> Result<(), NotDurable> {
        self.inner().durability()
    }
}
