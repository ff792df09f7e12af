//! `mutants`: breaks the rules one at a time, and tells what noticed.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use holdfast_mutants::{Found, Mutant, Round, Tree, Verdict, read_all};
use holdfast_rig::{Before, Report, commit};

/// Breaks the rules one at a time, and tells which layer noticed. Ends with 1 if none did.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only the mutants with this in their name, or of this rule; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
    /// Only tells their names.
    #[arg(long)]
    list: bool,
    /// How many seeds are simulated with each.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Writes what was found to this file, and goes on with what is missing there: a round may take
    /// several runs.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where the tree is.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = arguments.root.canonicalize()?;
    let all = read_all(&root)?;
    for only in &arguments.only {
        let found = all.iter().any(|mutant| is_meant(mutant, only));
        ensure!(found, "no mutant has {only:?} in its name");
    }
    let meant = |mutant: &&Mutant| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|only| is_meant(mutant, only))
    };
    let mutants: Vec<Mutant> = all.iter().filter(meant).cloned().collect();
    if arguments.list {
        for mutant in &mutants {
            println!("{:<4} {:<44} {}", mutant.rule, mutant.name, mutant.why);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut sitting = Sitting::begin(&arguments, root, all);
    let mutants = sitting.found.left_of(&mutants);
    let alive = sitting.judge_all(&mutants)?;
    println!("\n{} mutants, {alive} not killed", mutants.len());
    Ok(if alive == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_meant(mutant: &Mutant, only: &str) -> bool {
    mutant.name.contains(only) || mutant.rule == only
}

fn command(arguments: &Arguments) -> String {
    match arguments.only.as_slice() {
        [] => "make mutants".to_owned(),
        only => format!("make mutants ONLY={:?}", only.join(" ")),
    }
}

/// One of the runs that a round takes.
struct Sitting {
    root: PathBuf,
    all: Vec<Mutant>,
    seeds: u64,
    found: Found,
    report: Option<Report>,
}

impl Sitting {
    fn begin(arguments: &Arguments, root: PathBuf, all: Vec<Mutant>) -> Self {
        let seeds = arguments.seeds;
        let path = arguments.report.as_deref();
        let report = path.map(|path| Report::begin(path, "mutants", command(arguments)));
        let before = path.and_then(Before::read);
        let found = before.as_ref().map_or_else(Found::default, |before| {
            Found::on_record(before, (&root, seeds), &all)
        });
        let report = match before {
            Some(before) if !found.is_empty() => {
                println!("{} of {} are on record", found.len(), all.len());
                report.map(|report| report.after(&before))
            }
            _ => report,
        };
        Self {
            root,
            all,
            seeds,
            found,
            report,
        }
    }

    /// Judges them one after the other; each is on record at once. Answers how many were not killed.
    fn judge_all(&mut self, mutants: &[Mutant]) -> anyhow::Result<usize> {
        let round = Round::new(Tree::copy_of(&self.root)?, self.seeds);
        println!("first without any mutant: everything is built, and every layer must pass");
        round.check_unmutated(mutants)?;
        let (mut alive, commit) = (0, commit());
        for mutant in mutants {
            let ended = round.judge(mutant)?;
            let (word, how) = ended.verdict.told();
            println!(
                "{:<4} {:<44} {:>4} s  {word:<28} {how}",
                mutant.rule, mutant.name, ended.seconds
            );
            alive += usize::from(!matches!(ended.verdict, Verdict::Killed { .. }));
            let tree = (round.tree().folder(), commit.as_str());
            self.found.add(mutant, tree, &ended);
            self.write()?;
        }
        Ok(alive)
    }

    fn write(&self) -> anyhow::Result<()> {
        let Some(report) = &self.report else {
            return Ok(());
        };
        let passed = self.found.all_noticed(&self.all);
        report.write(passed, &self.found.figures(&self.all, self.seeds))
    }
}
