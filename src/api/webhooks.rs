//! What the gateway posts. A signed body is a nudge: the payment is looked up, and what the body
//! says is not believed. It is answered with 2xx whatever it is about, because anything else holds
//! back all later events of that purchase for up to 36 hours; only when the nudge could not be
//! recorded is it asked for again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::TimeDelta;

use super::intake::IntakeError;
use super::{Api, cards};
use crate::gateway::{Claimed, Notice, SIGNATURE_HEADER, SignatureCheck};
use crate::payment::{
    AccountName, CardId, CardOrder, Payment, PaymentId, State as Standing, Timestamp,
};
use crate::store::{Cards, Store, StoreError};

/// The gateway's bodies have some 6 KiB.
const LARGEST_BODY_BYTES: usize = 256 * 1024;
/// How often at most the log tells that webhooks are refused.
const TELL_EVERY: TimeDelta = TimeDelta::minutes(1);

/// How many webhooks and callbacks came, and what became of them.
#[derive(Debug, Default)]
pub struct WebhookCounts {
    nudged: AtomicU64,
    unmatched: AtomicU64,
    unsigned: AtomicU64,
    deferred: AtomicU64,
    against_record: AtomicU64,
    /// When the log last told that one was refused.
    told_at: Mutex<Option<Timestamp>>,
    /// When the last signed one came, by account.
    heard: Mutex<BTreeMap<AccountName, Timestamp>>,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookTally {
    /// Signed, and about a payment that is here.
    pub nudged: u64,
    /// Signed, and about none.
    pub unmatched: u64,
    /// Refused: no signature, or not the gateway's.
    pub unsigned: u64,
    /// Asked for again: the store or the company key could not be reached.
    pub deferred: u64,
    /// Signed, and it says of money what our record does not.
    pub against_record: u64,
}

impl WebhookTally {
    /// Each with its word.
    pub(super) const fn by_outcome(self) -> [(&'static str, u64); 5] {
        [
            ("nudged", self.nudged),
            ("unmatched", self.unmatched),
            ("unsigned", self.unsigned),
            ("deferred", self.deferred),
            ("against_record", self.against_record),
        ]
    }
}

impl WebhookCounts {
    /// The counts now.
    #[must_use]
    pub fn tally(&self) -> WebhookTally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookTally {
            nudged: read(&self.nudged),
            unmatched: read(&self.unmatched),
            unsigned: read(&self.unsigned),
            deferred: read(&self.deferred),
            against_record: read(&self.against_record),
        }
    }

    /// When the last signed one came, by account.
    #[must_use]
    pub fn heard(&self) -> BTreeMap<AccountName, Timestamp> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }

