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
        }
    }

    /// Writes what was found, with what a reader needs in order to judge and repeat it: command,
    /// commit, day, cores and how long it took, in seconds.
    pub fn write(&self, passed: bool, figures: &Value) -> anyhow::Result<()> {
        self.write_of(self.began.elapsed().as_secs(), passed, figures)
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
fn commit() -> String {
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
