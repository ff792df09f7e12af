//! WHAT is known of saved cards, kept beside payments: read from their events, and asked of the
//! gateway where somebody wants to know, or wants a card deleted.
//!
//! Nothing here moves money and nothing waits for it, so no call needs a note: a deletion may be asked
//! for twice, and what a lost answer did is seen by the next look. Several workers may do the same at
//! the same time; of two signs the later one counts. The gateway is asked slowly: the calls of payments
//! go over the same key.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use crate::clock::Clock;
use crate::gateway::{CardDeletion, CardGateway, CardLook};
use crate::payment::{
    AccountName, CardEvidence, CardId, CardSign, KnownCard, PaymentId, Timestamp, Wanted, Wish,
};
use crate::store::{Cards, News, Store, StoreError, change_card};

/// How often is asked what happened, and what is wanted.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is asked after the store could not be.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How often a worker says that the store cannot be asked.
const TROUBLE_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many payments are read at once.
const READ_AT_ONCE: usize = 16;
/// How many cards the gateway is asked about at once, and each time that is asked what is wanted.
const ASKED_AT_ONCE: usize = 2;
/// How long nothing is asked of an account's cards after the gateway refused its key.
const AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(1);
/// How long the gateway can have its cards left alone, whatever it asks for.
const LONGEST_REST: TimeDelta = TimeDelta::hours(1);
/// How long a card waits that cannot be read, before it is tried again.
const UNREADABLE_REST: TimeDelta = TimeDelta::minutes(10);
/// How long a card waits whose deletion people have stopped, before it is looked whether they still do.
const STOPPED_REST: TimeDelta = TimeDelta::seconds(20);
/// How long a card is nobody else's that was taken. Longer than two looks and a deletion take; if it
/// is not, somebody does the same once more.
const LEASE: TimeDelta = TimeDelta::minutes(3);

/// What keeps what is known of cards up to date.
pub struct CardKeeper<S, G> {
    store: Arc<S>,
    gateway: Arc<G>,
    clock: Clock,
    gate: Gate,
    /// Until when an account's cards are left alone.
    resting: Mutex<BTreeMap<AccountName, Timestamp>>,
}

/// What the gateway was asked about a card, and showed.
struct Asked {
    /// When the last look began: what it shows may be an old truth by the time it is here.
    at: Timestamp,
    look: CardLook,
    deletion: CardDeletion,
}

impl<S: Store + Cards + News, G: CardGateway> CardKeeper<S, G> {
    /// Over a store, and a gateway that is asked about cards.
    pub fn new(store: Arc<S>, gateway: Arc<G>, clock: Clock) -> Self {
        Self {
            store,
            gateway,
            clock,
            gate: Gate::open(),
            resting: Mutex::default(),
        }
    }

