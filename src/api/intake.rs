//! Requests and commands, from wherever they come: HTTP, the command line, Redis.
//!
//! Nothing here calls the gateway. A request is recorded, a command is written into its record,
//! and the worker carries both out. Whoever repeats a call with the same key gets the same answer.
//!
//! Any service in Rust can ask for a payment, with the settings of the workers:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use holdfast::api::intake::{Submitted, submit};
//! use holdfast::clock::Clock;
//! use holdfast::config::Config;
//! use holdfast::payment::Request;
//! use holdfast::store::redis::RedisStore;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(Some(Path::new("holdfast.toml")), std::env::vars())?;
//! let (policies, clock) = (config.policies(), Clock::system());
//! let store = RedisStore::connect(config.store_settings(), clock.clone()).await?;
//!
//! let json = r#"{"v":1, "type":"charge", "account":"hotel", "idempotency_key":"minibar-8123-3",
//!     "money":{"amount":1500,"currency":"MYR"}, "token":"<saved card>",
//!     "customer":{"email":"guest@example.com"}}"#;
//! let request = Request::from_json(json.as_bytes())?;
//! match submit(&store, &clock, &policies, request).await? {
//!     Submitted::New(payment) => println!("{} is recorded", payment.id()),
//!     Submitted::Existing(payment) => println!("{} is {}", payment.id(), payment.state().name()),
//! }
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;

use super::cards::{self, DeadCard};
use crate::clock::Clock;
use crate::payment::{
    Ask, CardId, Command, CommandAnswer, IdempotencyKey, InvalidRequest, Payment, PaymentId,
    Policy, Request, Timestamp,
};
use crate::store::audit::{AuditEntry, Mandate};
use crate::store::{Cards, Created, Loaded, Nudged, SaveError, Store, StoreError};
use crate::worker::Policies;

/// How often a command is decided anew when the record changes under it.
const MOST_TRIES: usize = 20;

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It is recorded now.
    New(Payment),
    /// It was recorded before: the payment as it is now.
    Existing(Payment),
}

impl Submitted {
    /// Takes the payment out.
    #[must_use]
    pub fn into_payment(self) -> Payment {
        match self {
            Self::New(payment) | Self::Existing(payment) => payment,
        }
    }

    /// The payment.
    #[must_use]
    pub const fn payment(&self) -> &Payment {
        match self {
            Self::New(payment) | Self::Existing(payment) => payment,
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Commanded {
    /// The answer.
    pub answer: CommandAnswer,
    /// The payment after it.
    pub payment: Payment,
    /// Whether it was given now.
    pub said: Said,
}

/// Whether something was said for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It was.
    Now,
    /// It was said before under the same key, and the answer is that of then.
    Before,
}

/// Why a request or a command was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The request or the command is wrong in itself.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// No policy is known for the account.
    #[error("account: {0}")]
    UnknownAccount(String),
    /// The key names a payment that was asked for with another content.
    #[error(
        "idempotency_key: it names {0}, which was asked for with another content; use a new key \
         for a new payment, or repeat the request exactly as it was"
    )]
    Conflict(PaymentId),
    /// The hold is another request's. It is named by its purchase, so that nobody captures it twice.
    #[error("purchase: it is adopted already, as {0}, by another request; look at that payment")]
    Adopted(PaymentId),
    /// The card cannot be charged any more, as far as is known.
    #[error("{0}")]
    CardDead(Box<DeadCard>),
    /// Nothing is known of such a card.
    #[error(
        "nothing is known of {0}; a card is known a moment after a payment has saved it or paid with \
         it, and one whose last payment is older than the events that are kept, after its next one"
    )]
    NoCard(CardId),
    /// There is no such payment.
    #[error("there is no payment {0}; check the id, and that this is the right Redis and prefix")]
    Missing(PaymentId),
    /// The record kept changing.
    #[error("{0} changes too quickly; nothing was done, send the command again")]
    Busy(PaymentId),
    /// The store failed. Whether the call was done is unknown; repeating it is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records a request, once for its key.
pub async fn submit<S: Store + Cards>(
    store: &S,
    clock: &Clock,
    policies: &Policies,
    request: Request,
) -> Result<Submitted, IntakeError> {
    let now = clock.now();
    let payment = Payment::new(request, now)?;
    let policy = match allowed(payment.request(), policies, now) {
        Ok(policy) => match cards::dead(store, payment.request(), now).await? {
            None => Ok(policy),
            Some(dead) => Err(IntakeError::CardDead(Box::new(dead))),
        },
        Err(refused) => Err(refused),
    };
    let policy = match policy {
        Ok(policy) => policy,
        // A repeat of what was asked when it could be is answered, however late it comes: a refusal
        // would be read as "nothing was done".
        Err(refused) => {
            return match store.load(payment.id()).await? {
                None => Err(refused),
                Some(there) if there.payment.fingerprint() == payment.fingerprint() => {
                    Ok(Submitted::Existing(there.payment))
                }
                Some(_) => Err(conflict(&payment)),
            };
        }
    };
    let due = payment.due(now, policy).unwrap_or(now);
    match store.create(&payment, due).await? {
        Created::New => Ok(Submitted::New(payment)),
        Created::Existing(loaded) => Ok(Submitted::Existing(loaded.payment)),
        Created::Conflict => Err(conflict(&payment)),
    }
}

