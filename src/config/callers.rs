//! Who may ask, as far as it can be read by itself: whatever else of the settings is wrong, a key
//! that is no longer listed must not stay valid.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::api::{KeySettings, key};
use super::intake::{ProducerSettings, ed25519, producer};
use super::layers::at;
use super::problem::Problems;
use crate::api::pushed::{Producer, Rules};
use crate::api::{ApiKey, KeyHash, KeyName};

/// Settings of which something is wrong, and who may ask all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// What is wrong.
    pub problems: Problems,
    /// Who may ask.
    pub callers: Callers,
}

impl From<Problems> for Wrong {
    /// Nothing could be read.
    fn from(problems: Problems) -> Self {
        let callers = Callers::default();
        Self { problems, callers }
    }
}

/// Who is listed in settings of which something is wrong. A list that cannot be read is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Callers {
    keys: Option<Vec<ListedKey>>,
    producers: Option<Vec<ListedProducer>>,
    signed_only: bool,
}

/// A key that is listed; `whole` if nothing of its entry is wrong.
#[derive(Debug, Clone, PartialEq)]
struct ListedKey {
    hash: KeyHash,
    whole: Option<ApiKey>,
}

impl ListedKey {
    /// Whether the two are one key, or have one name in the log.
    fn is_confused_with(&self, other: &Self) -> bool {
        let name = |key: &Self| key.whole.as_ref().map(|whole| whole.name.clone());
        self.hash == other.hash || (self.whole.is_some() && name(self) == name(other))
    }
}

#[derive(Debug, Clone, PartialEq)]
struct ListedProducer {
    kid: KeyName,
    half: PublicHalf,
    whole: Option<Producer>,
}

/// The public half of a producer's key, as far as an entry of which something is wrong tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublicHalf {
    Is([u8; 32]),
    /// In a file that cannot be read: nobody says that it is another.
    Unread,
    None,
}

impl Callers {
    /// Whoever `tree` lists.
    pub(super) fn of(tree: &Value) -> Self {
        let accounts = tree.get("accounts").and_then(Value::as_object);
        let known = |name: &str| accounts.is_some_and(|all| all.contains_key(name));
        let list = |path| at(tree, path).and_then(Value::as_array);
        let keys = list("api.keys").map(|entries| {
            let listed = entries.iter().filter_map(|entry| listed_key(entry, &known));
            listed.collect()
        });
        let producers = list("intake.producers").map(|entries| {
            let listed = entries.iter();
            let listed = listed.filter_map(|entry| listed_producer(entry, &known));
            listed.collect()
        });
        let unsigned = at(tree, "intake.accept_unsigned").and_then(Value::as_bool);
        Self {
            keys,
            producers,
            signed_only: unsigned == Some(false),
        }
    }

    /// The API keys from now on: those that are listed. One whose entry is not whole stays as it is
    /// `in_use`, or is not taken; so nobody may do more than what is written of the key says.
    #[must_use]
    pub fn keys(&self, in_use: &[ApiKey]) -> Vec<ApiKey> {
        let Some(listed) = &self.keys else {
            return in_use.to_vec();
        };
        let mut taken: Vec<ApiKey> = Vec::new();
        for one in listed {
            if taken.iter().any(|key| key.hash == one.hash) {
                continue;
            }
            let mut same = listed.iter().filter(|other| one.is_confused_with(other));
            let key = match (same.next(), same.next()) {
                (Some(only), None) if only.whole.is_some() => only.whole.clone(),
                _ => in_use.iter().find(|key| key.hash == one.hash).cloned(),
            };
            taken.extend(key);
        }
        taken
    }

    /// Whose pushes are taken from now on, in the same manner. What is not signed is not taken
    /// because of settings of which something is wrong.
    #[must_use]
    pub fn rules(&self, in_use: &Rules) -> Rules {
        let accept_unsigned = in_use.accept_unsigned && !self.signed_only;
        let Some(listed) = &self.producers else {
            return Rules {
                accept_unsigned,
                producers: in_use.producers.clone(),
            };
        };
        let mut producers: Vec<Producer> = Vec::new();
        for one in listed {
            if producers.iter().any(|taken| taken.kid == one.kid) {
                continue;
            }
            let same: Vec<_> = listed.iter().filter(|other| other.kid == one.kid).collect();
            let stays = |now: &&Producer| {
                let half = |one: &&ListedProducer| match one.half {
                    PublicHalf::Is(key) => key == now.public_key,
                    PublicHalf::Unread => true,
                    PublicHalf::None => false,
                };
                now.kid == one.kid && same.iter().any(half)
            };
            let producer = match same[..] {
                [only] if only.whole.is_some() => only.whole.clone(),
                _ => in_use.producers.iter().find(stays).cloned(),
            };
            producers.extend(producer);
        }
        Rules {
            accept_unsigned,
            producers,
        }
    }
}

/// What `read` makes of an entry, if it finds nothing wrong with it.
fn whole<T>(read: impl FnOnce(&mut Problems) -> Option<T>) -> Option<T> {
    let mut problems = Problems(Vec::new());
    read(&mut problems).filter(|_| problems.0.is_empty())
}

fn unplaced(field: &str) -> String {
    field.to_owned()
}

fn listed_key(entry: &Value, known: &impl Fn(&str) -> bool) -> Option<ListedKey> {
    let whole = whole(|problems| {
        let settings = KeySettings::deserialize(entry).ok()?;
        key(&settings, known, &unplaced, problems)
    });
    Some(ListedKey {
        hash: KeyHash::from_hex(entry.get("sha256")?.as_str()?)?,
        whole,
    })
}

fn listed_producer(entry: &Value, known: &impl Fn(&str) -> bool) -> Option<ListedProducer> {
    let whole = whole(|problems| {
        let settings = ProducerSettings::deserialize(entry).ok()?;
        producer(&settings, known, &unplaced, problems)
    });
    let text = |field: &str| entry.get(field).and_then(Value::as_str);
    let in_text = text("public_key").map(|text| Ok(text.to_owned()));
    let given = in_text.or_else(|| text("public_key_file").map(fs::read_to_string));
    let half = match given {
        Some(Ok(text)) => ed25519(&text).map_or(PublicHalf::None, PublicHalf::Is),
        Some(Err(_)) => PublicHalf::Unread,
        None => PublicHalf::None,
    };
    Some(ListedProducer {
        kid: KeyName::new(text("kid")?)?,
        half,
        whole,
    })
}
