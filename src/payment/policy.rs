//! The rules of one account that the configuration sets; everything a decision needs to know
//! besides the payment and the time.

use serde::{Deserialize, Serialize};

use super::decline::DeclineTable;
use super::ladder::Ladder;
use super::request::{BeforeExpiry, InvalidRequest, Request};

/// How payments of one account are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The account's own facts.
    pub account: AccountFacts,
    /// Q: how long after the last sign of a call "it did not happen" may be believed.
    pub quiet_ms: u64,
    /// What to do when an unknown call shows no effect after the quiet period.
    pub unknown: UnknownPolicy,
    /// When to look up what is unknown.
    pub lookup: Ladder,
    /// When to try a step again that did not reach the gateway.
    pub technical: Ladder,
    /// When to charge again after a decline that may pass.
    pub business: Ladder,
    /// When to look whether the payer has paid.
    pub payer: Ladder,
    /// How often a parked payment is looked at, in case it settles.
    pub parked_look_every_ms: u64,
    /// How long a checkout link can be paid, unless the request says.
    pub link_lifetime_ms: u64,
    /// How long after a link's end, or its cancel, the payer's last click may still be under way.
    pub link_grace_ms: u64,
    /// How long a purchase made for a charge can be charged; spans the business ladder.
    pub purchase_lifetime_ms: u64,
    /// How long before a hold lapses the guard acts.
    pub expiry_margin_ms: u64,
    /// What the guard does, unless the plan says.
    pub before_expiry: BeforeExpiry,
    /// The longest wait a gateway may ask for with `Retry-After`.
    pub retry_after_cap_ms: u64,
    /// After so many claims without a save a payment is parked.
    pub poison_claims: u32,
    /// What the decline codes ask for.
    pub declines: DeclineTable,
}

/// What every purchase of an account must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// The brand's id at the gateway.
    pub brand: String,
    /// Whether the key is a test key.
    pub test: bool,
    /// How long a hold lasts, unless the plan says.
    pub hold_lifetime_ms: u64,
    /// The largest amount of one payment, in minor units; any, without it.
    pub largest_amount_minor: Option<u64>,
}

impl AccountFacts {
    /// Whether a request is for no more than the account takes. Only for what is recorded anew.
    pub fn check_amount(&self, request: &Request) -> Result<(), InvalidRequest> {
        let asked = request.money().map_or(0, |money| money.amount.minor());
        match self.largest_amount_minor {
            Some(largest) if asked > largest => Err(InvalidRequest::new(
                "money.amount",
                format!(
                    "{asked} is more than the account takes, {largest} at most, in minor units; \
                     whoever operates it can set largest_amount_minor of the account"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// What to do when a call that takes money shows no effect after the quiet period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    /// Ask a person. Right on any gateway.
    Park,
    /// Send it again for the same purchase. Right on a gateway that never takes one purchase twice.
    ResendSame,
}
