//! Every way in which a request can go wrong: a word that does not change, an HTTP number, a title.

use axum::http::StatusCode;
use serde::Serialize;

/// Every way in which a request can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// No key, or one that is not known.
    Unauthenticated,
    /// The key has expired.
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
    /// There is no such card, or nothing is known of it.
    CardNotFound,
    /// The card cannot be charged any more, as far as is known.
    CardDead,
    /// There is no such plan.
    PlanNotFound,
    /// The plan is in no state in which this can be done with it.
    PlanNotNow,
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
    /// The hold is gone: given back, or lapsed as two people stated.
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
    pub const ALL: [Self; 34] = [
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
        Self::CardNotFound,
        Self::CardDead,
        Self::PlanNotFound,
        Self::PlanNotNow,
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
            Self::CardNotFound => "card_not_found",
            Self::CardDead => "card_dead",
            Self::PlanNotFound => "plan_not_found",
            Self::PlanNotNow => "plan_not_now",
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
            Self::PaymentNotFound | Self::CardNotFound | Self::PlanNotFound | Self::NotFound => {
                StatusCode::NOT_FOUND
            }
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
            | Self::CardDead
            | Self::PlanNotNow
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
            Self::KeyExpired => "The API key has expired",
            Self::ScopeMissing => "The API key is not for this",
            Self::AccountForbidden => "The API key is not for this account",
            Self::AmountForbidden => "The amount is above the API key's limit",
            Self::RateLimited => "Too many requests",
            Self::IdempotencyKeyMissing => "There is no Idempotency-Key",
            Self::IdempotencyKeyReused => "The Idempotency-Key was used for something else",
            Self::InvalidRequest => "The request is not right",
            Self::InvalidQuery => "The query is not right",
            Self::PaymentNotFound => "There is no such payment",
            Self::CardNotFound => "Nothing is known of such a card",
            Self::CardDead => "The card cannot be charged any more",
            Self::PlanNotFound => "There is no such plan",
            Self::PlanNotNow => "Not with the plan as it is",
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "Not with this method",
            Self::UnsupportedMediaType => "The body must be JSON",
            Self::BodyTooLarge => "The body is too long",
            Self::TooLateInDoubt => "Too late: what was sent is in doubt",
            Self::TooLateCaptured => "Too late: the money was taken",
            Self::TooLateReleased => "Too late: the hold is gone",
            Self::AlreadyDecided => "Another command has decided",
            Self::Expired => "Too late: the payment's time was over",
            Self::Ended => "The payment has ended",
            Self::NotApplicable => "Not in this state",
            Self::Busy => "The payment is changing; nothing was done",
            Self::StoreUnavailable => "Not possible now; repeat the request",
            Self::AlreadyAdopted => "The hold is adopted already",
            Self::Parked => "The payment is parked; an operator must look",
            Self::RecordUnreadable => "The record cannot be read; an operator must look",
            Self::SignatureMissing => "It is not signed",
            Self::SignatureInvalid => "The signature is not right",
            Self::CurrencyForbidden => "The key is not for this currency",
        }
    }
}
