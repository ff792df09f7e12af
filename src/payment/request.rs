//! What a producer asks: the wire format, version 1, and the checks a request must pass.

use chrono::{DateTime, FixedOffset, Utc};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use super::id::{AccountName, IdempotencyKey, PaymentId, Private, PurchaseId, Reference};
use super::limits::check_description;
use super::money::{Amount, Currency, Money};
use super::{CardToken, Fingerprint, Timestamp};

/// The version of the wire format this code speaks.
pub(super) const WIRE_VERSION: u64 = 1;

/// Why a request or a command was refused: the field, what is wrong with it, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRequest {
    /// The field, as a path such as `plan.release_at`.
    pub field: String,
    /// What is wrong and how to put it right.
    pub problem: String,
}

impl InvalidRequest {
    /// The field of the key that names a request or a command.
    pub const KEY_FIELD: &str = "idempotency_key";

    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: shortened(field.to_owned()),
            problem: shortened(problem.into()),
        }
    }
}

/// What was sent may be repeated in a problem, and may be as long as a body. How it begins says what
/// is meant, and how it ends what to do.
fn shortened(text: String) -> String {
    const BEGINNING: usize = 100;
    const END: usize = 400;
    if text.len() <= BEGINNING + END {
        return text;
    }
    let whole = |at: &usize| text.is_char_boundary(*at);
    let begin = (0..=BEGINNING).rev().find(whole).unwrap_or_default();
    let end = (text.len() - END..=text.len()).find(whole);
    let end = end.unwrap_or(text.len());
    format!("{} … {}", &text[..begin], &text[end..])
}

/// One promise about money that a producer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which CHIP key and brand.
    pub account: AccountName,
    /// The producer's name for this very request.
    pub idempotency_key: IdempotencyKey,
    /// The producer's own number, shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// What is asked.
    pub ask: Ask,
}

/// The four kinds of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Ask {
    /// Reserve funds; capture or release them by plan or command.
    Authorize(Authorize),
    /// Verify a card without taking money and keep its token.
    SaveCard(SaveCard),
    /// Take money from a saved card.
    Charge(Charge),
    /// Take over a hold that another service made.
    Adopt(Adopt),
}

impl Ask {
    /// Which kind, as it is written in requests.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Authorize(_) => "authorize",
            Self::SaveCard(_) => "save_card",
            Self::Charge(_) => "charge",
            Self::Adopt(_) => "adopt",
        }
    }
}

/// Reserve funds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// How much to reserve.
    pub money: Money,
    /// Who authorizes it, and how.
    pub source: Source,
    /// When to capture or release.
    #[serde(default)]
    pub plan: Plan,
    /// Who pays.
    pub customer: Customer,
    /// What it is for, shown to the payer; up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Where the authority to take the money comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The payer enters a card on the gateway's page, or posts it straight to the gateway.
    Checkout(Checkout),
    /// A saved card.
    Token(CardToken),
}

/// The payer's side of a checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// Where the payer lands after success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_redirect: Option<Private<String>>,
    /// Where the payer lands after failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_redirect: Option<Private<String>>,
    /// Where the payer lands after turning back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_redirect: Option<Private<String>>,
    /// Until when the link can be paid; without it the configured link lifetime counts.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub pay_by: Option<Timestamp>,
}

/// Verify and keep a card; no money moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveCard {
    /// The payer's side.
    #[serde(default)]
    pub checkout: Checkout,
    /// Whose card.
    pub customer: Customer,
    /// The currency of the verification; MYR unless said.
    #[serde(default = "default_currency")]
    pub currency: Currency,
    /// What it is for, shown to the payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

const fn default_currency() -> Currency {
    Currency::MYR
}

/// Take money from a saved card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// How much.
    pub money: Money,
    /// Which card.
    pub token: CardToken,
    /// Who pays; the gateway wants an e-mail address even for a saved card.
    pub customer: Customer,
    /// Do not start before this time; at once without it.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_before: Option<Timestamp>,
    /// Never start a charge later than this.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<Timestamp>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Take over a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopt {
    /// The gateway's id of what is on hold.
    pub purchase: PurchaseId,
    /// How much is on hold; checked against the gateway.
    pub money: Money,
    /// When to capture or release.
    #[serde(default)]
    pub plan: Plan,
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// An e-mail address; the gateway requires one.
    pub email: Private<String>,
    /// The name on receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Private<String>>,
    /// A phone number as `<country code> <number>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Private<String>>,
}

