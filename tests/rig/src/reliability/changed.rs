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
    total_mutants: usize,
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

/// Reads what cargo-mutants found in the repository at `root`: in `files` a folder for each file that
/// it changed, with that file as it was and the outcomes of every run. Whoever explains a change that a test notices is told
/// so.
pub fn changed(root: &Path, files: &Path) -> anyhow::Result<Changed> {
    let mut found = Changed::default();
    let mut missed = Vec::new();
    for file in fs::read_dir(files).with_context(|| format!("{}", files.display()))? {
        let file = file?.path();
        let told = || format!("{}", file.display());
        missed.extend(read_file(root, &file, &mut found).with_context(told)?);
    }
    explain(root, missed, &mut found)?;
    Ok(found)
}

/// Reads what was found of one file: the first run, and those that tried again what it missed.
fn read_file(root: &Path, folder: &Path, all: &mut Changed) -> anyhow::Result<Vec<Missed>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            runs.push(serde_json::from_slice::<Run>(&fs::read(path)?)?);
        }
    }
    if runs.is_empty() {
        let possible = fs::read(folder.join("mutants.out/mutants.json"))?;
        let possible: Vec<Value> = serde_json::from_slice(&possible)?;
        ensure!(possible.is_empty(), "no run came to its end");
        return Ok(Vec::new()); // a file of tests
    }
    runs.sort_by_key(|run| run.start_time);
    let mut last: BTreeMap<String, (Mutant, Summary)> = BTreeMap::new();
    for run in runs {
        let ended = run
            .end_time
            .filter(|_| run.outcomes.len() > run.total_mutants);
        let took = ended.context("a run did not come to its end")? - run.start_time;
        all.seconds += u64::try_from(took.num_seconds()).unwrap_or(0);
        for outcome in run.outcomes {
            match outcome.scenario {
                Scenario::Mutant(mutant) => {
                    last.insert(mutant.name.clone(), (mutant, outcome.summary));
                }
                Scenario::Baseline => {
                    let passed = outcome.summary == Summary::Success;
                    ensure!(passed, "the tests fail without any change");
                }
            }
        }
    }
    let was = fs::read_to_string(folder.join("source.rs"))?;
    let mut missed = Vec::new();
    for (mutant, summary) in last.values() {
        let file = source(&mutant.file);
        let is = fs::read_to_string(root.join(&file)).with_context(|| file.clone())?;
        ensure!(code(&was) == code(&is), "{file} has changed since");
        let word = summary.word().context("a change came to no end")?;
        *all.files.entry(file).or_default().entry(word).or_default() += 1;
        if *summary == Summary::MissedMutant {
            missed.push(missed_by(&is, mutant)?);
        }
    }
    Ok(missed)
}

/// A file without its tests, which stand at its end.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

/// The file as it is called in the repository: the package that is compiled reaches it from its own
/// folder.
fn source(file: &str) -> String {
    let inner = file.rsplit_once("../").map_or(file, |(_, inner)| inner);
    inner.to_owned()
}

fn missed_by(text: &str, mutant: &Mutant) -> anyhow::Result<Missed> {
    let line = text.lines().nth(mutant.span.start.line - 1);
    // file:line:column: what
    let change = mutant.name.strip_prefix(&mutant.file).map(|rest| {
        let mut parts = rest.splitn(4, ':').skip(3);
        parts.next().unwrap_or_default().trim().to_owned()
    });
    Ok(Missed {
        file: source(&mutant.file),
        change: change.context("a change without a name")?,
        at: line.context("a change of no line")?.trim().to_owned(),
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

    const SOURCE: &str = "one\n  two > 2\nthree\n\n#[cfg(test)]\nmod tests {}\n";
    const MISSED: &str = "replace > with >= in a::b";

    fn run(minute: u32, total: usize, mutants: Vec<Value>) -> Value {
        let baseline = json!({ "scenario": "Baseline", "summary": "Success" });
        let outcomes: Vec<_> = [baseline].into_iter().chain(mutants).collect();
        json!({
            "total_mutants": total,
            "start_time": format!("2026-11-27T04:{minute}:01Z"),
            "end_time": format!("2026-11-27T04:{minute}:31Z"),
            "outcomes": outcomes,
        })
    }

    /// Of two changes, one was missed.
    fn first(total: usize) -> Value {
        let one = mutant(1, "replace one with ()", "CaughtMutant");
        run(39, total, vec![one, mutant(2, MISSED, "MissedMutant")])
    }

    /// A repository with one file and a file of tests, and what was found of them.
    fn told(survivors: &str, was: &str, runs: &[Value]) -> anyhow::Result<Changed> {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/a.rs", SOURCE);
        write(SURVIVORS, survivors);
        write("found/a/source.rs", was);
        for (number, run) in runs.iter().enumerate() {
            // Named in the opposite order.
            write(&format!("found/a/{}.json", 9 - number), &run.to_string());
        }
        write("found/a/mutants.out/mutants.json", "[{}, {}]");
        write("found/tests/mutants.out/mutants.json", "[]");
        changed(root.path(), &root.path().join("found"))
    }

    fn survivor(change: &str) -> String {
        format!(
            "[[survivor]]\nfile = \"src/a.rs\"\nchange = \"{change}\"\nat = \"two > 2\"\nwhy = \"w\""
        )
    }

    #[test]
    fn what_nothing_noticed_is_unexplained_unless_a_reason_is_given_for_that_very_change() {
        let found = told("", SOURCE, &[first(2)]).unwrap();
        assert!(!found.passed());
        assert_eq!(found.seconds, 30);
        let figures = found.figures();
        let counts = json!({ "caught": 1, "missed": 1 });
        assert_eq!(figures["files"], json!({ "src/a.rs": counts }));
        let missed = json!({ "file": "src/a.rs", "change": MISSED, "at": "two > 2" });
        assert_eq!(figures["unexplained"], json!([missed]));
        assert_eq!(figures["explained"], json!([]));

        let found = told(&survivor(MISSED), SOURCE, &[first(2)]).unwrap();
        assert!(found.passed());
        let figures = found.figures();
        assert_eq!(figures["unexplained"], json!([]));
        assert_eq!(figures["explained"][0]["why"], "w");
    }

    #[test]
    fn an_explanation_of_what_is_noticed_is_an_error() {
        let other = survivor("replace > with < in a::b");
        let problem = told(&other, SOURCE, &[first(2)]).unwrap_err();
        let problem = problem.to_string();
        assert!(problem.contains("what a test notices"), "{problem}");
    }

    #[test]
    fn what_was_tried_again_counts_as_it_ended_the_last_time() {
        let again = run(40, 1, vec![mutant(2, MISSED, "CaughtMutant")]);
        let more_tests = SOURCE.replace("{}", "{ }");
        let found = told("", &more_tests, &[first(2), again]).unwrap();
        assert_eq!(found.seconds, 60);
        let counts = json!({ "caught": 2 });
        assert_eq!(found.figures()["files"]["src/a.rs"], counts);
    }

    #[test]
    fn a_run_that_broke_off_or_is_of_another_file_counts_for_nothing() {
        assert!(told("", SOURCE, &[first(3)]).is_err());
        assert!(told("", SOURCE, &[]).is_err());
        assert!(told("", &SOURCE.replace('2', "3"), &[first(2)]).is_err());
    }
}