    /// The same, which has no card deleted that this gate keeps.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Goes on until `stop`, and then at once no further: what was begun is found again. A gateway
    /// that takes its time delays nothing that is read, and what cannot be read no deletion.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            tokio::join!(self.follow_on(), self.carry_on());
        })
        .await;
    }

    async fn follow_on(&self) {
        let (mut followed, mut told) = (None, None);
        loop {
            let pause = match self.follow(&mut followed).await {
                Ok(0) => ASK_EVERY,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tell(&error, &mut told, self.clock.now());
                    AFTER_TROUBLE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn carry_on(&self) {
        let mut told = None;
        loop {
            let pause = match self.carry_out().await {
                Ok(_) => ASK_EVERY,
                Err(error) => {
                    tell(&error, &mut told, self.clock.now());
                    AFTER_TROUBLE
                }
            };
            tokio::time::sleep(pause).await;
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
        let noted: Vec<_> = stream::iter(noting).buffered(READ_AT_ONCE).collect().await;
        noted.into_iter().collect::<Result<(), _>>()?;
        if self.store.passed(&from, &heard.to).await? {
            *followed = Some(heard.to);
        }
        Ok(heard.read)
    }

    /// Takes in what a payment says of its card. What cannot be read is passed over: one record must
    /// not keep the others from being known.
    async fn note(&self, payment: &PaymentId) -> Result<(), StoreError> {
        let noting = async {
            let loaded = self.store.load(payment).await?;
            match loaded.and_then(|loaded| loaded.payment.card_evidence()) {
                Some(evidence) => self.learn(&evidence).await,
                None => Ok(()),
            }
        };
        let noted = AssertUnwindSafe(noting).catch_unwind().await;
        match noted.unwrap_or_else(|_| Err(StoreError::panicked(payment))) {
            Err(error) if error.is_about_one() => {
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
        if let (Some(card), CardSign::Dead(why)) = (learned.await?, evidence.sign) {
            tracing::warn!(
                card.id = %id, account = %evidence.account, payment.id = %evidence.payment,
                why = why.as_str(), state = ?card.state(),
                "the gateway said that a card cannot be charged any more"
            );
        }
        Ok(())
    }

    /// Carries out what is wanted of some cards, those that are due for the longest. Answers of how
    /// many.
    pub async fn carry_out(&self) -> Result<usize, StoreError> {
        let due = self.store.due_cards(ASKED_AT_ONCE).await?;
        let mut doing = Vec::with_capacity(due.len());
        for id in &due {
            doing.push(self.carry_out_one(id));
        }
        let done: Vec<_> = stream::iter(doing).buffered(ASKED_AT_ONCE).collect().await;
        done.into_iter().sum()
    }

    async fn carry_out_one(&self, id: &CardId) -> Result<usize, StoreError> {
        let carrying = async {
            let Some((card, wanted)) = self.take(id).await? else {
                return Ok(0);
            };
            let asked = self.ask(&card, &wanted).await;
            self.end(id, wanted.what, &asked).await?;
            Ok(1)
        };
        let carried = AssertUnwindSafe(carrying).catch_unwind().await;
        match carried.unwrap_or_else(|_| Err(StoreError::panicked(id))) {
            // It must not come up again at once, before all others.
            Err(error) if StoreError::is_about_one(&error) => {
                tracing::warn!(card.id = %id, %error, "what is wanted of a card waits");
                let later = self.clock.now() + UNREADABLE_REST;
                self.store.postpone_card(id, later).await?;
                Ok(0)
            }
            carried => carried,
        }
    }

    /// Takes a card for as long as a lease lasts, unless it is not due or its account is left alone.
    async fn take(&self, id: &CardId) -> Result<Option<(KnownCard, Wanted)>, StoreError> {
        let now = self.clock.now();
        let (mut is_known, mut is_taken) = (false, false);
        let written = change_card(&*self.store, id, |known| {
            is_known = known.is_some();
            let mut card = known?.clone();
            let rests = self.rests_until(&card, now);
            is_taken = rests.is_none() && card.due_at().is_some_and(|due| due <= now);
            if is_taken {
                card.take(now + LEASE);
            } else if let Some(until) = rests {
                card.take(until);
            }
            // Else it is written as it is, so that the index says no more than the card.
            Some(card)
        });
        let written = written.await?;
        if !is_known {
            self.store.postpone_card(id, now + UNREADABLE_REST).await?;
        }
        let taken = written.filter(|_| is_taken);
        Ok(taken.and_then(|card| {
            let wanted = card.wanted()?.clone();
            Some((card, wanted))
        }))
    }

    /// Asks the gateway about a card, and has it deleted if that is wanted and not done: once at
    /// least, whatever was shown before.
    async fn ask(&self, card: &KnownCard, wanted: &Wanted) -> Asked {
        let (account, token) = (card.account(), card.token());
        let at = self.clock.now();
        let look = self.gateway.look_at_card(account, token).await;
        let deletes = wanted.what == Wish::Delete
            && match look {
                CardLook::Kept => true,
                CardLook::Gone => !wanted.sent,
                CardLook::NotFound | CardLook::Unclear { .. } => false,
            };
        if !deletes {
            let deletion = CardDeletion::NotSent;
            return Asked { at, look, deletion };
        }
        let deletion = match self.gate.begin_deletion(account, self.clock.now()) {
            Ok(_under_way) => self.gateway.delete_card(account, token).await,
            Err(_) => CardDeletion::NotSent,
        };
        if let CardDeletion::TooFast(_) = deletion {
            return Asked { at, look, deletion };
        }
        let at = self.clock.now();
        let look = self.gateway.look_at_card(account, token).await;
        Asked { at, look, deletion }
    }

    /// Writes what was shown.
    async fn end(&self, id: &CardId, wanted: Wish, asked: &Asked) -> Result<(), StoreError> {
        let now = self.clock.now();
        let rest = rest(asked);
        let ended = change_card(&*self.store, id, |known| {
            let mut card = known?.clone();
            if asked.deletion == CardDeletion::Sent {
                card.was_sent(asked.at);
            }
            match &asked.look {
                CardLook::Kept => card.looked(true, asked.at),
                CardLook::Gone => card.looked(false, asked.at),
                CardLook::NotFound => card.not_found(asked.at),
                CardLook::Unclear { .. } => {}
            }
            card.missed((asked.at, now), rest.unwrap_or_default());
            Some(card)
        });
        if let Some(card) = ended.await? {
            if let Some(rest) = rest {
                let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
                resting.insert(card.account().clone(), now + rest);
            }
            tell_end(&card, wanted, &asked.look);
        }
        Ok(())
    }

    /// Until when nothing is done about a card, if so.
    fn rests_until(&self, card: &KnownCard, now: Timestamp) -> Option<Timestamp> {
        let deletes = card.wanted().is_some_and(|it| it.what == Wish::Delete);
        if deletes && self.gate.stops_deletion(card.account(), now).is_some() {
            return Some(now + STOPPED_REST);
        }
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let until = resting.get(card.account()).copied();
        until.filter(|until| *until > now)
    }
}

/// How long an account's cards are to be left alone after an answer.
fn rest(asked: &Asked) -> Option<TimeDelta> {
    let told = |ms: Option<u64>| {
        let told = ms.and_then(|ms| i64::try_from(ms).ok());
        told.map(|ms| TimeDelta::milliseconds(ms).min(LONGEST_REST))
    };
    match (&asked.look, asked.deletion) {
        (CardLook::Unclear { denied: true, .. }, _) => Some(AFTER_REFUSAL),
        (_, CardDeletion::TooFast(ms)) => told(ms),
        (CardLook::Unclear { retry_after_ms, .. }, _) => told(*retry_after_ms),
        _ => None,
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
