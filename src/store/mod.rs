//! Where payments live: a small trait, Redis behind it, and a store in memory for simulation.
//!
//! A *claim* says which worker works on a payment until its lease runs out. It decides who works,
//! never what is safe: what is safe follows from the version and the nonce that every write is
//! checked against, and from the [`Permit`] that only a durable write hands out.

pub mod audit;
mod by;
mod cards;
mod claim;
mod event;
mod face;
pub mod memory;
mod outgoing;
mod permit;
mod plans;
pub mod redis;
pub mod switches;
mod write;

use std::fmt;
use std::future::Future;

use serde::Serialize;

use self::audit::AuditEntry;
pub use by::{By, Cursor, InvalidCursor, Page, Unread};
pub use cards::{
    CardKept, Cards, FoundCard, Happened, Heard, News, change_card, change_ordered_card,
};
pub use claim::{Claim, ClaimKey, Claims, Loaded, Nonce};
pub use event::StateEvent;
pub use face::{At, Dated, Face, StepName};
pub use outgoing::{
    Decided, Deed, EndpointName, EventHead, EventPlace, Kept, Mark, Outgoing, Owned, Range, Reader,
    Sends, Spread, Trimmed, Waiting,
};
pub use permit::Permit;
pub use plans::{FoundPlan, PlanId, PlanWrite, Plans};

use crate::payment::{Payment, PaymentId, StateName, Timestamp};

/// What keeps payments. Every method is one atomic step in the store.
pub trait Store: Send + Sync + 'static {
    /// Records a new payment that is due at `due`, unless its id is there already.
    fn create(
        &self,
        payment: &Payment,
        due: Timestamp,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Reads a payment.
    fn load(
        &self,
        id: &PaymentId,
    ) -> impl Future<Output = Result<Option<Loaded>, StoreError>> + Send;

    /// Claims up to `slots` payments that are due, each with a fresh random nonce.
    fn claim(&self, slots: usize) -> impl Future<Output = Result<Claims, StoreError>> + Send;

    /// Extends the leases of `claims` from now; answers those that are held no more.
    fn renew(
        &self,
        claims: &[ClaimKey],
    ) -> impl Future<Output = Result<Vec<ClaimKey>, StoreError>> + Send;

    /// Writes the claim's payment, its indexes and its event, if version and nonce still match.
    /// A repeated identical write is answered as if it had just been done. A finished payment
    /// always rests and leaves the due index; an unfinished one never does.
    fn save(
        &self,
        claim: &mut Claim,
        then: Then,
    ) -> impl Future<Output = Result<Saved, SaveError>> + Send;

    /// Writes as [`Store::save`] does, keeps the claim, and once the write is durable hands out
    /// the permit for the payment's open attempt: one permit for one write, and only for the
    /// write that records the attempt. An attempt that was recorded before is looked up instead.
    fn license(&self, claim: &mut Claim) -> impl Future<Output = Result<Permit, SaveError>> + Send;

    /// Writes what a command changed, if the version still matches. A claim that is held stays
    /// held; its holder finds the new version at its next save. `audit` is added to the log in the
    /// same step, once however often the identical write is repeated; without it, it is nobody's
    /// command.
    fn command(
        &self,
        loaded: &Loaded,
        due: Option<Timestamp>,
        audit: Option<&AuditEntry>,
    ) -> impl Future<Output = Result<(), SaveError>> + Send;

    /// Gives a claim back without a change; the payment is due at `due`, or now if it was
    /// commanded or nudged meanwhile. A claim that is held no more is no error.
    fn give_back(
        &self,
        claim: &ClaimKey,
        due: Timestamp,
        tried: Tried,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes a payment due now, because something may have happened to it at the gateway.
    fn nudge(&self, id: &PaymentId) -> impl Future<Output = Result<Nudged, StoreError>> + Send;

    /// The payments that `by` names, in its order, after `cursor`.
    fn list(
        &self,
        by: &By,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// How many payments there are in each state, and how much is due.
    fn stats(&self) -> impl Future<Output = Result<Stats, StoreError>> + Send;

    /// Resolves when there may be new work earlier than was known when it was called. A hint: it
    /// can be lost.
    fn woken(&self) -> impl Future<Output = ()> + Send;

    /// Whether money may move now: what the store lacks, if not.
    fn durability(&self) -> Result<(), NotDurable>;
}

/// What became of a create.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// Recorded.
    New,
    /// It was there, from the same request: the payment as it is now.
    Existing(Box<Loaded>),
    /// It was there, from another request under the same key.
    Conflict,
}

/// Whether anything was tried on a claim that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// A turn was begun: if that happens again and again, the payment breaks workers.
    Yes,
    /// Nothing: the claim does not count against the payment.
    No,
}

