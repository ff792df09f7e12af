//! What the gateway showed, in our words, and the proofs that can be made of it.
//!
//! A proof has private fields and one constructor that demands the evidence, so no other code
//! can report an end of a payment that the gateway did not show.

use super::card::CardFace;
use super::id::{CardToken, PaymentId, Private, PurchaseId};
use super::money::{Amount, Money};
use super::record::Payment;
use super::request::Ask;
use super::resolution::StatedEnd;
use super::state::{Hold, Mismatch};
use super::{Policy, Timestamp};

/// A purchase as the gateway showed it once. It may be stale by the time it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the gateway's own answers, one each"
)]
pub struct Sighting {
    /// Which one.
    pub purchase: PurchaseId,
    /// What is true of it there.
    pub standing: Standing,
    /// What it is for, in minor units.
    pub total: u64,
    /// In this currency.
    pub currency: String,
    /// Whether the gateway converts into another currency.
    pub converted: bool,
    /// The brand it belongs to.
    pub brand: String,
    /// Whether it is a test object.
    pub test: bool,
    /// The reference it carries: the payment id, for what we created.
    pub reference: String,
    /// What was taken, once something was.
    pub taken: Option<Taken>,
    /// Whether a person only marked it as paid: no card was charged.
    pub by_hand: bool,
    /// The token under which the payer's card is kept, if it is.
    pub card: Option<CardToken>,
    /// What people call the card by that paid or was saved, if the gateway shows it.
    pub face: Option<CardFace>,
    /// What was tried at the acquirer, the newest first.
    pub tries: Vec<Try>,
    /// When it went on hold.
    pub held_since: Option<Timestamp>,
    /// Until when it can be paid.
    pub due: Option<Timestamp>,
    /// Where the payer can pay.
    pub links: Links,
}

/// What is true of a purchase at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not paid, and can be paid or charged.
    Payable,
    /// Something is under way at the acquirer.
    Pending,
    /// Funds are reserved.
    Held,
    /// Money was taken, whatever happened to it later.
    Paid,
    /// The reservation was given back.
    Released,
    /// The card was verified and saved; no money.
    CardSaved,
    /// Cancelled: cannot be paid any more.
    Cancelled,
    /// Past its time: cannot be paid any more.
    Expired,
    /// A status this code does not know: says nothing.
    Other(String),
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Payable => "payable",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Paid => "paid",
            Self::Released => "released",
            Self::CardSaved => "card_saved",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Other(_) => "unknown_status",
        }
    }
}

/// Money that was taken, as the gateway tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// In minor units.
    pub amount: u64,
    /// In this currency.
    pub currency: String,
}

/// One try at the acquirer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// At what.
    pub kind: TryKind,
    /// Whether it went through.
    pub successful: bool,
    /// The transaction code of a failure.
    pub code: Option<String>,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryKind {
    /// To take or reserve money.
    Pay,
    /// To take reserved money.
    Capture,
    /// To give reserved money back.
    Release,
    /// Anything else.
    Other,
}

/// Where the payer can pay. Whoever has the link can see the payer's data: never printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// The gateway's page.
    pub checkout: Option<Private<String>>,
    /// Where a form on the shop's own page posts the card.
    pub direct_post: Option<Private<String>>,
}

impl Sighting {
    /// How many tries of `kind` are listed.
    #[must_use]
    pub fn count(&self, kind: TryKind) -> u32 {
        let count = self.tries.iter().filter(|t| t.kind == kind).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The newest try of `kind`.
    #[must_use]
    pub fn newest(&self, kind: TryKind) -> Option<&Try> {
        self.tries.iter().find(|t| t.kind == kind)
    }

    /// Whether a try of `kind` is listed as successful.
    #[must_use]
    pub fn lists_done(&self, kind: TryKind) -> bool {
        self.tries.iter().any(|t| t.kind == kind && t.successful)
    }

    /// Compares everything that was fixed when the purchase was created. Any difference means
    /// that this is not what was asked for, and no money may be moved on it.
    pub fn check(&self, payment: &Payment, policy: &Policy) -> Result<(), Mismatch> {
        let request = payment.request();
        let (amount, currency) = match &request.ask {
            Ask::SaveCard(ask) => (0, ask.currency),
            Ask::Authorize(ask) => (ask.money.amount.minor(), ask.money.currency),
            Ask::Charge(ask) => (ask.money.amount.minor(), ask.money.currency),
            Ask::Adopt(ask) => (ask.money.amount.minor(), ask.money.currency),
        };
        let ours = self.reference == payment.id().as_str();
        let foreign = !PaymentId::looks_like_one(&self.reference);
        let adopted = matches!(request.ask, Ask::Adopt(_));
        if payment
            .purchase()
            .is_some_and(|known| known.id != self.purchase)
            || !(ours || (adopted && foreign))
        {
            Err(Mismatch::Identity)
        } else if self.total != amount && self.standing != Standing::Paid {
            // Of a paid purchase the amount taken counts, and the proof compares that.
            Err(Mismatch::Amount)
        } else if self.currency != currency.as_str() || self.converted {
            Err(Mismatch::Currency)
        } else if self.brand != policy.account.brand {
            Err(Mismatch::Brand)
        } else if self.test != policy.account.test {
            Err(Mismatch::Mode)
        } else {
            Ok(())
        }
    }
}

/// Proof that exactly the money asked for was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidProof(Money);

impl PaidProof {
    /// The proof, if `seen` shows the amount and the currency that `payment` asked for.
    pub fn of(payment: &Payment, seen: &Sighting) -> Result<Self, Mismatch> {
        let asked = payment.money_to_take().ok_or(Mismatch::Kind)?;
        let taken = seen.taken.as_ref().ok_or(Mismatch::Amount)?;
        if seen.standing != Standing::Paid || seen.by_hand {
            Err(Mismatch::Kind)
        } else if taken.currency != asked.currency.as_str() {
            Err(Mismatch::Currency)
        } else if taken.amount == asked.amount.minor() {
            Ok(Self(asked))
        } else {
            Err(Mismatch::Amount)
        }
    }

