//! What went wrong, as `application/problem+json` (RFC 9457): a code that does not change, the
//! field, and what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::json;

pub(in crate::api) use super::code::ProblemCode;
use super::create::REPLAYED;
use crate::api::intake::{IntakeError, Said};
use crate::payment::{CommandAnswer, InvalidRequest};
use crate::store::StoreError;

/// A problem, to be answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Problem {
    pub(in crate::api) code: ProblemCode,
    pub(in crate::api) detail: String,
    pub(in crate::api) field: Option<String>,
    /// When it may be tried again, in seconds.
    pub(in crate::api) retry_after_s: Option<i64>,
    /// Whether it is the answer of before.
    pub(super) said: Said,
    /// The payment that it is about, as it is.
    pub(in crate::api) payment: Option<Box<serde_json::Value>>,
}

impl Problem {
    pub(in crate::api) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            retry_after_s: None,
            said: Said::Now,
            payment: None,
        }
    }

    pub(in crate::api) fn of_field(self, field: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..self
        }
    }

    pub(super) fn after(self, wait: TimeDelta) -> Self {
        Self {
            retry_after_s: Some(wait.num_seconds().max(0) + 1),
            ..self
        }
    }

    /// The same, with the payment that it is about.
    pub(in crate::api) fn about(self, payment: serde_json::Value) -> Self {
        Self {
            payment: Some(Box::new(payment)),
            ..self
        }
    }

    /// The same of a command: a key that named another command is told as what it is.
    pub(in crate::api) fn of_command(self) -> Self {
        if self.field.as_deref() == Some(InvalidRequest::KEY_FIELD) {
            let code = ProblemCode::IdempotencyKeyReused;
            return Self { code, ..self };
        }
        self
    }

    /// A command that came too late, or means nothing; `None` if it did.
    pub(in crate::api) fn of_answer(answer: CommandAnswer) -> Option<Self> {
        let (code, detail) = match answer {
            CommandAnswer::Accepted | CommandAnswer::Done => return None,
            CommandAnswer::TooLateInDoubt => (
                ProblemCode::TooLateInDoubt,
                "when this command was given, a call that decides the matter had been sent, and the \
                 money had not been seen to move; ask for the payment until it has ended",
            ),
            CommandAnswer::AlreadyDecided => (
                ProblemCode::AlreadyDecided,
                "when this command was given, another one had decided, or two people had",
            ),
            CommandAnswer::TooLateCaptured => (ProblemCode::TooLateCaptured, "the money was taken"),
            CommandAnswer::TooLateReleased => (ProblemCode::TooLateReleased, "the hold is gone"),
            CommandAnswer::Expired => (
                ProblemCode::Expired,
                "the payment's time was over before anything was taken; ask for a new one",
            ),
            CommandAnswer::Ended => (
                ProblemCode::Ended,
                "the payment has ended: it failed, or its card is saved",
            ),
            CommandAnswer::NotApplicable => (
                ProblemCode::NotApplicable,
                "the payment is in no state in which this means anything; nothing was changed",
            ),
        };
        Some(Self::new(code, detail))
    }

    /// The problem as JSON.
    pub(in crate::api) fn json(&self) -> serde_json::Value {
        let mut told = json!({
            "type": format!("urn:holdfast:problem:{}", self.code.as_str()),
            "code": self.code,
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "detail": self.detail,
        });
        if let Some(field) = &self.field {
            told["field"] = field.as_str().into();
        }
        if let Some(payment) = &self.payment {
            told["payment"] = (**payment).clone();
        }
        told
    }
}

impl From<InvalidRequest> for Problem {
    fn from(error: InvalidRequest) -> Self {
        Self::new(ProblemCode::InvalidRequest, error.problem).of_field(&error.field)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let told = error.to_string();
        match error {
            IntakeError::Invalid(error) => error.into(),
            IntakeError::UnknownAccount(told) => {
                Self::new(ProblemCode::InvalidRequest, told).of_field("account")
            }
            IntakeError::Conflict(_) => {
                Self::new(ProblemCode::IdempotencyKeyReused, told).of_field("idempotency_key")
            }
            IntakeError::Adopted(_) => {
                Self::new(ProblemCode::AlreadyAdopted, told).of_field("purchase")
            }
            IntakeError::Missing(_) => Self::new(ProblemCode::PaymentNotFound, told),
            IntakeError::NoCard(_) => Self::new(ProblemCode::CardNotFound, told),
            IntakeError::CardDead(card) => {
                Self::new(ProblemCode::CardDead, told).of_field(card.field)
            }
            IntakeError::Busy(_) => Self::new(ProblemCode::Busy, told).after(TimeDelta::zero()),
            IntakeError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // What Redis says is for the log: it names keys and addresses.
        tracing::warn!(%error, "the store failed a request");
        if error.is_about_one() {
            let told = "what stands in Redis for this cannot be read, and was left as it is; tell an \
                        operator what you asked for";
            return Self::new(ProblemCode::RecordUnreadable, told);
        }
        Self::unknown()
    }
}

impl Problem {
    /// It is open whether it was done.
    pub(super) fn unknown() -> Self {
        let told = "if it was to change something, whether that was recorded is unknown; repeat the \
                    request with the same Idempotency-Key, which is safe";
        Self::new(ProblemCode::StoreUnavailable, told).after(TimeDelta::seconds(1))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), Json(self.json())).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.said == Said::Before {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
