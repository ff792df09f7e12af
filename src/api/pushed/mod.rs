//! What producers push to Redis: for services that have nothing but Redis.
//!
//! | file | what |
//! |---|---|
//! | `producers` | who may push what, by the key that they sign with |
//! | `signature` | what is signed |
//! | `single` | JSON without a member twice |
//! | `element` | from bytes to a request or a command |
//! | `carrying_out` | it is done, through the same door as what comes over HTTP |
//! | `answer` | what whoever pushed it is told |
//!
//! An element is read, done, and only then answered and taken off its list, in one step and only under
//! the lease: what another worker still has to do nobody calls refused. Recording a request and giving
//! a command are done once for their key, so whoever dies in between leaves nothing but something to
//! be done again.

mod answer;
mod carrying_out;
mod element;
mod producers;
mod signature;
mod single;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use element::{Asked, Element, LARGEST_ELEMENT_BYTES, PushedCommand};
pub use producers::{Kind, Producer, Producers, Rules};
pub use signature::DAYS_SIGNED;
pub(crate) use signature::is_over;

use crate::api::KeyName;
use crate::api::v1::ProblemCode;
use crate::api::v1::problem::Problem;
use crate::clock::Clock;
use crate::config::Current;
use crate::payment::hex;
use crate::store::redis::{
    AnswerEntry, Elements, Lease, Portion, QuarantineNote, RedisStore, Settled, Settlement, Taken,
};
use crate::store::{Store, StoreError};
use crate::worker::Policies;
use carrying_out::{Behind, Done, PATIENCE};

/// How many elements of an intake are read at once, and how many bytes.
const MOST_ELEMENTS: usize = 100;
const MOST_BYTES: usize = 1024 * 1024;
/// How many portions of an intake are read on behind what stays where it is, before the next intake
/// has its turn.
const MOST_PORTIONS: usize = 20;
/// How long after its beginning a portion is settled at the latest, beside what Redis takes for it.
const SLACK: Duration = Duration::from_secs(1);
/// How soon it is looked again at the earliest: hints may come by the thousand.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// After so long without anything new it is looked half as often, again and again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a portion may go on after the stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Every code that a push can be refused with.
pub const REFUSALS: [ProblemCode; 23] = [
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
    ProblemCode::CardDead,
    ProblemCode::PaymentNotFound,
    ProblemCode::Parked,
    ProblemCode::RecordUnreadable,
    ProblemCode::TooLateInDoubt,
    ProblemCode::TooLateCaptured,
    ProblemCode::TooLateReleased,
    ProblemCode::AlreadyDecided,
    ProblemCode::Expired,
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
    /// How many rounds there were: each begins at another intake.
    rounds: AtomicUsize,
}

/// A portion of one intake that was carried out, and is to be settled.
pub struct CarriedOut {
    taken: Taken,
    settlements: Vec<Settlement>,
    behind: Behind,
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
            rounds: AtomicUsize::new(0),
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
                tracing::warn!(event = "intake_waits", %error, "what was pushed waits; it is tried again and again");
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

