//! WHAT is known of saved cards, kept beside payments: read from their events, and asked of the
//! gateway where somebody wants to know, or wants a card deleted.
//!
//! Nothing here moves money and nothing waits for it, so no call needs a note: a deletion may be asked
//! for twice, and what a lost answer did is seen by the next look. Several workers may do the same at
//! the same time; of two signs the later one counts.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::gateway::{CardGateway, CardLook};
use crate::payment::{CardEvidence, CardId, KnownCard, PaymentId, Timestamp, Wish};
use crate::store::{Cards, News, Store, StoreError, change_card};

/// How often is asked what happened, and what is wanted.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is asked after the store could not be.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How often a worker says that the store cannot be asked.
const TROUBLE_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many payments are read, and cards carried out, at once.
const AT_ONCE: usize = 16;
/// How long a card is nobody else's that was taken. Longer than two looks and a deletion take; if it
/// is not, somebody does the same once more.
const LEASE: TimeDelta = TimeDelta::minutes(3);

/// What keeps what is known of cards up to date.
pub struct CardKeeper<S, G> {
    store: Arc<S>,
    gateway: Arc<G>,
    clock: Clock,
}

impl<S: Store + Cards + News, G: CardGateway> CardKeeper<S, G> {
    /// Over a store, and a gateway that is asked about cards.
    pub const fn new(store: Arc<S>, gateway: Arc<G>, clock: Clock) -> Self {
        Self {
            store,
            gateway,
            clock,
        }
    }

    /// Goes on until `stop`, and then at once no further: what was begun is found again.
    pub async fn run(self, stop: CancellationToken) {
        let (mut followed, mut told) = (None, None);
        while !stop.is_cancelled() {
            let working = async {
                let read = self.follow(&mut followed).await?;
                Ok::<_, StoreError>(read + self.carry_out().await?)
            };
            let Some(done) = stop.run_until_cancelled(working).await else {
                return;
            };
            let pause = match done {
                Ok(0) => ASK_EVERY,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tell(&error, &mut told, self.clock.now());
                    AFTER_TROUBLE
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Reads what happened to payments since, and takes in what it says of cards. Answers how much
    /// was read. The place is kept last: whatever comes between, it is read again.
    pub async fn follow(&self, followed: &mut Option<S::Followed>) -> Result<usize, StoreError> {
        let from = match followed.take() {
            Some(from) => from,
            None => self.store.followed().await?,
        };
        let heard = self.store.news(&from).await?;
        if heard.read == 0 {
            *followed = Some(from);
            return Ok(0);
        }
        let mut payments: Vec<PaymentId> = Vec::with_capacity(heard.happened.len());
        payments.extend(heard.happened.into_iter().map(|event| event.payment));
        payments.sort_unstable();
        payments.dedup();
        let mut noting = Vec::with_capacity(payments.len());
        for payment in &payments {
            noting.push(self.note(payment));
        }
        let noted: Vec<_> = stream::iter(noting).buffered(AT_ONCE).collect().await;
        noted.into_iter().collect::<Result<(), _>>()?;
        if self.store.passed(&from, &heard.to).await? {
            *followed = Some(heard.to);
        }
        Ok(heard.read)
    }

    /// Takes in what a payment says of its card. What this version cannot read is passed over: one
    /// record must not keep the others from being known.
    async fn note(&self, payment: &PaymentId) -> Result<(), StoreError> {
        let noting = async {
            let loaded = self.store.load(payment).await?;
            match loaded.and_then(|loaded| loaded.payment.card_evidence()) {
                Some(evidence) => self.learn(&evidence).await,
                None => Ok(()),
            }
        };
        match noting.await {
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::warn!(payment.id = %payment, %error, "what it says of its card is passed over");
                Ok(())
            }
            noted => noted,
        }
    }

    async fn learn(&self, evidence: &CardEvidence) -> Result<(), StoreError> {
        let id = CardId::derive(&evidence.account, &evidence.token);
        let learned = change_card(&*self.store, &id, |known| {
            let mut card = known.map_or_else(|| KnownCard::first(evidence), Clone::clone);
            card.learn(evidence);
            (known != Some(&card)).then_some(card)
        });
        if let (Some(card), Some(why)) = (learned.await?, evidence.death) {
            tracing::warn!(
                card.id = %id, account = %evidence.account, payment.id = %evidence.payment,
                why = why.as_str(), state = ?card.state(),
                "the gateway said that a card cannot be charged any more"
            );
        }
        Ok(())
    }

    /// Carries out what is wanted of cards and is due. Answers of how many.
    pub async fn carry_out(&self) -> Result<usize, StoreError> {
        let due = self.store.due_cards(AT_ONCE).await?;
        let mut doing = Vec::with_capacity(due.len());
        for id in &due {
            doing.push(self.carry_out_one(id));
        }
        let done: Vec<_> = stream::iter(doing).buffered(AT_ONCE).collect().await;
        done.into_iter().sum()
    }

    async fn carry_out_one(&self, id: &CardId) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let taken = change_card(&*self.store, id, |known| {
            let mut card = known.filter(|card| card.due_at() <= Some(now))?.clone();
            card.take(now + LEASE);
            Some(card)
        });
        let taken = match taken.await {
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::warn!(card.id = %id, %error, "what is wanted of a card waits");
                return Ok(0);
            }
            taken => taken?,
        };
        let Some((card, wanted)) = taken.and_then(|card| {
            let wanted = card.wanted()?.what;
            Some((card, wanted))
        }) else {
            return Ok(0);
        };
        let (asked, look) = self.ask(&card, wanted).await;
        let now = self.clock.now();
        let ended = change_card(&*self.store, id, |known| {
            let mut card = known?.clone();
            match &look {
                CardLook::Kept => {
                    card.looked(true, asked);
                    // A deletion that is not seen to be done yet.
                    card.missed(now);
                }
                CardLook::Gone => card.looked(false, asked),
                CardLook::NotFound => card.not_found(now),
                CardLook::Unclear(_) => card.missed(now),
            }
            Some(card)
        });
        if let Some(card) = ended.await? {
            tell_end(&card, wanted, &look);
        }
        Ok(1)
    }

