//! The audit log: who asked for what and why, what was answered, and what it changed.
//!
//! Entries are only ever added. Each has the number after the one before it in its stream, and a
//! *link*: SHA-1 over the link before and the SHA-256 of the entry, as hexadecimal digits. Whoever
//! changes, takes out or moves an entry would have to write all links behind it anew, and the last
//! one was noted elsewhere. SHA-256 protects what an entry says. SHA-1 only ever sees such hashes,
//! so that nobody chooses its input as an attack on it must, and scripts in Redis can compute it:
//! the head of a stream is read and written in one step, with no try lost.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::event::reason_of;
use crate::payment::{
    AccountName, CardId, CardOrder, Command, IdempotencyKey, KnownCard, Payment, PaymentId, Plan,
    Timestamp, hex,
};

const ENTRY_VERSION: u32 = 1;
/// How long a name or a reason may be, in characters.
const LONGEST_WORD: usize = 500;
/// The link before the first entry's.
pub const NO_LINK: &str = "0000000000000000000000000000000000000000";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of them.
    pub kind: ActorKind,
    /// What they are called.
    pub name: String,
}

/// What kind of somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person, by the name that was given: nobody proves it.
    Operator,
    /// Whoever holds a key of the API.
    ApiKey,
    /// Whoever pushes to Redis, by the key that it was signed with, if it was.
    Producer,
    /// Whoever comes where no key is needed.
    Anybody,
}

impl ActorKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::ApiKey => "api_key",
            Self::Producer => "producer",
            Self::Anybody => "anybody",
        }
    }
}

/// Through which door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A terminal.
    Cli,
    /// HTTP.
    Api,
    /// A list in Redis.
    Intake,
    /// The pages for operators.
    Dashboard,
}

impl Via {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Intake => "intake",
            Self::Dashboard => "dashboard",
        }
    }
}

/// On whose word something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    actor: Actor,
    via: Via,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Mandate {
    /// That somebody asks through a door; as much of it as is kept.
    #[must_use]
    pub fn new(kind: ActorKind, name: &str, via: Via) -> Self {
        let name = cut(name);
        Self {
            actor: Actor { kind, name },
            via,
            reason: None,
        }
    }

    /// A person at a terminal.
    #[must_use]
    pub fn typed_by(name: &str) -> Self {
        Self::new(ActorKind::Operator, name, Via::Cli)
    }

    /// The same, and why.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(cut);
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_WORD).collect()
}

/// One entry. Nothing of it lets its reader pay or charge, and it does not say who pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The version of this form.
    pub v: u32,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Through which door.
    pub via: Via,
    /// What: the command's word, or `card_delete`, `endpoint_enable` and so on.
    pub action: String,
    /// Of which payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// Of which card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardId>,
    /// Of what else: the name of an endpoint, an id in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Under which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// The command's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// The command as it was given, when there is more to it than its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Command>,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was answered; `asked` where it was written down before it was done.
    pub answer: String,
    /// How it stood before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// How it stands after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl AuditEntry {
    /// That the last command of `after` was given, when the record was as `before`.
    #[must_use]
    pub fn of_command(by: &Mandate, before: (&Payment, u64), after: &Payment) -> Option<Self> {
        let (untouched, version) = before;
        let given = after.commands().last()?;
        let account = after.request().account.clone();
        let reason = given.command.reason().map(cut);
        let reason = reason.or_else(|| by.reason.clone());
        let action = given.command.word().to_owned();
        Some(Self {
            payment: Some(after.id().clone()),
            account: Some(account),
            key: Some(given.key.clone()),
            asked: given.command.says_more().then(|| given.command.clone()),
            reason,
            answer: given.answer.as_str().to_owned(),
            before: Some(standing(untouched, version)),
            after: Some(standing(after, version + 1)),
            ..Self::bare(by, action, given.at)
        })
    }

    /// That something was asked of a card, which changed it so.
    #[must_use]
    pub fn of_card(
        by: &Mandate,
        order: &CardOrder,
        change: [&KnownCard; 2],
        at: Timestamp,
    ) -> Self {
        let [before, after] = change;
        let (action, said) = match order {
            CardOrder::Look => ("card_look", None),
            CardOrder::Delete(voice) => ("card_delete", voice.reason.as_deref()),
            CardOrder::Keep(voice) => ("card_keep", voice.reason.as_deref()),
        };
        Self {
            card: Some(after.id()),
            account: Some(after.account().clone()),
            reason: said.map(cut).or_else(|| by.reason.clone()),
            answer: "accepted".to_owned(),
            before: Some(card_standing(before)),
            after: Some(card_standing(after)),
            ..Self::bare(by, action.to_owned(), at)
        }
    }

    /// That something is about to be done about what belongs to no payment. Whether it was done is
    /// for the thing itself to show.
    #[must_use]
    pub fn intent(by: &Mandate, action: &str, subject: Option<&str>, at: Timestamp) -> Self {
        Self {
            subject: subject.map(ToOwned::to_owned),
            ..Self::bare(by, action.to_owned(), at)
        }
    }

    /// That something was done that belongs to no payment, in the step that did it, and what stood
    /// there before and after.
    #[must_use]
    pub fn done(
        by: &Mandate,
        (action, subject): (&str, &str),
        change: [Option<Value>; 2],
        at: Timestamp,
    ) -> Self {
        let [before, after] = change;
        Self {
            subject: Some(subject.to_owned()),
            answer: "done".to_owned(),
            before,
            after,
            ..Self::bare(by, action.to_owned(), at)
        }
    }

    /// That a plan was made, applied, stopped or resumed. Written with the plan.
    #[must_use]
    pub fn of_plan(by: &Mandate, action: &str, plan: &str, at: Timestamp) -> Self {
        Self {
            answer: "accepted".to_owned(),
            ..Self::intent(by, action, Some(plan), at)
        }
    }

    fn bare(by: &Mandate, action: String, at: Timestamp) -> Self {
        Self {
            v: ENTRY_VERSION,
            at,
            actor: by.actor.clone(),
            via: by.via,
            action,
            payment: None,
            card: None,
            subject: None,
            account: None,
            key: None,
            asked: None,
            reason: by.reason.clone(),
            answer: "asked".to_owned(),
            before: None,
            after: None,
        }
    }

    /// The bytes that are written, and their SHA-256.
    pub(super) fn sealed(&self) -> Result<(Vec<u8>, String), StoreError> {
        let json = super::json_of(self, "an audit entry")?.into_bytes();
        let hash = hex(&Sha256::digest(&json));
        Ok((json, hash))
    }
}

