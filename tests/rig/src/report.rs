//! What a long run found, kept beside the documentation: `docs/reliability.md` is made from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::Context;
use chrono::Utc;
use serde_json::{Value, json};

/// A long run whose figures are to be published.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    run: String,
    command: String,
    commit: String,
    began: Instant,
    /// How long the part took that was on record before, in seconds.
    before_s: u64,
}

/// What the part of a run came to that is on record already.
#[derive(Debug, Clone)]
pub struct Before {
    /// The command of that part.
    pub command: String,
    /// Its figures.
    pub figures: Value,
    commit: String,
    seconds: u64,
}

impl Before {
    /// Reads what is on record in `path`, if it can be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let told: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let text = |name: &str| told[name].as_str().map(ToOwned::to_owned);
        Some(Self {
            command: text("command")?,
            commit: text("commit")?,
            seconds: told["seconds"].as_u64()?,
            figures: told["figures"].clone(),
        })
    }
}

impl Report {
    /// A run that begins now, will be told in `path`, and can be repeated with `command`.
    #[must_use]
    pub fn begin(path: &Path, run: &str, command: String) -> Self {
        Self {
            path: path.to_owned(),
            run: run.to_owned(),
            command,
            commit: commit(),
            began: Instant::now(),
            before_s: 0,
        }
    }

    /// The same run, of which a part is on record: its time counts, and its commit is named.
    #[must_use]
    pub fn after(self, before: &Before) -> Self {
        let commit = if before.commit.ends_with(&self.commit) {
            before.commit.clone()
        } else {
            format!("{}, then {}", before.commit, self.commit)
        };
        Self {
            commit,
            before_s: before.seconds,
            ..self
        }
    }

    /// Writes what was found, with what a reader needs in order to judge and repeat it: command,
    /// commit, day, cores and how long it took, in seconds.
    pub fn write(&self, passed: bool, figures: &Value) -> anyhow::Result<()> {
        let seconds = self.before_s + self.began.elapsed().as_secs();
        self.write_of(seconds, passed, figures)
    }

    /// The same of a run in several parts, which took so many seconds in all.
    pub fn write_of(&self, seconds: u64, passed: bool, figures: &Value) -> anyhow::Result<()> {
        let told = json!({
            "run": self.run,
            "command": self.command,
            "commit": self.commit,
            "date": Utc::now().format("%Y-%m-%d").to_string(),
            "cores": available_parallelism().map_or(0, usize::from),
            "seconds": seconds,
            "passed": passed,
            "figures": figures,
        });
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = format!("{}\n", serde_json::to_string_pretty(&told)?);
        let path = self.path.display();
        fs::write(&self.path, text).with_context(|| format!("{path}: cannot be written"))
    }
}

/// The commit that runs, asked for when it begins, and whether the files were as it has them.
/// The commit that is checked out here, and whether anything has changed since.
#[must_use]
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| said.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changed) if changed.is_empty() => commit,
        _ => format!("{commit}, changed"),
    }
}
