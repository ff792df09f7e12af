//! Claims what is due, for free slots only, and wakes at the moment that something falls due.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, Leases};
use super::trouble::Trouble;
use crate::payment::Timestamp;
use crate::store::{Claim, Claims, Store, StoreError};

/// A turn that ended may have left its payment due at once; turns that end within this time cost
/// one call together.
const AFTER_TURN_MS: u64 = 5;
/// So many hints in a row may lead to nothing, because other workers were quicker or the hints
/// were late; the next ones are slowed down.
const VAIN_HINTS: u32 = 8;
/// How long such a hint has to wait.
const VAIN_HINT_MS: u64 = 1;

/// A claimed payment on its way to its turn.
pub(super) struct Job<S: Store> {
    pub(super) claim: Claim,
    /// What this process holds of it; taken out by whoever sees how it ends.
    pub(super) lease: Option<Lease<S>>,
}

/// Claims and hands over until the stop. A call is never dropped half-way before the deadline,
/// because what it claimed would stay leased.
pub(super) async fn fetch<S: Store>(leases: Arc<Leases<S>>, jobs: UnboundedSender<Job<S>>) {
    let mut woken = pin!(leases.store.woken());
    let mut trouble = Trouble::new("claim due payments", leases.settings.identity);
    let mut pace = Pace {
        poll_ms: leases.settings.poll_ms.max(1),
        early: 0,
        vain_hints: 0,
    };
    while let Some(slots) = leases.free_slots().await {
        let asked = slots.num_permits();
        // Whatever is due again by now is found by the call itself.
        leases.take_due_again();
        match leases.store.claim(asked).await {
            Ok(Claims { claims, next_due }) => {
                trouble.over();
                let brought = claims.len();
                if !hand_over(&leases, claims, slots, &jobs) {
                    return;
                }
                let wait = pace.wait(brought, next_due, leases.clock.now());
                if brought == asked || wait.is_zero() {
                    continue;
                }
                if rest(&leases, woken.as_mut(), wait).await == Because::Hint {
                    woken.set(leases.store.woken());
                    pace.hinted(&leases.stop).await;
                }
            }
            Err(error) => {
                drop(slots);
                wait_for_the_store(&leases, &mut trouble, error).await;
            }
        }
    }
}

/// Waits until the store answers again, or the stop. Leases that ran out meanwhile are renewed
/// before anything is claimed: running turns would lose them to this very process.
async fn wait_for_the_store<S: Store>(
    leases: &Leases<S>,
    trouble: &mut Trouble,
    mut error: StoreError,
) {
    let stop = &leases.stop;
    loop {
        let pause = sleep(trouble.met(&error));
        stop.run_until_cancelled(pause).await;
        match stop.run_until_cancelled(leases.renew()).await {
            Some(Err(again @ StoreError::Unavailable(_))) => error = again,
            // Refused or unreadable is one record's trouble, and no reason to claim nothing.
            None | Some(Ok(()) | Err(_)) => return,
        }
    }
}

/// Answers whether there is still somebody to hand over to.
fn hand_over<S: Store>(
    leases: &Arc<Leases<S>>,
    claims: Vec<Claim>,
    mut slots: OwnedSemaphorePermit,
    jobs: &UnboundedSender<Job<S>>,
) -> bool {
    let mut taken = true;
    for claim in claims {
        let lease = Some(leases.take(&claim, slots.split(1)));
        // A job that is not taken is dropped, and so given back.
        taken = jobs.send(Job { claim, lease }).is_ok() && taken;
    }
    taken
}

/// Why a rest is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// The store said that there may be work.
    Hint,
    /// It is time, or the stop has come.
    Time,
}

/// Waits until there is a reason to ask again, `wait` at the longest.
async fn rest<S: Store>(
    leases: &Leases<S>,
    mut woken: Pin<&mut impl Future<Output = ()>>,
    wait: Duration,
) -> Because {
    let mut alarm = pin!(sleep(wait));
    loop {
        tokio::select! {
            biased;
            () = leases.stop.cancelled() => return Because::Time,
            () = &mut woken => return Because::Hint,
            () = &mut alarm => return Because::Time,
            () = leases.turn_ended.notified() => {
                if let Some(due) = leases.take_due_again() {
                    let left_ms = (due - leases.clock.now()).num_milliseconds();
                    let left_ms = u64::try_from(left_ms).unwrap_or(0).max(AFTER_TURN_MS);
                    let then = Instant::now() + Duration::from_millis(left_ms);
                    let first = then.min(alarm.deadline());
                    alarm.as_mut().reset(first);
                }
            }
        }
    }
}

/// When to ask again if nothing happens before.
struct Pace {
    poll_ms: u64,
    /// How often in a row something was due by our clock and yet not to be had.
    early: u32,
    /// How many hints in a row led to nothing.
    vain_hints: u32,
}

impl Pace {
    fn wait(&mut self, brought: usize, next_due: Option<Timestamp>, now: Timestamp) -> Duration {
        if brought > 0 {
            self.vain_hints = 0;
        }
        let left_ms = next_due.map(|due| (due - now).num_milliseconds());
        let wait_ms = match left_ms {
            Some(..=0) if brought == 0 => {
                self.early = self.early.saturating_add(1);
                1 << self.early.min(16)
            }
            Some(left_ms) => {
                self.early = 0;
                u64::try_from(left_ms).unwrap_or(0)
            }
            None => {
                self.early = 0;
                self.poll_ms
            }
        };
        Duration::from_millis(wait_ms.min(self.poll_ms))
    }

    /// Lets hints through at once, unless they have proved to be of no use.
    async fn hinted(&mut self, stop: &CancellationToken) {
        self.vain_hints = self.vain_hints.saturating_add(1);
        if self.vain_hints > VAIN_HINTS {
            stop.run_until_cancelled(sleep(Duration::from_millis(VAIN_HINT_MS)))
                .await;
        }
    }
}
