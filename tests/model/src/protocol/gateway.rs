//! The gateway: purchases, requests on their way to them, and the ledger.

use std::hash::{Hash, Hasher};

use super::payment::{NONE, PurchaseId};
use super::sighting::{Advice, Shows};
use crate::setup::{Around, Stale};

/// How many purchases can be told apart at a time. Those that nobody can reach are forgotten.
pub(crate) const PURCHASES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Status {
    #[default]
    Absent,
    Payable,
    Paid,
    Cancelled,
}

/// What a stale look-up can still show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Past {
    payable: bool,
    cancelled: bool,
    declines: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Purchase {
    pub(crate) status: Status,
    pub(crate) declines: u8,
    past: Past,
    /// Charges that were sent and have not arrived.
    pub(crate) on_the_way: u8,
    /// Charges that the acquirer works on.
    pub(crate) at_acquirer: u8,
    /// Whether a cancel was sent and has not arrived.
    pub(crate) cancel_on_the_way: bool,
}

/// How a charge at the acquirer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    Declined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Gateway {
    pub(crate) purchases: [Purchase; PURCHASES],
    /// The ledger: how often money was taken.
    pub(crate) taken: u8,
}

/// Of what there is only: there are many states to be hashed.
impl Hash for Gateway {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for purchase in &self.purchases {
            if purchase.status != Status::Absent {
                purchase.hash(hasher);
            }
        }
        self.taken.hash(hasher);
    }
}

impl Gateway {
    pub(crate) fn ids() -> impl Iterator<Item = PurchaseId> {
        (1..).take(PURCHASES)
    }

    pub(crate) fn purchase(&self, id: PurchaseId) -> &Purchase {
        &self.purchases[usize::from(id) - 1]
    }

    pub(crate) fn purchase_mut(&mut self, id: PurchaseId) -> &mut Purchase {
        &mut self.purchases[usize::from(id) - 1]
    }

    /// Makes a purchase.
    ///
    /// # Panics
    /// If more purchases can be reached than can be told apart: silence would be a lie.
    pub(crate) fn create(&mut self) -> PurchaseId {
        let free = Self::ids().find(|id| self.purchase(*id).status == Status::Absent);
        let id = free.expect("too many purchases at a time; raise PURCHASES");
        *self.purchase_mut(id) = Purchase {
            status: Status::Payable,
            past: Past {
                payable: true,
                ..Past::default()
            },
            ..Purchase::default()
        };
        id
    }

    /// Whether a charge may still take money.
    pub(crate) fn may_still_take(&self) -> bool {
        self.purchases.iter().any(|purchase| {
            let admitted = purchase.status == Status::Payable && purchase.on_the_way > 0;
            purchase.at_acquirer > 0 || admitted
        })
    }

    /// Whether any charge is on its way or at work.
    pub(crate) fn is_busy(&self) -> bool {
        self.purchases
            .iter()
            .any(|purchase| purchase.at_acquirer > 0 || purchase.on_the_way > 0)
    }

    /// Forgets the purchases that nobody knows of and that no money was taken on.
    pub(crate) fn forget_unless(&mut self, known: impl Fn(PurchaseId) -> bool) {
        for id in Self::ids() {
            let purchase = self.purchase_mut(id);
            let reachable = purchase.on_the_way > 0 || purchase.at_acquirer > 0 || known(id);
            if !reachable {
                *purchase = Purchase::default();
            }
        }
    }

    pub(crate) fn quiet_passes(&mut self, around: Around) {
        if around.stale == Stale::ForEver {
            return;
        }
        for purchase in &mut self.purchases {
            purchase.past = Past {
                payable: purchase.status == Status::Payable,
                cancelled: purchase.status == Status::Cancelled,
                declines: purchase.declines,
            };
        }
    }

    /// What a look-up of `id` can show, and whether it is stale then.
    pub(crate) fn shows(&self, id: PurchaseId, declines_known: u8) -> Vec<(Shows, bool)> {
        if id == NONE {
            return Vec::new();
        }
        let purchase = self.purchase(id);
        let payable = |declines: u8| {
            let advices: &[Advice] = if declines > declines_known {
                &[Advice::Never, Advice::Later]
            } else {
                &[Advice::Later]
            };
            let show = move |&advice| Shows::Payable { declines, advice };
            advices.iter().map(show)
        };
        let mut now = Vec::new();
        match purchase.status {
            Status::Absent => {}
            Status::Payable if purchase.at_acquirer > 0 => now.push(Shows::Pending),
            Status::Payable => now.extend(payable(purchase.declines)),
            Status::Paid => now.push(Shows::Paid),
            Status::Cancelled => now.push(Shows::Cancelled),
        }
        let mut before = Vec::new();
        if purchase.past.payable {
            before.extend((purchase.past.declines..=purchase.declines).flat_map(payable));
        }
        if purchase.past.cancelled {
            before.push(Shows::Cancelled);
        }
        before.retain(|shows| !now.contains(shows));
        let fresh = now.into_iter().map(|shows| (shows, false));
        fresh
            .chain(before.into_iter().map(|shows| (shows, true)))
            .collect()
    }
}

impl Purchase {
    /// A charge arrives: the acquirer works on it, or it is refused.
    pub(crate) fn charge_arrives(&mut self, around: Around) {
        self.on_the_way -= 1;
        let free = !around.serialises || self.at_acquirer == 0;
        if self.status == Status::Payable && free {
            self.at_acquirer += 1;
        }
    }

    /// A cancel arrives: from us, or from somebody behind our back.
    pub(crate) fn cancel_arrives(&mut self, around: Around) {
        let free = !around.cancel_is_atomic || self.at_acquirer == 0;
        if self.status == Status::Payable && free {
            self.status = Status::Cancelled;
            self.past.cancelled = true;
        }
    }

    /// The acquirer is done with a charge. Answers whether money was taken.
    pub(crate) fn charge_ends(&mut self, outcome: Outcome) -> bool {
        self.at_acquirer -= 1;
        match outcome {
            Outcome::Taken => self.status = Status::Paid,
            Outcome::Declined => self.declines = self.declines.saturating_add(1),
        }
        outcome == Outcome::Taken
    }
}
