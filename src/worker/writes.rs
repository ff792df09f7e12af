//! What a turn writes, and what it does while the store does not let it.

use std::time::Duration;

use chrono::TimeDelta;
use tracing::{debug, warn};

use super::learned::{Learned, Move};
use super::{Halt, Turn, Worker};
use crate::gateway::Gateway;
use crate::payment::{Answer, PaymentId, Timestamp};
use crate::store::{Claim, Permit, SaveError, Saved, Store, StoreError, Then};

/// How long money steps of a payment wait while the store is not durable. The store looks more
/// often than that whether it is again; a crowd of payments must not keep it busy meanwhile.
const NOT_DURABLE_WAIT: TimeDelta = TimeDelta::seconds(15);
/// How long a payment is left to a worker that has its account.
const UNKNOWN_ACCOUNT_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The pauses between tries to reach the store, the last one repeated.
const STORE_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// How often a turn that lost its claim tries to have its testimony written.
const TESTIMONIES: usize = 20;

impl<S: Store, G: Gateway> Worker<S, G> {
    /// The permit for the attempt that was just opened; `None` when the record had changed and
    /// everything must be decided again.
    pub(super) async fn license(
        &self,
        turn: &mut Move<'_>,
        number: u32,
    ) -> Result<Option<Permit>, Halt> {
        for pause in pauses() {
            match self.store.license(&mut turn.claim).await {
                Ok(permit) => {
                    turn.unwritten.clear();
                    turn.counted.written(&turn.claim.payment, &self.metrics);
                    return Ok(Some(permit));
                }
                Err(SaveError::Outdated | SaveError::NothingToLicense) => {
                    self.reload(turn).await?;
                    // An earlier try at this write may have been done and its answer lost.
                    turn.never_sent(number, self.clock.now());
                    return Ok(None);
                }
                Err(SaveError::NotDurable(problem)) => {
                    warn!(%problem, "money steps wait");
                    let wait = spread(NOT_DURABLE_WAIT, &turn.claim.key.id);
                    return Err(self.not_sent(turn, number, wait).await);
                }
                Err(SaveError::Lost) => {
                    return Err(self.not_sent(turn, number, TimeDelta::zero()).await);
                }
                Err(SaveError::Missing) => return Err(Halt::Lost),
                Err(SaveError::Store(problem)) => wait_for_store(&problem, pause).await,
            }
        }
        Err(Halt::Lost)
    }

    /// The note may be written, and its call is not made. Nobody else makes the call of a note that
    /// is written, so without a word of it a person would be asked about what never happened.
    pub(super) async fn not_sent(
        &self,
        turn: &mut Move<'_>,
        number: u32,
        pause: TimeDelta,
    ) -> Halt {
        warn!(
            attempt = number,
            "what the call rests on is gone; it is not made"
        );
        turn.never_sent(number, self.clock.now());
        self.reload(turn)
            .await
            .map_or_else(|halt| halt, |()| Halt::Wait(pause))
    }

    /// Writes what was learned and ends the claim. `None`: the record had changed and there is
    /// something to do at once.
    pub(super) async fn rest(
        &self,
        turn: &mut Move<'_>,
        until: Option<Timestamp>,
    ) -> Result<Option<Turn>, Halt> {
        for pause in pauses() {
            let now = self.clock.now();
            let due = turn.claim.payment.due(now, turn.policy);
            let due = due.map(|due| until.map_or(due, |until| due.max(until)));
            match self.store.save(&mut turn.claim, Then::Rest(due)).await {
                Ok(saved) => {
                    turn.counted.written(&turn.claim.payment, &self.metrics);
                    // Nudged meanwhile, it is due at once.
                    let due = due.map(|due| if saved.nudged { now } else { due });
                    return Ok(Some(rested(turn, due, saved)));
                }
                Err(SaveError::Outdated) => {
                    self.reload(turn).await?;
                    if until.is_none() {
                        return Ok(None);
                    }
                }
                Err(SaveError::Store(problem)) => wait_for_store(&problem, pause).await,
                Err(problem) => {
                    debug!(%problem, "what was learned is left to whoever holds the payment now");
                    self.testify(turn).await;
                    return Err(Halt::Lost);
                }
            }
        }
        Err(Halt::Lost)
    }

