//! What producers push: taking it in, answering it, and what is left over.

use redis::{Pipeline, Value};
use serde::{Deserialize, Serialize};

use super::RedisStore;
use super::call::{self, Call};
use super::keys::PARTITIONS;
use super::value::{self, items, number, text};
use crate::payment::{AccountName, IdempotencyKey, Timestamp};
use crate::store::{Nonce, StoreError};

/// How many entries one step through a quarantine reads.
const SCAN_STEP: usize = 500;

/// What of an intake is read at once.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    /// How many elements at most.
    pub elements: usize,
    /// How many bytes at most, unless one element alone has more.
    pub bytes: usize,
    /// The longest element that is read at all, in bytes.
    pub longest: usize,
    /// How long nobody else takes from this intake, in milliseconds.
    pub lease_ms: u64,
}

/// The oldest elements of one intake, and the lease under which they were read.
#[derive(Debug)]
pub struct Taken {
    partition: u64,
    nonce: Nonce,
    /// What was pushed, the oldest first.
    pub elements: Elements,
}

/// What was pushed.
#[derive(Debug)]
pub enum Elements {
    /// As it was pushed.
    Read(Vec<Vec<u8>>),
    /// One that is too long to be read.
    TooLong {
        /// How long it is.
        bytes: u64,
        /// Its SHA-1.
        sha1: String,
    },
}

/// Whether what was taken is off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is.
    Done,
    /// Another took the lease in between, and does all of it once more.
    Lost,
}

/// An answer to one element.
#[derive(Debug, Clone)]
pub struct AnswerEntry {
    /// Under which account,
    pub account: AccountName,
    /// and under which key it is looked for.
    pub key: IdempotencyKey,
    /// SHA-256 of the element, as hexadecimal digits.
    pub sha256: String,
    /// The answer.
    pub json: Vec<u8>,
    /// How an answer begins that is left as it is, if one stands there already; empty for none.
    pub stays: &'static str,
    /// For how long it is kept, in milliseconds.
    pub time_to_live_ms: u64,
}

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
    /// Whether somebody threw the bytes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// That the bytes were thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// The name of something in quarantine: its partition, and 32 digits of the hash of its bytes, so
/// that it is there once however often it is pushed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineId {
    partition: u64,
    digits: String,
}

impl QuarantineId {
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

impl Taken {
    /// The name in quarantine of an element of this hash.
    #[must_use]
    pub fn quarantine_id(&self, hash: &str) -> QuarantineId {
        QuarantineId {
            partition: self.partition,
            digits: hash.chars().take(ID_DIGITS).collect(),
        }
    }
}

impl RedisStore {
    /// How much waits to be taken in, in those partitions where anything does. One round trip.
    pub async fn pushed(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            pipeline.cmd("LLEN").arg(self.0.keys.intake(partition));
        }
        let lengths = self.0.link.read(&pipeline).await?;
        let waiting = (0..).zip(lengths.iter().map(|length| number(length).unwrap_or(0)));
        Ok(waiting.filter(|(_, length)| *length > 0).collect())
    }

    /// Reads the oldest of an intake, and keeps others from it for a while. Nothing is taken off.
    /// `None` if another has the lease, or nothing is there.
    pub async fn take(&self, partition: u64, most: Portion) -> Result<Option<Taken>, StoreError> {
        let nonce = Nonce::fresh();
        let call = Call::new(&call::TAKE, self.0.keys.intake_two(partition))
            .arg(nonce.as_str())
            .number(most.lease_ms)
            .number(most.elements)
            .number(most.bytes)
            .number(most.longest);
        let reply = self.0.link.call(call).await?;
        let elements = match items(&reply) {
            [] => return Ok(None),
            [Value::Array(told)] => match told.as_slice() {
                [bytes, sha1] => Elements::TooLong {
                    bytes: number(bytes).unwrap_or(0),
                    sha1: text(sha1).unwrap_or_default().to_owned(),
                },
                _ => return Err(value::unexpected("a take")),
            },
            read => Elements::Read(read.iter().map(bytes_of).collect::<Result<_, _>>()?),
        };
        Ok(Some(Taken {
            partition,
            nonce,
            elements,
        }))
    }

