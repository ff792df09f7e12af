//! The gateway signs what it posts: RSA PKCS#1 v1.5 with SHA-256 over the raw bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// The header that carries the signature, in base64.
pub const SIGNATURE_HEADER: &str = "x-signature";

/// Why a public key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not PEM.
    #[error("it is not PEM; copy it whole, with the lines BEGIN PUBLIC KEY and END PUBLIC KEY")]
    NotPem,
    /// PEM of something else.
    #[error(
        "it is not an RSA public key (SubjectPublicKeyInfo); copy the public key that the gateway shows"
    )]
    NotRsa,
    /// Too short to trust, or too long to be real.
    #[error("its RSA modulus has {0} bits; 2048 to 8192 are accepted")]
    Size(usize),
}

/// An RSA public key of the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `RSAPublicKey` of PKCS#1, as the verification wants it.
    der: Vec<u8>,
    bits: usize,
}

impl PublicKey {
    /// Reads a key from PEM. Line breaks may be the two characters `\n`, as they become when a
    /// key is kept in an environment variable or copied out of JSON.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        let text = pem.replace("\\r", "").replace("\\n", "\n");
        let (_, rest) = text
            .split_once("-----BEGIN PUBLIC KEY-----")
            .ok_or(InvalidKey::NotPem)?;
        let (inner, _) = rest
            .split_once("-----END PUBLIC KEY-----")
            .ok_or(InvalidKey::NotPem)?;
        let inner: String = inner.chars().filter(|c| !c.is_whitespace()).collect();
        let spki = STANDARD.decode(inner).map_err(|_| InvalidKey::NotPem)?;
        let der = rsa_key(&spki).ok_or(InvalidKey::NotRsa)?;
        let bits = modulus_bits(der).ok_or(InvalidKey::NotRsa)?;
        if (2048..=8192).contains(&bits) {
            Ok(Self {
                der: der.to_vec(),
                bits,
            })
        } else {
            Err(InvalidKey::Size(bits))
        }
    }

    /// Whether `signature` is this key's signature over exactly these bytes.
    #[must_use]
    pub fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der)
            .verify(body, signature)
            .is_ok()
    }
}

/// The bytes of a signature header; `None` when it is no base64.
pub(super) fn signature_bytes(header: &str) -> Option<Vec<u8>> {
    STANDARD.decode(header.trim()).ok()
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(RSA {})", self.bits)
    }
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
/// `AlgorithmIdentifier { rsaEncryption, NULL }`.
const RSA: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The `RSAPublicKey` inside a `SubjectPublicKeyInfo`, if that is all there is.
fn rsa_key(spki: &[u8]) -> Option<&[u8]> {
    let (spki, after) = element(SEQUENCE, spki)?;
    let (algorithm, rest) = element(SEQUENCE, spki)?;
    let (bits, end) = element(BIT_STRING, rest)?;
    let (unused, key) = bits.split_first()?;
    let whole = after.is_empty() && end.is_empty() && *unused == 0;
    (whole && algorithm == RSA).then_some(key)
}

fn modulus_bits(key: &[u8]) -> Option<usize> {
    let (numbers, after) = element(SEQUENCE, key)?;
    let (modulus, rest) = element(INTEGER, numbers)?;
    let (_, end) = element(INTEGER, rest)?;
    let digits = modulus
        .iter()
        .position(|byte| *byte != 0)
        .map(|at| &modulus[at..])?;
    let top = digits.first()?.leading_zeros() as usize;
    (after.is_empty() && end.is_empty()).then_some(digits.len() * 8 - top)
}

/// The content of the DER element that `der` starts with, and what follows it. `None` unless its
/// tag is `tag` and its length is whole, minimal and below 64 KiB.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => rest
            .split_first()
            .map(|(low, rest)| (usize::from(*low), rest))?,
        0x82 => match rest {
            [high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        },
        _ => return None,
    };
    let minimal = match first {
        0x81 => length >= 0x80,
        0x82 => length >= 0x100,
        _ => true,
    };
    (*found == tag && minimal)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with openssl: `openssl dgst -sha256 -sign`. The private key was not kept.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA8NUJymmfkjtbyWg2p+xW
