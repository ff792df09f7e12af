//! HOW one payment moves: load, decide, write, call, write.
//!
//! A [`Worker::turn`] begins with a claim and ends when the payment has nothing to do for now.
//! Every call that moves money is preceded by a durable note of it; whatever is learned is kept
//! until it is written. A turn can be cut off anywhere: the open attempt tells the next worker to
//! look before it leaps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::payment::{
    AccountName, Answer, Event, LookUp, Next, ParkReason, Payment, Policy, StateName, Step,
    Timestamp, millis,
};
use crate::queue::Handler;
use crate::store::{Claim, Permit, SaveError, Saved, Store, StoreError, Then};

/// A turn ends after so many moves at the latest, and goes on in another turn.
const MOST_MOVES: usize = 12;
/// How long a payment waits whose account is not configured here, or whose store is not durable.
const WAIT: TimeDelta = TimeDelta::seconds(5);
/// A permit older than this is not used: whoever was stopped for so long between the note and the
/// call leaves the call to a later attempt. Only a precaution; the note is what keeps it safe.
/// Half the quiet period, if that is shorter.
const SEND_WITHIN: TimeDelta = TimeDelta::seconds(30);
/// How long an account is left alone after the gateway refused its key.
const BREAKER: TimeDelta = TimeDelta::seconds(60);
/// The pauses between tries to reach the store, the last one repeated.
const STORE_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// The policies of all configured accounts.
pub type Policies = BTreeMap<AccountName, Policy>;

/// Moves payments, one turn at a time. Shared by all turns of a process.
#[derive(Debug)]
pub struct Worker<S, G> {
    store: Arc<S>,
    gateway: Arc<G>,
    clock: Clock,
    policies: Policies,
    breakers: Mutex<BTreeMap<AccountName, Timestamp>>,
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

/// What was learned in this turn and is not written yet.
enum Learned {
    Created {
        opened: Timestamp,
        answer: Answer,
        at: Timestamp,
    },
    Answered {
        number: u32,
        answer: Answer,
        at: Timestamp,
    },
    LookedUp {
        outcome: LookUp,
        at: Timestamp,
    },
}

/// One turn's claim, and what is not written yet.
struct Move<'a> {
    claim: Claim,
    policy: &'a Policy,
    unwritten: Vec<Learned>,
}

/// Why a turn cannot go on.
enum Halt {
    Lost,
    Wait(TimeDelta),
}