    /// What was taken.
    #[must_use]
    pub const fn into_money(self) -> Money {
        self.0
    }
}

/// Proof that money was taken, however much and whoever asked for it. Only people may have it reported.
/// What a person only marked as paid is none: nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenProof(Money);

impl TakenProof {
    /// The proof, if `seen`, which passed [`Sighting::check`], shows money taken in the currency of
    /// `payment`.
    pub fn whatever_was_asked(payment: &Payment, seen: &Sighting) -> Result<Self, Mismatch> {
        let asked = payment.request().money().ok_or(Mismatch::Kind)?;
        let taken = seen.taken.as_ref().ok_or(Mismatch::Amount)?;
        if seen.standing != Standing::Paid || seen.by_hand {
            Err(Mismatch::Kind)
        } else if taken.currency == asked.currency.as_str() {
            let amount = Amount::new(taken.amount).map_err(|_| Mismatch::Amount)?;
            let currency = asked.currency;
            Ok(Self(Money { amount, currency }))
        } else {
            Err(Mismatch::Currency)
        }
    }

    /// What was taken.
    #[must_use]
    pub const fn into_money(self) -> Money {
        self.0
    }
}

/// What two people state and the gateway shows nothing against. No proof that money was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated(StatedEnd);

impl Stated {
    /// On their word alone.
    pub(super) const fn by_two_people(outcome: StatedEnd) -> Self {
        Self(outcome)
    }

    /// What they state.
    #[must_use]
    pub const fn outcome(self) -> StatedEnd {
        self.0
    }
}

/// Proof that the funds asked for are reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProof(Hold);

impl HeldProof {
    /// The proof, if `seen` is on hold and `payment` asked for a hold. The totals were compared
    /// by [`Sighting::check`], which every sighting passes first.
    pub fn of(
        payment: &Payment,
        seen: &Sighting,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Self, Mismatch> {
        let money = match &payment.request().ask {
            Ask::Authorize(ask) => ask.money,
            Ask::Adopt(ask) => ask.money,
            Ask::Charge(_) | Ask::SaveCard(_) => return Err(Mismatch::Kind),
        };
        if seen.standing != Standing::Held {
            return Err(Mismatch::Kind);
        }
        let since = seen.held_since.unwrap_or(now).min(now);
        let expires_at = payment
            .plan()
            .expires_at
            .unwrap_or_else(|| since + super::ladder::millis(policy.account.hold_lifetime_ms));
        Ok(Self(Hold {
            money,
            since,
            expires_at,
        }))
    }

    /// The hold.
    #[must_use]
    pub fn into_hold(self) -> Hold {
        self.0
    }
}

/// Proof that a payment can never be paid any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal(());

impl Seal {
    /// Nothing was ever recorded at the gateway, so nothing can have been charged there: a
    /// purchase is charged only after its id was saved.
    #[must_use]
    pub fn nothing_created(payment: &Payment) -> Option<Self> {
        payment.purchase().is_none().then_some(Self(()))
    }

    /// The purchase was seen cancelled or expired before, and now again; a quiet period later, if
    /// a call that takes money was sent of which nobody knows what it did, and not before a payer's
    /// last click must have arrived.
    #[must_use]
    pub fn read_twice(
        payment: &Payment,
        seen: &Sighting,
        now: Timestamp,
        policy: &Policy,
    ) -> Option<Self> {
        let now_sealed = matches!(seen.standing, Standing::Cancelled | Standing::Expired);
        let first = payment.seal_seen_at()?;
        let long_enough = now >= payment.seal_counts_from(first, policy);
        (long_enough && now_sealed).then_some(Self(()))
    }
}

/// Proofs out of thin air, for the test that walks through the whole table of transitions.
#[cfg(test)]
pub(super) mod forged {
    use super::{HeldProof, Hold, Money, PaidProof, Seal, TakenProof};

    pub(in crate::payment) const fn taken(money: Money) -> TakenProof {
        TakenProof(money)
    }

    pub(in crate::payment) const fn paid(money: Money) -> PaidProof {
        PaidProof(money)
    }

    pub(in crate::payment) const fn held(hold: Hold) -> HeldProof {
        HeldProof(hold)
    }

    pub(in crate::payment) const fn seal() -> Seal {
        Seal(())
    }
}
