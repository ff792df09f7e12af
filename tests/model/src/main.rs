//! `model`: searches everything that can happen to a payment, and says what it found.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::process::ExitCode;

use holdfast_model::report;
use holdfast_model::rows::{ROWS, Row};
use holdfast_model::run::{Finding, run, run_all};

const USAGE: &str = "usage: model [--quick] [--json] [--row NAME]...
  --row NAME  searches that row alone, and tells what happened
  --quick     with smaller bounds
  --json      as JSON, traces included";

/// Rows searched at the same time: each may take a gigabyte.
const AT_ONCE: usize = 2;

#[derive(Default)]
struct Arguments {
    quick: bool,
    json: bool,
    rows: Vec<&'static Row>,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let bounded = |row: &Row| if arguments.quick { row.quick() } else { *row };
    let findings: Vec<Finding> = if arguments.rows.is_empty() {
        let rows: Vec<Row> = ROWS.iter().map(bounded).collect();
        all(&rows, arguments.json)
    } else {
        let rows = arguments.rows.iter();
        rows.map(|row| run(&bounded(row)))
            .inspect(|finding| {
                if !arguments.json {
                    println!("{}", report::story(finding));
                }
            })
            .collect()
    };
    if arguments.json {
        println!("{}", report::json(&findings));
    }
    if findings.iter().all(Finding::is_as_expected) {
        ExitCode::SUCCESS
    } else {
        eprintln!("not everything is as expected");
        ExitCode::FAILURE
    }
}

fn all(rows: &[Row], quietly: bool) -> Vec<Finding> {
    if !quietly {
        println!("{}", report::head());
    }
    let mut kind = None;
    run_all(rows, AT_ONCE, |finding| {
        if quietly {
            return;
        }
        if kind.replace(finding.row.kind) != Some(finding.row.kind) {
            println!("\n{}", report::heading(finding.row.kind));
        }
        println!("{}", report::line(finding));
    })
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.quick = true,
            "--json" => arguments.json = true,
            "--row" => {
                let name = words.next().unwrap_or_default();
                let row = Row::named(&name).ok_or_else(|| no_row(&name))?;
                arguments.rows.push(row);
            }
            _ => return Err(format!("{word:?} is not known")),
        }
    }
    Ok(arguments)
}

fn no_row(name: &str) -> String {
    let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    format!("there is no row {name:?}; there are {}", names.join(", "))
}
