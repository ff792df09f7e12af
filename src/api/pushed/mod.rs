//! What producers push to Redis: for services that have nothing but Redis.
//!
//! | file | what |
//! |---|---|
//! | `producers` | who may push what, by the key that they sign with |
//! | `signature` | what is signed |
//! | `element` | from bytes to a request or a command |
//! | `carrying_out` | it is done, through the same door as what comes over HTTP |
//! | `answer` | what whoever pushed it is told |
//!
//! An element is read, done, answered, and only then taken off its list. Recording a request and
//! giving a command are done once for their key, so whoever dies in between leaves nothing but
//! something to be done again.

mod answer;
mod carrying_out;
mod element;
mod producers;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use element::{Asked, Element, LARGEST_ELEMENT_BYTES, PushedCommand};
pub use producers::{Kind, Producer, Producers, Rules};

use crate::api::KeyName;
use crate::api::v1::ProblemCode;
use crate::api::v1::problem::Problem;
use crate::clock::Clock;
use crate::config::Current;
use crate::payment::hex;
use crate::store::redis::{
    AnswerEntry, Elements, Portion, QuarantineId, QuarantineNote, RedisStore, Settled, Taken,
};
use crate::store::{Store, StoreError};
use crate::worker::Policies;
use carrying_out::Done;

/// What of one intake is done before the next one has its turn.
const PORTION: Portion = Portion {
    elements: 100,
    bytes: 1024 * 1024,
    longest: LARGEST_ELEMENT_BYTES,
    lease_ms: 10_000,
};
/// How soon it is looked again at the earliest: hints may come by the thousand.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// After so long without anything new it is looked half as often, again and again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a portion may go on after the stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Every code that a push can be refused with.
pub const REFUSALS: [ProblemCode; 21] = [
    ProblemCode::SignatureMissing,
    ProblemCode::SignatureInvalid,
    ProblemCode::KeyExpired,
    ProblemCode::ScopeMissing,
    ProblemCode::AccountForbidden,
    ProblemCode::CurrencyForbidden,
    ProblemCode::AmountForbidden,
    ProblemCode::IdempotencyKeyMissing,
    ProblemCode::IdempotencyKeyReused,
    ProblemCode::InvalidRequest,
    ProblemCode::BodyTooLarge,
    ProblemCode::AlreadyAdopted,
    ProblemCode::PaymentNotFound,
    ProblemCode::Parked,
    ProblemCode::RecordUnreadable,
    ProblemCode::TooLateInDoubt,
    ProblemCode::TooLateCaptured,
    ProblemCode::TooLateReleased,
    ProblemCode::AlreadyDecided,
    ProblemCode::Ended,
    ProblemCode::NotApplicable,
];

/// How pushes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often it is looked for pushes when nothing says that there are any, in milliseconds.
    pub poll_ms: u64,
    /// For how long answers are kept, in milliseconds.
    pub answer_ttl_ms: u64,
}

/// Takes in what producers push.
pub struct Intake {
    store: Arc<RedisStore>,
    clock: Clock,
    policies: Current<Policies>,
    producers: Arc<Producers>,
    settings: Settings,
}

/// A portion of one intake that was carried out, and is to be settled.
pub struct CarriedOut {
    taken: Taken,
    notes: Vec<Option<(QuarantineId, QuarantineNote)>>,
    answers: Vec<AnswerEntry>,
    undone: Option<StoreError>,
}