/// The link of an entry whose bytes are `json`, behind the link `before`.
#[must_use]
pub fn link_after(before: &str, json: &[u8]) -> String {
    let input = format!("{before}{}", hex(&Sha256::digest(json)));
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, input.as_bytes()).as_ref())
}

fn standing(payment: &Payment, version: u64) -> Value {
    let mut told = json!({"version": version, "state": payment.state().name()});
    if let Some(reason) = reason_of(payment.state()) {
        told["reason"] = reason;
    }
    if let Some(decision) = payment.decision() {
        told["decision"] = json!(decision);
    }
    if *payment.plan() != Plan::default() {
        told["plan"] = json!(payment.plan());
    }
    if let Some(ending) = payment.ending() {
        told["ending"] = json!(ending);
    }
    if let Some(resolution) = payment.resolution() {
        told["resolution"] = json!({
            "how": resolution.how, "outcome": resolution.outcome, "progress": resolution.progress,
        });
    }
    told
}

fn card_standing(card: &KnownCard) -> Value {
    let mut told = json!({"state": card.state()});
    if let Some(wanted) = card.wanted() {
        told["wanted"] = json!(wanted.what);
    }
    told
}

/// A stream of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditStream {
    /// About the payments and cards of a partition.
    Partition(u64),
    /// About everything that belongs to no payment.
    Desk,
}

impl std::fmt::Display for AuditStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Partition(number) => write!(f, "{number}"),
            Self::Desk => f.write_str("desk"),
        }
    }
}

/// An entry as it stands in its stream. What cannot be read as this program writes it is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// Its place, as Redis names it.
    pub id: String,
    /// Its number in the stream, its link, and its bytes.
    pub whole: Option<(u64, String, Vec<u8>)>,
}

impl Chained {
    /// What the entry says, if it can be read.
    #[must_use]
    pub fn entry(&self) -> Option<AuditEntry> {
        let (_, _, json) = self.whole.as_ref()?;
        serde_json::from_slice(json).ok()
    }
}

/// What Redis knows of a stream, besides its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// How many entries there are.
    pub length: u64,
    /// How many were ever added.
    pub added: u64,
    /// The newest that was ever deleted by name; `0-0` for none.
    pub deleted: String,
    /// The newest that was ever there.
    pub last: String,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Of which stream.
    pub stream: AuditStream,
    /// The number of the last entry.
    pub n: u64,
    /// Its link.
    pub link: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_what_redis_computes() {
        // printf '%s%s' "$(printf '0%.0s' {1..40})" "$(printf '{}' | sha256sum | cut -c-64)" | sha1sum
        let sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(hex(&Sha256::digest(b"{}")), sha256);
        let link = link_after(NO_LINK, b"{}");
        assert_eq!(link, "e84b527d5ba83a04f4dd14e16835cb40e493ea34");
        assert_ne!(link, link_after(&link, b"{}"));
    }
}
