//! What whoever pushed something is told.

use serde::Serialize;
use serde_json::Value;

use crate::api::v1::problem::Problem;
use crate::api::v1::shown::{self, Secrets};
use crate::payment::{CommandAnswer, Payment, Timestamp};

/// How an answer begins that says that something is recorded. It stays: no later refusal of the same
/// element may hide it, be it that of a worker that stood still, or of a key that is gone.
pub(super) const RECORDED: &str = r#"{"outcome":"recorded""#;

/// An answer. `outcome` comes first: [`RECORDED`] is compared with it.
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
            payment: Some(shown::payment(payment, secrets)),
            ..Self::new(Outcome::Recorded, at)
        }
    }

    /// The command is recorded; the payment as it is at `at`.
    pub(super) fn commanded(
        (told, payment): (CommandAnswer, &Payment),
        secrets: Secrets,
        at: Timestamp,
    ) -> Self {
        Self {
            command: Some(told),
            ..Self::recorded(payment, secrets, at)
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

    /// How an answer begins that this one does not replace.
    pub(super) fn stays(&self) -> &'static str {
        match self.outcome {
            Outcome::Recorded => "",
            Outcome::Refused => RECORDED,
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::ProblemCode;
    use crate::payment::{Payment, Request};

    #[test]
    fn what_is_recorded_begins_as_no_refusal_does() {
        let at = Timestamp::UNIX_EPOCH;
        let json = br#"{"v":1,"type":"charge","account":"hotel","idempotency_key":"k",
            "money":{"amount":1500,"currency":"MYR"},"token":"a-token",
            "customer":{"email":"payer@mail.example"}}"#;
        let payment = Payment::new(Request::from_json(json).unwrap(), at).unwrap();
        let recorded = Answer::recorded(&payment, Secrets::Shown, at);
        assert!(recorded.json().starts_with(RECORDED.as_bytes()));
        assert_eq!(recorded.stays(), "");
        let problem = Problem::new(ProblemCode::InvalidRequest, "it is wrong");
        let refused = Answer::refused(&problem, at);
        assert!(!refused.json().starts_with(RECORDED.as_bytes()));
        assert_eq!(refused.stays(), RECORDED);
    }
}
