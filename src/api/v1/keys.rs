//! Who may ask. Only hashes of keys are kept, and which one fits is found without telling, by the
//! time it takes, how much of it did.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::pace::Paces;
use crate::config::Current;
use crate::payment::{AccountName, Private, Timestamp};

/// What a key begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "hf_";
/// How many random bytes a key has: nobody guesses 256 bits.
const RANDOM_BYTES: usize = 32;

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To ask for payments.
    Enqueue,
    /// To see payments.
    Read,
    /// To command payments.
    Command,
    /// For operators: to settle what is parked, to plan and apply reruns, which can charge and capture,
    /// and to stop. With `command` also to command what is parked.
    Operate,
}

impl Scope {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Read => "read",
            Self::Command => "command",
            Self::Operate => "operate",
        }
    }
}

/// The name of a key, for logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// A name of 1 to 64 letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=64).contains(&name.len()) && name.bytes().all(fits)).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of a key. It needs no salt: nobody can try all keys of 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let digits = digits.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

/// A key as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is called.
    pub name: KeyName,
    /// How it is recognised.
    pub hash: KeyHash,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// For which accounts; `None` for all.
    pub accounts: Option<BTreeSet<AccountName>>,
    /// The largest amount of one request, in minor units; `None` for any.
    pub largest_amount_minor: Option<u64>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whoever asks where no key is needed: this machine, in development.
    pub(in crate::api) fn anybody() -> Self {
        Self {
            name: KeyName("anybody".into()),
            hash: KeyHash([0; 32]),
            scopes: [Scope::Enqueue, Scope::Read, Scope::Command, Scope::Operate].into(),
            accounts: None,
            largest_amount_minor: None,
            expires_at: None,
        }
    }

    /// Whether it is nobody's key: no hash is all zeros.
    pub(super) fn is_anybody(&self) -> bool {
        self.hash == KeyHash([0; 32])
    }
}

/// A new key, made at random, to be shown once.
#[must_use]
pub fn new_key() -> Private<String> {
    let bytes: [u8; RANDOM_BYTES] = rand::random();
    Private::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether it is written as keys are: a word that somebody thought up is none, whatever hash is
/// configured.
pub(crate) fn is_whole(key: &str) -> bool {
    let random = key
        .strip_prefix(PREFIX)
        .map(|rest| URL_SAFE_NO_PAD.decode(rest));
    matches!(random, Some(Ok(bytes)) if bytes.len() == RANDOM_BYTES)
}

/// All keys, which can be exchanged while requests are served.
#[derive(Debug)]
pub struct KeyRing {
    keys: Current<Vec<Arc<ApiKey>>>,
    /// Never opened again: keys that are taken away later must not leave the door open.
    open: AtomicBool,
    pub(super) paces: Paces,
}

/// Why a key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Closed {
    Unknown,
    Expired,
}

impl KeyRing {
    /// A ring with these keys; without any, no key is ever asked for.
    #[must_use]
    pub fn new(keys: Vec<ApiKey>, pace: super::Pace) -> Self {
        Self {
            open: AtomicBool::new(keys.is_empty()),
            keys: Current::new(keys.into_iter().map(Arc::new).collect()),
            paces: Paces::new(pace),
        }
    }

    /// From now on these keys are valid, and no others. Without any, nobody is let in.
    pub fn replace(&self, keys: Vec<ApiKey>) {
        if !keys.is_empty() {
            self.open.store(false, Ordering::Release);
        }
        self.keys.replace(keys.into_iter().map(Arc::new).collect());
    }

