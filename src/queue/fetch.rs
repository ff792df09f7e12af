//! Claims what is due, for free slots only, and wakes at the moment that something falls due.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until};

use super::lease::{Lease, Leases, Trouble};
use crate::payment::Timestamp;
use crate::store::{Claim, Claims, Store};

/// After a call that brought nothing, hints that arrive within this time cost one call together.
const AFTER_NOTHING_MS: u64 = 1;
/// A turn that ended may have left its payment due soon; turns that end within this time cost one
/// call together.
const AFTER_TURN_MS: u64 = 5;

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
    let mut trouble = Trouble::new("claim due payments");
    let mut alarm = Alarm {
        poll_ms: leases.settings.poll_ms.max(1),
        early: 0,
    };
    while let Some(slots) = leases.free_slots().await {
        let asked = slots.num_permits();
        match leases.store.claim(asked).await {
            Ok(Claims { claims, next_due }) => {
                trouble.over();
                let brought = claims.len();
                if !hand_over(&leases, claims, slots, &jobs) {
                    return;
                }
                if brought < asked {
                    let wait_ms = alarm.wait_ms(brought, next_due, leases.clock.now());
                    let quiet_ms = if brought == 0 { AFTER_NOTHING_MS } else { 0 };
                    if rest(&leases, woken.as_mut(), quiet_ms, wait_ms).await {
                        woken.set(leases.store.woken());
                    }
                }
            }
            Err(error) => {
                drop(slots);
                let pause = sleep(trouble.met(&error));
                leases.stop.run_until_cancelled(pause).await;
                // Leases that ran out while the store was away are renewed before they are
                // claimed anew, or running turns would lose them to this very process.
                leases.stop.run_until_cancelled(leases.renew()).await;
            }
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

/// Waits until there is a reason to ask again; answers whether it was the store's hint.
async fn rest<S: Store>(
    leases: &Leases<S>,
    woken: Pin<&mut impl Future<Output = ()>>,
    quiet_ms: u64,
    wait_ms: u64,
) -> bool {
    let start = Instant::now();
    if quiet_ms > 0 {
        let quiet = sleep(Duration::from_millis(quiet_ms.min(wait_ms)));
        leases.stop.run_until_cancelled(quiet).await;
    }
    let mut alarm = pin!(sleep_until(start + Duration::from_millis(wait_ms)));
    tokio::select! {
        biased;
        () = leases.stop.cancelled() => false,
        () = woken => true,
        () = alarm.as_mut() => false,
        () = leases.turn_ended.notified() => {
            let soon = Instant::now() + Duration::from_millis(AFTER_TURN_MS);
            let soon = soon.min(alarm.deadline());
            leases.stop.run_until_cancelled(sleep_until(soon)).await;
            false
        }
    }
}

/// When to ask again if nothing happens before.
struct Alarm {
    poll_ms: u64,
    /// How often in a row something was due by our clock and yet not to be had.
    early: u32,
}

impl Alarm {
    fn wait_ms(&mut self, brought: usize, next_due: Option<Timestamp>, now: Timestamp) -> u64 {
        let left_ms = next_due.map(|due| (due - now).num_milliseconds());
        match left_ms {
            Some(..=0) if brought == 0 => {
                let wait_ms = 1 << self.early.min(16);
                self.early = self.early.saturating_add(1);
                self.poll_ms.min(wait_ms)
            }
            Some(left_ms) => {
                self.early = 0;
                self.poll_ms.min(u64::try_from(left_ms).unwrap_or(0))
            }
            None => {
                self.early = 0;
                self.poll_ms
            }
        }
    }
}
