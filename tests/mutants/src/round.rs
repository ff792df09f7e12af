//! What becomes of a mutant: the layers are run until one of them notices.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::command::{Exit, run};
use crate::killer::Killer;
use crate::mutant::Mutant;
use crate::tree::Tree;

/// How long a build may take: the first one builds everything.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
/// How long a layer may take.
const LAYER_LIMIT: Duration = Duration::from_secs(6 * 60);
/// What tests are compiled by: most of a round goes by in the compiler, and little in the tests.
const TESTED: &str = "small-changes";
/// So many seeds that broke a promise are enough.
const ENOUGH: &str = "1";
/// What nextest answers when a filter fits no test.
const NO_TESTS: i32 = 4;

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A layer noticed.
    Killed {
        /// Which one.
        by: &'static str,
        /// The promise that was broken, or the tests that failed.
        how: String,
    },
    /// No layer noticed.
    Survived,
    /// It says nothing: it does not apply, does not compile, or its layers are not there.
    Broken(String),
}

impl Verdict {
    /// The word for it, and what there is to say.
    #[must_use]
    pub fn told(&self) -> (&'static str, &str) {
        match self {
            Self::Killed { by, how } => (by, how),
            Self::Survived => ("SURVIVED", ""),
            Self::Broken(why) => ("BROKEN", why),
        }
    }
}

/// A verdict, and how long it took.
#[derive(Debug)]
pub struct Ended {
    /// What became of it.
    pub verdict: Verdict,
    /// In seconds.
    pub seconds: u64,
}

/// What one layer said.
enum Said {
    Nothing,
    Noticed(String),
    Broken(String),
}

/// A run over mutants, in one copy of the tree.
#[derive(Debug)]
pub struct Round {
    tree: Tree,
    seeds: u64,
}

impl Round {
    /// With so many seeds for each simulation.
    #[must_use]
    pub const fn new(tree: Tree, seeds: u64) -> Self {
        Self { tree, seeds }
    }

    /// The tree that they are put into.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Without a mutant every layer passes, or what it says of a mutant means nothing.
    pub fn check_unmutated(&self, mutants: &[Mutant]) -> anyhow::Result<()> {
        let mut killers: Vec<Killer> = Vec::new();
        for killer in mutants.iter().flat_map(|mutant| &mutant.killers) {
            if !killers.contains(killer) && !matches!(killer, Killer::Compiler(_)) {
                killers.push(killer.clone());
            }
        }
        killers.sort_by_key(Killer::layer);
        for layer in layers(&killers) {
            let name = layer[0].layer();
            match self.run(layer, false)? {
                Said::Nothing => {}
                Said::Noticed(how) | Said::Broken(how) => {
                    anyhow::bail!("without any mutant, {name}: {how}")
                }
            }
        }
        Ok(())
    }

    /// Puts a mutant in, runs its layers, and takes it out.
    pub fn judge(&self, mutant: &Mutant) -> anyhow::Result<Ended> {
        let began = Instant::now();
        let verdict = match self.tree.put_in(mutant) {
            Ok(()) => self.verdict(mutant),
            Err(error) => Ok(Verdict::Broken(format!("{error:#}"))),
        };
        self.tree.take_out(mutant)?;
        Ok(Ended {
            verdict: verdict?,
            seconds: began.elapsed().as_secs(),
        })
    }

    fn verdict(&self, mutant: &Mutant) -> anyhow::Result<Verdict> {
        ensure!(!mutant.killers.is_empty(), "{}: no killer", mutant.name);
        for layer in layers(&mutant.killers) {
            match self.run(layer, mutant.may_hang)? {
                Said::Nothing => {}
                Said::Noticed(how) => {
                    let by = layer[0].layer();
                    return Ok(Verdict::Killed { by, how });
                }
                Said::Broken(why) => return Ok(Verdict::Broken(why)),
            }
        }
        Ok(Verdict::Survived)
    }

    /// Runs killers of one layer.
    fn run(&self, layer: &[Killer], may_hang: bool) -> anyhow::Result<Said> {
        let names: Vec<&str> = layer.iter().filter_map(Killer::test).collect();
        let said = match &layer[0] {
            Killer::Simulation => self.simulate(&[])?,
            Killer::WeakestGateway => self.simulate(&["--weakest", "park"])?,
            Killer::Library(_) => self.tests(&["--lib"], &names)?,
            Killer::Integration(_) => self.tests(&["--test", "it"], &names)?,
            Killer::Examples(path) => self.examples(path)?,
            Killer::Compiler(code) => self.compile(code)?,
        };
        Ok(match said {
            (Exit::OutOfTime, _) if may_hang => Said::Noticed("it does not end in time".to_owned()),
            (Exit::OutOfTime, _) => Said::Broken("it does not end in time".to_owned()),
            (Exit::Code(_), said) => said,
        })
    }