    pub(super) async fn rest_later(&self, turn: &mut Move<'_>, pause: TimeDelta) -> Turn {
        let until = self.clock.now() + pause;
        match self.rest(turn, Some(until)).await {
            Ok(Some(rested)) => rested,
            Ok(None) | Err(_) => Turn::Lost,
        }
    }

    /// Leaves a payment of an account that is not configured here to somebody who has it. Saved, not
    /// given back: the turn came to nothing by no fault of the payment's.
    pub(super) async fn rest_unknown(&self, mut claim: Claim) -> Turn {
        let due = self.clock.now() + spread(UNKNOWN_ACCOUNT_WAIT, &claim.key.id);
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
                    turn.relearn();
                    return Ok(());
                }
                Ok(None) | Err(StoreError::Unreadable { .. }) => return Err(Halt::Lost),
                Err(problem) => wait_for_store(&problem, pause).await,
            }
        }
        Err(Halt::Lost)
    }

    /// Somebody else holds the payment now and may look for a call that was never made. Only this
    /// turn knows, so its word is written beside the claim, as a command is: against the version
    /// alone. The attempt is told from any other of its number by the claim that opened it.
    async fn testify(&self, turn: &Move<'_>) {
        let never_sent = turn
            .unwritten
            .iter()
            .rev()
            .find_map(|learned| match learned {
                Learned::NeverSent { number, at }
                | Learned::Answered {
                    number,
                    answer: Answer::NotSent { .. },
                    at,
                } => Some((*number, *at)),
                Learned::Created { .. } | Learned::Answered { .. } | Learned::LookedUp { .. } => {
                    None
                }
            });
        let Some((number, at)) = never_sent else {
            return;
        };
        let opener = turn.claim.key.nonce.as_str();
        for pause in pauses().take(TESTIMONIES) {
            let mut loaded = match self.store.load(&turn.claim.key.id).await {
                Ok(Some(loaded)) => loaded,
                Ok(None) | Err(StoreError::Unreadable { .. }) => return,
                Err(problem) => {
                    wait_for_store(&problem, pause).await;
                    continue;
                }
            };
            loaded.payment.nudged(loaded.nudges);
            if !loaded.payment.never_sent(number, opener, at, turn.policy) {
                return;
            }
            let due = loaded.payment.due(self.clock.now(), turn.policy);
            match self.store.command(&loaded, due, None).await {
                Ok(()) => return,
                Err(SaveError::Outdated) => {}
                Err(SaveError::Store(problem)) => wait_for_store(&problem, pause).await,
                Err(problem) => return debug!(%problem, "the testimony is not written"),
            }
        }
    }
}

fn rested(turn: &Move<'_>, due: Option<Timestamp>, saved: Saved) -> Turn {
    let state = turn.claim.payment.state().name();
    debug!(%state, nudged = saved.nudged, "rested");
    Turn::Rested { state, due }
}

async fn wait_for_store(problem: &StoreError, pause: Duration) {
    warn!(%problem, "what is known is kept until it can be written");
    tokio::time::sleep(pause).await;
}

/// `wait` and up to half as much again, so that a crowd does not move in step.
pub(super) fn spread(wait: TimeDelta, id: &PaymentId) -> TimeDelta {
    let share = i32::try_from(id.spread() % 50).unwrap_or(0);
    wait + wait / 100 * share
}

fn pauses() -> impl Iterator<Item = Duration> {
    let last = STORE_PAUSES[STORE_PAUSES.len() - 1];
    STORE_PAUSES.into_iter().chain(std::iter::repeat(last))
}
