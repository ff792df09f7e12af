//! What producers push: taking it in, and answering it.

use std::time::Duration;

use redis::{Pipeline, Value};
use serde::Serialize;

use super::RedisStore;
use super::call::{self, Call};
use super::keys::PARTITIONS;
use super::quarantine::{QuarantineId, QuarantineNote};
use super::value::{self, items, number, text};
use crate::payment::AccountName;
use crate::store::{Nonce, StoreError};

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
    /// How many stand before them, and are left there.
    left: usize,
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

/// What becomes of one element that was taken.
#[derive(Debug, Default)]
pub struct Settlement {
    /// Where it stands among those that were taken.
    pub place: usize,
    /// Why it goes into quarantine, if it does.
    pub note: Option<(QuarantineId, QuarantineNote)>,
    /// What whoever pushed it is told, if it says where.
    pub answer: Option<AnswerEntry>,
}

/// An answer to one element.
#[derive(Debug, Clone)]
pub struct AnswerEntry {
    /// Under which account it is looked for.
    pub account: AccountName,
    /// SHA-256 of the element, as hexadecimal digits.
    pub sha256: String,
    /// The answer.
    pub json: Vec<u8>,
}

/// What becomes of the lease when something is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It ends.
    Ends,
    /// It stays, for whoever reads on.
    Stays,
}

impl Taken {
    /// The name in quarantine of an element of this hash.
    #[must_use]
    pub fn quarantine_id(&self, hash: &str) -> QuarantineId {
        QuarantineId::new(self.partition, hash)
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

    /// How long a call may take before it is given up, with a connection to be made for it.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        self.0.settings.connect_timeout() + self.0.settings.response_timeout()
    }

    /// Reads the oldest of an intake, and keeps others from it for a while. Nothing is taken off.
    /// `None` if another has the lease, or nothing is there.
    pub async fn take(&self, partition: u64, most: Portion) -> Result<Option<Taken>, StoreError> {
        self.take_from((partition, Nonce::fresh(), 0), most).await
    }

    /// Reads on under the same lease, behind the first `left`. `None` if another has it by now, or
    /// nothing is there; then it is over.
    pub async fn take_on(
        &self,
        taken: Taken,
        left: usize,
        most: Portion,
    ) -> Result<Option<Taken>, StoreError> {
        self.take_from((taken.partition, taken.nonce, left), most)
            .await
    }

    async fn take_from(
        &self,
        (partition, nonce, left): (u64, Nonce, usize),
        most: Portion,
    ) -> Result<Option<Taken>, StoreError> {
        let call = Call::new(&call::TAKE, self.0.keys.intake_two(partition))
            .arg(nonce.as_str())
            .number(most.lease_ms)
            .number(most.elements)
            .number(most.bytes)
            .number(most.longest)
            .number(left);
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
            left,
            elements,
        }))
    }

    /// Takes what was handled off its intake, and answers it, in one step; those with a note are in
    /// quarantine from then on. Only while the lease lasts. Answers are kept for `to_live_ms`.
    pub async fn settle(
        &self,
        taken: &Taken,
        settlements: &[Settlement],
        (lease, to_live_ms): (Lease, u64),
    ) -> Result<Settled, StoreError> {
        let call = match &taken.elements {
            Elements::Read(elements) => {
                self.settling(taken, elements, settlements, (lease, to_live_ms))?
            }
            Elements::TooLong { sha1, .. } => {
                let Some(Some((id, note))) = settlements.first().map(|one| &one.note) else {
                    return Ok(Settled::Lost);
                };
                let mut keys = self.0.keys.intake_two(taken.partition);
                keys.extend(self.0.keys.quarantine(taken.partition).into_iter().take(2));
                Call::new(&call::SET_ASIDE, keys)
                    .arg(taken.nonce.as_str())
                    .arg(sha1.as_str())
                    .arg(id.digits())
                    .arg(json_of(note)?)
                    .number(taken.left)
            }
        };
        match value::word(&self.0.link.call(call).await?) {
            "settled" => Ok(Settled::Done),
            "lost" => Ok(Settled::Lost),
            _ => Err(value::unexpected("a settlement")),
        }
    }

    fn settling(
        &self,
        taken: &Taken,
        elements: &[Vec<u8>],
        settlements: &[Settlement],
        (lease, to_live_ms): (Lease, u64),
    ) -> Result<Call, StoreError> {
        let mut keys = self.0.keys.intake_two(taken.partition);
        keys.extend(self.0.keys.quarantine(taken.partition).into_iter().take(2));
        let mut args = Vec::with_capacity(settlements.len() * 5);
        for one in settlements {
            let element = elements.get(one.place).cloned().unwrap_or_default();
            let (digits, note) = match &one.note {
                Some((id, note)) => (id.digits().as_bytes().to_vec(), json_of(note)?),
                None => (Vec::new(), Vec::new()),
            };
            let (at, json) = match &one.answer {
                Some(AnswerEntry {
                    account,
                    sha256,
                    json,
                }) => {
                    keys.push(self.0.keys.answer(taken.partition, account, sha256));
                    (keys.len().to_string().into_bytes(), json.clone())
                }
                None => (Vec::new(), Vec::new()),
            };
            args.extend([element, digits, note, at, json]);
        }
        let lease = match lease {
            Lease::Ends => "ends",
            Lease::Stays => "stays",
        };
        let call = Call::new(&call::SETTLE, keys)
            .arg(taken.nonce.as_str())
            .arg(lease)
            .number(to_live_ms);
        Ok(args.into_iter().fold(call, Call::arg))
    }

    /// How much was pushed and waits to be taken in, and how much was refused and waits for people.
    pub async fn intake_backlog(&self) -> Result<(u64, u64), StoreError> {
        let mut pipeline = Pipeline::new();
        for partition in 0..PARTITIONS {
            let [_, bytes, _] = self.0.keys.quarantine(partition);
            pipeline.cmd("LLEN").arg(self.0.keys.intake(partition));
            pipeline.cmd("HLEN").arg(bytes);
        }
        let lengths = self.0.link.read(&pipeline).await?;
        let sum = |(pushed, refused): (u64, u64), [more, worse]: &[Value; 2]| {
            let length = |value| number::<u64>(value).unwrap_or(0);
            (pushed + length(more), refused + length(worse))
        };
        Ok(lengths.as_chunks::<2>().0.iter().fold((0, 0), sum))
    }
}

pub(super) fn bytes_of(value: &Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.clone()),
        _ => Err(value::unexpected("a take")),
    }
}

pub(super) fn json_of(note: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    crate::store::json_of(note, "a note").map(String::into_bytes)
}
