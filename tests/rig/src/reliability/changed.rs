//! What cargo-mutants found, as figures: which changes of the core nothing noticed, and why that is
//! said to be so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The changes that nothing can notice, each with its reason, below the root of the repository.
pub const SURVIVORS: &str = "docs/reliability/survivors.toml";

/// A change of one line that no test notices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Missed {
    file: String,
    /// In the words of cargo-mutants, with the function.
    change: String,
    /// The line as it stands in the file: the same change is possible at several places.
    at: String,
}

/// Why a change that nothing notices changes nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explained {
    file: String,
    change: String,
    at: String,
    why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivors {
    #[serde(default)]
    survivor: Vec<Explained>,
}

#[derive(Debug, Deserialize)]
struct Run {
    outcomes: Vec<Outcome>,
    start_time: DateTime<Utc>,
    end_time: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Debug, Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

#[derive(Debug, Deserialize)]
struct Mutant {
    name: String,
    file: String,
    span: Span,
}

#[derive(Debug, Deserialize)]
struct Span {
    start: Place,
}

#[derive(Debug, Deserialize)]
struct Place {
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    Unviable,
    Timeout,
    Failure,
}

impl Summary {
    const fn word(self) -> Option<&'static str> {
        match self {
            Self::CaughtMutant => Some("caught"),
            Self::MissedMutant => Some("missed"),
            Self::Unviable => Some("unviable"),
            Self::Timeout => Some("timeout"),
            Self::Success | Self::Failure => None,
        }
    }
}

type Counts = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// What was found, over all files.
#[derive(Debug, Default)]
pub struct Changed {
    files: Counts,
    explained: Vec<Value>,
    unexplained: Vec<Missed>,
    /// How long it took, in seconds.
    pub seconds: u64,
}

impl Changed {
    /// Whether every change was noticed, or is explained.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.unexplained.is_empty()
    }

    /// The counts of every file, and what nothing noticed.
    #[must_use]
    pub fn figures(&self) -> Value {
        json!({
            "files": self.files,
            "explained": self.explained,
            "unexplained": self.unexplained,
        })
    }
}

/// Reads what cargo-mutants wrote about the repository at `root`, a folder in `runs` for each file
/// that it changed, with that file as it was. Whoever explains a change that a test notices is told
/// so.
pub fn changed(root: &Path, runs: &Path) -> anyhow::Result<Changed> {
    let mut found = Changed::default();
    let mut missed = Vec::new();
    for run in fs::read_dir(runs).with_context(|| format!("{}", runs.display()))? {
        let run = run?.path();
        let told = || format!("{}", run.display());
        missed.extend(read_run(root, &run, &mut found).with_context(told)?);
    }
    explain(root, missed, &mut found)?;
    Ok(found)
}

fn read_run(root: &Path, folder: &Path, all: &mut Changed) -> anyhow::Result<Vec<Missed>> {
    let run = folder.join("mutants.out");
    let mut missed = Vec::new();
    let possible: Vec<Value> = serde_json::from_slice(&fs::read(run.join("mutants.json"))?)?;
    if possible.is_empty() {
        return Ok(missed); // a file of tests, which writes no outcomes
    }
    let was = fs::read(folder.join("source.rs"))?;
    let found: Run = serde_json::from_slice(&fs::read(run.join("outcomes.json"))?)?;
    let mut tried = 0;
    for outcome in found.outcomes {
        let Scenario::Mutant(mutant) = outcome.scenario else {
            let passed = outcome.summary == Summary::Success;
            ensure!(passed, "the tests fail without any change");
            continue;
        };
        let word = outcome.summary.word().context("a change came to no end")?;
        tried += 1;
        let file = source(&mutant.file);
        let is = fs::read(root.join(&file)).with_context(|| file.clone())?;
        ensure!(was == is, "{file} has changed since");
        let counts = all.files.entry(file).or_default();
        *counts.entry(word).or_default() += 1;
        if outcome.summary == Summary::MissedMutant {
            missed.push(missed_by(root, &mutant)?);
        }
    }
    let ended = found.end_time.filter(|_| tried == possible.len());
    let ended = ended.context("it did not come to its end")?;
    let took = (ended - found.start_time).num_seconds();
    all.seconds += u64::try_from(took).unwrap_or(0);
    Ok(missed)
}

/// The file as it is called in the repository: the package that is compiled reaches it from its own
/// folder.
fn source(file: &str) -> String {
    let inner = file.rsplit_once("../").map_or(file, |(_, inner)| inner);
    inner.to_owned()
}

