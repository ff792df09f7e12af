//! Whether a call may leave: what people have stopped stays here, and what is under way is counted, so
//! that they know when it stands. A call that left is never cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::gateway::Deadlines;
use crate::payment::{AccountName, Payment, Step, Timestamp, millis};
use crate::store::switches::{Outgoing, Switches};

/// After so long without having read what is stopped, nothing leaves.
pub const BELIEVED_FOR: TimeDelta = TimeDelta::seconds(10);
/// What a card's deletion is called.
const DELETE_CARD: &str = "delete_card";
/// What keeps calls here that nobody has stopped.
pub const UNREAD: &str = "unread";

/// One process' gate; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    started: Timestamp,
    deadlines: Deadlines,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    switches: Switches,
    read_at: Timestamp,
    under_way: BTreeMap<String, u64>,
}

/// A call under way; it is counted until this is dropped.
#[derive(Debug)]
pub struct UnderWay {
    counted: Option<(Arc<Watched>, &'static str)>,
}

impl Gate {
    /// One that stands open, whatever anybody stops.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// One of a process that has `started` and read what is stopped.
    #[must_use]
    pub fn watched(started: Timestamp, deadlines: Deadlines, switches: Switches) -> Self {
        let known = Known {
            switches,
            read_at: started,
            under_way: BTreeMap::new(),
        };
        Self(Some(Arc::new(Watched {
            started,
            deadlines,
            known: Mutex::new(known),
        })))
    }

    /// Takes in what is stopped as of `at`.
    pub fn learn(&self, switches: Switches, at: Timestamp) {
        if let Some(watched) = &self.0 {
            let mut known = watched.known();
            known.read_at = at;
            known.switches = switches;
        }
    }

    /// What was read last is known to hold as of `at`, and others know that this worker is there.
    pub fn stand(&self, at: Timestamp) {
        if let Some(watched) = &self.0 {
            let mut known = watched.known();
            known.read_at = known.read_at.max(at);
        }
    }

    /// What keeps this step of a payment from leaving now.
    pub(super) fn stops(&self, payment: &Payment, step: Step, now: Timestamp) -> Option<String> {
        let watched = self.0.as_ref()?;
        watched.stops(&watched.known(), watched.step(payment, step), now)
    }

    /// What keeps a card of this account from being deleted now.
    pub(super) fn stops_deletion(&self, account: &AccountName, now: Timestamp) -> Option<String> {
        let watched = self.0.as_ref()?;
        watched.stops(&watched.known(), watched.deletion(account), now)
    }

    /// Lets a call leave, and counts it; or says what stops it. Whoever has learned of a switch and
    /// counts no call knows that none leaves any more.
    pub(super) fn begin(
        &self,
        payment: &Payment,
        step: Step,
        now: Timestamp,
    ) -> Result<UnderWay, String> {
        self.begin_call(|watched| watched.step(payment, step), now)
    }

    /// The same, of a call that has a card deleted.
    pub(super) fn begin_deletion(
        &self,
        account: &AccountName,
        now: Timestamp,
    ) -> Result<UnderWay, String> {
        self.begin_call(|watched| watched.deletion(account), now)
    }

    fn begin_call<'a>(
        &self,
        call: impl FnOnce(&Watched) -> Outgoing<'a>,
        now: Timestamp,
    ) -> Result<UnderWay, String> {
        let Some(watched) = &self.0 else {
            return Ok(UnderWay { counted: None });
        };
        let (mut known, call) = (watched.known(), call(watched));
        if let Some(stopped) = watched.stops(&known, call, now) {
            return Err(stopped);
        }
        *known.under_way.entry(call.step.to_owned()).or_default() += 1;
        let counted = Some((Arc::clone(watched), call.step));
        Ok(UnderWay { counted })
    }

    /// Since when the process runs, which version of the switches it obeys, and how many calls of
    /// which step are under way.
    #[must_use]
    pub fn standing(&self) -> Option<(Timestamp, u64, BTreeMap<String, u64>)> {
        let watched = self.0.as_ref()?;
        let known = watched.known();
        Some((
            watched.started,
            known.switches.version,
            known.under_way.clone(),
        ))
    }

    /// How long a call may take at the longest.
    #[must_use]
    pub fn longest_call_ms(&self) -> u64 {
        let watched = self.0.as_ref();
        watched.map_or(0, |watched| watched.deadlines.longest_ms())
    }

    /// What is stopped at `now`, in a few words; `None` if nothing is.
    #[must_use]
    pub fn told(&self, now: Timestamp) -> Option<String> {
        let watched = self.0.as_ref()?;
        let known = watched.known();
        if now - known.read_at > BELIEVED_FOR {
            return Some(
                "what is stopped cannot be read from Redis, or no note written there".to_owned(),
            );
        }
        let unknown = known.switches.unknown.iter().cloned();
        let standing = known.switches.standing(now);
        let names = standing.map(|(name, _)| name.to_string());
        let names: Vec<String> = names.chain(unknown).collect();
        (!names.is_empty()).then(|| format!("stopped by a person: {}", names.join(", ")))
    }
}

impl Watched {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self, known: &Known, call: Outgoing<'_>, now: Timestamp) -> Option<String> {
        if now - known.read_at > BELIEVED_FOR {
            return Some(UNREAD.to_owned());
        }
        known.switches.stops(call, now, self.started)
    }

    fn step<'a>(&self, payment: &'a Payment, step: Step) -> Outgoing<'a> {
        let request = payment.request();
        Outgoing {
            account: &request.account,
            kind: request.ask.kind(),
            step: step.as_str(),
            deadline: millis(self.deadlines.of(step)),
        }
    }

    /// It is of no kind of payment, and no step of one.
    fn deletion<'a>(&self, account: &'a AccountName) -> Outgoing<'a> {
        Outgoing {
            account,
            kind: DELETE_CARD,
            step: DELETE_CARD,
            deadline: millis(self.deadlines.cancel_ms),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((watched, step)) = &self.counted
            && let Some(count) = watched.known().under_way.get_mut(*step)
        {
            *count = count.saturating_sub(1);
        }
    }
}
