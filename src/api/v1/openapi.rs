//! The API as OpenAPI 3.1, made from what the code is made of: the JSON Schemas of the wire format,
//! the problems, the states, and one table of operations.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::ProblemCode as P;
use super::desk_documented;
use super::documents::components;
use super::keys::Scope;

/// One operation.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) about: &'static str,
    pub(super) scope: Scope,
    /// Names of parameters that `documents` describes.
    pub(super) parameters: &'static [&'static str],
    /// The schema of the body, if there is one.
    pub(super) body: Option<&'static str>,
    /// HTTP numbers of good answers, with their schema and what they mean.
    pub(super) answers: &'static [(u16, &'static str, &'static str)],
    pub(super) problems: &'static [P],
}

/// What any operation may answer.
const EVERYWHERE: [P; 6] = [
    P::Unauthenticated,
    P::KeyExpired,
    P::ScopeMissing,
    P::RateLimited,
    P::StoreUnavailable,
    P::RecordUnreadable,
];
const OF_A_BODY: [P; 3] = [P::InvalidRequest, P::UnsupportedMediaType, P::BodyTooLarge];
pub(super) const OF_A_COMMAND: &[P] = &[
    P::InvalidQuery,
    P::IdempotencyKeyMissing,
    P::IdempotencyKeyReused,
    P::PaymentNotFound,
    P::AmountForbidden,
    P::Parked,
    P::TooLateInDoubt,
    P::TooLateCaptured,
    P::TooLateReleased,
    P::AlreadyDecided,
    P::Expired,
    P::Ended,
    P::NotApplicable,
    P::Busy,
];
pub(super) const COMMANDED: &[(u16, &str, &str)] = &[
    (200, "Payment", "What it asks for is already true."),
    (202, "Payment", "Recorded; a worker carries it out now."),
];

const fn command(
    (path, id, about): (&'static str, &'static str, &'static str),
    body: Option<&'static str>,
) -> Operation {
    Operation {
        path,
        method: "post",
        id,
        about,
        scope: Scope::Command,
        parameters: &["id", "Idempotency-Key", "wait"],
        body,
        answers: COMMANDED,
        problems: OF_A_COMMAND,
    }
}

const OPERATIONS: [Operation; 11] = [
    Operation {
        path: "/v1/payments",
        method: "post",
        id: "createPayment",
        about: "Ask for a payment: authorize, save_card, charge or adopt. The same key with the same \
                content is the same payment, however often it is asked for.",
        scope: Scope::Enqueue,
        parameters: &["optional Idempotency-Key", "wait"],
        body: Some("Request"),
        answers: &[
            (201, "Payment", "Recorded now."),
            (
                200,
                "Payment",
                "Recorded before under this key: the payment as it is now.",
            ),
        ],
        problems: &[
            P::InvalidQuery,
            P::IdempotencyKeyMissing,
            P::IdempotencyKeyReused,
            P::AccountForbidden,
            P::AmountForbidden,
            P::AlreadyAdopted,
            P::CardDead,
        ],
    },
    Operation {
        path: "/v1/payments",
        method: "get",
        id: "listPayments",
        about: "Payments by state, by account and reference, or by when they are due. A page may be \
                short, or empty, while there is a next one.",
        scope: Scope::Read,
        parameters: &[
            "state",
            "account",
            "reference",
            "due_before",
            "cursor",
            "limit",
        ],
        body: None,
        answers: &[(200, "Page", "A page.")],
        problems: &[P::InvalidQuery, P::AccountForbidden],
    },
    Operation {
        path: "/v1/payments:batch",
        method: "post",
        id: "createPayments",
        about: "Ask for up to 1,000 payments, in 4 MiB at most. Each has its idempotency_key, and its own \
                answer, in the same order, whatever becomes of the others.",
        scope: Scope::Enqueue,
        parameters: &[],
        body: Some("Batch"),
        answers: &[(200, "BatchResults", "An answer for each.")],
        problems: &[],
    },
    Operation {
        path: "/v1/payments/{id}",
        method: "get",
        id: "getPayment",
        about: "One payment as it is now.",
        scope: Scope::Read,
        parameters: &["id"],
        body: None,
        answers: &[(200, "Payment", "The payment.")],
        problems: &[P::PaymentNotFound],
    },
    command(
        (
            "/v1/payments/{id}/capture",
            "capturePayment",
            "Take held money now, all of it or an amount; the gateway gives the rest back.",
        ),
        Some("Capture"),
    ),
    command(
        (
            "/v1/payments/{id}/release",
            "releasePayment",
            "Give held money back now.",
        ),
        None,
    ),
    command(
        (
            "/v1/payments/{id}/reschedule",
            "reschedulePayment",
            "Change when a hold is captured or released; what is not given stays.",
        ),
        Some("Reschedule"),
    ),
    command(
        (
            "/v1/payments/{id}/cancel",
            "cancelPayment",
            "Cancel a payment that is not held or paid yet, so that it can never be paid.",
        ),
        None,
    ),
    of_a_card(
        ("/v1/cards/{card}", "get", "getCard"),
        "What is known of a saved card: brand, last four digits, and whether it can be charged.",
        Scope::Read,
        &[(200, "Card", "The card.")],
    ),
    of_a_card(
        ("/v1/cards/{card}", "delete", "deleteCard"),
        "Delete a saved card at the gateway. From now on requests on it are refused. Asking again \
         changes nothing. A person can withdraw it while it is not done: `holdfast card keep`.",
        Scope::Command,
        &[
            (
                200,
                "Card",
                "It is deleted, and the gateway has shown that.",
            ),
            (
                202,
                "Card",
                "Recorded; a worker carries it out, however long it takes.",
            ),
        ],
    ),
    of_a_card(
        ("/v1/cards/{card}/look", "post", "lookAtCard"),
        "Ask the gateway whether it still has a card. If it has, a card that was taken for dead can be \
         charged again; if it has not, the card was deleted elsewhere. `wanted` is null again once the \
         gateway has answered; `looked_at` is set if it said whether it has the card. An expired card \
         stays dead: the gateway keeps such cards.",
        Scope::Command,
        &[(202, "Card", "Recorded; a worker asks now.")],
    ),
];

const fn of_a_card(
    (path, method, id): (&'static str, &'static str, &'static str),
    about: &'static str,
    scope: Scope,
    answers: &'static [(u16, &'static str, &'static str)],
) -> Operation {
    Operation {
        path,
        method,
        id,
        about,
        scope,
        parameters: &["card"],
        body: None,
        answers,
        problems: &[P::CardNotFound],
    }
}

/// The document, as it is served and kept in the repository.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Written once, for whoever asks.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(DOCUMENT.to_string()));

pub(super) async fn show() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, TEXT.clone())
}

fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS.iter().chain(&desk_documented::OPERATIONS) {
        let path = paths
            .entry(operation.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[operation.method] = operation.told();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast",
            "version": "1",
            "description": "Deferred capture and saved-card charges on CHIP Collect, each with \
                            exactly one effect on money. Money is in minor units (1500 is RM 15.00), \
                            times are RFC 3339.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": components(),
    })
}

impl Operation {
    fn told(&self) -> Value {
        let mut told = json!({
            "operationId": self.id,
            "summary": self.about,
            "description": format!("Needs a key with the scope `{}`.", self.scope.as_str()),
            "parameters": self.parameters.iter().map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": self.responses(),
        });
        if let Some(body) = self.body {
            told["requestBody"] = json!({
                "required": !matches!(body, "Capture" | "Reschedule"),
                "content": { "application/json": { "schema": schema(body) } },
            });
        }
        told
    }

    fn responses(&self) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, body, about) in self.answers {
            let mut answer = json!({
                "description": about,
                "content": { "application/json": { "schema": schema(body) } },
            });
            if *body == "Payment" && self.method == "post" {
                answer["headers"] = replayed();
            }
            responses.insert(status.to_string(), answer);
        }
        let of_a_body: &[P] = if self.method == "post" {
            &OF_A_BODY
        } else {
            &[]
        };
        let problems = EVERYWHERE.iter().chain(of_a_body).chain(self.problems);
        let mut problems: Vec<P> = problems.copied().collect();
        problems.sort_by_key(|problem| (problem.status(), *problem));
        for same in problems.chunk_by(|one, other| one.status() == other.status()) {
            responses.insert(same[0].status().as_u16().to_string(), problem(same));
        }
        responses
    }
}

/// The problems of one HTTP number.
fn problem(codes: &[P]) -> Value {
    let told: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
        .collect();
    let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let narrowed = json!({ "allOf": [
        schema("Problem"),
        { "properties": { "code": { "enum": words } } },
    ]});
    let mut answer = json!({
        "description": told.join(" "),
        "content": { "application/problem+json": { "schema": narrowed } },
    });
    let mut headers = json!({});
    if codes.contains(&P::Ended) {
        headers = replayed();
    }
    if codes.iter().any(|code| code.says_when()) {
        headers["Retry-After"] = json!({
            "description": "When to come back, in seconds. Of what passes by itself only.",
            "schema": { "type": "integer", "minimum": 0 },
        });
    }
    if headers
        .as_object()
        .is_some_and(|headers| !headers.is_empty())
    {
        answer["headers"] = headers;
    }
    answer
}

fn replayed() -> Value {
    json!({ "Idempotent-Replayed": {
        "description": "Nothing was done now: it is the answer of before.",
        "schema": { "const": "true" },
    }})
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{}", name.replace(' ', "_")) })
}
