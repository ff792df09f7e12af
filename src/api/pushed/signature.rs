//! What is signed: JWS in compact form (RFC 7515), with Ed25519 (RFC 8037), and nothing else.
//!
//! The header is `{"alg":"EdDSA","kid":"…","iat":…}`. Whatever else stands in it is refused rather than
//! overlooked: it could change what the rest means. `iat` (RFC 7519) says when it was signed: what was
//! written down somewhere and is pushed after years, when the payment is long forgotten, is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;

use super::producers::{Producer, Rules};
use crate::api::KeyName;
use crate::api::v1::ProblemCode;
use crate::api::v1::problem::Problem;
use crate::payment::Timestamp;

const ALGORITHM: &str = "EdDSA";
/// How long after it was signed it is taken, in days. Payments are kept for longer, so that none is
/// made twice.
pub const DAYS_SIGNED: u32 = 7;
/// How far the clock of whoever signs may be ahead.
const MOST_AHEAD: TimeDelta = TimeDelta::minutes(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    /// In seconds since 1970, as RFC 7519 has it.
    iat: Option<i64>,
}

/// A JWS, taken apart.
pub(super) struct Jws<'a> {
    /// What is signed: header and payload as they were sent.
    signed: &'a [u8],
    header: Option<Header>,
    /// What it says, whoever says it.
    pub(super) payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes it apart; `None` if it is not written as one.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).ok();
        // serde would take a list for an object, its fields by position.
        let object = Some(decoded(header)?).filter(|json| json.first() == Some(&b'{'));
        Some(Self {
            signed: text.get(..=header.len() + payload.len())?,
            header: object.and_then(|json| serde_json::from_slice(&json).ok()),
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }

    /// The name of the key it is said to be signed with.
    pub(super) fn kid(&self) -> Option<KeyName> {
        KeyName::new(&self.header.as_ref()?.kid)
    }

    /// Who signed it.
    pub(super) fn producer<'r>(&self, rules: &'r Rules) -> Result<&'r Producer, Problem> {
        let header = self.header.as_ref().ok_or_else(|| {
            let told = "the header must be {\"alg\":\"EdDSA\",\"kid\":\"…\",\"iat\":…} and have \
                        nothing else";
            invalid(told)
        })?;
        if header.alg != ALGORITHM {
            return Err(invalid("alg must be EdDSA: sign with an Ed25519 key").of_field("alg"));
        }
        let producer = rules.producer(&header.kid).ok_or_else(|| {
            let told = "no key of this name is configured; sign with one that is";
            invalid(told).of_field("kid")
        })?;
        let key = UnparsedPublicKey::new(&ED25519, producer.public_key);
        key.verify(self.signed, &self.signature).map_err(|_| {
            invalid("it is not that of the key kid names over this header and this content")
        })?;
        Ok(producer)
    }

    fn signed_at(&self) -> Option<Timestamp> {
        let seconds = self.header.as_ref()?.iat?;
        Timestamp::from_timestamp(seconds, 0)
    }

    /// Whether it was signed lately.
    pub(super) fn is_fresh(&self, now: Timestamp) -> Result<(), Problem> {
        let told = "iat must say when it was signed, in seconds since 1970: at most 7 days ago";
        self.signed_at()
            .filter(|at| (oldest(now)..=now + MOST_AHEAD).contains(at))
            .map(drop)
            .ok_or_else(|| invalid(told).of_field("iat"))
    }
}

fn oldest(now: Timestamp) -> Timestamp {
    now - TimeDelta::days(DAYS_SIGNED.into())
}

/// Whether an element was signed so long ago that nobody can have it taken any more.
pub(crate) fn is_over(element: &[u8], now: Timestamp) -> bool {
    let signed = Jws::read(element).and_then(|jws| jws.signed_at());
    signed.is_some_and(|at| at < oldest(now))
}

pub(super) fn invalid(told: &str) -> Problem {
    Problem::new(ProblemCode::SignatureInvalid, told)
}