impl Intake {
    /// Over a store of its own, whose connection nothing else waits for.
    #[must_use]
    pub fn new(
        store: Arc<RedisStore>,
        clock: Clock,
        policies: impl Into<Current<Policies>>,
        producers: Arc<Producers>,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            clock,
            policies: policies.into(),
            producers,
            settings,
        }
    }

    /// Takes in what comes, until `stop`. Whatever is wrong with Redis is waited out.
    pub async fn run(&self, stop: CancellationToken) {
        let longest = Duration::from_millis(self.settings.poll_ms);
        let (mut pause, mut troubled) = (FIRST_PAUSE, false);
        let too_late = async {
            stop.cancelled().await;
            sleep(STOP_PATIENCE).await;
        };
        tokio::pin!(too_late);
        while !stop.is_cancelled() {
            // Made before the look, so that whatever is pushed from now on is heard.
            let woken = self.store.woken();
            let round = tokio::select! {
                biased;
                () = &mut too_late => return,
                round = self.round() => round,
            };
            if let Err(error) = &round
                && !troubled
            {
                tracing::warn!(%error, "what was pushed waits; it is tried again and again");
            }
            troubled = round.is_err();
            pause = match round {
                Ok(0) => (pause * 2).min(longest),
                Ok(_) => {
                    pause = FIRST_PAUSE;
                    continue;
                }
                Err(_) => longest,
            };
            let resting = async {
                sleep(SHORTEST_PAUSE).await;
                tokio::select! {
                    biased;
                    () = woken => {}
                    () = sleep(pause) => {}
                }
            };
            stop.run_until_cancelled(resting).await;
        }
    }

    /// Takes in one portion of each intake, and answers how many elements that were.
    pub async fn round(&self) -> Result<usize, StoreError> {
        // The store tells of it; until it is mended everything waits where it is.
        if self.store.durability().is_err() {
            return Ok(0);
        }
        let mut handled = 0;
        for (partition, _) in self.store.pushed().await? {
            if let Some(taken) = self.take(partition).await? {
                let carried_out = self.carry_out_all(taken).await;
                handled += self.settle(carried_out).await?;
            }
        }
        Ok(handled)
    }

    /// Reads the oldest of an intake. `None` if another worker does, or nothing is there.
    pub async fn take(&self, partition: u64) -> Result<Option<Taken>, StoreError> {
        self.store.take(partition, PORTION).await
    }

    /// Does what it asks for, as far as the store can tell.
    pub async fn carry_out_all(&self, taken: Taken) -> CarriedOut {
        let (rules, now) = (self.producers.rules(), self.clock.now());
        let (elements, hashes): (Vec<Element>, Vec<(String, u64)>) = match &taken.elements {
            Elements::Read(all) => all
                .iter()
                .map(|bytes| (Element::read(bytes, &rules, now), hash_of(bytes)))
                .unzip(),
            Elements::TooLong { bytes, sha1 } => {
                (vec![Element::too_long()], vec![(sha1.clone(), *bytes)])
            }
        };
        let (done, undone) = self.carry_out(&elements).await;
        let (mut notes, mut answers) = (Vec::new(), Vec::new());
        for ((element, done), (hash, bytes)) in elements.iter().zip(done).zip(hashes) {
            let Done { answer, poison } = done;
            notes.push(poison.map(|problem| {
                let note = self.note(element, &problem, bytes);
                (taken.quarantine_id(&hash), note)
            }));
            answers.extend(element.answer_to.clone().map(|(account, key)| AnswerEntry {
                account,
                key,
                sha256: hash,
                json: answer.json(),
                stays: answer.stays(),
                time_to_live_ms: self.settings.answer_ttl_ms,
            }));
        }
        CarriedOut {
            taken,
            notes,
            answers,
            undone,
        }
    }

    /// Writes the answers, and then takes what was done off its list.
    pub async fn settle(&self, carried_out: CarriedOut) -> Result<usize, StoreError> {
        let CarriedOut {
            taken,
            notes,
            answers,
            undone,
        } = carried_out;
        self.store.answer(&answers).await?;
        let settled = self.store.settle(&taken, &notes).await?;
        if settled == Settled::Lost {
            tracing::info!("another worker took over what was pushed; it does it once more");
        }
        for (id, note) in notes.iter().flatten() {
            tracing::warn!(quarantine.id = %id, code = note.code, kid = note.kid, "what was pushed is refused and in quarantine");
        }
        match (undone, settled) {
            (Some(error), _) => Err(error),
            (None, Settled::Done) => Ok(notes.len()),
            (None, Settled::Lost) => Ok(0),
        }
    }

    fn note(&self, element: &Element, problem: &Problem, bytes: u64) -> QuarantineNote {
        let (account, key) = element.answer_to.clone().unzip();
        QuarantineNote {
            at: self.clock.now(),
            code: problem.code.as_str().to_owned(),
            field: problem.field.clone(),
            detail: problem.detail.clone(),
            kid: element.kid.as_ref().map(KeyName::as_str).map(str::to_owned),
            account,
            idempotency_key: key,
            bytes,
            dropped: None,
        }
    }
}

/// SHA-256 of an element as hexadecimal digits, and its length.
fn hash_of(bytes: &[u8]) -> (String, u64) {
    (hex(&Sha256::digest(bytes)), bytes.len() as u64)
}