    /// Writes answers. Whoever repeats it writes the same.
    pub async fn answer(&self, answers: &[AnswerEntry]) -> Result<(), StoreError> {
        let call = |answer: &AnswerEntry| {
            let key = self.0.keys.answers(&answer.account, &answer.key);
            Call::new(&call::ANSWER, vec![key])
                .arg(answer.sha256.as_str())
                .arg(answer.json.as_slice())
                .number(answer.time_to_live_ms)
                .arg(answer.stays)
        };
        let calls: Vec<Call> = answers.iter().map(call).collect();
        let replies = self.0.link.call_all(&calls).await?;
        replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    /// Takes the first elements of `taken` off their intake, one for each of `notes`; those with a
    /// note are in quarantine from then on.
    pub async fn settle(
        &self,
        taken: &Taken,
        notes: &[Option<(QuarantineId, QuarantineNote)>],
    ) -> Result<Settled, StoreError> {
        let mut keys = self.0.keys.intake_two(taken.partition);
        keys.extend(self.0.keys.quarantine(taken.partition));
        let call = match &taken.elements {
            Elements::Read(elements) => {
                let mut call = Call::new(&call::SETTLE, keys).arg(taken.nonce.as_str());
                for (element, note) in elements.iter().zip(notes) {
                    let note = note.as_ref();
                    let digits = note.map_or("", |(id, _)| id.digits.as_str());
                    let json = note.map_or(Ok(Vec::new()), |(_, note)| json_of(note))?;
                    call = call.arg(element.as_slice()).arg(digits).arg(json);
                }
                call
            }
            Elements::TooLong { sha1, .. } => {
                let Some(Some((id, note))) = notes.first() else {
                    return Ok(Settled::Lost);
                };
                Call::new(&call::SET_ASIDE, keys)
                    .arg(taken.nonce.as_str())
                    .arg(sha1.as_str())
                    .arg(id.digits.as_str())
                    .arg(json_of(note)?)
            }
        };
        match value::word(&self.0.link.call(call).await?) {
            "settled" => Ok(Settled::Done),
            "lost" => Ok(Settled::Lost),
            _ => Err(value::unexpected("a settlement")),
        }
    }

    /// What is in quarantine, the newest first, as far as `most` goes; and how much there is.
    pub async fn quarantine(
        &self,
        most: usize,
    ) -> Result<(Vec<(QuarantineId, QuarantineNote)>, usize), StoreError> {
        let mut found = Vec::new();
        for partition in 0..PARTITIONS {
            let [notes, _] = self.0.keys.quarantine(partition);
            let mut cursor = "0".to_owned();
            loop {
                let mut pipeline = Pipeline::new();
                let scan = pipeline.cmd("HSCAN").arg(&notes).arg(&cursor);
                scan.arg("COUNT").arg(SCAN_STEP);
                let reply = self.0.link.read(&pipeline).await?;
                let [next, entries] = items(reply.first().unwrap_or(&Value::Nil)) else {
                    return Err(value::unexpected("HSCAN"));
                };
                for [digits, note] in items(entries).as_chunks::<2>().0 {
                    let id = QuarantineId {
                        partition,
                        digits: text(digits).unwrap_or_default().to_owned(),
                    };
                    found.push((id, note_of(note)?));
                }
                text(next).unwrap_or("0").clone_into(&mut cursor);
                if cursor == "0" {
                    break;
                }
            }
        }
        // A scan may tell the same twice.
        found.sort_by(|(id, note), (other, than)| (than.at, id).cmp(&(note.at, other)));
        found.dedup_by(|one, other| one.0 == other.0);
        let count = found.len();
        found.truncate(most);
        Ok((found, count))
    }

    /// Why something is in quarantine, and its bytes, if they were not dropped.
    pub async fn quarantined(
        &self,
        id: &QuarantineId,
    ) -> Result<Option<(QuarantineNote, Option<Vec<u8>>)>, StoreError> {
        let [notes, bytes] = self.0.keys.quarantine(id.partition);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGET").arg(notes).arg(&id.digits);
        pipeline.cmd("HGET").arg(bytes).arg(&id.digits);
        let replies = self.0.link.read(&pipeline).await?;
        match replies.as_slice() {
            [Value::Nil, _] => Ok(None),
            [note, Value::Nil] => Ok(Some((note_of(note)?, None))),
            [note, bytes] => Ok(Some((note_of(note)?, Some(bytes_of(bytes)?)))),
            _ => Err(value::unexpected("HGET")),
        }
    }

    /// Pushes what is in quarantine once more, as it was; whether it was there.
    pub async fn retry_quarantined(&self, id: &QuarantineId) -> Result<bool, StoreError> {
        let mut keys = vec![self.0.keys.intake(id.partition)];
        keys.extend(self.0.keys.quarantine(id.partition));
        let call = Call::new(&call::RETRY, keys)
            .arg(id.digits.as_str())
            .arg(self.0.keys.wake());
        Ok(value::word(&self.0.link.call(call).await?) == "pushed")
    }

    /// Throws the bytes of something in quarantine away; whether they were there. `note` stays in
    /// their place.
    pub async fn drop_quarantined(
        &self,
        id: &QuarantineId,
        note: &QuarantineNote,
    ) -> Result<bool, StoreError> {
        let keys = self.0.keys.quarantine(id.partition).to_vec();
        let call = Call::new(&call::DROP, keys)
            .arg(id.digits.as_str())
            .arg(json_of(note)?);
        Ok(value::word(&self.0.link.call(call).await?) == "dropped")
    }
}

fn bytes_of(value: &Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.clone()),
        _ => Err(value::unexpected("a take")),
    }
}

fn json_of(note: &QuarantineNote) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(note)
        .map_err(|error| StoreError::Refused(format!("a note that is no JSON: {error}")))
}

fn note_of(value: &Value) -> Result<QuarantineNote, StoreError> {
    let note = text(value).and_then(|json| serde_json::from_str(json).ok());
    note.ok_or_else(|| value::unexpected("HGET"))
}
