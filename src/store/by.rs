//! Listings: which payments, in which order, a page at a time.

use super::Loaded;
use super::write::due_ms;
use crate::payment::{
    AccountName, Payment, PaymentId, Reference, StateName, Timestamp, digest_of, hex,
};

/// Which payments are listed. Each has an index of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Those in this state, the oldest first.
    State(StateName),
    /// Those of this account that the producer calls so, the oldest first.
    Reference(AccountName, Reference),
    /// The unfinished ones that are due before this time, the earliest first. The lease of one that
    /// is being worked on stands for its time.
    Due(Timestamp),
}

impl From<StateName> for By {
    fn from(state: StateName) -> Self {
        Self::State(state)
    }
}

/// What an account and a reference are called in the index: short, and no word of the producer's.
pub(super) fn reference_hash(account: &AccountName, reference: &Reference) -> String {
    let parts = [account.as_str().as_bytes(), reference.as_str().as_bytes()];
    hex(&digest_of(&parts)[..16])
}

/// The place of a payment in the index of its state, and in that of its reference. It never
/// changes. The reference stands in it so that whoever finds the one entry can name the other,
/// even when the record has expired.
pub(super) fn place_of(payment: &Payment) -> String {
    let created = payment.created_at().timestamp_millis();
    let request = payment.request();
    let place = format!("{created:013}:{}", payment.id());
    match &request.reference {
        Some(reference) => format!("{place}:{}", reference_hash(&request.account, reference)),
        None => place,
    }
}

/// Where a listing goes on: opaque, valid across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

impl Cursor {
    /// The place after which an index goes on.
    pub(super) fn at(place: &str) -> Self {
        let mut parts = place.split(':');
        let (at, id) = (parts.next().unwrap_or_default(), parts.next());
        Self(format!("{at}:{}", id.unwrap_or_default()))
    }

    /// Right behind a payment, in the index of its state or of its reference.
    #[must_use]
    pub fn behind(payment: &Payment) -> Self {
        Self::at(&place_of(payment))
    }

    /// The same in the due index.
    pub(super) fn due(due: Timestamp, id: &PaymentId) -> Self {
        Self(format!("{:013}:{id}", due_ms(due)))
    }

    /// A cursor as it was answered before.
    pub fn from_text(text: &str) -> Result<Self, InvalidCursor> {
        let made = text.split_once(':').filter(|(made, id)| {
            (13..=15).contains(&made.len())
                && made.bytes().all(|digit| digit.is_ascii_digit())
                && PaymentId::looks_like_one(id)
        });
        made.map(|_| Self(text.to_owned()))
            .ok_or_else(|| InvalidCursor::of(text))
    }

    /// The cursor as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is no cursor: a listing after it would be empty or begin anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no cursor; give the one that the page before ended with, or none for the first page"
)]
pub struct InvalidCursor(String);

impl InvalidCursor {
    /// That this text is none.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A record that is there and that this program cannot read: whoever counts on a listing being whole
/// must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Which.
    pub payment: PaymentId,
    /// Why, without a word of what it says.
    pub problem: String,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The payments.
    pub payments: Vec<Loaded>,
    /// Those of this page that cannot be read.
    pub unread: Vec<Unread>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}
