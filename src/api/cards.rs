//! What may be known of a saved card, and wanted of it, from wherever that is asked.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::intake::IntakeError;
use crate::clock::Clock;
use crate::payment::{
    CardFace, CardId, CardOrder, CardState, Death, KnownCard, Request, Timestamp,
};
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::{Cards, StoreError, change_card, change_ordered_card};

/// Why a card is not charged that is not deleted yet.
const BEING_DELETED: &str = "being_deleted";
/// Why one is not whose time is said to be over.
const EXPIRED: &str = Death::RecurringTokenExpired.as_str();
/// How often is told that what is known of cards cannot be read, in milliseconds.
const TELL_EVERY_MS: i64 = 60_000;
/// When that was told last.
static TOLD_AT_MS: AtomicI64 = AtomicI64::new(i64::MIN);

/// That the card of a request cannot be charged any more, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadCard {
    /// What it is called.
    pub id: CardId,
    /// In which field of the request its token stands.
    pub field: &'static str,
    /// Why, in a word.
    pub why: &'static str,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for DeadCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, why) = (&self.id, self.why);
        let since = self
            .since
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        write!(
            f,
            "{}: the card {id} cannot be charged: {why}, since {since}; nothing was recorded. Have the \
             customer save the card again",
            self.field
        )?;
        match self.why {
            "deleted" => Ok(()),
            // The gateway keeps such a card: a look says nothing against it.
            BEING_DELETED | EXPIRED => write!(
                f,
                "; if it should be good still, an operator can say so (holdfast card keep {id})"
            ),
            _ => write!(
                f,
                "; if it should be good still, have it looked at (POST /v1/cards/{id}/look, or holdfast \
                 card look {id}) and repeat the request"
            ),
        }
    }
}

/// Why the card of a request cannot be charged, if that is known. What is known of cards is a help,
/// and no part of any promise: if it cannot be read, the gateway will say it. But a store that cannot
/// be reached could not record the request either.
pub(super) async fn dead<S: Cards>(
    store: &S,
    request: &Request,
    now: Timestamp,
) -> Result<Option<DeadCard>, StoreError> {
    let Some(token) = request.ask.token() else {
        return Ok(None);
    };
    let id = CardId::derive(&request.account, token);
    match store.card(&id).await {
        Ok(found) => Ok(found.and_then(|found| {
            let (why, since) = barred(&found.card)?;
            let field = request.ask.token_field();
            Some(DeadCard {
                id,
                field,
                why,
                since,
            })
        })),
        Err(error @ StoreError::Unavailable(_)) => Err(error),
        Err(error) => {
            if may_tell(now) {
                tracing::warn!(
                    event = "card_unreadable", card.id = %id, %error,
                    "what is known of a card cannot be read: its request is taken; told once a minute \
                     at most"
                );
            }
            Ok(None)
        }
    }
}

/// Whether it is time to tell of that again.
fn may_tell(now: Timestamp) -> bool {
    let now = now.timestamp_millis();
    let told = TOLD_AT_MS.load(Ordering::Relaxed);
    let due = now.saturating_sub(told) >= TELL_EVERY_MS;
    due && TOLD_AT_MS
        .compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// Why a card is not to be charged, and since when; `None` if it may be.
fn barred(card: &KnownCard) -> Option<(&'static str, Timestamp)> {
    match (card.state(), card.wanted(), card.death()) {
        (CardState::Deleting, Some(wanted), _) => Some((BEING_DELETED, wanted.since)),
        (CardState::Dead, _, Some(death)) => Some((death.why.as_str(), death.at)),
        _ => None,
    }
}

/// What is known of a card.
pub async fn known<S: Cards>(store: &S, id: &CardId) -> Result<KnownCard, IntakeError> {
    let found = store.card(id).await?;
    let found = found.ok_or_else(|| IntakeError::NoCard(id.clone()))?;
    Ok(found.card)
}

/// Has a card looked at or deleted by a worker, or a deletion withdrawn. Answers the card as it is known
/// from now on. What changes it is added to the audit log, if somebody asked for it.
pub async fn order<S: Cards>(
    store: &S,
    clock: &Clock,
    id: &CardId,
    order: &CardOrder,
    by: Option<&Mandate>,
) -> Result<KnownCard, IntakeError> {
    let now = clock.now();
    let mut before = None;
    let mut heed = |card: &KnownCard| {
        before = Some(card.clone());
        let mut heeded = card.clone();
        heeded.heed(order, now);
        (*card != heeded).then_some(heeded)
    };
    let written = match by {
        None => change_card(store, id, |card| heed(card?)).await?,
        Some(by) => {
            let heed = |card: &KnownCard| {
                let heeded = heed(card)?;
                let audit = AuditEntry::of_card(by, order, [card, &heeded], now);
                Some((heeded, audit))
            };
            change_ordered_card(store, id, heed).await?
        }
    };
    written
        .or(before)
        .ok_or_else(|| IntakeError::NoCard(id.clone()))
}

/// A card as it is shown: nothing of it lets its reader pay or charge.
pub(crate) fn shown(card: &KnownCard) -> Value {
    let barred = barred(card);
    let death = card.death();
    let death = death.filter(|_| card.state() == CardState::Dead);
    let face = card.face();
    json!({
        "id": card.id(),
        "account": card.account(),
        "brand": face.map(CardFace::brand),
        "last_four": face.map(CardFace::last_four),
        "state": card.state(),
        "why": death.map(|death| death.why),
        "since": barred.map(|(_, since)| since),
        "payment": death.and_then(|death| death.payment.as_ref()),
        "wanted": card.wanted().map(|wanted| wanted.what),
        "first_seen_at": card.first_seen_at(),
        "looked_at": card.looked_at(),
        "saved_by": card.saved_by(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn what_cannot_be_read_is_told_once_a_minute_however_many_ask() {
        let at = |ms: i64| from_millis(1_800_000_000_000 + ms).unwrap();
        let told = [0, 0, 59_999, 60_000, 60_001, 120_000].map(|ms| may_tell(at(ms)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
