//! What whoever pushed something is told.

use serde::Serialize;
use serde_json::Value;

use crate::api::v1::problem::Problem;
use crate::api::v1::shown::{self, Secrets};
use crate::payment::{CommandAnswer, Payment, Timestamp};

/// An answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    outcome: Outcome,
    v: u32,
    at: Timestamp,
    /// Of a command: `accepted`, or `done` if what it asks for was true already.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Recorded,
    Refused,
}

impl Answer {
    /// It is recorded; the payment as it is at `at`.
    pub(super) fn recorded(payment: &Payment, secrets: Secrets, at: Timestamp) -> Self {
        Self {
            payment: Some(brief(payment, secrets)),
            ..Self::new(Outcome::Recorded, at)
        }
    }

    /// The command is recorded; the payment as it is at `at`. Links and tokens are for whoever asked
    /// for the payment.
    pub(super) fn commanded(told: CommandAnswer, payment: &Payment, at: Timestamp) -> Self {
        Self {
            command: Some(told),
            ..Self::recorded(payment, Secrets::Left, at)
        }
    }

    /// It was refused.
    pub(super) fn refused(problem: &Problem, at: Timestamp) -> Self {
        Self {
            problem: Some(problem.json()),
            ..Self::new(Outcome::Refused, at)
        }
    }

    const fn new(outcome: Outcome, at: Timestamp) -> Self {
        Self {
            outcome,
            v: 1,
            at,
            command: None,
            payment: None,
            problem: None,
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The payment without what grows with it: answers are kept for days.
pub(super) fn brief(payment: &Payment, secrets: Secrets) -> Value {
    let mut told = shown::payment(payment, secrets);
    if let Some(fields) = told.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "history" | "commands"));
    }
    told
}
