//! HOW one payment moves: load, decide, write, call, write.
//!
//! A [`Worker::turn`] begins with a claim and ends when the payment has nothing to do for now.
//! Every call that moves money is preceded by a durable note of it; whatever is learned is kept
//! until it is written. A turn can be cut off anywhere: the open attempt tells the next worker to
//! look before it leaps.
//!
//! | file | what |
//! |---|---|
//! | `learned` | what a turn learned, kept until it is written |
//! | `writes` | the note and the permit, the outcome, and a store that is away |
//! | `counted` | what a turn changed, told once it is written |
//! | `breakers` | accounts whose key the gateway refused |
//! | `gate`, `doorman` | what people have stopped does not leave; reading that, and saying what is under way |
//! | `cards` | what is known of saved cards, beside all that |
//! | `plans` | plans to rerun stopped payments; `telling`: payments of one are told, stage by stage |

mod breakers;
pub mod cards;
mod counted;
pub mod doorman;
pub mod gate;
mod learned;
pub mod outbox;
pub mod plans;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};

use self::breakers::{Breakers, Key, Noted};
use self::gate::Gate;
use self::learned::{Learned, Move};
use self::writes::spread;
use crate::clock::Clock;
use crate::config::Current;
use crate::gateway::Gateway;
use crate::payment::{
    AccountName, Answer, Denial, Event, LookUp, Next, ParkReason, Policy, StateName, Step,
    Timestamp, millis,
};
use crate::queue::{Handler, Rests};
use crate::store::{Claim, Store};
use crate::telemetry::Metrics;

/// A turn ends after so many moves at the latest, and goes on in another turn.
const MOST_MOVES: usize = 12;
/// How long a payment waits for what should not be missing.
const WAIT: TimeDelta = TimeDelta::seconds(15);
/// A permit older than this is not used: whoever was stopped for so long between the note and the
/// call leaves the call to a later attempt. Half the quiet period, if that is shorter: with the
/// longest call, which takes no more than the other half, it ends within the quiet period. A machine that
/// was asleep meanwhile, or a Redis whose clock went back, does not make it younger.
const SEND_WITHIN: TimeDelta = TimeDelta::seconds(30);

/// The policies of all configured accounts.
pub type Policies = BTreeMap<AccountName, Policy>;

/// Moves payments, one turn at a time. Shared by all turns of a process.
#[derive(Debug)]
pub struct Worker<S, G> {
    store: Arc<S>,
    gateway: Arc<G>,
    clock: Clock,
    policies: Current<Policies>,
    breakers: Breakers,
    gate: Gate,
    stop: CancellationToken,
    metrics: Metrics,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Everything is written, and the claim was given back.
    Rested {
        /// The state now.
        state: StateName,
        /// When it needs the next turn; `None` when it is finished.
        due: Option<Timestamp>,
    },
    /// Somebody else works on the payment now. Nothing was sent after that was known.
    Lost,
}

impl Turn {
    /// The word for it.
    #[must_use]
    pub const fn ending(&self) -> &'static str {
        match self {
            Self::Rested { due: Some(_), .. } => "waits",
            Self::Rested { due: None, .. } => "finished",
            Self::Lost => "lost",
        }
    }
}

/// Why a turn cannot go on.
enum Halt {
    Lost,
    Wait(TimeDelta),
}

impl<S: Store, G: Gateway> Worker<S, G> {
    /// A worker over a store and a gateway. Policies that are exchanged hold from the next turn on.
    pub fn new(
        store: Arc<S>,
        gateway: Arc<G>,
        clock: Clock,
        policies: impl Into<Current<Policies>>,
    ) -> Self {
        Self {
            store,
            gateway,
            clock,
            policies: policies.into(),
            breakers: Breakers::default(),
            gate: Gate::open(),
            stop: CancellationToken::new(),
            metrics: Metrics::default(),
        }
    }