fn missed_by(root: &Path, mutant: &Mutant) -> anyhow::Result<Missed> {
    let file = source(&mutant.file);
    let text = fs::read_to_string(root.join(&file)).with_context(|| file.clone())?;
    let line = text.lines().nth(mutant.span.start.line - 1);
    // file:line:column: what
    let change = mutant.name.strip_prefix(&mutant.file).map(|rest| {
        let mut parts = rest.splitn(4, ':').skip(3);
        parts.next().unwrap_or_default().trim().to_owned()
    });
    let at = line.with_context(|| format!("{file} has changed since"))?;
    Ok(Missed {
        change: change.context("a change without a name")?,
        at: at.trim().to_owned(),
        file,
    })
}

fn explain(root: &Path, missed: Vec<Missed>, all: &mut Changed) -> anyhow::Result<()> {
    let text = fs::read_to_string(root.join(SURVIVORS)).with_context(|| SURVIVORS.to_owned())?;
    let survivors: Survivors = toml::from_str(&text).with_context(|| SURVIVORS.to_owned())?;
    let is = |one: &Explained, other: &Missed| {
        one.file == other.file && one.change == other.change && one.at == other.at
    };
    for one in &survivors.survivor {
        ensure!(
            !all.files.contains_key(&one.file) || missed.iter().any(|missed| is(one, missed)),
            "{SURVIVORS} explains what a test notices, or what is not there: {} in {}",
            one.change,
            one.file
        );
    }
    for missed in missed {
        match survivors.survivor.iter().find(|one| is(one, &missed)) {
            Some(one) => all.explained.push(json!({
                "file": one.file, "change": one.change, "at": one.at, "why": one.why,
            })),
            None => all.unexplained.push(missed),
        }
    }
    all.unexplained.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(line: usize, change: &str, summary: &str) -> Value {
        let file = "tests/core/src/../../../src/a.rs";
        json!({
            "scenario": { "Mutant": {
                "name": format!("{file}:{line}:5: {change}"),
                "file": file,
                "span": { "start": { "line": line, "column": 5 } },
            } },
            "summary": summary,
        })
    }

    const SOURCE: &str = "one\n  two > 2\nthree\n";

    /// A repository with one file, in which two changes were tried, one of them in vain.
    fn told(survivors: &str, ended: bool, was: &str) -> anyhow::Result<Changed> {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        fs::create_dir_all(root.path().join("src")).unwrap();
        fs::create_dir_all(root.path().join("docs/reliability")).unwrap();
        write("src/a.rs", SOURCE);
        write(SURVIVORS, survivors);
        let outcomes = json!({
            "start_time": "2026-11-27T04:39:01Z",
            "end_time": "2026-11-27T04:39:31Z",
            "outcomes": [
                { "scenario": "Baseline", "summary": "Success" },
                mutant(1, "replace one with ()", "CaughtMutant"),
                mutant(2, "replace > with >= in a::b", "MissedMutant"),
            ],
        });
        fs::create_dir_all(root.path().join("runs/a/mutants.out")).unwrap();
        let possible = vec![json!({}); if ended { 2 } else { 3 }];
        write(
            "runs/a/mutants.out/mutants.json",
            &json!(possible).to_string(),
        );
        write("runs/a/mutants.out/outcomes.json", &outcomes.to_string());
        write("runs/a/source.rs", was);
        fs::create_dir_all(root.path().join("runs/tests/mutants.out")).unwrap();
        write("runs/tests/mutants.out/mutants.json", "[]");
        changed(root.path(), &root.path().join("runs"))
    }

    fn survivor(change: &str) -> String {
        format!(
            "[[survivor]]\nfile = \"src/a.rs\"\nchange = \"{change}\"\nat = \"two > 2\"\nwhy = \"w\""
        )
    }

    #[test]
    fn what_nothing_noticed_is_unexplained_unless_a_reason_is_given_for_that_very_change() {
        let found = told("", true, SOURCE).unwrap();
        assert!(!found.passed());
        assert_eq!(found.seconds, 30);
        let figures = found.figures();
        assert_eq!(
            figures["files"]["src/a.rs"],
            json!({ "caught": 1, "missed": 1 })
        );
        let missed = json!({
            "file": "src/a.rs", "change": "replace > with >= in a::b", "at": "two > 2",
        });
        assert_eq!(figures["unexplained"], json!([missed]));
        assert_eq!(figures["explained"], json!([]));

        let found = told(&survivor("replace > with >= in a::b"), true, SOURCE).unwrap();
        assert!(found.passed());
        let figures = found.figures();
        assert_eq!(figures["unexplained"], json!([]));
        assert_eq!(figures["explained"][0]["why"], "w");
    }

    #[test]
    fn an_explanation_of_what_is_noticed_is_an_error() {
        let problem = told(&survivor("replace > with < in a::b"), true, SOURCE).unwrap_err();
        assert!(
            problem.to_string().contains("what a test notices"),
            "{problem}"
        );
    }

    #[test]
    fn a_run_that_broke_off_or_is_of_another_file_counts_for_nothing() {
        assert!(told("", false, SOURCE).is_err());
        assert!(told("", true, "one\n  two > 3\nthree\n").is_err());
    }
}
