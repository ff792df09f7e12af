//! What a fuzzer prints at its end, as figures.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

/// Reads what the fuzzer printed, a file for each target: how many inputs were tried, and how many
/// were worth keeping because they reached something new.
pub fn fuzzed(folder: &Path) -> anyhow::Result<Value> {
    let mut targets = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let said = fs::read_to_string(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let told = || format!("{}: the fuzzer did not come to its end", path.display());
        let tried = stat(&said, "number_of_executed_units").with_context(told)?;
        let kept = stat(&said, "new_units_added").with_context(told)?;
        targets.insert(name.into_owned(), json!({ "tried": tried, "kept": kept }));
    }
    Ok(json!(targets))
}

fn stat(said: &str, name: &str) -> Option<u64> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(&format!("stat::{name}:")))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuzzer_that_broke_off_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("answer.log");
        let whole = "x\nstat::number_of_executed_units: 12\nstat::new_units_added:   3\n";
        fs::write(&log, whole).unwrap();
        let figures = fuzzed(folder.path()).unwrap();
        assert_eq!(figures, json!({ "answer": { "tried": 12, "kept": 3 } }));
        fs::write(&log, "==1== ERROR: libFuzzer: deadly signal").unwrap();
        assert!(fuzzed(folder.path()).is_err());
    }
}
