//! How often what went wrong where: a fault that is never met proves nothing.

use std::collections::BTreeMap;

use holdfast::payment::StateName;

/// What went wrong, and with which call.
pub type Cell = (&'static str, &'static str);

/// How often each was met, and in what state the payments ended that met it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells {
    met: BTreeMap<Cell, u64>,
    ended: BTreeMap<Cell, BTreeMap<StateName, u64>>,
}

impl Cells {
    /// Every one that a run may meet, at 0.
    #[must_use]
    pub fn expected() -> Self {
        let mut met = BTreeMap::new();
        for (call, faults) in EXPECTED {
            for fault in *faults {
                met.insert((*call, *fault), 0);
            }
        }
        Self {
            met,
            ..Self::default()
        }
    }

    pub(crate) fn hit(&mut self, cell: Cell) {
        *self.met.entry(cell).or_default() += 1;
    }

    /// A payment that met it ended so.
    pub(crate) fn ended(&mut self, cell: Cell, state: StateName) {
        *self
            .ended
            .entry(cell)
            .or_default()
            .entry(state)
            .or_default() += 1;
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.met {
            *self.met.entry(*cell).or_default() += count;
        }
        for (cell, states) in &other.ended {
            let sums = self.ended.entry(*cell).or_default();
            for (state, count) in states {
                *sums.entry(*state).or_default() += count;
            }
        }
    }

    /// Those of the expected ones that were met less often than `least` times. Others may come up
    /// now and then, such as a worker that is killed while it testifies.
    pub fn short_of(&self, least: u64) -> impl Iterator<Item = (Cell, u64)> + '_ {
        let expected = Self::expected();
        let all = self.iter();
        all.filter(move |(cell, count)| *count < least && expected.met.contains_key(cell))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Cell, u64)> + '_ {
        self.met.iter().map(|(cell, count)| (*cell, *count))
    }

    /// How many of the payments that met a fault ended in which state. Only faults of a call about
    /// one payment are followed.
    #[must_use]
    pub fn states_after(&self, cell: Cell) -> BTreeMap<StateName, u64> {
        self.ended.get(&cell).cloned().unwrap_or_default()
    }

    /// How many faults there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.met.values().sum()
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
    (
        "store",
        &["failover", "restart", "falls_short", "loses", "outage"],
    ),
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
        &[
            "capture",
            "release",
            "reschedule",
            "cancel",
            "rerun",
            "settles",
            "stops",
            "sees_it_stand",
        ],
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