    /// All that are valid.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<ApiKey> {
        self.keys.get().iter().map(|key| (**key).clone()).collect()
    }

    /// Whether whoever comes is let in without a key.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// The key that was shown.
    pub(in crate::api) fn find(&self, shown: &str, now: Timestamp) -> Result<Arc<ApiKey>, Closed> {
        if !is_whole(shown) {
            return Err(Closed::Unknown);
        }
        self.of_hash(&KeyHash::of(shown), now)
    }

    /// The key of this hash, if it is valid still. Looks at all of them, whichever fits.
    pub(in crate::api) fn of_hash(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Arc<ApiKey>, Closed> {
        let keys = self.keys.get();
        let mut found = None;
        for key in keys.iter() {
            if key.hash.is(hash) {
                found = Some(key);
            }
        }
        let key = found.ok_or(Closed::Unknown)?;
        if key.expires_at.is_some_and(|end| now >= end) {
            return Err(Closed::Expired);
        }
        Ok(Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn key(name: &str, secret: &str) -> ApiKey {
        ApiKey {
            name: KeyName::new(name).unwrap(),
            hash: KeyHash::of(secret),
            ..ApiKey::anybody()
        }
    }

    fn ring(keys: Vec<ApiKey>) -> KeyRing {
        KeyRing::new(
            keys,
            super::super::Pace {
                per_second: 1,
                burst: 1,
            },
        )
    }

    #[test]
    fn a_key_has_256_random_bits_and_its_hash_can_be_written_down() {
        let (one, other) = (new_key(), new_key());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        let hash = KeyHash::of(one.reveal());
        assert_eq!(KeyHash::from_hex(&hash.to_string()), Some(hash));
        for no_hash in ["", "abc", &"g".repeat(64), one.reveal()] {
            assert_eq!(KeyHash::from_hex(no_hash), None);
        }
        assert!(!format!("{hash:?}").contains(&hash.to_string()[..8]));
    }

    #[test]
    fn keys_overlap_are_exchanged_and_expire() {
        let now = Timestamp::UNIX_EPOCH;
        let [old, new, other] = [(); 3].map(|()| new_key());
        let named = |name: &str, key: &Private<String>| super::tests::key(name, key.reveal());
        let ring = ring(vec![named("old", &old), named("new", &new)]);
        let found = |key: &Private<String>, now| ring.find(key.reveal(), now);
        assert_eq!(found(&old, now).unwrap().name.as_str(), "old");
        assert_eq!(found(&new, now).unwrap().name.as_str(), "new");
        assert_eq!(found(&other, now), Err(Closed::Unknown));
        let ends = ApiKey {
            expires_at: Some(now + TimeDelta::seconds(1)),
            ..named("new", &new)
        };
        ring.replace(vec![ends]);
        assert_eq!(found(&old, now), Err(Closed::Unknown));
        assert!(found(&new, now).is_ok());
        let later = now + TimeDelta::seconds(1);
        assert_eq!(found(&new, later), Err(Closed::Expired));
    }

    #[test]
    fn when_the_last_key_is_taken_away_nobody_is_let_in() {
        let made = new_key();
        let ring = ring(vec![key("only", made.reveal())]);
        ring.replace(Vec::new());
        assert!(!ring.is_open());
        let found = ring.find(made.reveal(), Timestamp::UNIX_EPOCH);
        assert_eq!(found, Err(Closed::Unknown));
    }

    #[test]
    fn the_first_key_closes_the_door_for_good() {
        let ring = ring(Vec::new());
        assert!(ring.is_open());
        ring.replace(vec![key("first", new_key().reveal())]);
        assert!(!ring.is_open());
        ring.replace(Vec::new());
        assert!(!ring.is_open());
    }

    #[test]
    fn a_word_that_somebody_thought_up_is_no_key() {
        let ring = ring(vec![key("weak", "hf_secret"), key("bare", "secret")]);
        for word in ["hf_secret", "secret", ""] {
            let found = ring.find(word, Timestamp::UNIX_EPOCH);
            assert_eq!(found, Err(Closed::Unknown), "{word:?}");
        }
    }

    #[test]
    fn a_name_can_stand_in_a_log() {
        for name in ["", "a b", "a\nb", &"a".repeat(65)] {
            assert_eq!(KeyName::new(name), None);
        }
    }
}
