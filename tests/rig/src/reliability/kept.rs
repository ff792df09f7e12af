//! The figures of long runs, as they are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::Report;

/// Where they are, below the root of the repository.
pub const FOLDER: &str = "docs/reliability";

/// What a long run found, as [`Report`] writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    /// Its name, which is its file's.
    pub run: String,
    /// What repeats it.
    pub command: String,
    /// What was run.
    pub commit: String,
    /// On which day.
    pub date: String,
    /// On how many cores.
    pub cores: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Whether it found nothing wrong.
    pub passed: bool,
    /// What it counted.
    pub figures: Value,
}

/// All that is kept in a folder, by name.
pub(super) fn all(folder: &Path) -> anyhow::Result<BTreeMap<String, Kept>> {
    let mut runs = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let told = || format!("{}", path.display());
        let kept: Kept = serde_json::from_slice(&fs::read(&path)?).with_context(told)?;
        let named = path.file_stem().is_some_and(|name| *name == *kept.run);
        ensure!(named, "{}: it is of a run {}", told(), kept.run);
        runs.insert(kept.run.clone(), kept);
    }
    Ok(runs)
}

/// Runs a program that prints its figures as JSON, and keeps them.
pub fn keep_output(report: &Report, program: &[String]) -> anyhow::Result<bool> {
    let (name, arguments) = program.split_first().context("name a program")?;
    let output = Command::new(name)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{name} cannot be run"))?;
    let figures =
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name} prints no JSON"))?;
    report.write(output.status.success(), &figures)?;
    Ok(output.status.success())
}
