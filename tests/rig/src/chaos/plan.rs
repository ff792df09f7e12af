//! How much of everything a run takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::Manners;

/// What is lost when Redis dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Loss {
    /// What was answered to nobody: all that a crash can lose of a disk that keeps its word.
    Unanswered,
    /// What was answered as well, as when an old backup is restored: no protocol survives that whole,
    /// and what it costs is counted. All that was not lost keeps every promise.
    Answered,
}

/// What to do, and how much of it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything but the machine's own timing.
    pub seed: u64,
    /// What must have happened before faults end.
    pub quotas: Quotas,
    /// How long that is meant to take: how often each kind of fault strikes follows from it.
    pub span: Duration,
    /// How many worker processes there are at a time.
    pub workers: usize,
    /// How many payments may be under way at a time.
    pub under_way: u64,
    /// How likely each fault of the gateway is, beside what torments a small run.
    pub gateway_faults_by: f64,
    /// What the workers log.
    pub log_filter: &'static str,
    /// What is lost when Redis dies.
    pub loss: Loss,
    /// What the gateway does where nobody has written down what it does.
    pub manners: Manners,
    /// The `holdfast` binary; beside the running program, without it.
    pub binary: Option<PathBuf>,
}

/// What must have happened before faults end: at least so much of each. What is 0 never happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Payments that a producer was told are recorded.
    pub payments: u64,
    /// Workers killed with SIGKILL.
    pub kills: u64,
    /// Workers that stood still for longer than their lease.
    pub pauses: u64,
    /// Workers asked to end with SIGTERM.
    pub stops: u64,
    /// Redis killed with SIGKILL, its file cut or torn in two of three times.
    pub redis_kills: u64,
    /// Connections that something went wrong with, each sort on each side at least once.
    pub sockets: u64,
    /// Jumps of the clocks of workers and Redis.
    pub jumps: u64,
    /// Calls and deliveries of the gateway that something went wrong with.
    pub gateway: u64,
}

impl Plan {
    /// How many times longer than it is meant to take a run may take before it fails.
    pub const PATIENCE: u32 = 6;

    /// A run around so many payments: 100,000 with 500 kills, 200 pauses, 100 kills of Redis,
    /// 10,000 faults of connections, or as much of everything in proportion, and never too little.
    #[must_use]
    pub fn around(payments: u64, seed: u64) -> Self {
        let quotas = Quotas {
            payments,
            kills: (payments / 200).max(10),
            pauses: (payments / 500).max(4),
            stops: (payments / 1_000).max(2),
            redis_kills: (payments / 1_000).max(4),
            sockets: (payments / 10).max(100),
            jumps: (payments / 1_000).max(4),
            gateway: (payments / 10).max(100),
        };
        Self {
            seed,
            quotas,
            span: Duration::from_millis(payments * 20).max(Duration::from_secs(25)),
            workers: 4,
            under_way: (payments / 50).max(400),
            gateway_faults_by: if payments > 10_000 { 0.3 } else { 1.0 },
            log_filter: "holdfast=debug",
            loss: Loss::Unanswered,
            manners: Manners::AsObserved,
            binary: None,
        }
    }

    /// How long there is between two strikes of what must happen so often.
    pub(super) fn between(&self, quota: u64) -> Duration {
        // A little too often, so that the quota is met within the span.
        let strikes = u32::try_from(quota + quota / 8 + 1).unwrap_or(u32::MAX);
        self.span / strikes.max(1)
    }
}