C2rptQy7NsrDytY9HUG+Wb9eqyBqHWYmfgLZrQux1/k4cRINAiu9QzdxSFNaTxAj
zEJ85LbWKqECB16eKnxHR50+m2Zs9QH3V2T2XLHNcHzUwbv+vy688kzZ3arbS5dy
GJJfx6monCkl+0USpRt/jYGE5Ef8lpBdZgh3+5ZXdcmeZtZSjZr+6tD/SXdo3Uhc
Fz2eIRSrTStwsSSvyrOpk6m6KfBt9QXg3YGDIgBYOJAMNfCI7VtbAA3ZaXRQxF4Z
URHUuKLcBY9rDmvkhD82eHsYdVdSDXQ2ff9iQVJCNKNoFa+oe4KdAvOAECDDtPOs
4wIDAQAB
-----END PUBLIC KEY-----";
    const BODY: &str = r#"{"event_type": "purchase.hold", "id": "x"}"#;
    const SIGNATURE: &str = "QqEDvjuHiC/Zqqwz4Hd+3eFyGbCGbLr8icQuWDo4Pl/sp0qe369dxCoZAAsvIwX6CYZBh1lb0iHx9kb/xJi43+yyXyBABy8fPOL+2nwVWcUFlWe6ESzCSuTVi/gNNzvbwWrDSbFxudR83uHO5liQ1DdvhPhkk5+Vcfd9kIQbUBlFiLQV/j8ASil3lOydQnJq3zt1A5q0aUx9O+EgyV1QJ3ZR+i6iLmqusMkdoDdNNF2D1iB3kRsSg6/ax5uuAg3FXX9tYslGMW1nTldqffXl4Vam/adUcG305rhaj6ZR5tb9nyqOR94Wj6vwwo7fkNpNgTEsqrztdtkkIAA8P1b60Q==";
    const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/6a222UR7qj8Z0xocZAe2nGot
HqXVKic8F97/veiZSVv1u44uAwtVMukq4IJyJgfuxcAzdFeGdnFVilE9LAbdBKkk
87gL+Ckd2RZ1GLQEuqm+ViwCWWeT3mC4TurY7/2vnY7DCaBI3nyWukNNooqSm33h
ZIyMJ+cbE3/jpdlObwIDAQAB
-----END PUBLIC KEY-----";
    const P_256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAsyu0bmeohxEUtmB0uddmNHyz+8Y
K1ZVcKcPGP6qP8eeqebeGf1M3qAJNR11qLD1qquNI5ltXvNLNAQlahGwSw==
-----END PUBLIC KEY-----";

    #[test]
    fn a_signature_is_good_for_exactly_the_bytes_that_were_signed() {
        let key = PublicKey::from_pem(PEM).unwrap();
        let signature = signature_bytes(SIGNATURE).unwrap();
        assert!(key.signed(BODY.as_bytes(), &signature));
        for bit in [0, 7, BODY.len() * 8 - 1] {
            let mut body = BODY.as_bytes().to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.signed(&body, &signature), "bit {bit} of the body");
        }
        for bit in [0, 1000, 2047] {
            let mut forged = signature.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !key.signed(BODY.as_bytes(), &forged),
                "bit {bit} of the signature"
            );
        }
        assert!(!key.signed(BODY.as_bytes(), &[]));
        assert_eq!(signature_bytes("no base64!"), None);
    }

    #[test]
    fn a_key_may_have_lost_its_line_breaks_on_the_way() {
        let key = PublicKey::from_pem(PEM).unwrap();
        for written in [
            PEM.replace('\n', "\\n"),
            PEM.replace('\n', "\r\n"),
            PEM.replace('\n', "\\r\\n"),
            PEM.replace('\n', " "),
            format!("  {PEM}\n\n"),
        ] {
            assert_eq!(PublicKey::from_pem(&written), Ok(key.clone()), "{written}");
        }
        assert_eq!(format!("{key:?}"), "PublicKey(RSA 2048)");
    }

    #[test]
    fn what_is_no_rsa_key_of_a_fit_size_is_refused() {
        let fails = |pem: &str| PublicKey::from_pem(pem).unwrap_err();
        assert_eq!(fails(RSA_1024), InvalidKey::Size(1024));
        assert_eq!(fails(P_256), InvalidKey::NotRsa);
        assert_eq!(fails(""), InvalidKey::NotPem);
        assert_eq!(fails(&PEM.replace("MIIB", "!!!!")), InvalidKey::NotPem);
        assert_eq!(fails(&PEM.replace("PUBLIC", "PRIVATE")), InvalidKey::NotPem);
    }

    #[test]
    fn a_key_with_any_byte_missing_or_too_many_is_refused() {
        let inner: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let spki = STANDARD.decode(inner).unwrap();
        assert!(rsa_key(&spki).is_some());
        for end in 0..spki.len() {
            assert_eq!(rsa_key(&spki[..end]), None, "cut at {end}");
        }
        assert_eq!(rsa_key(&[spki.as_slice(), &[0]].concat()), None);
    }
}