    /// The same, sending nothing new once `stop` is asked for: calls on their way are waited for,
    /// and what comes next is left to another worker.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// The same, counting in `metrics`.
    #[must_use]
    pub fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The same, sending only what `gate` lets through.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Moves the claimed payment as far as it goes now. Does not fail: while the store is away it
    /// keeps what it knows and tries again.
    pub async fn turn(&self, claim: Claim) -> Turn {
        let span = info_span!(
            "turn",
            payment.id = %claim.key.id,
            account = %claim.payment.request().account,
        );
        self.moves(claim).instrument(span).await
    }

    async fn moves(&self, claim: Claim) -> Turn {
        let policies = self.policies.get();
        let Some(policy) = policies.get(&claim.payment.request().account) else {
            error!(
                event = "account_missing",
                "the account of this payment is not configured here; add it: every worker needs every account"
            );
            self.metrics.unworkable("account_missing");
            return self.rest_unknown(claim).await;
        };
        let mut turn = Move::new(claim, policy);
        if turn.claim.barren >= policy.poison_claims {
            turn.settle(Event::Stuck(ParkReason::Poison), self.clock.now());
        }
        for _ in 0..MOST_MOVES {
            let now = self.clock.now();
            let next = turn.claim.payment.next(now, policy);
            let halt = match next {
                Next::Nothing | Next::WaitUntil(_) => match self.rest(&mut turn, None).await {
                    Ok(Some(rested)) => return rested,
                    Ok(None) => Ok(()),
                    Err(halt) => Err(halt),
                },
                Next::Settle(event) => {
                    turn.settle(event, now);
                    Ok(())
                }
                Next::LookUp => self.look_up(&mut turn, now).await,
                Next::Send(_) if self.stop.is_cancelled() => Err(Halt::Wait(TimeDelta::zero())),
                Next::Send(step) if self.is_stopped(&turn, step, now) => {
                    Err(Halt::Wait(spread(WAIT, &turn.claim.key.id)))
                }
                Next::Send(Step::Create) => self.create(&mut turn, now).await,
                Next::Send(step) => self.send(&mut turn, step, now).await,
            };
            match halt {
                Ok(()) => {}
                Err(Halt::Lost) => return Turn::Lost,
                Err(Halt::Wait(pause)) => return self.rest_later(&mut turn, pause).await,
            }
        }
        self.rest_later(&mut turn, TimeDelta::zero()).await
    }

    async fn look_up(&self, turn: &mut Move<'_>, now: Timestamp) -> Result<(), Halt> {
        self.check_breaker(turn, now)?;
        let request = turn.claim.payment.request();
        let Some(purchase) = turn.claim.payment.purchase() else {
            return Err(Halt::Wait(WAIT));
        };
        let outcome = self.gateway.look_up(&request.account, &purchase.id).await;
        self.note_key(turn, Key::of_look_up(&outcome));
        // Dated by when it was asked for: by when the answer is here it may be an old truth. If that
        // took so long that even the question is old, it counts for nothing.
        let outcome = if self.is_stale(now, turn) {
            LookUp::Failed {
                why: "the answer took too long to be believed".to_owned(),
                denied: Denial::No,
                retry_after_ms: None,
            }
        } else {
            outcome
        };
        turn.learn(Learned::LookedUp { outcome, at: now });
        Ok(())
    }

    /// Creates the purchase. Needs no durable note: what a lost create leaves behind is a link
    /// that nobody knows, and no call that moves money is made before its id is written.
    async fn create(&self, turn: &mut Move<'_>, now: Timestamp) -> Result<(), Halt> {
        self.check_breaker(turn, now)?;
        if turn.claim.is_lost() {
            return Err(Halt::Lost);
        }
        if turn.claim.payment.is_checkout()
            && let Err(problem) = self.store.durability()
        {
            // The payer pays what is recorded here, so the record must be there to stay.
            warn!(%problem, "no link is made");
            return Err(Halt::Wait(spread(WAIT, &turn.claim.key.id)));
        }
        let Some(order) = turn.claim.payment.create_order(now, turn.policy) else {
            return Err(Halt::Wait(WAIT));
        };
        let Ok(under_way) = self.gate.begin(&turn.claim.payment, Step::Create, now) else {
            return Err(Halt::Wait(spread(WAIT, &turn.claim.key.id)));
        };
        let answer = self.gateway.create(&order).await;
        drop(under_way);
        self.note_key(turn, Key::of_answer(&answer));
        turn.learn(Learned::Created {
            opened: now,
            answer,
            at: self.clock.now(),
        });
        Ok(())
    }

