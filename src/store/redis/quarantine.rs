//! What was pushed and refused: kept until people decide about it.

use redis::{Pipeline, Value};
use serde::{Deserialize, Serialize};

use super::RedisStore;
use super::call::{self, Call};
use super::keys::PARTITIONS;
use super::pushed::{bytes_of, json_of};
use super::value::{self, items, number, text};
use crate::payment::{AccountName, IdempotencyKey, PaymentId, Timestamp};
use crate::store::StoreError;

/// How many entries one step through a quarantine reads.
const SCAN_STEP: usize = 500;

/// Why something is in quarantine. Nothing in it says who pays, or with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineNote {
    /// When it was refused.
    pub at: Timestamp,
    /// The code of the problem, as in the answer.
    pub code: String,
    /// The field, as in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the answer says of it. It may quote what was pushed.
    pub detail: String,
    /// The name of the key it is said to be signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The account it is said to be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// The idempotency key it is said to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// How long it is.
    pub bytes: u64,
}

/// What somebody did about something in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What.
    pub did: Did,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What was recorded instead, if something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

impl Deed {
    /// Without what was pushed, which may say who pays.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        if let Some(corrected) = &mut masked.corrected {
            corrected.with.clear();
            corrected.pushed.clear();
        }
        masked
    }
}

/// What was recorded instead of what was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// The payment that it is, or is about.
    pub payment: PaymentId,
    /// The corrected request or command, in base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub with: String,
    /// What was pushed, in base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pushed: String,
}

/// As what something in quarantine is put right: what makes two requests or commands the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRight {
    /// The account.
    pub account: AccountName,
    /// Its idempotency key.
    pub idempotency_key: IdempotencyKey,
    /// Of which payment, if it is a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<PaymentId>,
}

/// Whether something in quarantine can be put right in this way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It is noted since now.
    Now,
    /// It was noted before, in this way or in another.
    Before(PutRight),
    /// It is not in quarantine, or somebody has decided about it.
    Missing,
}

/// What can be done about something in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// It was pushed again.
    Retried,
    /// Its bytes were thrown away.
    Dropped,
    /// Something else was recorded in its place.
    Fixed,
}

/// Something that is, or was, in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name.
    pub id: QuarantineId,
    /// Why.
    pub note: QuarantineNote,
    /// What was done about it, the oldest first.
    pub deeds: Vec<Deed>,
    /// Whether somebody is still to decide.
    pub standing: Standing,
}

/// Whether somebody is still to decide about something in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits for somebody.
    Waits,
    /// Its bytes are no longer there: the last deed says why.
    Decided,
}

/// The name of something in quarantine: its partition, and 32 digits of the hash of its bytes, so
/// that it is there once however often it is pushed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineId {
    partition: u64,
    digits: String,
}

impl QuarantineId {
    pub(super) fn new(partition: u64, hash: &str) -> Self {
        Self {
            partition,
            digits: hash.chars().take(ID_DIGITS).collect(),
        }
    }

    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// Reads it as it is shown: `3-0f1e…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (partition, digits) = text.split_once('-')?;
        let partition = partition.parse().ok()?;
        let fine = partition < PARTITIONS
            && digits.len() == ID_DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fine.then(|| Self {
            partition,
            digits: digits.to_owned(),
        })
    }
}

impl std::fmt::Display for QuarantineId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.partition, self.digits)
    }
}

const ID_DIGITS: usize = 32;