    /// Takes in a portion of each intake, and answers how many elements that were. What stays open
    /// in one holds up none of the others.
    pub async fn round(&self) -> Result<usize, StoreError> {
        // The store tells of it; until it is mended everything waits where it is.
        if self.store.durability().is_err() {
            return Ok(0);
        }
        let mut waiting = self.store.pushed().await?;
        let begin = self.rounds.fetch_add(1, Ordering::Relaxed);
        let length = waiting.len().max(1);
        waiting.rotate_left(begin % length);
        let (mut handled, mut trouble) = (0, None);
        for (partition, _) in waiting {
            match self.turn(partition).await {
                Ok(more) => handled += more,
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(handled), Err)
    }

    /// Takes in one portion of an intake; and if some of it stays where it is, what is behind it.
    async fn turn(&self, partition: u64) -> Result<usize, StoreError> {
        let (mut handled, mut behind) = (0, Behind::default());
        let mut next = self.take(partition).await?;
        for number in 1..=MOST_PORTIONS {
            let Some(taken) = next else { break };
            let before = behind.left;
            let done = self.carry_out_behind(taken, behind).await;
            let reads_on = done.behind.left > before && !done.behind.away && number < MOST_PORTIONS;
            let lease = if reads_on { Lease::Stays } else { Lease::Ends };
            handled += self.settle_keeping(&done, lease).await?;
            behind = done.behind;
            if !reads_on {
                break;
            }
            next = self
                .store
                .take_on(done.taken, behind.left, self.portion())
                .await?;
        }
        behind.error.map_or(Ok(handled), Err)
    }

    /// The lease outlasts what is done under it, so that others do not take over what is under way.
    fn portion(&self) -> Portion {
        let lease = PATIENCE + self.store.longest_call() + SLACK;
        Portion {
            elements: MOST_ELEMENTS,
            bytes: MOST_BYTES,
            longest: LARGEST_ELEMENT_BYTES,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Reads the oldest of an intake. `None` if another worker does, or nothing is there.
    pub async fn take(&self, partition: u64) -> Result<Option<Taken>, StoreError> {
        self.store.take(partition, self.portion()).await
    }

    /// Does what it asks for, as far as the store can tell.
    pub async fn carry_out_all(&self, taken: Taken) -> CarriedOut {
        self.carry_out_behind(taken, Behind::default()).await
    }

    async fn carry_out_behind(&self, taken: Taken, mut behind: Behind) -> CarriedOut {
        let (rules, now) = (self.producers.rules(), self.clock.now());
        let (elements, hashes): (Vec<Element>, Vec<(String, u64)>) = match &taken.elements {
            Elements::Read(all) => all
                .iter()
                .map(|bytes| {
                    let element = Element::guarded(|| Element::read(bytes, &rules, now));
                    (element, hash_of(bytes))
                })
                .unzip(),
            Elements::TooLong { bytes, sha1 } => {
                (vec![Element::too_long()], vec![(sha1.clone(), *bytes)])
            }
        };
        let done = self.carry_out(&elements, &mut behind).await;
        let mut settlements = Vec::with_capacity(done.len());
        let all = elements.iter().zip(done).zip(hashes).enumerate();
        for (place, ((element, done), (sha256, bytes))) in all {
            let Some(Done { answer, poison }) = done else {
                continue;
            };
            let note = poison.map(|problem| {
                let note = self.note(element, &problem, bytes);
                (taken.quarantine_id(&sha256), note)
            });
            let answer = element.account.clone().map(|account| AnswerEntry {
                account,
                sha256,
                json: answer.json(),
            });
            settlements.push(Settlement {
                place,
                note,
                answer,
            });
        }
        CarriedOut {
            taken,
            settlements,
            behind,
        }
    }

    /// Answers what was done, and takes it off its list.
    pub async fn settle(&self, carried_out: CarriedOut) -> Result<usize, StoreError> {
        let handled = self.settle_keeping(&carried_out, Lease::Ends).await?;
        carried_out.behind.error.map_or(Ok(handled), Err)
    }

    async fn settle_keeping(
        &self,
        carried_out: &CarriedOut,
        lease: Lease,
    ) -> Result<usize, StoreError> {
        let CarriedOut {
            taken, settlements, ..
        } = carried_out;
        let so_long = (lease, self.settings.answer_ttl_ms);
        if self.store.settle(taken, settlements, so_long).await? == Settled::Lost {
            tracing::info!("another worker took over what was pushed; it does it once more");
            return Ok(0);
        }
        for (id, note) in settlements.iter().filter_map(|one| one.note.as_ref()) {
            tracing::warn!(
                event = "push_refused", quarantine.id = %id, code = note.code, kid = note.kid,
                "what was pushed is refused and in quarantine"
            );
        }
        Ok(settlements.len())
    }

    fn note(&self, element: &Element, problem: &Problem, bytes: u64) -> QuarantineNote {
        QuarantineNote {
            at: self.clock.now(),
            code: problem.code.as_str().to_owned(),
            field: problem.field.clone(),
            detail: problem.detail.clone(),
            kid: element.kid.as_ref().map(KeyName::as_str).map(str::to_owned),
            account: element.account.clone(),
            idempotency_key: element.key.clone(),
            bytes,
        }
    }
}

/// SHA-256 of an element as hexadecimal digits, and its length.
fn hash_of(bytes: &[u8]) -> (String, u64) {
    (hex(&Sha256::digest(bytes)), bytes.len() as u64)
}
