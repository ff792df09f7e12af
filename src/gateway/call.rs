//! What is asked of the gateway, before any transport: the path, the body, the time it may take.
//! Pure; the simulation sends the very same calls to a gateway in its own process.

use serde::Serialize;

use super::account::Account;
use super::body::CreateBody;
use super::settings::Deadlines;
use crate::payment::{CreateOrder, MoneyCall, MoneyOrder, PurchaseId};

/// A call that changes something, on its way once.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Below the base URL of the account.
    pub path: String,
    /// JSON; empty for none.
    pub body: Vec<u8>,
    /// Harmless where it is ignored, which is what was observed; nothing relies on it.
    pub key: Option<String>,
    /// How long it may take.
    pub deadline_ms: u64,
}

#[derive(Serialize)]
struct ChargeBody<'a> {
    recurring_token: &'a str,
}

#[derive(Serialize)]
struct CaptureBody {
    amount: u64,
}

impl Call {
    /// The call that makes a purchase; `None` if it cannot be written as JSON.
    ///
    /// It has no key: the body of a later try has another due time, and a gateway that minds the
    /// key would refuse it. A purchase too many is only a link that expires.
    #[must_use]
    pub fn create(order: &CreateOrder, account: &Account, deadlines: &Deadlines) -> Option<Self> {
        Some(Self {
            path: "purchases/".to_owned(),
            body: json(&CreateBody::of(order, account))?,
            key: None,
            deadline_ms: deadlines.create_ms,
        })
    }

    /// The call that moves money, or makes sure that it never moves.
    #[must_use]
    pub fn money(order: &MoneyOrder, deadlines: &Deadlines) -> Option<Self> {
        let (body, deadline_ms) = match &order.call {
            MoneyCall::Charge(token) => {
                let recurring_token = token.as_str();
                (json(&ChargeBody { recurring_token })?, deadlines.charge_ms)
            }
            // Always with the amount: without it the gateway takes all.
            MoneyCall::Capture(amount) => {
                let amount = amount.minor();
                (json(&CaptureBody { amount })?, deadlines.capture_ms)
            }
            MoneyCall::Release => (Vec::new(), deadlines.release_ms),
            MoneyCall::Cancel => (Vec::new(), deadlines.cancel_ms),
        };
        let (purchase, verb) = (order.purchase.as_str(), order.call.as_str());
        Some(Self {
            path: format!("purchases/{purchase}/{verb}/"),
            body,
            key: Some(order.key.clone()),
            deadline_ms,
        })
    }

    /// The call that has the card deleted which `purchase` saved. Moves no money.
    #[must_use]
    pub fn delete_card(purchase: &PurchaseId, deadlines: &Deadlines) -> Self {
        Self {
            path: format!("purchases/{}/delete_recurring_token/", purchase.as_str()),
            body: Vec::new(),
            key: None,
            deadline_ms: deadlines.cancel_ms,
        }
    }
}

/// Where a purchase is looked up.
#[must_use]
pub fn look_up_path(purchase: &PurchaseId) -> String {
    format!("purchases/{}/", purchase.as_str())
}

fn json(body: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(body).ok()
}