/// What becomes of the claim after a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Work goes on; the lease starts anew.
    Keep,
    /// The claim ends. The payment is due at this time; `None` for a finished one. Nothing that
    /// is not finished leaves the due index: without a time it is due now.
    Rest(Option<Timestamp>),
}

/// What a save tells besides that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Whether the payment was nudged since it was claimed, loaded or last saved. The claim's
    /// payment in memory knows by now; one that was put to rest is due at once, whatever time the
    /// save asked for.
    pub nudged: bool,
}

/// What became of a nudge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nudged {
    /// It is due now.
    Due,
    /// Somebody works on it and will see the nudge at the next save.
    Busy,
    /// It is finished; there is nothing to look for.
    Finished,
    /// There is no such payment.
    Missing,
}

/// What the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many payments there are in each state that has any.
    pub by_state: Vec<(StateName, u64)>,
    /// How many are due by now, being worked on not counted.
    pub due_now: u64,
    /// How many are in the due index: all that are not finished.
    pub unfinished: u64,
    /// When the next one is due; in the past when work is waiting.
    pub next_due: Option<Timestamp>,
}

/// The store could not be asked, or answered what it should not.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached now, or did not answer in time. Whether a write was done is unknown;
    /// repeat the identical call.
    #[error("Redis cannot be reached ({0}); the worker goes on by itself when it is back")]
    Unavailable(String),
    /// A stored record cannot be read by this version.
    #[error(
        "the record of {id} cannot be read ({problem}); it was left as it is. Run a version that can read it"
    )]
    Unreadable {
        /// Which.
        id: String,
        /// Why not.
        problem: String,
    },
    /// Redis refused: wrong configuration, wrong rights, out of memory.
    #[error("Redis refused the call: {0}")]
    Refused(String),
    /// Others changed it all the time, so that it was not done, or, of many, not all of it.
    #[error("{0} changes too quickly: it was not done, or not to its end; do it again")]
    Busy(String),
    /// A fault of Holdfast, at one thing or another: it would come again.
    #[error("a fault of Holdfast, please report it: {0}")]
    Broken(String),
}

impl StoreError {
    /// Whether it is about what stands at one key, rather than about something that holds for all:
    /// reachability, memory, rights, a full disk. Repeating the call changes nothing.
    #[must_use]
    pub fn is_about_one(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Busy(_) => false,
            Self::Unreadable { .. } | Self::Broken(_) => true,
            Self::Refused(why) => why.starts_with("WRONGTYPE "),
        }
    }

    /// A panic at something; the log says where it was.
    #[must_use]
    pub fn panicked(at: &impl fmt::Display) -> Self {
        Self::Broken(format!("a panic at {at}"))
    }
}

/// A value as it is written. That it is no JSON would be a fault of Holdfast.
pub(crate) fn json_of(value: &impl Serialize, what: &str) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Broken(format!("{what} that is no JSON: {error}")))
}

/// Why a write was not done, or not known to be done.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The claim is held no more: somebody else works on the payment, or Redis' lineage changed.
    /// Send nothing more.
    #[error("the claim is held no more")]
    Lost,
    /// The record changed meanwhile: load it again, and decide again.
    #[error("the record has a newer version")]
    Outdated,
    /// There is no such record.
    #[error("there is no such record")]
    Missing,
    /// The write may not count as durable, so nothing may be sent.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
    /// The payment has no open attempt that a permit could stand for, or it was recorded before
    /// and may have been sent: look it up.
    #[error("no attempt is open that was not recorded before")]
    NothingToLicense,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the durability profile demands and Redis lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("durability profile {profile}: {problem}. Money steps wait; look-ups go on")]
pub struct NotDurable {
    /// The profile.
    pub profile: &'static str,
    /// What is missing, and how to set it.
    pub problem: String,
}