/// The policy under which a request can be recorded now, or why it cannot.
fn allowed<'a>(
    request: &Request,
    policies: &'a Policies,
    now: Timestamp,
) -> Result<&'a Policy, IntakeError> {
    let policy = policies.get(&request.account).ok_or_else(|| {
        let told = crate::config::unknown_account(&request.account, policies.keys());
        IntakeError::UnknownAccount(told)
    })?;
    request.check_in_time(now)?;
    policy.account.check_amount(request)?;
    Ok(policy)
}

fn conflict(payment: &Payment) -> IntakeError {
    let id = payment.id().clone();
    match payment.request().ask {
        Ask::Adopt(_) => IntakeError::Adopted(id),
        _ => IntakeError::Conflict(id),
    }
}

/// The payment of this very request, if it was recorded before.
pub async fn recorded<S: Store>(
    store: &S,
    request: &Request,
) -> Result<Option<Payment>, IntakeError> {
    let fingerprint = request.fingerprint()?;
    let loaded = store.load(&request.payment_id()).await?;
    let same = loaded.filter(|loaded| *loaded.payment.fingerprint() == fingerprint);
    Ok(same.map(|loaded| loaded.payment))
}

/// A command that is given.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// To which payment.
    pub to: &'a PaymentId,
    /// Under which key.
    pub key: &'a IdempotencyKey,
    /// Which command.
    pub command: &'a Command,
    /// On whose word, for the audit log.
    pub by: &'a Mandate,
}

/// Gives a payment a command, once for its key.
pub async fn command<S: Store>(
    store: &S,
    clock: &Clock,
    policies: &Policies,
    given: Given<'_>,
) -> Result<Commanded, IntakeError> {
    let anybody = |_: &Payment| Ok::<(), Infallible>(());
    let Ok(done) = command_if(store, clock, policies, given, &anybody).await?;
    Ok(done)
}

/// Gives a payment a command, once for its key, unless `judge` says why not. It is asked of the very
/// record that the command would be written into, and not of what was given before.
pub async fn command_if<S: Store, R: Send>(
    store: &S,
    clock: &Clock,
    policies: &Policies,
    given: Given<'_>,
    judge: &(impl Fn(&Payment) -> Result<(), R> + Sync),
) -> Result<Result<Commanded, R>, IntakeError> {
    let Given {
        to: id,
        key,
        command,
        by,
    } = given;
    for _ in 0..MOST_TRIES {
        let mut loaded = load(store, id).await?;
        loaded.payment.nudged(loaded.nudges);
        let now = clock.now();
        let untouched = loaded.payment.clone();
        let answer = loaded.payment.command(key.clone(), command.clone(), now)?;
        // A repeat changes nothing, nor does what comes after the end. A refusal is recorded too, so
        // that a late duplicate of it cannot be accepted behind the back of whoever was refused.
        let noted = loaded.payment.commands().len() > untouched.commands().len();
        if !noted {
            let mut known = untouched.commands().iter();
            let said = if known.any(|entry| entry.key == *key) {
                Said::Before
            } else {
                Said::Now
            };
            return Ok(Ok(Commanded {
                answer,
                payment: untouched,
                said,
            }));
        }
        if let Err(why_not) = judge(&untouched) {
            return Ok(Err(why_not));
        }
        let policy = policies.get(&loaded.payment.request().account);
        // Without the account's policy here the worker finds out at once what is to be done.
        let due = policy.map_or(Some(now), |policy| loaded.payment.due(now, policy));
        let before = (&untouched, loaded.version);
        let audit = AuditEntry::of_command(by, before, &loaded.payment);
        match store.command(&loaded, due, audit.as_ref()).await {
            Ok(()) => {
                return Ok(Ok(Commanded {
                    answer,
                    payment: loaded.payment,
                    said: Said::Now,
                }));
            }
            Err(SaveError::Outdated | SaveError::Lost) => {}
            Err(SaveError::Missing) => return Err(IntakeError::Missing(id.clone())),
            Err(SaveError::Store(error)) => return Err(error.into()),
            Err(error @ (SaveError::NotDurable(_) | SaveError::NothingToLicense)) => {
                // A command asks for no license.
                return Err(StoreError::Broken(format!("a command, answered by: {error}")).into());
            }
        }
    }
    Err(IntakeError::Busy(id.clone()))
}

/// The payment of that id.
pub async fn load<S: Store>(store: &S, id: &PaymentId) -> Result<Loaded, IntakeError> {
    store
        .load(id)
        .await?
        .ok_or_else(|| IntakeError::Missing(id.clone()))
}

/// Nudges the first of `candidates` that is here.
pub async fn nudge<S: Store>(
    store: &S,
    candidates: Vec<PaymentId>,
) -> Result<Option<(PaymentId, Nudged)>, StoreError> {
    for id in candidates {
        match store.nudge(&id).await? {
            Nudged::Missing => {}
            nudged @ (Nudged::Due | Nudged::Busy | Nudged::Finished) => {
                return Ok(Some((id, nudged)));
            }
        }
    }
    Ok(None)
}
