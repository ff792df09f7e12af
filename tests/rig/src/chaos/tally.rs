//! What went wrong, counted when it happened.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::mishap::{Mishap, Side};

/// Something that was done to the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// A worker was killed with SIGKILL.
    Kill,
    /// A worker that stood still was killed with SIGKILL.
    KillWhilePaused,
    /// A worker stood still for longer than its lease, and went on.
    Pause,
    /// A worker stood still for longer than the quiet period, and went on.
    LongPause,
    /// A worker was asked to end, and did.
    Stop,
    /// A worker could not start, because Redis could not be reached, and was started again.
    StartAgain,
    /// Redis was killed with SIGKILL, with what it had not answered yet in its file.
    RedisKill,
    /// Redis was killed, and its file was cut within what it had not answered yet.
    RedisCut,
    /// Redis was killed, and half a command stood at the end of its file.
    RedisTorn,
    /// Redis was killed, and came back as it had been a moment before: what was answered since is lost.
    RedisOld,
    /// Redis gave up at its start, and was started again.
    RedisStartAgain,
    /// The clock of a worker's machine jumped.
    WorkerClock,
    /// The clock of Redis' machine jumped, which all workers follow.
    RedisClock,
    /// Something went wrong with a connection.
    Socket(Side, Mishap),
}

impl Blow {
    /// Whether it is a death of Redis.
    #[must_use]
    pub const fn kills_redis(self) -> bool {
        matches!(
            self,
            Self::RedisKill | Self::RedisCut | Self::RedisTorn | Self::RedisOld
        )
    }

    /// What it is called in figures.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Kill => "worker: SIGKILL".to_owned(),
            Self::KillWhilePaused => "worker: SIGKILL while stopped".to_owned(),
            Self::Pause => "worker: SIGSTOP beyond the lease".to_owned(),
            Self::LongPause => "worker: SIGSTOP beyond the quiet period".to_owned(),
            Self::Stop => "worker: SIGTERM".to_owned(),
            Self::StartAgain => "worker: start without Redis".to_owned(),
            Self::RedisKill => "Redis: SIGKILL".to_owned(),
            Self::RedisCut => "Redis: SIGKILL, file cut".to_owned(),
            Self::RedisTorn => "Redis: SIGKILL, file torn".to_owned(),
            Self::RedisOld => "Redis: SIGKILL, an older file".to_owned(),
            Self::RedisStartAgain => "Redis: gave up, started again".to_owned(),
            Self::WorkerClock => "clock: a worker's".to_owned(),
            Self::RedisClock => "clock: Redis'".to_owned(),
            Self::Socket(side, mishap) => format!("{}: {}", side.name(), mishap.name()),
        }
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<Blow, u64>>);

impl Tally {
    pub(super) fn count(&self, blow: Blow) {
        *self.counts().entry(blow).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<Blow, u64> {
        self.counts().clone()
    }

    /// How many of these there were.
    pub(super) fn of(&self, is_meant: impl Fn(Blow) -> bool) -> u64 {
        let counts = self.counts();
        let meant = counts.iter().filter(|(blow, _)| is_meant(**blow));
        meant.map(|(_, count)| count).sum()
    }

    /// The sorts of trouble with connections that were not met on that side.
    pub(super) fn missing(&self, side: Side) -> Vec<Mishap> {
        let counts = self.counts();
        let unmet = |mishap: &Mishap| !counts.contains_key(&Blow::Socket(side, *mishap));
        Mishap::ALL.into_iter().filter(unmet).collect()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Blow, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
