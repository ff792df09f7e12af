//! Signatures by Standard Webhooks 1.0.0: HMAC-SHA256 over id, time and body.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::payment::Timestamp;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How many a new one has.
const RANDOM_BYTES: usize = 32;

/// A secret that an endpoint shares. Prints as a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// A new one, as text.
    #[must_use]
    pub fn fresh() -> String {
        let bytes: [u8; RANDOM_BYTES] = rand::random();
        format!("{PREFIX}{}", STANDARD.encode(bytes))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// The header `webhook-signature`: one signature for each secret.
#[must_use]
pub fn signature(secrets: &[SigningSecret], id: &str, at: Timestamp, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", at.timestamp());
    let signatures = secrets.iter().map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        format!(
            "v1,{}",
            STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
        )
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    /// As the reference implementations of the specification test it.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = from_millis(1_614_265_330_000).unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            signature(&[secret], id, at, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_behind_its_prefix() {
        for (bytes, fine) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(SigningSecret::parse(&text).is_some(), fine, "{bytes}");
            assert!(SigningSecret::parse(text.trim_start_matches("whsec_")).is_none());
        }
        assert!(SigningSecret::parse("whsec_not base64").is_none());
        let fresh = SigningSecret::fresh();
        let secret = SigningSecret::parse(&fresh).unwrap();
        assert!(!format!("{secret:?}").contains(&fresh[6..]));
    }
}
