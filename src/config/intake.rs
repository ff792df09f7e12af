//! Who may push payments to Redis, checked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};

use super::problem::Problems;
use super::secret::{in_file, quoted};
use super::sections::Written;
use crate::api::KeyName;
use crate::api::pushed::{DAYS_SIGNED, Kind, Producer, Rules, Settings};
use crate::payment::{AccountName, Currency};

/// The intake, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntakeSettings {
    enabled: bool,
    accept_unsigned: bool,
    poll_ms: u64,
    answer_ttl_ms: u64,
    producers: Vec<ProducerSettings>,
}

/// A producer, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProducerSettings {
    kid: String,
    public_key: Option<String>,
    public_key_file: Option<PathBuf>,
    types: Option<BTreeSet<Kind>>,
    accounts: Option<BTreeSet<String>>,
    currencies: Option<BTreeSet<String>>,
    largest_amount_minor: Option<u64>,
    expires_at: Option<DateTime<FixedOffset>>,
}

/// How pushes are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// Whether this worker takes them.
    pub enabled: bool,
    /// How.
    pub settings: Settings,
    /// From whom.
    pub rules: Rules,
}

/// The longest time for which answers are kept: no longer than payments at the least are.
const LONGEST_TTL_MS: u64 = 86_400_000;

/// Checks the section `[intake]`.
pub(super) fn intake(written: &Written, problems: &mut Problems) -> IntakeConfig {
    let settings = &written.intake;
    problems.unless(
        settings.poll_ms > 0,
        "intake.poll_ms",
        settings.poll_ms,
        || "must be above 0".to_owned(),
    );
    let longest = LONGEST_TTL_MS.saturating_mul(u64::from(written.redis.retention_days));
    let ttl = settings.answer_ttl_ms;
    problems.unless(
        (1..=longest).contains(&ttl),
        "intake.answer_ttl_ms",
        ttl,
        || {
            format!(
                "must be 1 to {longest}: no longer than payments are kept (redis.retention_days)"
            )
        },
    );
    let days = written.redis.retention_days;
    problems.unless(
        days > DAYS_SIGNED || settings.producers.is_empty(),
        "redis.retention_days",
        days,
        || {
            format!(
                "must be above {DAYS_SIGNED} with intake.producers: what they signed is taken for \
                 so long, and a payment that is forgotten by then would be made once more"
            )
        },
    );
    let mut producers: Vec<Producer> = Vec::new();
    for (number, producer) in settings.producers.iter().enumerate() {
        let at = |field: &str| format!("intake.producers[{number}].{field}");
        let account = |name: &str| written.accounts.contains_key(name);
        let Some(producer) = self::producer(producer, &account, &at, problems) else {
            continue;
        };
        if producers.iter().any(|other| other.kid == producer.kid) {
            problems.add(
                &at("kid"),
                quoted(producer.kid.as_str()),
                "is there twice; give each key a name of its own",
            );
        }
        producers.push(producer);
    }
    IntakeConfig {
        enabled: settings.enabled,
        settings: Settings {
            poll_ms: settings.poll_ms,
            answer_ttl_ms: ttl,
        },
        rules: Rules {
            accept_unsigned: settings.accept_unsigned,
            producers,
        },
    }
}

impl IntakeConfig {
    /// A worker that takes pushes begins with somebody who may push.
    pub(super) fn has_callers(&self, problems: &mut Problems) {
        let anybody = self.rules.accept_unsigned || !self.rules.producers.is_empty();
        let fine = anybody || !self.enabled;
        problems.unless(fine, "intake.producers", "[]", || {
            "there is none, and unsigned pushes are not taken, so nobody could ask for anything: \
             name producers, or set intake.accept_unsigned"
                .to_owned()
        });
    }
}

/// A producer, if it can be told from others; `known` are the accounts there are.
pub(super) fn producer(
    settings: &ProducerSettings,
    known: &impl Fn(&str) -> bool,
    at: &impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<Producer> {
    let kid = KeyName::new(&settings.kid);
    problems.unless(kid.is_some(), &at("kid"), quoted(&settings.kid), || {
        "must be 1 to 64 letters, digits, - or _; it stands in what is signed, and in the log"
            .to_owned()
    });
    let public_key = public_key(settings, at, problems);
    let mut none_of = |name: &str, empty: bool| {
        problems.unless(!empty, &at(name), "[]", || {
            "names none, so the key could do nothing; leave it out for all".to_owned()
        });
    };
    none_of(
        "types",
        settings.types.as_ref().is_some_and(BTreeSet::is_empty),
    );
    none_of(
        "accounts",
        settings.accounts.as_ref().is_some_and(BTreeSet::is_empty),
    );
    none_of(
        "currencies",
        settings.currencies.as_ref().is_some_and(BTreeSet::is_empty),
    );
    let mut accounts = BTreeSet::new();
    for account in settings.accounts.iter().flatten() {
        match AccountName::new(account.clone()) {
            Ok(name) if known(name.as_str()) => {
                accounts.insert(name);
            }
            _ => problems.add(
                &at("accounts"),
                quoted(account),
                "is not configured; name accounts that are",
            ),
        }
    }
    let mut currencies = BTreeSet::new();
    for code in settings.currencies.iter().flatten() {
        match Currency::new(code) {
            Ok(currency) => {
                currencies.insert(currency);
            }
            // The error quotes what it found.
            Err(_) => problems.add(
                &at("currencies"),
                quoted(code),
                "must be three capital letters (ISO 4217), such as MYR",
            ),
        }
    }
    Some(Producer {
        kid: kid?,
        public_key: public_key?,
        types: settings.types.clone(),
        accounts: settings.accounts.as_ref().map(|_| accounts),
        currencies: settings.currencies.as_ref().map(|_| currencies),
        largest_amount_minor: settings.largest_amount_minor,
        expires_at: settings.expires_at.map(|time| time.with_timezone(&Utc)),
    })
}

fn public_key(
    settings: &ProducerSettings,
    at: &impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<[u8; 32]> {
    let (setting, text) = match (&settings.public_key, &settings.public_key_file) {
        (Some(_), Some(_)) => {
            problems.add(&at("public_key"), "", super::account::TWICE);
            return None;
        }
        (None, None) => {
            let fix =
                "is missing; give the key as text, or a file that holds it as public_key_file";
            problems.add(&at("public_key"), "", fix);
            return None;
        }
        (Some(text), None) => (at("public_key"), text.clone()),
        (None, Some(file)) => {
            let setting = at("public_key_file");
            let text = in_file(file, &setting, problems)?;
            (setting, text)
        }
    };
    let key = ed25519(&text);
    // Whoever wrote the private half there shall not find it in the report.
    problems.unless(key.is_some(), &setting, super::MASK, || {
        "must be the public half of an Ed25519 key: its 32 bytes in base64, or the PEM that \
         `openssl pkey -pubout` prints"
            .to_owned()
    });
    key
}

/// What stands before the 32 bytes in a PEM (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

pub(super) fn ed25519(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let pem = text
        .strip_prefix("-----BEGIN PUBLIC KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"));
    let decoded = STANDARD.decode(pem.unwrap_or(text).trim()).ok()?;
    let bare = match pem {
        Some(_) => decoded.strip_prefix(&SPKI)?,
        None => &decoded,
    };
    bare.try_into().ok()
}