    fn hear(&self, account: &AccountName, now: Timestamp) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(account.clone(), now);
    }

    /// Whether it is time to tell of a refusal again.
    fn may_tell(&self, now: Timestamp) -> bool {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let may = told_at.is_none_or(|told_at| now - told_at >= TELL_EVERY);
        if may {
            *told_at = Some(now);
        }
        may
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn routes<S: Store + Cards>() -> Router<Arc<Api<S>>> {
    // With and without a slash at the end, as the address may have been registered: a 404 would
    // hold back all events of a purchase.
    [
        "/webhooks/chip/{account}",
        "/webhooks/chip/{account}/",
        "/callbacks/chip/{account}",
        "/callbacks/chip/{account}/",
    ]
    .into_iter()
    .fold(Router::new(), |router, path| {
        router.route(path, post(take::<S>))
    })
    .layer(DefaultBodyLimit::max(LARGEST_BODY_BYTES))
}

async fn take<S: Store + Cards>(
    State(api): State<Arc<Api<S>>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Ok(account) = AccountName::new(account) else {
        return refuse(&api, "no account has such a name");
    };
    let signature = headers
        .get(SIGNATURE_HEADER)
        .and_then(|value| value.to_str().ok());
    let Some(signature) = signature else {
        return refuse(&api, "there is no signature");
    };
    let check = api.gateway.check_signature(&account, &body, signature);
    // The company key may have to be fetched; the sender is answered before its time is over.
    let checked = tokio::time::timeout(api.signature_timeout(), check).await;
    match checked.unwrap_or(SignatureCheck::Undecided) {
        SignatureCheck::Good => accept(&api, &account, &body).await,
        SignatureCheck::Bad => refuse(&api, "the signature does not fit"),
        SignatureCheck::UnknownAccount => refuse(&api, "the account is not configured"),
        SignatureCheck::Undecided => {
            count(&api.webhooks.deferred);
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// Whoever posted it, nothing of it is kept or repeated. All are counted, and a few are told of:
/// anybody can post, and nobody shall be able to flood the log.
fn refuse<S>(api: &Api<S>, why: &'static str) -> StatusCode {
    count(&api.webhooks.unsigned);
    if api.webhooks.may_tell(api.gateway.clock().now()) {
        let refused = api.webhooks.tally().unsigned;
        tracing::warn!(
            event = "webhooks_refused",
            why,
            refused,
            "webhooks are refused; told once a minute at most"
        );
    } else {
        tracing::debug!(why, "a webhook was refused");
    }
    StatusCode::UNAUTHORIZED
}

async fn accept<S: Store + Cards>(api: &Api<S>, account: &AccountName, body: &[u8]) -> StatusCode {
    api.webhooks.hear(account, api.gateway.clock().now());
    let notice = Notice::read(body);
    let gateway_event = notice.event();
    let nudge = async {
        let looked = look_again(api, account, &notice).await?;
        let nudged = super::intake::nudge(&*api.store, notice.payments(account)).await?;
        let against = match &nudged {
            Some((payment, _)) => against_record(api, payment, &notice).await?,
            None => None,
        };
        Ok((nudged, looked, against))
    };
    let outcome = match tokio::time::timeout(api.store_timeout(), nudge).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    };
    match outcome {
        Ok((Some((payment, nudged)), _, Some(why))) => {
            count(&api.webhooks.against_record);
            tracing::error!(
                event = "webhook_against_record",
                %account, gateway_event, payment.id = %payment, ?nudged, why,
                "the gateway says of money what our record does not"
            );
            StatusCode::OK
        }
        Ok((Some((payment, nudged)), _, None)) => {
            count(&api.webhooks.nudged);
            tracing::debug!(%account, gateway_event, payment.id = %payment, ?nudged, "a webhook nudged");
            StatusCode::OK
        }
        Ok((None, Some(card), _)) => {
            count(&api.webhooks.nudged);
            tracing::debug!(%account, gateway_event, card.id = %card, "a webhook nudged");
            StatusCode::OK
        }
        Ok((None, None, _)) => {
            count(&api.webhooks.unmatched);
            tracing::debug!(%account, gateway_event, "a webhook is about no payment of ours");
            StatusCode::OK
        }
        Err(error) => {
            count(&api.webhooks.deferred);
            tracing::warn!(%account, gateway_event, %error, "a webhook could not be recorded");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// Why a person must look at what the gateway says, if one must. A finished payment is looked at by
/// nobody, and none is looked at but by its own purchase: this is the only word there will be.
async fn against_record<S: Store>(
    api: &Api<S>,
    id: &PaymentId,
    notice: &Notice,
) -> Result<Option<&'static str>, StoreError> {
    let Some(claimed) = notice.claims() else {
        return Ok(None);
    };
    let loaded = api.store.load(id).await?;
    Ok(loaded.and_then(|loaded| contradicted(&loaded.payment, notice, claimed)))
}

/// What of a record an event contradicts. A hold that was given back was held before, and a late word
/// of that is ordinary; that it was taken is not.
fn contradicted(payment: &Payment, notice: &Notice, claimed: Claimed) -> Option<&'static str> {
    let known = payment.purchase();
    if known.is_none_or(|known| !notice.is_about(&known.id)) {
        return Some("another_purchase");
    }
    match (payment.state(), claimed) {
        (Standing::Failed(_), _) => Some("reported_failed"),
        (Standing::Released, Claimed::Taken) => Some("reported_released"),
        _ => None,
    }
}

/// Has a card looked at that is said to be deleted, if anything is known of it. Answers which.
async fn look_again<S: Cards>(
    api: &Api<S>,
    account: &AccountName,
    notice: &Notice,
) -> Result<Option<CardId>, StoreError> {
    let Some(card) = notice.deleted_card(account) else {
        return Ok(None);
    };
    let looking = cards::order(
        &*api.store,
        api.gateway.clock(),
        &card,
        &CardOrder::Look,
        None,
    );
    match looking.await {
        Ok(_) => Ok(Some(card)),
        Err(IntakeError::Store(error @ (StoreError::Unavailable(_) | StoreError::Busy(_)))) => {
            Err(error)
        }
        // It is unknown here, or what is known of it cannot be read: asked again, it would be the same.
        Err(error) => {
            tracing::debug!(%account, card.id = %card, %error, "a card that was deleted is not looked at");
            Ok(None)
        }
    }
}
