//! Paths and methods to operations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refusal::Refusal;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the gateway's own names")]
pub enum Operation {
    Create,
    Retrieve,
    Cancel,
    Charge,
    Capture,
    Release,
    Refund,
    MarkAsPaid,
    DeleteToken,
    ClientCreate,
    ClientList,
    ClientRead,
    ClientWrite,
    ClientDelete,
    TokenList,
    TokenRead,
    TokenDelete,
    WebhookCreate,
    WebhookList,
    WebhookRead,
    WebhookWrite,
    WebhookDelete,
    PublicKey,
    PaymentMethods,
    StatementSchedule,
    StatementList,
    StatementRead,
    StatementCancel,
    /// Whoever has the link of a statement reads it.
    StatementDownload,
    /// The payer opens the checkout page.
    View,
    /// The payer (or the merchant's own form) posts a card.
    DirectPost,
    /// The payer answers the 3-D Secure page.
    Confirm,
    /// The gateway sends a webhook or a success callback; only webhook faults apply to it.
    Delivery,
    /// A request nothing answers to.
    Unknown,
}

impl Operation {
    /// Whether the operation can change anything at the gateway that is of weight: a payer who
    /// opens the page leaves a trace, and no more.
    #[must_use]
    pub fn is_write(self) -> bool {
        !matches!(
            self,
            Self::Retrieve
                | Self::ClientList
                | Self::ClientRead
                | Self::TokenList
                | Self::TokenRead
                | Self::WebhookList
                | Self::WebhookRead
                | Self::PublicKey
                | Self::PaymentMethods
                | Self::StatementList
                | Self::StatementRead
                | Self::StatementDownload
                | Self::View
                | Self::Unknown
        )
    }

    /// Whether it is a payer's and needs no key.
    pub(crate) fn is_payers(self) -> bool {
        matches!(self, Self::View | Self::DirectPost | Self::Confirm)
    }

    /// Whether the path alone is the right to it.
    pub(crate) fn needs_no_key(self) -> bool {
        self.is_payers() || self == Self::StatementDownload
    }
}

/// An operation and what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) id: Uuid,
    pub(crate) second: Uuid,
}

/// Finds the operation. Paths end in `/`, as the gateway's do.
pub(crate) fn route(method: &str, path: &str) -> Result<Route, Refusal> {
    let inner = path.strip_suffix('/').ok_or_else(Refusal::not_found)?;
    if let Some(page) = inner.strip_prefix("/p/") {
        return checkout(method, page);
    }
    if let Some(link) = inner.strip_prefix("/statements/") {
        return Ok(Route {
            operation: by_method(method, &[("GET", Operation::StatementDownload)])?,
            id: uuid(link)?,
            second: Uuid::nil(),
        });
    }
    let inner = inner
        .strip_prefix("/api/v1/")
        .ok_or_else(Refusal::not_found)?;
    let parts: Vec<&str> = inner.split('/').collect();
    let (operation, id, second) = match parts.as_slice() {
        ["purchases"] => (by_method(method, &[("POST", Operation::Create)])?, "", ""),
        ["purchases", id] => (by_method(method, &[("GET", Operation::Retrieve)])?, *id, ""),
        ["purchases", id, verb] => (purchase_verb(method, verb)?, *id, ""),
        ["clients"] => (by_method(method, &CLIENTS)?, "", ""),
        ["clients", id] => (by_method(method, &CLIENT)?, *id, ""),
        ["clients", id, "recurring_tokens"] => (
            by_method(method, &[("GET", Operation::TokenList)])?,
            *id,
            "",
        ),
        ["clients", id, "recurring_tokens", second] => (by_method(method, &TOKEN)?, *id, *second),
        ["webhooks"] => (by_method(method, &WEBHOOKS)?, "", ""),
        ["webhooks", id] => (by_method(method, &WEBHOOK)?, *id, ""),
        ["company_statements"] => (by_method(method, &STATEMENTS)?, "", ""),
        ["company_statements", id] => (
            by_method(method, &[("GET", Operation::StatementRead)])?,
            *id,
            "",
        ),
        ["company_statements", id, "cancel"] => (
            by_method(method, &[("POST", Operation::StatementCancel)])?,
            *id,
            "",
        ),
        ["public_key"] => (by_method(method, &[("GET", Operation::PublicKey)])?, "", ""),
        ["payment_methods"] => (
            by_method(method, &[("GET", Operation::PaymentMethods)])?,
            "",
            "",
        ),
        _ => return Err(Refusal::not_found()),
    };
    Ok(Route {
        operation,
        id: uuid(id)?,
        second: uuid(second)?,
    })
}

const CLIENTS: [(&str, Operation); 2] = [
    ("POST", Operation::ClientCreate),
    ("GET", Operation::ClientList),
];
const CLIENT: [(&str, Operation); 4] = [
    ("GET", Operation::ClientRead),
    ("PUT", Operation::ClientWrite),
    ("PATCH", Operation::ClientWrite),
    ("DELETE", Operation::ClientDelete),
];
const STATEMENTS: [(&str, Operation); 2] = [
    ("POST", Operation::StatementSchedule),
    ("GET", Operation::StatementList),
];
const TOKEN: [(&str, Operation); 2] = [
    ("GET", Operation::TokenRead),
    ("DELETE", Operation::TokenDelete),
];
const WEBHOOKS: [(&str, Operation); 2] = [
    ("POST", Operation::WebhookCreate),
    ("GET", Operation::WebhookList),
];
const WEBHOOK: [(&str, Operation); 4] = [
    ("GET", Operation::WebhookRead),
    ("PUT", Operation::WebhookWrite),
    ("PATCH", Operation::WebhookWrite),
    ("DELETE", Operation::WebhookDelete),
];

fn purchase_verb(method: &str, verb: &str) -> Result<Operation, Refusal> {
    let operation = match verb {
        "cancel" => Operation::Cancel,
        "charge" => Operation::Charge,
        "capture" => Operation::Capture,
        "release" => Operation::Release,
        "refund" => Operation::Refund,
        "mark_as_paid" => Operation::MarkAsPaid,
        "delete_recurring_token" => Operation::DeleteToken,
        _ => return Err(Refusal::not_found()),
    };
    by_method(method, &[("POST", operation)])
}

fn checkout(method: &str, page: &str) -> Result<Route, Refusal> {
    let (id, operation) = match page.split_once('/') {
        None => {
            let choices = [("GET", Operation::View), ("POST", Operation::DirectPost)];
            (page, by_method(method, &choices)?)
        }
        Some((id, "invoice")) => (id, by_method(method, &[("GET", Operation::View)])?),
        Some((id, "confirm")) => (id, by_method(method, &[("POST", Operation::Confirm)])?),
        Some(_) => return Err(Refusal::not_found()),
    };
    Ok(Route {
        operation,
        id: uuid(id)?,
        second: Uuid::nil(),
    })
}

fn by_method(method: &str, choices: &[(&str, Operation)]) -> Result<Operation, Refusal> {
    let found = choices.iter().find(|(name, _)| *name == method);
    found.map(|(_, operation)| *operation).ok_or_else(|| {
        let message = format!("Method \"{method}\" not allowed.");
        Refusal::all(405, "method_not_allowed", &message)
    })
}

fn uuid(text: &str) -> Result<Uuid, Refusal> {
    if text.is_empty() {
        return Ok(Uuid::nil());
    }
    Uuid::try_parse(text).map_err(|_| Refusal::not_found())
}
