//! What is known of saved cards: beside payments, and never in the way of one.

use std::future::Future;

use serde::Deserialize;
use serde_json::Value;

use super::audit::AuditEntry;
use super::{StateEvent, StoreError};
use crate::payment::{CardId, Death, KnownCard, PaymentId, Private, Timestamp};

/// How often a card is changed anew when somebody else changes it at the same time.
const MOST_TRIES: usize = 20;

/// A card as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundCard {
    /// The card.
    pub card: KnownCard,
    /// What a write must still find. The token stands in it.
    pub(super) mark: Private<String>,
}

/// Whether a card was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKept {
    /// It was.
    Now,
    /// Somebody else wrote it since it was read.
    Outdated,
}

/// What keeps what is known of cards. Every method is one atomic step in the store.
pub trait Cards: Send + Sync + 'static {
    /// What is known of a card.
    fn card(
        &self,
        id: &CardId,
    ) -> impl Future<Output = Result<Option<FoundCard>, StoreError>> + Send;

    /// Writes what is known of a card, if nobody wrote it since it was `found`.
    fn keep_card(
        &self,
        found: Option<&FoundCard>,
        card: &KnownCard,
    ) -> impl Future<Output = Result<CardKept, StoreError>> + Send;

    /// The same, for what somebody asked of it: `audit` is added to the log in the same step.
    fn keep_ordered_card(
        &self,
        found: &FoundCard,
        card: &KnownCard,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<CardKept, StoreError>> + Send;

    /// Up to `slots` cards of which something is wanted that is to be carried out now.
    fn due_cards(
        &self,
        slots: usize,
    ) -> impl Future<Output = Result<Vec<CardId>, StoreError>> + Send;

    /// Has a card that cannot be read come up again only at `until`, so that it stands in no other's
    /// way. Nothing is done about one of which nothing is known.
    fn postpone_card(
        &self,
        id: &CardId,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Tells what happened to payments, once to whoever asks for what is known of cards: up to where
/// that was read is kept, for all workers together.
pub trait News: Send + Sync + 'static {
    /// Up to where it was read.
    type Followed: Send + Sync;

    /// Up to where it was read by now.
    fn followed(&self) -> impl Future<Output = Result<Self::Followed, StoreError>> + Send;

    /// What happened after that, as far as one step goes.
    fn news(
        &self,
        from: &Self::Followed,
    ) -> impl Future<Output = Result<Heard<Self::Followed>, StoreError>> + Send;

    /// Keeps that all of it was read. Whether nobody else has kept another place meanwhile.
    fn passed(
        &self,
        from: &Self::Followed,
        to: &Self::Followed,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What one step heard.
#[derive(Debug)]
pub struct Heard<F> {
    /// What happened, as far as it may say something of a card.
    pub happened: Vec<Happened>,
    /// How much was read.
    pub read: usize,
    /// Up to where.
    pub to: F,
}

/// That something happened to a payment: as much of an event as is needed to know whether it says
/// something of a card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Happened {
    /// Which payment.
    pub payment: PaymentId,
    state: String,
    #[serde(default)]
    reason: Value,
}

impl Happened {
    /// Reads an event. What cannot be read, and what says nothing of any card, is nothing.
    #[must_use]
    pub fn read(json: &str) -> Option<Self> {
        let happened: Self = serde_json::from_str(json).ok()?;
        happened.may_say_something().then_some(happened)
    }

    /// The same of an event in hand.
    #[must_use]
    pub fn of(event: &StateEvent) -> Option<Self> {
        let happened = Self {
            payment: event.payment.clone(),
            state: event.state.to_string(),
            reason: event.reason.clone().unwrap_or_default(),
        };
        happened.may_say_something().then_some(happened)
    }

    fn may_say_something(&self) -> bool {
        match self.state.as_str() {
            "saved" | "held" | "paid" | "released" | "parked" => true,
            "failed" => {
                let code = self.reason.get("code").and_then(Value::as_str);
                code.is_some_and(|code| Death::of_code(code).is_some())
            }
            _ => false,
        }
    }
}

/// Changes a card, again if somebody else changes it at the same time. `change` makes of what is
/// known what is to be known from now on; `None` leaves it as it is. Answers what was written.
pub async fn change_card<S: Cards>(
    store: &S,
    id: &CardId,
    mut change: impl FnMut(Option<&KnownCard>) -> Option<KnownCard> + Send,
) -> Result<Option<KnownCard>, StoreError> {
    for _ in 0..MOST_TRIES {
        let found = store.card(id).await?;
        let Some(card) = change(found.as_ref().map(|found| &found.card)) else {
            return Ok(None);
        };
        if store.keep_card(found.as_ref(), &card).await? == CardKept::Now {
            return Ok(Some(card));
        }
    }
    Err(StoreError::Busy(id.to_string()))
}

/// Changes a card as somebody asked, again if somebody else changes it at the same time. `change`
/// makes of what is known what is to be known from now on, and what the audit log says of it; `None`
/// leaves it as it is. Answers what was written.
pub async fn change_ordered_card<S: Cards>(
    store: &S,
    id: &CardId,
    mut change: impl FnMut(&KnownCard) -> Option<(KnownCard, AuditEntry)> + Send,
) -> Result<Option<KnownCard>, StoreError> {
    for _ in 0..MOST_TRIES {
        let Some(found) = store.card(id).await? else {
            return Ok(None);
        };
        let Some((card, audit)) = change(&found.card) else {
            return Ok(None);
        };
        if store.keep_ordered_card(&found, &card, &audit).await? == CardKept::Now {
            return Ok(Some(card));
        }
    }
    Err(StoreError::Busy(id.to_string()))
}
