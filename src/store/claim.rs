//! Claims: who works on a payment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{SaveError, Saved};
use crate::payment::{Payment, PaymentId, StateName, Timestamp};

/// A random number that makes a claim unlike any other, before and after any failover.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(String);

impl Nonce {
    /// A fresh one: 128 random bits.
    #[must_use]
    pub fn fresh() -> Self {
        Self::from_bits(rand::random())
    }

    pub(super) fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which claim on which payment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The payment.
    pub id: PaymentId,
    /// The claim's nonce.
    pub nonce: Nonce,
}

/// A payment as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The payment.
    pub payment: Payment,
    /// The version that was read; a write must still find it.
    pub version: u64,
    /// How often it was nudged in all.
    pub nudges: u64,
    /// The state it is stored under.
    pub stored: StateName,
    /// When it is due, or its lease ends if it is claimed; `None` for a finished one.
    pub due: Option<Timestamp>,
    /// Whether somebody works on it.
    pub claimed: bool,
}

/// A payment that this worker works on.
pub struct Claim {
    /// Which claim.
    pub key: ClaimKey,
    /// The payment, changed in memory until it is saved.
    pub payment: Payment,
    /// How often it was claimed in a row without a save.
    pub barren: u32,
    /// When it fell due, or the lease of a worker that died ended; `None` if a lost answer makes that
    /// unknown. Nothing is decided by it.
    pub fell_due: Option<Timestamp>,
    pub(super) version: u64,
    pub(super) stored: StateName,
    pub(super) lineage: u64,
    /// How often the payment had been nudged when that was last read.
    pub(super) nudges: u64,
    /// The attempt that the stored record shows as open. It may have been sent already.
    recorded_open: Option<u32>,
    lost: Arc<AtomicBool>,
}

impl Claim {
    pub(super) fn new(key: ClaimKey, loaded: Loaded, barren: u32, lineage: u64) -> Self {
        let mut claim = Self {
            key,
            version: loaded.version,
            stored: loaded.stored,
            nudges: loaded.nudges,
            recorded_open: open_number(&loaded.payment),
            payment: loaded.payment,
            barren,
            fell_due: None,
            lineage,
            lost: Arc::default(),
        };
        claim.payment.nudged(loaded.nudges);
        claim
    }

    /// The same, with when it fell due.
    pub(super) fn fallen_due(self, fell_due: Option<Timestamp>) -> Self {
        Self { fell_due, ..self }
    }

    /// Takes over what was stored meanwhile; what was only in memory is gone.
    pub fn refresh(&mut self, loaded: Loaded) {
        self.version = loaded.version;
        self.stored = loaded.stored;
        self.nudges = loaded.nudges;
        self.recorded_open = open_number(&loaded.payment);
        self.payment = loaded.payment;
        self.payment.nudged(loaded.nudges);
    }

    /// Whether a permit may be made of the next write: the payment has an open attempt at a call
    /// that the gateway is sent, and the record does not show that attempt yet. One that it shows
    /// may have been sent by whoever wrote it, so it never gets a permit again.
    pub(super) fn check_license(&self) -> Result<(), SaveError> {
        if self.is_lost() {
            return Err(SaveError::Lost);
        }
        match self.payment.money_order() {
            Some(order) if Some(order.attempt) != self.recorded_open => Ok(()),
            _ => Err(SaveError::NothingToLicense),
        }
    }

    /// Takes note that the payment was written, and had been nudged `nudges` times by then.
    pub(super) fn written(&mut self, nudges: u64) -> Saved {
        self.version += 1;
        self.stored = self.payment.state().name();
        self.recorded_open = open_number(&self.payment);
        let more = nudges > self.nudges;
        self.nudges = nudges;
        self.payment.nudged(nudges);
        Saved { nudged: more }
    }

    /// Whether the lease is known to be lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// The mark by which whoever renews the leases tells the turn that its lease is lost.
    #[must_use]
    pub fn lost_mark(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }
}

fn open_number(payment: &Payment) -> Option<u32> {
    payment.open_attempt().map(|attempt| attempt.number)
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("id", &self.key.id)
            .field("version", &self.version)
            .field("state", &self.payment.state().name())
            .finish_non_exhaustive()
    }
}

/// What a claim call brought.
#[derive(Debug, Default)]
pub struct Claims {
    /// The claimed payments.
    pub claims: Vec<Claim>,
    /// When the next payment that was not claimed is due; in the past when there is more to claim.
    pub next_due: Option<Timestamp>,
}