    /// Opens an attempt, has it written durably, and only then makes the call.
    async fn send(&self, turn: &mut Move<'_>, step: Step, now: Timestamp) -> Result<(), Halt> {
        self.check_breaker(turn, now)?;
        let Some(number) = turn.open(step, now) else {
            return Err(Halt::Wait(WAIT));
        };
        let noted = self.clock.mark();
        let Some(permit) = self.license(turn, number).await? else {
            return Ok(());
        };
        if turn.claim.is_lost() {
            return Err(self.not_sent(turn, number, TimeDelta::zero()).await);
        }
        let taken = (self.clock.now() - now).max(self.clock.since(noted));
        let late = taken > SEND_WITHIN || taken > millis(turn.policy.quiet_ms / 2);
        let over = step == Step::Charge && turn.claim.payment.is_too_late(self.clock.now());
        // Asked again: what was stopped since the note was opened does not leave.
        let leaves = self.gate.begin(&turn.claim.payment, step, self.clock.now());
        let answer = match leaves {
            _ if late || over => Answer::NotSent {
                why: "too long after the note".to_owned(),
            },
            Err(_) => {
                let wait = spread(WAIT, &turn.claim.key.id);
                return Err(self.not_sent(turn, number, wait).await);
            }
            Ok(_under_way) => self.gateway.send(permit).await,
        };
        self.note_key(turn, Key::of_answer(&answer));
        let at = self.clock.now();
        info!(
            step = step.as_str(),
            attempt = number,
            class = answer.note(at).class.as_str(),
            duration_ms = (at - now).num_milliseconds(),
            "answered"
        );
        turn.learn(Learned::Answered { number, answer, at });
        Ok(())
    }

    /// Whether what began at `then` took half the quiet period or more.
    fn is_stale(&self, then: Timestamp, turn: &Move<'_>) -> bool {
        self.clock.now() - then > millis(turn.policy.quiet_ms / 2)
    }

    fn check_breaker(&self, turn: &Move<'_>, now: Timestamp) -> Result<(), Halt> {
        let account = &turn.claim.payment.request().account;
        let pause = self.breakers.pause(account, now);
        pause.map_or(Ok(()), |pause| Err(Halt::Wait(pause)))
    }

    /// Whether people have stopped this step. Nothing is opened for it, and it is looked again later.
    fn is_stopped(&self, turn: &Move<'_>, step: Step, now: Timestamp) -> bool {
        let stopped = self.gate.stops(&turn.claim.payment, step, now);
        if let Some(by) = &stopped {
            debug!(step = step.as_str(), by, "the step waits");
        }
        stopped.is_some()
    }

    fn note_key(&self, turn: &Move<'_>, key: Key) {
        let account = &turn.claim.payment.request().account;
        match self.breakers.note(account, key, self.clock.now()) {
            Noted::Open { until } => self.metrics.key_refused(account, until),
            Noted::Closed => self.metrics.key_taken(account),
            Noted::AsBefore => {}
        }
    }
}

impl<S: Store, G: Gateway> Handler for Worker<S, G> {
    async fn turn(&self, claim: Claim) -> Rests {
        let began = self.clock.now();
        let running = (self.metrics).turn_begins(claim.fell_due.map(|due| began - due));
        let turn = Self::turn(self, claim).await;
        running.ended(turn.ending(), self.clock.now() - began);
        match turn {
            Turn::Rested { due: Some(due), .. } => Rests::Until(due),
            Turn::Rested { due: None, .. } | Turn::Lost => Rests::ForGood,
        }
    }
}
