//! What went wrong, as `application/problem+json` (RFC 9457): a code that does not change, the
//! field, and what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::json;

use super::create::REPLAYED;
use crate::api::intake::{IntakeError, Said};
use crate::payment::{CommandAnswer, InvalidRequest};
use crate::store::StoreError;

/// Every way in which a request can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// No key, or one that is not known.
    Unauthenticated,
    /// The key's time is over.
    KeyExpired,
    /// The key is for something else.
    ScopeMissing,
    /// The key is for other accounts.
    AccountForbidden,
    /// The amount is above what the key may ask for.
    AmountForbidden,
    /// The key makes too many requests.
    RateLimited,
    /// There is no `Idempotency-Key`.
    IdempotencyKeyMissing,
    /// The key names a payment or a command with another content.
    IdempotencyKeyReused,
    /// The content is wrong.
    InvalidRequest,
    /// The query is wrong.
    InvalidQuery,
    /// There is no such payment.
    PaymentNotFound,
    /// There is nothing at this address.
    NotFound,
    /// There is something at this address, but not for this method.
    MethodNotAllowed,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The body is too long.
    BodyTooLarge,
    /// It was not possible to decide for certain whether the money moved.
    TooLateInDoubt,
    /// The money was taken.
    TooLateCaptured,
    /// The hold was given back.
    TooLateReleased,
    /// Another command has decided.
    AlreadyDecided,
    /// The payment's time was over before.
    Expired,
    /// The payment has ended.
    Ended,
    /// The payment is in no state in which the command means anything.
    NotApplicable,
    /// The payment kept changing.
    Busy,
    /// The store cannot be reached.
    StoreUnavailable,
    /// The hold is adopted already, by another request.
    AlreadyAdopted,
    /// The payment is parked: its commands are for operators.
    Parked,
    /// The record cannot be read.
    RecordUnreadable,
    /// What was pushed to Redis is not signed, and must be.
    SignatureMissing,
    /// Its signature is not that of a known producer over this very content.
    SignatureInvalid,
    /// The producer may not ask for this currency.
    CurrencyForbidden,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::Unauthenticated,
        Self::KeyExpired,
        Self::ScopeMissing,
        Self::AccountForbidden,
        Self::AmountForbidden,
        Self::RateLimited,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyReused,
        Self::InvalidRequest,
        Self::InvalidQuery,
        Self::PaymentNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::TooLateInDoubt,
        Self::TooLateCaptured,
        Self::TooLateReleased,
        Self::AlreadyDecided,
        Self::Expired,
        Self::Ended,
        Self::NotApplicable,
        Self::Busy,
        Self::StoreUnavailable,
        Self::AlreadyAdopted,
        Self::Parked,
        Self::RecordUnreadable,
        Self::SignatureMissing,
        Self::SignatureInvalid,
        Self::CurrencyForbidden,
    ];

    /// Whether it passes by itself, and the answer says when to come back.
    #[must_use]
    pub const fn says_when(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::StoreUnavailable | Self::Busy
        )
    }

    /// Those that only what is pushed to Redis is answered with, never a request over HTTP.
    pub const OF_PUSHES: [Self; 3] = [
        Self::SignatureMissing,
        Self::SignatureInvalid,
        Self::CurrencyForbidden,
    ];

    /// The word for it, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::KeyExpired => "key_expired",
            Self::ScopeMissing => "scope_missing",
            Self::AccountForbidden => "account_forbidden",
            Self::AmountForbidden => "amount_forbidden",
            Self::RateLimited => "rate_limited",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidQuery => "invalid_query",
            Self::PaymentNotFound => "payment_not_found",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::TooLateInDoubt => "too_late_in_doubt",
            Self::TooLateCaptured => "too_late_captured",
            Self::TooLateReleased => "too_late_released",
            Self::AlreadyDecided => "already_decided",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::NotApplicable => "not_applicable",
            Self::Busy => "busy",
            Self::StoreUnavailable => "store_unavailable",
            Self::AlreadyAdopted => "already_adopted",
            Self::Parked => "parked",
            Self::RecordUnreadable => "record_unreadable",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureInvalid => "signature_invalid",
            Self::CurrencyForbidden => "currency_forbidden",
        }
    }

    /// The HTTP number that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated
            | Self::KeyExpired
            | Self::SignatureMissing
            | Self::SignatureInvalid => StatusCode::UNAUTHORIZED,
            Self::ScopeMissing
            | Self::AccountForbidden
            | Self::AmountForbidden
            | Self::CurrencyForbidden
            | Self::Parked => StatusCode::FORBIDDEN,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::IdempotencyKeyMissing | Self::InvalidRequest | Self::InvalidQuery => {
                StatusCode::BAD_REQUEST
            }
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PaymentNotFound | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooLateInDoubt
            | Self::TooLateCaptured
            | Self::TooLateReleased
            | Self::AlreadyDecided
            | Self::Expired
            | Self::Ended
            | Self::NotApplicable
            | Self::AlreadyAdopted
            | Self::Busy => StatusCode::CONFLICT,
            Self::RecordUnreadable => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unauthenticated => "Show a valid API key",
            Self::KeyExpired => "The API key's time is over",
            Self::ScopeMissing => "The API key is not for this",
            Self::AccountForbidden => "The API key is not for this account",
            Self::AmountForbidden => "The amount is above the API key's limit",
            Self::RateLimited => "Too many requests",
            Self::IdempotencyKeyMissing => "There is no Idempotency-Key",
            Self::IdempotencyKeyReused => "The Idempotency-Key was used for something else",
            Self::InvalidRequest => "The request is not right",
            Self::InvalidQuery => "The query is not right",
            Self::PaymentNotFound => "There is no such payment",
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "Not with this method",
            Self::UnsupportedMediaType => "The body must be JSON",
            Self::BodyTooLarge => "The body is too long",
            Self::TooLateInDoubt => "Too late: what was sent is in doubt",
            Self::TooLateCaptured => "Too late: the money was taken",
            Self::TooLateReleased => "Too late: the hold was given back",
            Self::AlreadyDecided => "Another command has decided",
            Self::Expired => "Too late: the payment's time was over",
            Self::Ended => "The payment has ended",
            Self::NotApplicable => "Not in this state",
            Self::Busy => "The payment is changing; nothing was done",
            Self::StoreUnavailable => "The store cannot be reached; repeat the request",
            Self::AlreadyAdopted => "The hold is adopted already",
            Self::Parked => "The payment is parked; an operator must look",
            Self::RecordUnreadable => "The record cannot be read; an operator must look",
            Self::SignatureMissing => "It is not signed",
            Self::SignatureInvalid => "The signature is not right",
            Self::CurrencyForbidden => "The key is not for this currency",
        }
    }
}

/// A problem, to be answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Problem {
    pub(in crate::api) code: ProblemCode,
    pub(in crate::api) detail: String,
    pub(in crate::api) field: Option<String>,
    /// When it may be tried again, in seconds.
    pub(super) retry_after_s: Option<i64>,
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
                "when this command was given, another one had decided about the hold",
            ),
            CommandAnswer::TooLateCaptured => (ProblemCode::TooLateCaptured, "the money was taken"),
            CommandAnswer::TooLateReleased => {
                (ProblemCode::TooLateReleased, "the hold was given back")
            }
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
            let told = "what stands in Redis for this payment cannot be read, and was left as it is; \
                        tell an operator the payment's id";
            return Self::new(ProblemCode::RecordUnreadable, told);
        }
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