    fn simulate(&self, more: &[&str]) -> anyhow::Result<(Exit, Said)> {
        let mut build = self.cargo(&["build", "--profile", "mutants"]);
        build.args(["-p", "holdfast-simulation", "-p", "holdfast"]);
        build.args(["--lib", "--bin", "simulate"]);
        if let Some(broken) = self.build(&mut build)? {
            return Ok(broken);
        }
        let mut simulate = Command::new(self.tree.built().join("mutants/simulate"));
        let seeds = self.seeds.to_string();
        simulate.args(["--seeds", &seeds, "--least", "0", "--enough", ENOUGH]);
        simulate.args(more);
        let (exit, told) = self.go(&mut simulate, LAYER_LIMIT)?;
        let broken = told
            .lines()
            .skip_while(|line| !line.ends_with("broke a promise:"));
        let promise = broken.skip(1).map(str::trim).next().unwrap_or_default();
        let said = match exit {
            Exit::Code(0) => Said::Nothing,
            _ if !promise.is_empty() => Said::Noticed(promise.to_owned()),
            _ => match told.lines().find(|line| line.contains("panicked at")) {
                Some(line) => Said::Noticed(line.trim().to_owned()),
                None => Said::Broken(end_of(&told)),
            },
        };
        Ok((exit, said))
    }

    fn tests(&self, target: &[&str], names: &[&str]) -> anyhow::Result<(Exit, Said)> {
        let filter: Vec<String> = names.iter().map(|name| format!("test({name})")).collect();
        let nextest = |more: &[&str]| {
            let mut command = self.cargo(&["nextest", "run", "--cargo-profile", TESTED]);
            command.args(["-p", "holdfast"]).args(target).args(more);
            command
        };
        if let Some(broken) = self.build(&mut nextest(&["--no-run"]))? {
            return Ok(broken);
        }
        let mut run = nextest(&["--fail-fast", "--color", "never", "-E"]);
        run.arg(filter.join(" | "));
        let (exit, told) = self.go(&mut run, LAYER_LIMIT)?;
        let said = match exit {
            Exit::Code(0) => Said::Nothing,
            Exit::Code(NO_TESTS) => Said::Broken(format!("there is no such test: {names:?}")),
            _ => match failed(&told) {
                failed if failed.is_empty() => Said::Broken(end_of(&told)),
                failed => Said::Noticed(failed.join(", ")),
            },
        };
        Ok((exit, said))
    }

    fn examples(&self, path: &str) -> anyhow::Result<(Exit, Said)> {
        let mut test = self.cargo(&["test", "--profile", TESTED, "-p", "holdfast", "--doc", path]);
        let (exit, told) = self.go(&mut test, BUILD_LIMIT)?;
        let failed: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
            .collect();
        let none = told.contains("running 0 tests");
        let said = match exit {
            Exit::Code(0) if !none => Said::Nothing,
            Exit::Code(101) if !failed.is_empty() => Said::Noticed(failed.join(", ")),
            _ => Said::Broken(end_of(&told)),
        };
        Ok((exit, said))
    }

    /// Compiling is what it dies of, and of nothing else: another error is a slip in the mutant.
    fn compile(&self, code: &str) -> anyhow::Result<(Exit, Said)> {
        let mut check = self.cargo(&["check", "--profile", TESTED, "-p", "holdfast", "--lib"]);
        let (exit, told) = self.go(&mut check, BUILD_LIMIT)?;
        let errors: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with("error["))
            .collect();
        let wanted = format!("error[{code}]");
        let said = match errors.first() {
            None if exit == Exit::Code(0) => Said::Nothing,
            Some(first) if errors.iter().all(|error| error.starts_with(&wanted)) => {
                Said::Noticed((*first).to_owned())
            }
            _ => Said::Broken(end_of(&told)),
        };
        Ok((exit, said))
    }

    /// What is wrong, if it does not compile.
    fn build(&self, command: &mut Command) -> anyhow::Result<Option<(Exit, Said)>> {
        let (exit, told) = self.go(command, BUILD_LIMIT)?;
        let error = || told.lines().find(|line| line.starts_with("error"));
        let why = || error().map_or_else(|| end_of(&told), ToOwned::to_owned);
        Ok((exit != Exit::Code(0)).then(|| {
            (
                Exit::Code(1),
                Said::Broken(format!("it does not compile: {}", why())),
            )
        }))
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command
            .args(arguments)
            .env("CARGO_TARGET_DIR", self.tree.built())
            .env("CARGO_TERM_COLOR", "never");
        command
    }

    fn go(&self, command: &mut Command, limit: Duration) -> anyhow::Result<(Exit, String)> {
        let log: PathBuf = self.tree.built().join("last.log");
        run(command, self.tree.folder(), &log, limit)
    }
}

/// Killers that are next to each other and run together: tests of one program.
fn layers(killers: &[Killer]) -> impl Iterator<Item = &[Killer]> {
    killers.chunk_by(|one, other| {
        one.layer() == other.layer() && one.test().is_some() && other.test().is_some()
    })
}

/// The tests that nextest tells failed, by name.
fn failed(told: &str) -> Vec<String> {
    let ends = ["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGSEGV [", "ABORT ["];
    let mut names: Vec<String> = told
        .lines()
        .map(str::trim_start)
        .filter(|line| ends.iter().any(|end| line.starts_with(end)))
        .filter_map(|line| line.split_whitespace().last())
        .map(ToOwned::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn end_of(told: &str) -> String {
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}
