//! How often what went wrong where: a fault that is never met proves nothing.

use std::collections::BTreeMap;

/// What went wrong, and with which call.
pub type Cell = (&'static str, &'static str);

/// How often each was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells(BTreeMap<Cell, u64>);

impl Cells {
    /// Every one that a run may meet, at 0.
    #[must_use]
    pub fn expected() -> Self {
        let mut cells = BTreeMap::new();
        for (call, faults) in EXPECTED {
            for fault in *faults {
                cells.insert((*call, *fault), 0);
            }
        }
        Self(cells)
    }

    pub(crate) fn hit(&mut self, cell: Cell) {
        *self.0.entry(cell).or_default() += 1;
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.0 {
            *self.0.entry(*cell).or_default() += count;
        }
    }

    /// Those of the expected ones that were met less often than `least` times. Others may come up
    /// now and then, such as a worker that is killed while it testifies.
    pub fn short_of(&self, least: u64) -> impl Iterator<Item = (Cell, u64)> + '_ {
        let expected = Self::expected();
        let all = self.0.iter().map(|(cell, count)| (*cell, *count));
        all.filter(move |(cell, count)| *count < least && expected.0.contains_key(cell))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Cell, u64)> + '_ {
        self.0.iter().map(|(cell, count)| (*cell, *count))
    }

    /// How many faults there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

const EXPECTED: &[(&str, &[&str])] = &[
    ("create", crate::network::ON_CREATE),
    ("charge", crate::network::ON_ACQUIRER),
    ("capture", crate::network::ON_ACQUIRER),
    ("release", crate::network::ON_ACQUIRER),
    ("cancel", crate::network::ON_CANCEL),
    ("look_up", crate::network::ON_LOOK_UP),
    ("store.create", STORE),
    ("store.load", STORE),
    ("store.claim", STORE),
    ("store.renew", STORE),
    ("store.save", STORE),
    ("store.license", STORE),
    ("store.command", STORE),
    ("store.give_back", STORE),
    ("store.nudge", STORE),
    ("store", &["failover", "falls_short", "outage"]),
    ("killed", PROCESS),
    ("paused", PROCESS),
    (
        "worker",
        &["killed", "paused", "stopped", "unknown_account"],
    ),
    ("webhook", &["lost", "duplicated", "late", "refused"]),
    (
        "payer",
        &["pays", "pays_twice", "pays_pending", "declined", "rushes"],
    ),
    (
        "producer",
        &["repeats", "repeats_at_once", "another_content"],
    ),
    (
        "person",
        &["capture", "release", "reschedule", "cancel", "rerun"],
    ),
    ("card", &["killed"]),
];

const STORE: &[&str] = &["unreached", "reply_lost", "slow"];
/// What a process was doing when it was killed or paused.
const PROCESS: &[&str] = &[
    "create",
    "charge",
    "capture",
    "release",
    "cancel",
    "look_up",
    "store.claim",
    "store.save",
    "store.license",
    "nothing",
];