impl<S: Store, G: Gateway> Worker<S, G> {
    /// A worker over a store and a gateway.
    pub fn new(store: Arc<S>, gateway: Arc<G>, clock: Clock, policies: Policies) -> Self {
        Self {
            store,
            gateway,
            clock,
            policies,
            breakers: Mutex::default(),
        }
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
        let Some(policy) = self.policies.get(&claim.payment.request().account) else {
            error!(
                "the account of this payment is not configured here; add it, or run a worker that has it"
            );
            return self.rest_unknown(claim).await;
        };
        let mut turn = Move {
            claim,
            policy,
            unwritten: Vec::new(),
        };
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
        let denied = matches!(outcome, LookUp::Failed { denied: true, .. });
        self.note_breaker(turn, denied);
        turn.learn(Learned::LookedUp {
            outcome,
            at: self.clock.now(),
        });
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
            return Err(Halt::Wait(WAIT));
        }
        let Some(order) = turn.claim.payment.create_order(now, turn.policy) else {
            return Err(Halt::Wait(WAIT));
        };
        let answer = self.gateway.create(&order).await;
        self.note_breaker(
            turn,
            matches!(answer, Answer::NoEffect { denied: true, .. }),
        );
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
        let Some(number) = turn.claim.payment.open(step, now, turn.policy) else {
            return Err(Halt::Wait(WAIT));
        };
        let Some(permit) = self.license(turn).await? else {
            return Ok(());
        };
        if turn.claim.is_lost() {
            return Err(self.not_sent(turn, TimeDelta::zero()).await);
        }
        let late = self.clock.now() - now > SEND_WITHIN.min(millis(turn.policy.quiet_ms / 2));
        let over = step == Step::Charge && turn.claim.payment.is_too_late(self.clock.now());
        let answer = if late || over {
            Answer::NotSent {
                why: "too long after the note".to_owned(),
            }
        } else {
            self.gateway.send(permit).await
        };
        self.note_breaker(
            turn,
            matches!(answer, Answer::NoEffect { denied: true, .. }),
        );
        let at = self.clock.now();
        info!(
            step = step.as_str(),
            attempt = number,
            class = ?answer.note(at).class,
            duration_ms = (at - now).num_milliseconds(),
            "answered"
        );
        turn.learn(Learned::Answered { number, answer, at });
        Ok(())
    }

    /// The permit for the attempt that was just opened; `None` when the record had changed and
    /// everything must be decided again.
    async fn license(&self, turn: &mut Move<'_>) -> Result<Option<Permit>, Halt> {
        for pause in pauses() {
            match self.store.license(&mut turn.claim).await {
                Ok(permit) => {
                    turn.unwritten.clear();
                    return Ok(Some(permit));
                }
                Err(SaveError::Outdated | SaveError::NothingToLicense) => {
                    self.reload(turn).await?;
                    return Ok(None);
                }
                Err(SaveError::NotDurable(problem)) => {
                    warn!(%problem, "money steps wait");
                    return Err(self.not_sent(turn, WAIT).await);
                }
                Err(SaveError::Lost) => return Err(self.not_sent(turn, TimeDelta::zero()).await),
                Err(SaveError::Missing) => return Err(Halt::Lost),
                Err(SaveError::Store(problem)) => Self::wait_for_store(&problem, pause).await,
            }
        }
        Err(Halt::Lost)
    }

    /// The note may be written, and its call is not made. Nobody else makes the call of a note that
    /// is written, so without a word of it a person would be asked about what never happened. The
    /// word is written if the payment is still this turn's: Redis may only have been restarted.
    async fn not_sent(&self, turn: &mut Move<'_>, pause: TimeDelta) -> Halt {
        if let Some(number) = turn
            .claim
            .payment
            .open_attempt()
            .map(|attempt| attempt.number)
        {
            warn!(
                attempt = number,
                "what the call rests on is gone; it is not made"
            );
            let answer = Answer::NotSent {
                why: "the claim or Redis changed".to_owned(),
            };
            turn.unwritten.push(Learned::Answered {
                number,
                answer,
                at: self.clock.now(),
            });
        }
        self.reload(turn)
            .await
            .map_or_else(|halt| halt, |()| Halt::Wait(pause))
    }

    /// Writes what was learned and ends the claim. `None`: the record had changed and there is
    /// something to do at once.
    async fn rest(
        &self,
        turn: &mut Move<'_>,
        until: Option<Timestamp>,
    ) -> Result<Option<Turn>, Halt> {
        for pause in pauses() {
            let now = self.clock.now();
            let due = turn.claim.payment.due(now, turn.policy);
            let due = due.map(|due| until.map_or(due, |until| due.max(until)));
            match self.store.save(&mut turn.claim, Then::Rest(due)).await {
                Ok(saved) => return Ok(Some(Self::rested(turn, due, saved))),
                Err(SaveError::Outdated) => {
                    self.reload(turn).await?;
                    if until.is_none() {
                        return Ok(None);
                    }
                }
                Err(SaveError::Store(problem)) => Self::wait_for_store(&problem, pause).await,
                Err(problem) => {
                    debug!(%problem, "what was learned is left to whoever holds the payment now");
                    return Err(Halt::Lost);
                }
            }
        }
        Err(Halt::Lost)
    }

    async fn rest_later(&self, turn: &mut Move<'_>, pause: TimeDelta) -> Turn {
        let until = self.clock.now() + pause;
        match self.rest(turn, Some(until)).await {
            Ok(Some(rested)) => rested,
            Ok(None) | Err(_) => Turn::Lost,
        }
    }

    fn rested(turn: &Move<'_>, due: Option<Timestamp>, saved: Saved) -> Turn {
        let state = turn.claim.payment.state().name();
        debug!(%state, nudged = saved.nudged, "rested");
        Turn::Rested { state, due }
    }

    /// Leaves a payment of an account that is not configured here to somebody who has it. Saved, not
    /// given back: the turn came to nothing by no fault of the payment's.
    async fn rest_unknown(&self, mut claim: Claim) -> Turn {
        let due = self.clock.now() + WAIT;
        match self.store.save(&mut claim, Then::Rest(Some(due))).await {
            Ok(_) => Turn::Rested {
                state: claim.payment.state().name(),
                due: Some(due),
            },
            Err(problem) => {
                debug!(%problem, "the lease ends by itself");
                Turn::Lost
            }
        }
    }

    /// Reads the record again, and adds to it what was learned in this turn.
    async fn reload(&self, turn: &mut Move<'_>) -> Result<(), Halt> {
        for pause in pauses() {
            match self.store.load(&turn.claim.key.id).await {
                Ok(Some(loaded)) => {
                    turn.claim.refresh(loaded);
                    for learned in &turn.unwritten {
                        learned.apply(&mut turn.claim.payment, turn.policy);
                    }
                    return Ok(());
                }
                Ok(None) | Err(StoreError::Unreadable { .. }) => return Err(Halt::Lost),
                Err(problem) => Self::wait_for_store(&problem, pause).await,
            }
        }
        Err(Halt::Lost)
    }

    async fn wait_for_store(problem: &StoreError, pause: Duration) {
        warn!(%problem, "what is known is kept until it can be written");
        tokio::time::sleep(pause).await;
    }

    fn check_breaker(&self, turn: &Move<'_>, now: Timestamp) -> Result<(), Halt> {
        let account = &turn.claim.payment.request().account;
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get(account) {
            Some(until) if *until > now => Err(Halt::Wait(*until - now)),
            _ => Ok(()),
        }
    }

    /// After a refused key the account is left alone for a while, rather than parking all its
    /// payments one by one.
    fn note_breaker(&self, turn: &Move<'_>, denied: bool) {
        let account = &turn.claim.payment.request().account;
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if denied {
            error!(%account, "the gateway refused the account's key; its payments wait. Check the key");
            breakers.insert(account.clone(), self.clock.now() + BREAKER);
        } else {
            breakers.remove(account);
        }
    }
}

