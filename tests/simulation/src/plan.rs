//! What a seed decides before anything happens, and what a run may be narrowed down to.

use std::collections::BTreeSet;

use holdfast::payment::UnknownPolicy;

use crate::dice::Dice;

/// Names a decision to let something go wrong.
pub type FaultId = u64;

/// How much the store may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was answered is never lost, but for what was written while the store is known to fall
    /// short.
    Solo,
    /// Writes become durable after a while; a failover undoes the others. Whoever needs to be
    /// sure waits.
    Gated,
}

/// What the gateway does with two charges or two captures of one purchase at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charges {
    /// One keeps the other out.
    Serialised,
    /// Both take money, and a cancel does not wait for them. Now and then such a gateway does not
    /// list a capture that failed, either, or shows what was taken late.
    Concurrent,
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides all that happens.
    pub seed: u64,
    /// How many payments producers ask for.
    pub payments: u64,
    /// How many worker processes there are at a time.
    pub workers: u64,
    /// How much the store may lose.
    pub durability: Durability,
    /// What the gateway does with two charges of one purchase at a time.
    pub charges: Charges,
    /// One policy for all accounts; each of two accounts has its own, without it.
    pub unknown: Option<UnknownPolicy>,
    /// How many calls in a thousand meet a fault.
    pub faults_in_1000: u64,
    /// How long things go wrong, in milliseconds of virtual time.
    pub trouble_ms: u64,
    /// The longest time that the acquirer takes.
    pub acquirer_ms: u64,
    /// Faults that are left out.
    pub spared: BTreeSet<FaultId>,
    /// Payments that are left out, by number.
    pub unasked: BTreeSet<u64>,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "plan", &[]);
        let durability = if dice.in_1000(500) {
            Durability::Gated
        } else {
            Durability::Solo
        };
        // A shop may send again only where one charge keeps another out.
        let kind = Dice::of(seed, "gateway", &[]).in_1000(500);
        Self {
            seed,
            payments: dice.between(20, 28),
            workers: dice.between(2, 5),
            durability,
            charges: if kind {
                Charges::Serialised
            } else {
                Charges::Concurrent
            },
            unknown: (!kind).then_some(UnknownPolicy::Park),
            faults_in_1000: *dice.pick(&[60, 150, 150, 300]),
            trouble_ms: dice.between(180_000, 600_000),
            acquirer_ms: *dice.pick(&[300, 2_000, 2_000, 20_000, 50_000]),
            spared: BTreeSet::new(),
            unasked: BTreeSet::new(),
        }
    }

    /// The same seed on a gateway that takes money twice if it is asked twice at a time, and whose
    /// acquirer is slow.
    #[must_use]
    pub fn on_the_weakest_gateway(seed: u64, unknown: UnknownPolicy) -> Self {
        Self {
            charges: Charges::Concurrent,
            unknown: Some(unknown),
            acquirer_ms: 55_000,
            faults_in_1000: 300,
            ..Self::of(seed)
        }
    }
}
