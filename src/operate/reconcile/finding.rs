//! What differs, and what a person is to do about it.

use crate::payment::{AccountName, Money, PaymentId, PurchaseId, digest_of, hex};

/// In what the books differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The statement has money that no record knows of.
    PaidWithoutRecord,
    /// Recorded paid, and the gateway shows that nothing was taken.
    RecordWithoutPayment,
    /// Money was taken twice for one payment.
    TwoPaidForOne,
    /// Another amount was taken or held.
    AmountDiffers,
    /// In another currency.
    CurrencyDiffers,
    /// Money was taken, and the record says otherwise.
    TakenAgainstRecord,
    /// Funds are reserved, and the record says otherwise.
    HeldAgainstRecord,
    /// The gateway shows the money taken, and its own statement does not have it.
    NotInStatement,
    /// The purchase that the record names carries another reference.
    AnothersPurchase,
    /// No money was taken against the record, and yet the gateway shows something else.
    StandsOtherwise,
}

impl Kind {
    /// All of them, those that may have cost somebody money first.
    pub const ALL: [Self; 10] = [
        Self::TwoPaidForOne,
        Self::TakenAgainstRecord,
        Self::PaidWithoutRecord,
        Self::RecordWithoutPayment,
        Self::AmountDiffers,
        Self::CurrencyDiffers,
        Self::HeldAgainstRecord,
        Self::AnothersPurchase,
        Self::StandsOtherwise,
        Self::NotInStatement,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaidWithoutRecord => "paid_without_record",
            Self::RecordWithoutPayment => "record_without_payment",
            Self::TwoPaidForOne => "two_paid_for_one",
            Self::AmountDiffers => "amount_differs",
            Self::CurrencyDiffers => "currency_differs",
            Self::TakenAgainstRecord => "taken_against_record",
            Self::HeldAgainstRecord => "held_against_record",
            Self::NotInStatement => "not_in_statement",
            Self::AnothersPurchase => "anothers_purchase",
            Self::StandsOtherwise => "stands_otherwise",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn what_to_do(self) -> &'static str {
        match self {
            Self::PaidWithoutRecord => {
                "find the purchase in CHIP's portal: who made it? If nobody should have, refund it \
                 there and look for a key that leaked; if other systems use this brand, say \
                 --shared-brand"
            }
            Self::RecordWithoutPayment => {
                "the producer was told that it is paid: compare with the portal, and have the money \
                 taken anew if it is not there. Is the key that of the same company?"
            }
            Self::TwoPaidForOne => {
                "refund one of the two in CHIP's portal, and find out who made the other purchase"
            }
            Self::AmountDiffers => {
                "compare with the portal; refund what is too much, or ask for the rest anew"
            }
            Self::CurrencyDiffers => "compare with the portal, and ask CHIP what was converted",
            Self::TakenAgainstRecord => {
                "if it is held or parked, `holdfast rerun` looks and reports what is true; if it is \
                 finished, tell the producer, and refund in CHIP's portal what must not be kept"
            }
            Self::HeldAgainstRecord => "release the hold in CHIP's portal",
            Self::NotInStatement => {
                "have the statement made again, over a longer time; then ask CHIP why it is missing"
            }
            Self::AnothersPurchase => {
                "find both payments and the purchase in CHIP's portal; tell the producer which is true"
            }
            Self::StandsOtherwise => {
                "look in CHIP's portal who ended it; a `holdfast rerun` reports what is true if it \
                 is parked"
            }
        }
    }
}

/// What one of the books says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The state or standing, in a word.
    pub word: String,
    /// How much, in minor units, and in which currency.
    pub money: Option<(u64, String)>,
}

impl Side {
    pub(super) fn of(word: &str, money: Option<Money>) -> Self {
        let money = money.map(|m| (m.amount.minor(), m.currency.as_str().to_owned()));
        Self {
            word: word.to_owned(),
            money,
        }
    }
}

/// Something in which the books differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In what.
    pub kind: Kind,
    /// Of which payment, if it is one.
    pub payment: Option<PaymentId>,
    /// On which purchase.
    pub purchase: Option<PurchaseId>,
    /// The merchant's reference of a purchase that is none of ours.
    pub reference: Option<String>,
    /// What is recorded.
    pub recorded: Option<Side>,
    /// What the gateway shows.
    pub gateway: Option<Side>,
    /// What its statement says.
    pub statement: Option<Side>,
}

/// What a purchase is called where its id must not stand: the same in every report, and no way
/// back. With `--reveal` the id itself is told.
#[must_use]
pub fn masked_name(account: &AccountName, purchase: &PurchaseId) -> String {
    let digest = digest_of(&[
        b"purchase",
        account.as_str().as_bytes(),
        purchase.as_str().as_bytes(),
    ]);
    format!("purchase_{}", hex(&digest[..6]))
}
