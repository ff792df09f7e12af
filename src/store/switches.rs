//! What people have stopped: everything, an account, a step or a kind of request; and what workers say
//! of themselves, so that whoever stops something knows when it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::payment::{AccountName, Timestamp};

/// What a worker sends.
pub const STEPS: [&str; 5] = ["create", "charge", "capture", "release", "cancel"];
/// What is asked for.
pub const KINDS: [&str; 4] = ["authorize", "charge", "save_card", "adopt"];

/// What can be stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SwitchName {
    /// Everything.
    All,
    /// All of an account.
    Account(AccountName),
    /// One of [`STEPS`].
    Step(&'static str),
    /// Payments of one of [`KINDS`].
    Kind(&'static str),
    /// Whatever cannot end in the time left, on workers that ran when it was asked for.
    Drain,
}

impl SwitchName {
    /// Reads it as it is shown: `all`, `account:hotel`, `step:charge`, `kind:adopt`, `drain`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |all: &[&'static str], word: &str| all.iter().copied().find(|one| *one == word);
        match text.split_once(':') {
            None if text == "all" => Some(Self::All),
            None if text == "drain" => Some(Self::Drain),
            Some(("account", name)) => AccountName::new(name).ok().map(Self::Account),
            Some(("step", word)) => known(&STEPS, word).map(Self::Step),
            Some(("kind", word)) => known(&KINDS, word).map(Self::Kind),
            _ => None,
        }
    }
}

impl fmt::Display for SwitchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Account(name) => write!(f, "account:{name}"),
            Self::Step(word) => write!(f, "step:{word}"),
            Self::Kind(word) => write!(f, "kind:{word}"),
            Self::Drain => f.write_str("drain"),
        }
    }
}

/// That something is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Until when, of a drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Of which account.
    pub account: &'a AccountName,
    /// For which kind of request.
    pub kind: &'a str,
    /// Which step.
    pub step: &'static str,
    /// How long it may take.
    pub deadline: chrono::TimeDelta,
}

/// Everything that is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches {
    /// Goes up with each change.
    pub version: u64,
    /// What, and why.
    pub set: BTreeMap<SwitchName, Switch>,
    /// What is stopped in a way that this program cannot read, by name: then everything is.
    pub unknown: BTreeSet<String>,
}

impl Switches {
    /// What keeps a call from being made `now` by a worker that runs since `started`.
    #[must_use]
    pub fn stops(&self, call: Outgoing<'_>, now: Timestamp, started: Timestamp) -> Option<String> {
        if let Some(unknown) = self.unknown.first() {
            return Some(unknown.clone());
        }
        let stops = |(name, switch): &(&SwitchName, &Switch)| match name {
            SwitchName::All => true,
            SwitchName::Account(account) => account == call.account,
            SwitchName::Step(step) => *step == call.step,
            SwitchName::Kind(kind) => *kind == call.kind,
            SwitchName::Drain => {
                let ends = switch.until.filter(|until| *until > now);
                started <= switch.since && ends.is_some_and(|until| now + call.deadline > until)
            }
        };
        let stopped = self.set.iter().find(stops);
        stopped.map(|(name, _)| name.to_string())
    }

    /// What is stopped at `now`: a drain that is over is not.
    pub fn standing(&self, now: Timestamp) -> impl Iterator<Item = (&SwitchName, &Switch)> {
        let stands = move |(_, switch): &(&SwitchName, &Switch)| {
            switch.until.is_none_or(|until| until > now)
        };
        self.set.iter().filter(stands)
    }
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerNote {
    /// Since when it runs.
    pub started: Timestamp,
    /// When it said so.
    pub seen: Timestamp,
    /// Its program's version.
    pub program: String,
    /// Which version of the switches it obeys.
    pub switches: u64,
    /// How many turns it runs at once.
    pub concurrency: usize,
    /// How many calls are under way, by step.
    #[serde(default)]
    pub under_way: BTreeMap<String, u64>,
    /// How long a call of it may take at the longest.
    #[serde(default = "longest_of_all")]
    pub longest_call_ms: u64,
}

/// What is taken for the longest call of a version that does not say how long its calls take: the quiet
/// period, as it is without a setting, which no deadline reaches.
const fn longest_of_all() -> u64 {
    900_000
}

/// What workers have said of themselves, those included that are there no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerNotes {
    /// By worker.
    pub read: BTreeMap<String, WorkerNote>,
    /// What this program cannot read, as it stands: nobody knows what those workers obey.
    pub unreadable: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + seconds)
    }

    fn account(name: &str) -> AccountName {
        AccountName::new(name).unwrap()
    }

    fn with(name: &str, until: Option<i64>) -> Switches {
        let switch = Switch {
            since: at(0),
            actor: "aisyah".to_owned(),
            reason: "deploy".to_owned(),
            until: until.map(at),
        };
        Switches {
            set: [(SwitchName::parse(name).unwrap(), switch)].into(),
            ..Switches::default()
        }
    }

    fn stops(switches: &Switches, account: &AccountName, kind: &str, step: &'static str) -> bool {
        let deadline = TimeDelta::seconds(60);
        let call = Outgoing {
            account,
            kind,
            step,
            deadline,
        };
        switches.stops(call, at(10), at(-10)).is_some()
    }

    #[test]
    fn each_switch_stops_what_it_names_and_nothing_else() {
        let (hotel, rental) = (account("hotel"), account("rental"));
        for kind in KINDS {
            for step in STEPS {
                for named in [&hotel, &rental] {
                    let by = |name: &str| stops(&with(name, None), named, kind, step);
                    assert!(by("all"));
                    assert_eq!(by("account:hotel"), *named == hotel);
                    assert_eq!(by("step:capture"), step == "capture");
                    assert_eq!(by("kind:charge"), kind == "charge");
                    assert!(!stops(&Switches::default(), named, kind, step));
                }
            }
        }
    }

    #[test]
    fn a_drain_stops_what_does_not_fit_on_workers_that_ran_before_and_ends_by_itself() {
        let hotel = account("hotel");
        let drain = with("drain", Some(90));
        let stops = |now: i64, started: i64| {
            let call = Outgoing {
                account: &hotel,
                kind: "charge",
                step: "charge",
                deadline: TimeDelta::seconds(60),
            };
            drain.stops(call, at(now), at(started)).is_some()
        };
        assert!(!stops(30, -1), "it ends in time");
        assert!(stops(31, -1), "it would not");
        assert!(stops(89, 0));
        assert!(!stops(90, -1), "the drain is over");
        assert!(!stops(60, 1), "a new worker is not touched");
        assert_eq!(drain.standing(at(89)).count(), 1);
        assert_eq!(drain.standing(at(90)).count(), 0);
    }

    #[test]
    fn what_is_not_understood_stops_everything() {
        let switches = Switches {
            unknown: ["brand:x".to_owned()].into(),
            ..Switches::default()
        };
        assert!(stops(&switches, &account("hotel"), "charge", "cancel"));
        for wrong in [
            "",
            "everything",
            "step:look_up",
            "kind:x",
            "account:",
            "drain:1",
        ] {
            assert_eq!(SwitchName::parse(wrong), None, "{wrong}");
        }
        for name in [
            "all",
            "drain",
            "account:hotel",
            "step:create",
            "kind:save_card",
        ] {
            assert_eq!(SwitchName::parse(name).unwrap().to_string(), name);
        }
    }
}
