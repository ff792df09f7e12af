//! What is signed: JWS in compact form (RFC 7515), with Ed25519 (RFC 8037), and nothing else.
//!
//! The header is `{"alg":"EdDSA","kid":"…"}`. Whatever else stands in it is refused rather than
//! overlooked: it could change what the rest means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;

use super::producers::{Producer, Rules};
use crate::api::KeyName;
use crate::api::v1::ProblemCode;
use crate::api::v1::problem::Problem;

const ALGORITHM: &str = "EdDSA";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
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
            invalid("the header must be {\"alg\":\"EdDSA\",\"kid\":\"…\"} and have nothing else")
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
}

pub(super) fn invalid(told: &str) -> Problem {
    Problem::new(ProblemCode::SignatureInvalid, told)
}
