//! `reliability`: makes `docs/reliability.md` from the figures of the last long runs.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use holdfast_rig::Report;
use holdfast_rig::reliability::{PAGE, changed, fuzzed, keep_output, page};

/// Makes docs/reliability.md from docs/reliability/, in the present folder.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs a program that prints its figures as JSON, and keeps them.
    Keep {
        /// Where, such as docs/reliability/model.json: the run has the name of the file.
        report: PathBuf,
        /// What people type to repeat it.
        command: String,
        /// The program and its arguments.
        #[arg(last = true)]
        program: Vec<String>,
    },
    /// Prints what a fuzzer said as JSON.
    Fuzzed {
        /// Where its output is kept, a file for each target.
        folder: PathBuf,
    },
    /// Prints what cargo-mutants found as JSON; fails if a change was missed that nobody explains.
    CargoMutants {
        /// Where to keep it.
        #[arg(long)]
        report: Option<PathBuf>,
        /// Where its output is, a folder for each file that it changed.
        folder: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().what {
        None => {
            fs::write(PAGE, page(Path::new("."))?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(What::Fuzzed { folder }) => {
            writeln!(stdout(), "{}", fuzzed(&folder)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(What::CargoMutants { report, folder }) => {
            let found = changed(Path::new("."), &folder)?;
            let (passed, figures) = (found.passed(), found.figures());
            writeln!(stdout(), "{figures:#}")?;
            if let Some(path) = report {
                let report = Report::begin(&path, "cargo_mutants", "make cargo-mutants".to_owned());
                report.write_of(found.seconds, passed, &figures)?;
            }
            Ok(code(passed))
        }
        Some(What::Keep {
            report,
            command,
            program,
        }) => {
            let run = report.file_stem().unwrap_or_default().to_string_lossy();
            let passed = keep_output(&Report::begin(&report, &run, command), &program)?;
            Ok(code(passed))
        }
    }
}

const fn code(passed: bool) -> ExitCode {
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