impl RedisStore {
    /// What is, or was, in quarantine, the newest first, as far as `most` goes; and how much there
    /// is.
    pub async fn quarantine(&self, most: usize) -> Result<(Vec<Quarantined>, u64), StoreError> {
        let (mut found, mut count) = (Vec::new(), 0);
        for partition in 0..PARTITIONS {
            let [notes, _, _] = self.0.keys.quarantine(partition);
            let mut cursor = "0".to_owned();
            loop {
                let mut pipeline = Pipeline::new();
                let scan = pipeline.cmd("HSCAN").arg(&notes).arg(&cursor);
                scan.arg("COUNT").arg(SCAN_STEP);
                pipeline.cmd("HLEN").arg(&notes);
                let replies = self.0.link.read(&pipeline).await?;
                let [scanned, length] = replies.as_slice() else {
                    return Err(value::unexpected("HSCAN"));
                };
                let [next, entries] = items(scanned) else {
                    return Err(value::unexpected("HSCAN"));
                };
                for [digits, note] in items(entries).as_chunks::<2>().0 {
                    let id = QuarantineId {
                        partition,
                        digits: text(digits).unwrap_or_default().to_owned(),
                    };
                    found.push((id, note_of(note)?));
                }
                // A scan may tell the same twice.
                found.sort_by(|(id, note), (other, than)| (than.at, id).cmp(&(note.at, other)));
                found.dedup_by(|one, other| one.0 == other.0);
                found.truncate(most);
                text(next).unwrap_or("0").clone_into(&mut cursor);
                if cursor == "0" {
                    count += number::<u64>(length).unwrap_or(0);
                    break;
                }
            }
        }
        let mut pipeline = Pipeline::new();
        for (id, _) in &found {
            let [_, bytes, deeds] = self.0.keys.quarantine(id.partition);
            pipeline.cmd("HEXISTS").arg(bytes).arg(&id.digits);
            pipeline.cmd("HGET").arg(deeds).arg(&id.digits);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let more = replies.as_chunks::<2>().0.iter();
        let whole = found
            .into_iter()
            .zip(more)
            .map(|((id, note), [bytes, deeds])| {
                Ok(Quarantined {
                    id,
                    note,
                    deeds: deeds_of(deeds)?,
                    standing: match number::<u64>(bytes) {
                        Some(1) => Standing::Waits,
                        _ => Standing::Decided,
                    },
                })
            });
        Ok((whole.collect::<Result<_, StoreError>>()?, count))
    }

    /// Something that is, or was, in quarantine, and its bytes, while they are kept.
    pub async fn quarantined(
        &self,
        id: &QuarantineId,
    ) -> Result<Option<(Quarantined, Option<Vec<u8>>)>, StoreError> {
        let mut pipeline = Pipeline::new();
        for key in self.0.keys.quarantine(id.partition) {
            pipeline.cmd("HGET").arg(key).arg(&id.digits);
        }
        let replies = self.0.link.read(&pipeline).await?;
        let (note, bytes, deeds) = match replies.as_slice() {
            [Value::Nil, ..] => return Ok(None),
            [note, bytes, deeds] => (note_of(note)?, bytes, deeds_of(deeds)?),
            _ => return Err(value::unexpected("HGET")),
        };
        let (bytes, standing) = match bytes {
            Value::Nil => (None, Standing::Decided),
            bytes => (Some(bytes_of(bytes)?), Standing::Waits),
        };
        let found = Quarantined {
            id: id.clone(),
            note,
            deeds,
            standing,
        };
        Ok(Some((found, bytes)))
    }

    /// Pushes what is in quarantine once more, as it was; whether it was there. From before then
    /// nobody reads that it was refused: where that stood is told by `answer`.
    pub async fn retry_quarantined(
        &self,
        id: &QuarantineId,
        answer: Option<(&AccountName, &str)>,
        deed: &Deed,
    ) -> Result<bool, StoreError> {
        let [_, bytes, deeds] = self.0.keys.quarantine(id.partition);
        let mut keys = vec![self.0.keys.intake(id.partition), bytes, deeds];
        keys.extend(
            answer.map(|(account, sha256)| self.0.keys.answer(id.partition, account, sha256)),
        );
        let call = Call::new(&call::RETRY, keys)
            .arg(id.digits.as_str())
            .arg(json_of(deed)?)
            .arg(self.0.keys.wake());
        Ok(value::word(&self.0.link.call(call).await?) == "pushed")
    }

    /// Throws the bytes of something in quarantine away; whether they were there. Why it was there
    /// stays.
    pub async fn drop_quarantined(
        &self,
        id: &QuarantineId,
        deed: &Deed,
    ) -> Result<bool, StoreError> {
        let [_, bytes, deeds] = self.0.keys.quarantine(id.partition);
        let call = Call::new(&call::DROP, vec![bytes, deeds])
            .arg(id.digits.as_str())
            .arg(json_of(deed)?);
        Ok(value::word(&self.0.link.call(call).await?) == "dropped")
    }

    /// Notes as what something in quarantine is put right, before it is asked for. That stays when it is
    /// done: the same pushed once more is the same once more.
    pub async fn note_put_right(
        &self,
        id: &QuarantineId,
        put_right: &PutRight,
    ) -> Result<Noted, StoreError> {
        let [_, bytes, deeds] = self.0.keys.quarantine(id.partition);
        let call = Call::new(&call::PUT_RIGHT, vec![bytes, deeds])
            .arg(id.digits.as_str())
            .arg(json_of(put_right)?);
        let reply = self.0.link.call(call).await?;
        match value::word(&reply) {
            "missing" => Ok(Noted::Missing),
            "noted" => Ok(Noted::Now),
            _ => Ok(Noted::Before(put_right_of(&reply)?)),
        }
    }

    /// Forgets that, as it was refused.
    pub async fn forget_put_right(
        &self,
        id: &QuarantineId,
        put_right: &PutRight,
    ) -> Result<(), StoreError> {
        let [_, _, deeds] = self.0.keys.quarantine(id.partition);
        let call = Call::new(&call::NOT_RIGHT, vec![deeds])
            .arg(id.digits.as_str())
            .arg(json_of(put_right)?);
        self.0.link.call(call).await.map(drop)
    }

    /// As what something in quarantine is put right, if somebody has begun to.
    pub async fn put_right(&self, id: &QuarantineId) -> Result<Option<PutRight>, StoreError> {
        let [_, _, deeds] = self.0.keys.quarantine(id.partition);
        let mut pipeline = Pipeline::new();
        let field = format!("as:{}", id.digits);
        pipeline.cmd("HGET").arg(deeds).arg(field);
        match self.0.link.read(&pipeline).await?.as_slice() {
            [Value::Nil] => Ok(None),
            [noted] => put_right_of(noted).map(Some),
            _ => Err(value::unexpected("HGET")),
        }
    }

    /// Forgets why something was in quarantine, unless somebody is still to decide; whether it did.
    pub async fn purge_quarantined(&self, id: &QuarantineId) -> Result<bool, StoreError> {
        let keys = self.0.keys.quarantine(id.partition).to_vec();
        let call = Call::new(&call::PURGE, keys).arg(id.digits.as_str());
        Ok(value::word(&self.0.link.call(call).await?) == "purged")
    }
}

fn note_of(value: &Value) -> Result<QuarantineNote, StoreError> {
    let note = text(value).and_then(|json| serde_json::from_str(json).ok());
    note.ok_or_else(|| value::unexpected("HGET"))
}

fn put_right_of(value: &Value) -> Result<PutRight, StoreError> {
    let noted = text(value).and_then(|json| serde_json::from_str(json).ok());
    noted.ok_or_else(|| value::unexpected("HGET"))
}

/// A line for each.
fn deeds_of(value: &Value) -> Result<Vec<Deed>, StoreError> {
    let lines = text(value).unwrap_or_default().lines();
    let deeds = lines.map(serde_json::from_str).collect::<Result<_, _>>();
    deeds.map_err(|_| value::unexpected("HGET"))
}
