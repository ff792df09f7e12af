//! How a run ended, for people and for the documentation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::canaries::Search;
use super::faults::Hits;
use super::tally::Blow;

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// How many payments producers were told are recorded.
    pub payments: u64,
    /// How many commands were answered.
    pub commands: u64,
    /// What was done to the installation, and how often.
    pub blows: BTreeMap<Blow, u64>,
    /// How often each fault was met on each call of the gateway.
    pub hits: Hits,
    /// How many deliveries of the gateway the workers accepted.
    pub heard: u64,
    /// How many payments ended in each state, parked ones by reason.
    pub states: BTreeMap<String, u64>,
    /// How many payments' money moved more than once.
    pub moved_twice: u64,
    /// How long faults went on, and how long it took after them until all was at rest.
    pub times: (Duration, Duration),
    /// What was searched for secrets.
    pub search: Search,
    /// Whether clocks could be made to jump.
    pub clocks_jumped: bool,
    /// What it cost that Redis lost what it had answered, by kind; nothing else is among it.
    pub cost: BTreeMap<String, u64>,
    /// What is wrong: each is a broken promise.
    pub problems: Vec<String>,
    /// The logs of all workers, and what Redis kept; they are there still if anything is wrong.
    pub kept: [PathBuf; 2],
}

impl Outcome {
    /// How many blows of a kind there were.
    #[must_use]
    pub fn count(&self, is_meant: impl Fn(Blow) -> bool) -> u64 {
        let meant = self.blows.iter().filter(|(blow, _)| is_meant(**blow));
        meant.map(|(_, count)| count).sum()
    }

    /// How many faults of the gateway were met.
    #[must_use]
    pub fn gateway_faults(&self) -> u64 {
        self.hits.values().sum()
    }

    /// How often each fault of the gateway was met, on whichever call.
    #[must_use]
    pub fn hits_by_fault(&self) -> BTreeMap<&'static str, u64> {
        let mut by_fault = BTreeMap::new();
        for ((_, fault), count) in &self.hits {
            *by_fault.entry(*fault).or_default() += count;
        }
        by_fault
    }

    /// The same, by the call that met it.
    fn hits_by_call(&self) -> BTreeMap<&str, BTreeMap<&'static str, u64>> {
        let mut by_call: BTreeMap<&str, BTreeMap<&'static str, u64>> = BTreeMap::new();
        for ((call, fault), count) in &self.hits {
            by_call.entry(call).or_default().insert(*fault, *count);
        }
        by_call
    }

    /// The figures, as they are published.
    #[must_use]
    pub fn figures(&self, seed: u64) -> Value {
        let blows: BTreeMap<String, u64> = self
            .blows
            .iter()
            .map(|(blow, count)| (blow.name(), *count))
            .collect();
        json!({
            "seed": seed,
            "payments": self.payments,
            "commands": self.commands,
            "webhooks_accepted": self.heard,
            "seconds_of_faults": self.times.0.as_secs(),
            "seconds_to_rest": self.times.1.as_secs(),
            "kills": self.count(|it| matches!(it, Blow::Kill | Blow::KillWhilePaused)),
            "pauses": self.count(|it| matches!(it, Blow::Pause | Blow::LongPause)),
            "redis_kills": self.count(Blow::kills_redis),
            "socket_faults": self.count(|it| matches!(it, Blow::Socket(..))),
            "clock_jumps": self.count(|it| matches!(it, Blow::WorkerClock | Blow::RedisClock)),
            "gateway_faults": self.gateway_faults(),
            "faults": blows,
            "faults_of_the_gateway": self.hits_by_call(),
            "final_states": self.states,
            "moved_twice": self.moved_twice,
            "cost_of_lost_answers": self.cost,
            "log_bytes_searched": self.search.bytes,
            "problems": self.problems.len(),
        })
    }

    /// The lines that people read.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["what was done".to_owned()];
        let row = |count: u64, what: &str| format!("{count:>9}  {what}");
        lines.extend(
            self.blows
                .iter()
                .map(|(blow, count)| row(*count, &blow.name())),
        );
        for (fault, count) in self.hits_by_fault() {
            lines.push(row(count, &format!("gateway: {fault}")));
        }
        lines.push("what became of the payments".to_owned());
        lines.extend(self.states.iter().map(|(state, count)| row(*count, state)));
        if !self.cost.is_empty() {
            lines.push("what it cost that Redis lost what it had answered".to_owned());
            lines.extend(self.cost.iter().map(|(what, count)| row(*count, what)));
        }
        let (faults, rest) = self.times;
        lines.push(format!(
            "{} payments and {} commands, {} webhooks accepted; faults for {} s, at rest {} s later",
            self.payments,
            self.commands,
            self.heard,
            faults.as_secs(),
            rest.as_secs()
        ));
        lines.push(format!(
            "{} files and {} MB of logs searched for secrets",
            self.search.files,
            self.search.bytes / 1_000_000
        ));
        lines
    }
}
