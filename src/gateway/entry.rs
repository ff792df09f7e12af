//! A purchase as the gateway's books have it: besides what every look shows, when the money was
//! taken and what became of it later. Nothing here decides about a payment; it is for comparing.

use serde::Deserialize;
use serde_json::Value;

use super::call::look_up_path;
use super::classify;
use super::client::{ChipGateway, UNKNOWN_ACCOUNT};
use super::transport::Trip;
use super::wire::seconds;
use crate::payment::{AccountName, LookUp, PurchaseId, Sighting, Timestamp};

/// A purchase in the gateway's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What every look shows.
    pub seen: Sighting,
    /// When the money was taken, if the gateway says.
    pub taken_at: Option<Timestamp>,
    /// What became of taken money.
    pub since: Since,
}

/// What became of taken money. No call of ours does any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Nothing.
    Nothing,
    /// It is being given back, or was.
    Refunded,
    /// The card's bank took it back.
    ChargedBack,
}

/// What asking for an entry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryLook {
    /// The entry.
    Shown(Box<Entry>),
    /// The gateway knows no such purchase.
    NotFound,
    /// Nothing was learned.
    Failed {
        /// Why.
        why: String,
        /// Whether the key or its rights were refused.
        denied: bool,
        /// How long the gateway asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// What the entry has beside the sighting; of any shape, since it decides nothing.
#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    status: Value,
    #[serde(default)]
    payment: Value,
}

impl Entry {
    fn read(seen: Sighting, body: &[u8]) -> Self {
        let beside = serde_json::from_slice(body).unwrap_or(Beside {
            status: Value::Null,
            payment: Value::Null,
        });
        let since = match beside.status.as_str() {
            Some("pending_refund" | "refunded") => Since::Refunded,
            Some("chargeback") => Since::ChargedBack,
            _ => Since::Nothing,
        };
        let taken_at = beside.payment.get("paid_on").and_then(seconds);
        Self {
            seen,
            taken_at,
            since,
        }
    }
}

impl ChipGateway {
    /// Asks for a purchase as the books have it.
    pub async fn entry(&self, account: &AccountName, purchase: &PurchaseId) -> EntryLook {
        let failed = |why: String| EntryLook::Failed {
            why,
            denied: false,
            retry_after_ms: None,
        };
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            return failed(UNKNOWN_ACCOUNT.to_owned());
        };
        let reply = match self.get(known, &look_up_path(purchase)).await {
            Trip::Answered(reply) => reply,
            Trip::NotSent(why) => return failed(why.to_owned()),
            Trip::Unknown(why) => return failed(why),
        };
        match classify::look_up(&reply, purchase) {
            LookUp::Shown(seen) => EntryLook::Shown(Box::new(Entry::read(*seen, &reply.body))),
            LookUp::NotFound => EntryLook::NotFound,
            LookUp::Failed {
                why,
                denied,
                retry_after_ms,
            } => EntryLook::Failed {
                why,
                denied: denied.is_any(),
                retry_after_ms,
            },
        }
    }
}