    /// Asks the gateway about a card, and has it deleted if that is wanted and not done. Answers the
    /// last look, and when it began: it may be an old truth by the time it is here.
    async fn ask(&self, card: &KnownCard, wanted: Wish) -> (Timestamp, CardLook) {
        let (account, token) = (card.account(), card.token());
        let asked = self.clock.now();
        let look = self.gateway.look_at_card(account, token).await;
        if wanted == Wish::Look || look != CardLook::Kept {
            return (asked, look);
        }
        self.gateway.delete_card(account, token).await;
        let asked = self.clock.now();
        (asked, self.gateway.look_at_card(account, token).await)
    }
}

/// Says what became of what was wanted; of what came to nothing again and again, as long as it does.
fn tell_end(card: &KnownCard, wanted: Wish, look: &CardLook) {
    let (id, account, state) = (card.id(), card.account(), card.state());
    match card.wanted() {
        None => {
            tracing::info!(card.id = %id, %account, ?wanted, ?state, ?look, "a card was looked at");
        }
        Some(still) => tracing::warn!(
            event = "card_waits", card.id = %id, %account, wanted = ?still.what, since = %still.since, tries = still.tries,
            ?look, "what is wanted of a card is not done yet; it is tried again"
        ),
    }
}

fn tell(error: &StoreError, told: &mut Option<Timestamp>, now: Timestamp) {
    if told.is_none_or(|told| now - told >= TROUBLE_EVERY) {
        *told = Some(now);
        tracing::warn!(event = "cards_wait", %error, "what is known of cards waits");
    }
}
