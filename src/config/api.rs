//! Who may ask for payments over HTTP, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};

use super::problem::Problems;
use super::secret::quoted;
use super::sections::Written;
use crate::api::v1::is_whole;
use crate::api::{ApiKey, KeyHash, KeyName, Limits, Pace, Scope};
use crate::payment::AccountName;
use crate::store::redis::Profile;

/// The API, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiSettings {
    listen: String,
    desk: bool,
    longest_wait_ms: u64,
    per_second: u32,
    burst: u32,
    limits: Limits,
    keys: Vec<KeySettings>,
}

/// A key, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeySettings {
    name: String,
    sha256: String,
    scopes: BTreeSet<Scope>,
    accounts: Option<BTreeSet<String>>,
    largest_amount_minor: Option<u64>,
    expires_at: Option<DateTime<FixedOffset>>,
}

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Where it is listened to, if it is.
    pub listen: Option<SocketAddr>,
    /// Whether the operator's desk is served there too.
    pub desk: bool,
    /// How it is listened to.
    pub limits: Limits,
    /// The longest time for which a request may wait for an outcome, in milliseconds.
    pub longest_wait_ms: u64,
    /// How many requests each key may make.
    pub pace: Pace,
    /// Who may ask. Without any, everybody of this machine.
    pub keys: Vec<ApiKey>,
}

/// Checks the section `[api]`.
pub(super) fn api(written: &Written, problems: &mut Problems) -> ApiConfig {
    let settings = &written.api;
    let listen = super::check::address("api.listen", &settings.listen, problems);
    super::check::limits("api", &settings.limits, problems);
    let limits = &settings.limits;
    // A command loads, writes and may wait; whoever waits must not be cut off without an answer.
    let longest = settings
        .longest_wait_ms
        .saturating_add(limits.store_timeout_ms.saturating_mul(2));
    problems.unless(
        longest < limits.request_timeout_ms,
        "api.longest_wait_ms",
        settings.longest_wait_ms,
        || {
            "must be shorter than api.limits.request_timeout_ms less twice \
             api.limits.store_timeout_ms"
                .to_owned()
        },
    );
    for (name, value) in [
        ("per_second", settings.per_second),
        ("burst", settings.burst),
    ] {
        problems.unless(value > 0, &format!("api.{name}"), value, || {
            "must be above 0".to_owned()
        });
    }
    let keys = keys(written, problems);
    ApiConfig {
        listen,
        desk: settings.desk,
        limits: settings.limits,
        longest_wait_ms: settings.longest_wait_ms,
        pace: Pace {
            per_second: settings.per_second,
            burst: settings.burst,
        },
        keys,
    }
}

impl ApiConfig {
    /// A worker begins with a key, or where only this machine can move test money.
    pub(super) fn has_callers(&self, durability: Profile, problems: &mut Problems) {
        if let Some(address) = self.listen
            && self.keys.is_empty()
        {
            let alone = address.ip().is_loopback() && durability == Profile::Dev;
            problems.unless(alone, "api.keys", "[]", || {
                "there is none, so anybody could move money: `holdfast api-key` makes one. Only \
                 with redis.durability = \"dev\" and an address of this machine none is needed"
                    .to_owned()
            });
        }
    }
}

fn keys(written: &Written, problems: &mut Problems) -> Vec<ApiKey> {
    let mut known: BTreeMap<KeyHash, &str> = BTreeMap::new();
    let mut keys = Vec::new();
    for (number, settings) in written.api.keys.iter().enumerate() {
        let at = |field: &str| format!("api.keys[{number}].{field}");
        let account = |name: &str| written.accounts.contains_key(name);
        let Some(key) = key(settings, &account, &at, problems) else {
            continue;
        };
        if let Some(other) = known.insert(key.hash, &settings.name) {
            problems.add(
                &at("sha256"),
                "",
                format!("is that of {other} too; make a key for each with `holdfast api-key`"),
            );
        }
        if keys.iter().any(|other: &ApiKey| other.name == key.name) {
            let fix = "is there twice; give each key a name of its own, or the log cannot say which \
                       of them was used";
            problems.add(&at("name"), quoted(&settings.name), fix);
        }
        keys.push(key);
    }
    keys
}

/// A key, if it can be told from others; `known` are the accounts there are.
pub(super) fn key(
    settings: &KeySettings,
    known: &impl Fn(&str) -> bool,
    at: &impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<ApiKey> {
    // A key is written with the letters of a name, and would stand in the log.
    let name = KeyName::new(&settings.name).filter(|name| !is_whole(name.as_str()));
    problems.unless(name.is_some(), &at("name"), quoted(&settings.name), || {
        "must be 1 to 64 letters, digits, - or _, and no key; it stands in the log".to_owned()
    });
    let hash = KeyHash::from_hex(&settings.sha256);
    // Whoever wrote the key itself there shall not find it in the report.
    problems.unless(hash.is_some(), &at("sha256"), super::MASK, || {
        "must be the 64 hexadecimal digits that `holdfast api-key` prints, not the key".to_owned()
    });
    problems.unless(!settings.scopes.is_empty(), &at("scopes"), "[]", || {
        "must name some of enqueue, read, command, operate".to_owned()
    });
    let written_accounts = settings.accounts.iter().flatten();
    let nothing = settings.accounts.as_ref().is_some_and(BTreeSet::is_empty);
    problems.unless(!nothing, &at("accounts"), "[]", || {
        "names none, so the key could do nothing; leave it out for all accounts".to_owned()
    });
    let mut accounts = BTreeSet::new();
    for account in written_accounts {
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
    Some(ApiKey {
        name: name?,
        hash: hash?,
        scopes: settings.scopes.clone(),
        // An account that is not there leaves a key that may do nothing, never one that may do all.
        accounts: settings.accounts.as_ref().map(|_| accounts),
        largest_amount_minor: settings.largest_amount_minor,
        expires_at: settings.expires_at.map(|time| time.with_timezone(&Utc)),
    })
}
