//! Asks the gateway, as fast as it allows: never more at once than was said, all of them resting when
//! it says that it is too fast, and each asked again a few times before it counts as not answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::RwLock;

use super::matching::Shown;
use super::{Pace, Progress, Stopped};
use crate::gateway::{ChipGateway, EntryLook, NoStatement, RATE_LIMITED, StatementState};
use crate::payment::{AccountName, PurchaseId, Timestamp};

/// How often one purchase waits because all of them come too fast. That is no failure, and it ends.
const MOST_RESTS: u32 = 30;
/// However long the gateway asks to wait, not longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whoever asks for one account.
pub(super) struct Asking<'a> {
    pub(super) gateway: &'a ChipGateway,
    pub(super) account: &'a AccountName,
    pub(super) pace: Pace,
    /// Held to ask; held alone while everybody rests.
    gate: RwLock<()>,
    rests: AtomicU64,
}

/// What asking came to.
pub(super) enum Heard {
    /// An answer.
    Shown(Shown),
    /// None, and why.
    Nothing(String),
}

impl<'a> Asking<'a> {
    pub(super) fn new(gateway: &'a ChipGateway, account: &'a AccountName, pace: Pace) -> Self {
        Self {
            gateway,
            account,
            pace,
            gate: RwLock::new(()),
            rests: AtomicU64::new(0),
        }
    }

    pub(super) async fn ask(&self, purchase: &PurchaseId) -> Result<Heard, Stopped> {
        let mut wait = self.pace.wait;
        let (mut tried, mut rested) = (0, 0);
        loop {
            let pass = self.gate.read().await;
            let rests = self.rests.load(Ordering::SeqCst);
            let look = self.gateway.entry(self.account, purchase).await;
            drop(pass);
            let (why, asked) = match look {
                EntryLook::Shown(entry) => return Ok(Heard::Shown(Shown::Entry(entry))),
                EntryLook::NotFound => return Ok(Heard::Shown(Shown::NoSuchPurchase)),
                EntryLook::Failed { denied: true, .. } => return Err(Stopped::Denied),
                EntryLook::Failed {
                    why,
                    retry_after_ms,
                    ..
                } => (why, retry_after_ms.map(Duration::from_millis)),
            };
            let too_fast = asked.is_some() || why == RATE_LIMITED;
            rested += u32::from(too_fast);
            tried += u32::from(!too_fast);
            if tried >= self.pace.tries.max(1) || rested > MOST_RESTS {
                let told = format!("the gateway does not answer: {why}");
                return Ok(Heard::Nothing(told));
            }
            let wanted = asked.unwrap_or(wait).min(LONGEST_WAIT);
            if too_fast {
                self.rest(rests, wanted).await;
            } else {
                tokio::time::sleep(wanted).await;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Everybody rests, once for all that were told so by the same haste.
    async fn rest(&self, rests_before: u64, wait: Duration) {
        let _alone = self.gate.write().await;
        if self.rests.load(Ordering::SeqCst) == rests_before {
            tokio::time::sleep(wait).await;
            self.rests.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Has a statement made, and waits for it.
    pub(super) async fn statement(
        &self,
        from: Timestamp,
        to: Timestamp,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Vec<u8>, Stopped> {
        let id = self.gateway.schedule_statement(self.account, from, to);
        let id = id.await?;
        let mut last = "it was not made in time".to_owned();
        for poll in 0..self.pace.polls {
            progress(Progress::Statement(poll));
            match self.gateway.statement(self.account, id).await {
                Ok(StatementState::Ready(link)) => {
                    return Ok(self.gateway.fetch_statement(self.account, &link).await?);
                }
                Ok(StatementState::Ended(word)) => {
                    let told = format!("the gateway says that it is {word}");
                    return Err(NoStatement::Unreadable(told).into());
                }
                Ok(StatementState::Waits) => {}
                // Asked once more: the statement may be there all the same.
                Err(NoStatement::Unreadable(why)) => last = why,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(self.pace.poll).await;
        }
        // Nobody will fetch it; if the gateway makes it all the same, that does no harm.
        drop(self.gateway.cancel_statement(self.account, id).await);
        Err(NoStatement::Unreadable(last).into())
    }
}
