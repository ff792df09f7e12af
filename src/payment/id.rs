//! Names of things, each with one fallible constructor.
//!
//! What must never be printed (tokens, purchase ids, which are tokens once a card is saved,
//! and everything about a customer) prints as a mask from `Debug` and has no `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a name was refused: what it is, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}; {fix}")]
pub struct InvalidName {
    what: &'static str,
    problem: String,
    fix: &'static str,
}

fn checked(
    what: &'static str,
    text: String,
    longest: usize,
    fix: &'static str,
    allowed: fn(char) -> bool,
) -> Result<String, InvalidName> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > longest {
        format!("is {} bytes long, above {longest}", text.len())
    } else if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        format!("holds the character {bad:?}")
    } else {
        return Ok(text);
    };
    Err(InvalidName { what, problem, fix })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $allowed:expr, $fix:literal) => {
        name!($(#[$doc])* $name, $what, $longest, $allowed, $fix, std::convert::identity);
    };
    (
        $(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $allowed:expr, $fix:literal,
        $spelled:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text; the error says what is wrong and what to write instead.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                checked($what, $spelled(text.into()), $longest, $fix, $allowed).map(Self)
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    };
}

macro_rules! shown {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! masked {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn printable(c: char) -> bool {
    !c.is_control()
}

name!(
    /// Which CHIP key and brand a payment runs under: a name from the configuration.
    AccountName, "the account name", 64, word,
    "use 1 to 64 letters, digits, '-' or '_'"
);
shown!(AccountName);

name!(
    /// What the producer calls this request. The same key with the same content is the same payment.
    IdempotencyKey, "the idempotency key", 255, printable,
    "use 1 to 255 printable characters, unique for each payment you want"
);
shown!(IdempotencyKey);

name!(
    /// The producer's own name for the payment, such as an order number. Need not be unique.
    Reference, "the reference", 128, printable,
    "use 1 to 128 printable characters"
);
shown!(Reference);

name!(
    /// The gateway's name for what a payment became there. It is the idempotency key of every
    /// call that moves money, and the card token of a saved card: masked in `Debug`.
    PurchaseId, "the purchase id", 64, word,
    "use the id as the gateway gave it, a UUID",
    as_the_gateway_spells
);
masked!(PurchaseId);

name!(
    /// A saved card. Whoever holds it and the account's key can take money: masked in `Debug`.
    CardToken, "the card token", 64, word,
    "use the token as `saved` reported it, a UUID"
);
masked!(CardToken);

name!(
    /// What a saved card is called here: `card_` and 32 hexadecimal digits, derived from the account
    /// and the token. It is no token: nobody can charge with it, so it may stand in addresses.
    CardId, "the card id", 37, word,
    "use the id as it was answered: card_ and 32 hexadecimal digits"
);
shown!(CardId);

impl CardId {
    /// The one card that `token` names on `account`, in whatever spelling.
    #[must_use]
    pub fn derive(account: &AccountName, token: &CardToken) -> Self {
        let token = as_the_gateway_spells(token.0.clone());
        let digest = digest_of(&[b"card", account.0.as_bytes(), token.as_bytes()]);
        Self(format!("card_{}", hex(&digest[..16])))
    }

    /// Whether `text` is what this code would call a card.
    #[must_use]
    pub fn looks_like_one(text: &str) -> bool {
        text.strip_prefix("card_").is_some_and(is_half_a_digest)
    }

    /// A number that spreads cards evenly; the store derives the partition from it.
    #[must_use]
    pub fn spread(&self) -> u64 {
        spread_of(&self.0)
    }
}

/// A UUID in any spelling, as the gateway writes it: small letters, with hyphens. However it is
/// typed, it must name one payment. What is no UUID stays as it is.
fn as_the_gateway_spells(text: String) -> String {
    canonical_uuid(&text).unwrap_or(text)
}

fn canonical_uuid(text: &str) -> Option<String> {
    let small = text.trim().to_ascii_lowercase();
    let bare = small.strip_prefix("urn:uuid:").unwrap_or(&small);
    let bare = bare
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or(bare);
    let places: &[usize] = match bare.len() {
        32 => &[],
        36 => &[8, 13, 18, 23],
        _ => return None,
    };
    let well_formed = bare.bytes().enumerate().all(|(at, byte)| {
        if places.contains(&at) {
            byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    let digits = well_formed.then(|| bare.replace('-', ""))?;
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Some(parts.join("-"))
}

impl PurchaseId {
    /// The token under which the gateway keeps the card that this purchase saved.
    #[must_use]
    pub fn as_card_token(&self) -> CardToken {
        CardToken(self.0.clone())
    }
}

name!(
    /// The name of a payment: `pay_` and 32 hexadecimal digits, derived from the account and the
    /// idempotency key, so that the record itself is the proof that a request was seen before.
    PaymentId, "the payment id", 36, word,
    "use the id as it was answered: pay_ and 32 hexadecimal digits"
);
shown!(PaymentId);

impl PaymentId {
    /// The one payment that `key` names on `account`.
    #[must_use]
    pub fn derive(account: &AccountName, key: &IdempotencyKey) -> Self {
        Self::hashed(&[b"key", account.0.as_bytes(), key.0.as_bytes()])
    }

    /// The one payment that may adopt `purchase`: however many keys ask, it is the same record.
    #[must_use]
    pub fn derive_adopted(account: &AccountName, purchase: &PurchaseId) -> Self {
        Self::hashed(&[b"adopt", account.0.as_bytes(), purchase.0.as_bytes()])
    }

    /// Whether `text` is what this code would call a payment.
    #[must_use]
    pub fn looks_like_one(text: &str) -> bool {
        text.strip_prefix("pay_").is_some_and(is_half_a_digest)
    }

    fn hashed(parts: &[&[u8]]) -> Self {
        let digest = digest_of(parts);
        Self(format!("pay_{}", hex(&digest[..16])))
    }

    /// A number that spreads payments evenly; the store derives the partition from it.
    #[must_use]
    pub fn spread(&self) -> u64 {
        spread_of(&self.0)
    }
}

fn is_half_a_digest(digits: &str) -> bool {
    digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn spread_of(name: &str) -> u64 {
    let digest = digest_of(&[name.as_bytes()]);
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

/// What a request asked for, as a hash: the same key with another fingerprint is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of anything that serializes; the JSON form is the canonical one.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        let bytes = serde_json::to_vec(value)?;
        Ok(Self(hex(&digest_of(&[&bytes]))))
    }

    /// The hash as hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash of `parts` that keeps their borders apart: ("ab","c") differs from ("a","bc").
pub(crate) fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Something about a customer or a link that lets its holder pay: kept, sent, never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Wraps what must not be printed.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Takes the value out, for the one place that needs it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_on_another_account_is_another_payment() {
        let key = IdempotencyKey::new("order-1").unwrap();
        let one = PaymentId::derive(&AccountName::new("a").unwrap(), &key);
        let two = PaymentId::derive(&AccountName::new("b").unwrap(), &key);
        assert_ne!(one, two);
        assert_eq!(
            one,
            PaymentId::derive(&AccountName::new("a").unwrap(), &key)
        );
        assert_eq!(one.as_str().len(), 36);
    }

    #[test]
    fn any_spelling_of_a_purchase_id_is_one_adoption() {
        let account = AccountName::new("hotel").unwrap();
        let written = "5a9e3c1c-00ab-4000-8000-0000000000ff";
        let known = PurchaseId::new(written).unwrap();
        for spelling in [
            "5A9E3C1C-00AB-4000-8000-0000000000FF",
            "5a9e3c1c00ab400080000000000000ff",
            "5A9E3C1C00AB400080000000000000FF",
            "{5a9e3c1c-00ab-4000-8000-0000000000ff}",
            "urn:uuid:5a9e3c1c-00ab-4000-8000-0000000000ff",
            " 5a9e3c1c-00ab-4000-8000-0000000000ff\n",
        ] {
            let typed = PurchaseId::new(spelling).unwrap();
            assert_eq!(typed.as_str(), written, "{spelling}");
            assert_eq!(
                PaymentId::derive_adopted(&account, &typed),
                PaymentId::derive_adopted(&account, &known)
            );
        }
        let other = PurchaseId::new("5a9e3c1c-00ab-4000-8000-0000000000fe").unwrap();
        assert_ne!(
            PaymentId::derive_adopted(&account, &other),
            PaymentId::derive_adopted(&account, &known)
        );
        for no_uuid in [
            "5a9e3c1c00ab4000-8000-0000000000ff",
            "an-id",
            "é".repeat(16).as_str(),
        ] {
            let kept = PurchaseId::new(no_uuid).map(|id| id.as_str().to_owned());
            assert!(kept.is_err() || kept.as_deref() == Ok(no_uuid));
        }
    }

    #[test]
    fn tokens_and_private_things_never_print() {
        let token = CardToken::new("11111111-2222").unwrap();
        let purchase = PurchaseId::new("11111111-2222").unwrap();
        let email = Private::new("a@b.example");
        let printed = format!("{token:?} {purchase:?} {email:?}");
        assert!(
            !printed.contains("1111") && !printed.contains("example"),
            "{printed}"
        );
    }

    #[test]
    fn a_payment_has_the_same_name_and_the_same_place_in_every_version() {
        let account = AccountName::new("hotel").unwrap();
        let key = IdempotencyKey::new("order-1").unwrap();
        let purchase = PurchaseId::new("5a9e3c1c-00ab-4000-8000-0000000000ff").unwrap();
        let asked = PaymentId::derive(&account, &key);
        let adopted = PaymentId::derive_adopted(&account, &purchase);
        assert_eq!(asked.as_str(), "pay_51950adc93dd811917fdd1bcc6d0ee3d");
        assert_eq!(adopted.as_str(), "pay_0b79cab3fee3b9064828e332c95785a6");
        assert_eq!(asked.spread(), 8_134_947_086_570_245_288);
    }

    #[test]
    fn what_looks_like_a_payment_of_ours_is_told_from_a_shops_own_number() {
        let digits = "0123456789abcdef0123456789abcdef";
        let ours = format!("pay_{digits}");
        assert!(PaymentId::looks_like_one(&ours));
        for other in [
            digits.to_owned(),
            format!("pay_{}", &digits[1..]),
            format!("pay_{digits}0"),
            format!("pay_{}g", &digits[1..]),
            format!("PAY_{digits}"),
            "pay_".to_owned(),
            String::new(),
        ] {
            assert!(!PaymentId::looks_like_one(&other), "{other}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_it_may_be_and_no_longer() {
        let fits = |longest: usize, new: fn(String) -> bool| {
            assert!(new("a".repeat(longest)) && new("a".to_owned()));
            assert!(!new("a".repeat(longest + 1)) && !new(String::new()));
        };
        fits(64, |text| AccountName::new(text).is_ok());
        fits(255, |text| IdempotencyKey::new(text).is_ok());
        fits(128, |text| Reference::new(text).is_ok());
        fits(64, |text| PurchaseId::new(text).is_ok());
        fits(64, |text| CardToken::new(text).is_ok());
        fits(37, |text| CardId::new(text).is_ok());
        fits(36, |text| PaymentId::new(text).is_ok());
    }

    #[test]
    fn a_word_has_no_spaces_and_a_text_no_control_characters() {
        for fine in ["a-b_C9", "-", "_"] {
            assert!(AccountName::new(fine).is_ok(), "{fine}");
        }
        for bad in ["a b", "a/b", "a.b", "é"] {
            assert!(AccountName::new(bad).is_err(), "{bad}");
        }
        for fine in ["a b", "é/.#", "\u{3042}"] {
            assert!(IdempotencyKey::new(fine).is_ok(), "{fine}");
        }
        for bad in ["a\nb", "\u{0}", "\u{7f}"] {
            assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_told_about_a_name_is_the_name_itself() {
        let account = AccountName::new("hotel").unwrap();
        assert_eq!(format!("{account} {account:?}"), "hotel hotel");
        assert_eq!(String::from(account.clone()), "hotel");
        assert_eq!("hotel".parse::<AccountName>(), Ok(account));
        let purchase = PurchaseId::new("5a9e3c1c-00ab-4000-8000-0000000000ff").unwrap();
        assert_eq!(purchase.as_card_token().as_str(), purchase.as_str());
        assert_eq!(format!("{purchase:?}"), "PurchaseId(***)");
        assert_eq!(format!("{:?}", Private::new("a@b.example")), "***");
    }

    #[test]
    fn borders_between_the_parts_of_a_hash_count() {
        assert_ne!(digest_of(&[b"ab", b"c"]), digest_of(&[b"a", b"bc"]));
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        let one = Fingerprint::of(&"x").unwrap();
        assert_eq!(one.as_str().len(), 64);
        assert_ne!(one, Fingerprint::of(&"y").unwrap());
    }

    #[test]
    fn a_refused_name_says_what_to_write_instead() {
        let error = AccountName::new("kl hotel").unwrap_err().to_string();
        assert!(
            error.contains("' '") && error.contains("letters"),
            "{error}"
        );
    }
}