impl<S: Store, G: Gateway> Handler for Worker<S, G> {
    async fn turn(&self, claim: Claim) {
        Self::turn(self, claim).await;
    }
}

impl Move<'_> {
    fn learn(&mut self, learned: Learned) {
        let before = self.claim.payment.state().name();
        learned.apply(&mut self.claim.payment, self.policy);
        self.unwritten.push(learned);
        self.tell(before);
    }

    fn settle(&mut self, event: Event, now: Timestamp) {
        let before = self.claim.payment.state().name();
        self.claim.payment.settled(event, now, self.policy);
        self.tell(before);
    }

    fn tell(&self, before: StateName) {
        let state = self.claim.payment.state();
        match state {
            _ if state.name() == before => {}
            crate::payment::State::Parked { reason, .. } => {
                warn!(state = %state.name(), from = %before, ?reason, "a person must look");
            }
            _ => info!(state = %state.name(), from = %before, "changed"),
        }
    }
}

impl Learned {
    fn apply(&self, payment: &mut Payment, policy: &Policy) {
        match self {
            Self::Created { opened, answer, at } => {
                if payment.purchase().is_none()
                    && let Some(number) = payment.open(Step::Create, *opened, policy)
                {
                    payment.answered(number, answer, *at, policy);
                }
            }
            Self::Answered { number, answer, at } => {
                payment.answered(*number, answer, *at, policy);
            }
            Self::LookedUp { outcome, at } => payment.looked_up(outcome, *at, policy),
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let last = STORE_PAUSES[STORE_PAUSES.len() - 1];
    STORE_PAUSES.into_iter().chain(std::iter::repeat(last))
}
