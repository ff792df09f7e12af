//! `mutants`: breaks the rules one at a time, and tells what noticed.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use holdfast_mutants::{Ended, Mutant, Round, Tree, Verdict, read_all};
use holdfast_rig::Report;
use serde_json::{Value, json};

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
    /// Writes what was found to this file.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where the tree is.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = arguments.root.canonicalize()?;
    let mut mutants = read_all(&root)?;
    for only in &arguments.only {
        let found = mutants.iter().any(|mutant| is_meant(mutant, only));
        ensure!(found, "no mutant has {only:?} in its name");
    }
    mutants.retain(|mutant| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|only| is_meant(mutant, only))
    });
    if arguments.list {
        for mutant in &mutants {
            println!("{:<4} {:<44} {}", mutant.rule, mutant.name, mutant.why);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let report = arguments
        .report
        .as_deref()
        .map(|path| Report::begin(path, "mutants", command(&arguments)));
    let ended = judge_all(&root, &mutants, arguments.seeds)?;
    let lives = |ended: &&Ended| !matches!(ended.verdict, Verdict::Killed { .. });
    let alive = ended.iter().filter(lives).count();
    println!("\n{} mutants, {alive} not killed", mutants.len());
    if let Some(report) = report {
        report.write(alive == 0, &figures(&mutants, &ended, arguments.seeds))?;
    }
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

fn judge_all(root: &Path, mutants: &[Mutant], seeds: u64) -> anyhow::Result<Vec<Ended>> {
    let round = Round::new(Tree::copy_of(root)?, seeds);
    println!("first without any mutant: everything is built, and every layer must pass");
    round.check_unmutated(mutants)?;
    let mut all = Vec::new();
    for mutant in mutants {
        let ended = round.judge(mutant)?;
        let (word, how) = told(&ended.verdict);
        println!(
            "{:<4} {:<44} {:>4} s  {word:<28} {how}",
            mutant.rule, mutant.name, ended.seconds
        );
        all.push(ended);
    }
    Ok(all)
}

fn told(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Killed { by, how } => (by, how),
        Verdict::Survived => ("SURVIVED", ""),
        Verdict::Broken(why) => ("BROKEN", why),
    }
}

fn figures(mutants: &[Mutant], ended: &[Ended], seeds: u64) -> Value {
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    for (mutant, ended) in mutants.iter().zip(ended) {
        let (word, how) = told(&ended.verdict);
        *by.entry(word).or_default() += 1;
        rows.push(json!({
            "name": mutant.name,
            "rule": mutant.rule,
            "killed_by": word,
            "how": how.chars().take(120).collect::<String>(),
            "seconds": ended.seconds,
        }));
    }
    json!({ "seeds": seeds, "by": by, "mutants": rows })
}
