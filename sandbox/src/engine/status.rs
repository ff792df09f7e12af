//! The states a purchase can be in, as the gateway names them.

use serde::{Deserialize, Serialize};

/// The status of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the gateway's own names")]
pub enum Status {
    Created,
    Sent,
    Viewed,
    Error,
    Blocked,
    Overdue,
    Expired,
    Cancelled,
    PendingExecute,
    PendingCharge,
    Hold,
    PendingCapture,
    PendingRelease,
    Released,
    Preauthorized,
    Paid,
    Cleared,
    Settled,
    PendingRefund,
    Refunded,
    Chargeback,
}

impl Status {
    /// Whether a payer or a saved card may still pay a purchase in this status.
    #[must_use]
    pub fn is_payable(self) -> bool {
        matches!(
            self,
            Self::Created | Self::Sent | Self::Viewed | Self::Error | Self::Blocked | Self::Overdue
        )
    }

    /// Whether the money of the purchase has been taken and not given back.
    #[must_use]
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Paid | Self::Cleared | Self::Settled)
    }
}