/// What becomes of a hold. With neither time it waits for a command until the guard acts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Capture at this time.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub capture_at: Option<Timestamp>,
    /// How much to capture; the whole hold without it. The rest is released by the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_amount: Option<Amount>,
    /// Release at this time; with `capture_at`, the time after which a capture that was not sent
    /// yet is not sent any more and the hold is released instead.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub release_at: Option<Timestamp>,
    /// When the hold lapses; without it the account's hold lifetime counts from the hold.
    #[serde(
        default,
        with = "offset_time::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Timestamp>,
    /// What the guard does shortly before the hold lapses.
    #[serde(
        default,
        deserialize_with = "guard",
        skip_serializing_if = "Option::is_none"
    )]
    pub before_expiry: Option<BeforeExpiry>,
}

/// What the guard does shortly before a hold lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeforeExpiry {
    /// Give the money back.
    Release,
    /// Take it.
    Capture,
    /// Ask a person.
    Park,
}

/// A word and nothing else: left to itself, serde would also take `{"release": null}`.
fn guard<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BeforeExpiry>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    word.map(|word| BeforeExpiry::deserialize(word.into_deserializer()))
        .transpose()
}

impl Request {
    /// The wire format as JSON Schema, version 1, for whoever checks or builds requests elsewhere.
    pub const SCHEMA: &str = include_str!("../../schema/request.v1.json");

    /// Reads a request from its JSON form; every refusal names the field and the fix.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidRequest> {
        super::wire::request(json)
    }

    /// The payment this request names.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        match &self.ask {
            Ask::Adopt(adopt) => PaymentId::derive_adopted(&self.account, &adopt.purchase),
            _ => PaymentId::derive(&self.account, &self.idempotency_key),
        }
    }

    /// What was asked, as a hash.
    pub fn fingerprint(&self) -> Result<Fingerprint, InvalidRequest> {
        Fingerprint::of(self).map_err(|e| InvalidRequest::new("request", e.to_string()))
    }

    /// Checks what no single field can check, and what the gateway would refuse.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        match &self.ask {
            Ask::Authorize(ask) => {
                ask.plan.check(ask.money.amount)?;
                ask.customer.check()?;
                if let Source::Checkout(checkout) = &ask.source {
                    checkout.check("source.checkout")?;
                }
                check_description(ask.description.as_deref())
            }
            Ask::SaveCard(ask) => {
                ask.customer.check()?;
                ask.checkout.check("checkout")?;
                check_description(ask.description.as_deref())
            }
            Ask::Charge(ask) => {
                ask.customer.check()?;
                check_description(ask.description.as_deref())?;
                ask.check_times()
            }
            Ask::Adopt(ask) => ask.plan.check(ask.money.amount),
        }
    }

    /// The currency asked in.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        match &self.ask {
            Ask::Authorize(ask) => ask.money.currency,
            Ask::SaveCard(ask) => ask.currency,
            Ask::Charge(ask) => ask.money.currency,
            Ask::Adopt(ask) => ask.money.currency,
        }
    }

    /// The money asked about; `None` for a saved card.
    #[must_use]
    pub const fn money(&self) -> Option<Money> {
        match &self.ask {
            Ask::Authorize(ask) => Some(ask.money),
            Ask::Charge(ask) => Some(ask.money),
            Ask::Adopt(ask) => Some(ask.money),
            Ask::SaveCard(_) => None,
        }
    }
}

/// Reads RFC 3339 with an offset; a time without one could be meant anywhere on earth.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    DateTime::<FixedOffset>::parse_from_rfc3339(text)
        .map(|t| t.with_timezone(&Utc))
        .map_err(|_| {
            format!(
                "must be a time with date and offset (RFC 3339), such as \
             2027-01-31T14:00:00+08:00; got {text:?}"
            )
        })
}

/// Times on the wire: RFC 3339 with an offset.
pub(crate) mod offset_time {
    use super::{Deserialize, Deserializer, Timestamp, parse_time};

    pub(crate) mod option {
        use serde::Serializer;

        use super::{Deserialize, Deserializer, Timestamp, parse_time};

        #[allow(clippy::ref_option, reason = "serde calls it so")]
        pub(crate) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serde::Serialize::serialize(time, serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|t| parse_time(&t).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}
