//! What a producer signs with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::ClientError;
use crate::api::KeyName;
use crate::payment::Timestamp;

/// What stands before the 32 bytes of a private key in PEM (RFC 8410).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The private half of an Ed25519 key, and its name.
pub struct SigningKey {
    kid: KeyName,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Reads what `openssl genpkey -algorithm ed25519` prints. `kid` is the name under which the
    /// public half is configured.
    pub fn from_pem(kid: &str, pem: &str) -> Result<Self, ClientError> {
        let kid = KeyName::new(kid).ok_or(ClientError::Key(
            "must have a name of 1 to 64 letters, digits, - or _",
        ))?;
        let told =
            "must be an Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` makes it";
        let bare = pem
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
        let bare = bare.ok_or(ClientError::Key(told))?;
        let bytes: String = bare.split_whitespace().collect();
        let der = STANDARD.decode(bytes).map_err(|_| ClientError::Key(told))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        let pair = pair.map_err(|_| ClientError::Key(told))?;
        Ok(Self { kid, pair })
    }

    /// The key whose private half is these 32 bytes.
    pub fn from_seed(kid: &str, seed: &[u8; 32]) -> Result<Self, ClientError> {
        Self::from_pem(kid, &Self::pem_of(seed))
    }

    /// These 32 bytes as a private key in PEM.
    #[must_use]
    pub fn pem_of(seed: &[u8; 32]) -> String {
        let coded = STANDARD.encode([&PKCS8[..], seed].concat());
        format!("-----BEGIN PRIVATE KEY-----\n{coded}\n-----END PRIVATE KEY-----\n")
    }

    /// The public half, in base64, as the configuration has it.
    #[must_use]
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// The content as a JWS in compact form (RFC 7515, RFC 8037), signed at this time. It is taken for
    /// a week.
    #[must_use]
    pub fn sign(&self, content: &[u8], at: Timestamp) -> Vec<u8> {
        let (kid, iat) = (self.kid.as_str(), at.timestamp());
        let header = json!({ "alg": "EdDSA", "kid": kid, "iat": iat }).to_string();
        let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", coded(header.as_bytes()), coded(content));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", coded(signature.as_ref())).into_bytes()
    }
}
