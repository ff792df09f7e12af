//! `crash-points`: every I/O of every flow, struck in every manner; one at a time, two at a time.
//! Or one case of them, with all that happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use holdfast_rig::Report;
use holdfast_simulation::Keep;
use holdfast_simulation::points::{Case, Depth, Fault, Setup, Sum, Twice, Verdict, every};
use serde_json::{Value, json};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Strikes every I/O of every flow in every manner, and compares how it ends with how it should.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only one fault a run; without it, every second one after every first one too.
    #[arg(long)]
    singles: bool,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only this flow under this account, such as `charge/parks`; may be given again.
    #[arg(long)]
    only: Vec<Setup>,
    /// One run of this flow under this account, with its trace.
    #[arg(long, conflicts_with_all = ["only", "singles", "report"])]
    case: Option<Setup>,
    /// What is struck in that run, such as `worker/store.save/1/crash-before`; may be given again.
    #[arg(long, requires = "case")]
    fault: Vec<Fault>,
    /// When every job of that run is delivered a second time: `at-claim` or `at-permit`.
    #[arg(long, requires = "case", value_parser = twice)]
    twice: Option<Twice>,
    /// Write the figures there, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn twice(word: &str) -> Result<Twice, String> {
    Twice::named(word).ok_or_else(|| "at-claim or at-permit".to_owned())
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.case {
        Some(setup) => one(setup, &arguments),
        None => all(&arguments),
    }
}

fn one(setup: Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plain = Case::undisturbed(setup, arguments.twice);
    let expected = Case::undisturbed(setup, None).run(Keep::Digest)?.end;
    let case = arguments
        .fault
        .iter()
        .fold(plain, |case, fault| case.with(*fault));
    let told = case.run(Keep::Lines)?;
    for line in &told.lines {
        say(line);
    }
    say("\nI/Os, in this order:");
    for point in &told.sequence {
        say(&format!("  {point}"));
    }
    say(&format!(
        "\nexpected {expected:#?}\ncame to  {:#?}",
        told.end
    ));
    for problem in &told.problems {
        say(&format!("BROKEN: {problem}"));
    }
    let verdict = match (&expected, &told.end) {
        (Some(expected), Some(end)) => Verdict::of(&case, expected, end),
        _ => Verdict::Wrong,
    };
    say(&format!("{verdict}"));
    let fine = told.problems.is_empty() && verdict != Verdict::Wrong;
    Ok(code(fine))
}

fn code(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One part of the whole: what is done, how far, and what it came to.
struct Part {
    name: &'static str,
    seconds: f64,
    sum: Sum,
}

fn all(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = arguments.report.as_ref().map(|path| {
        let more = if arguments.singles { " PAIRS=" } else { "" };
        let command = format!("make crash-points{more}");
        Report::begin(path, "crash_points", command)
    });
    let setups: Vec<Setup> = if arguments.only.is_empty() {
        Setup::all().collect()
    } else {
        arguments.only.clone()
    };
    say(&format!(
        "every I/O of {} flows, counted under each account, is struck in every manner, on {} threads",
        setups.len(),
        arguments.jobs
    ));
    let plain = if arguments.singles {
        ("one fault a run", None, Depth::Singles)
    } else {
        (
            "one fault a run, and every second one after it",
            None,
            Depth::Pairs,
        )
    };
    let parts = [
        plain,
        (
            "every job delivered twice at once",
            Some(Twice::AtClaim),
            Depth::Singles,
        ),
        (
            "every job delivered again when its permit is out",
            Some(Twice::AtPermit),
            Depth::Singles,
        ),
    ];
    let mut done = Vec::new();
    for (name, twice, depth) in parts {
        say(&format!("\n{name}"));
        let began = Instant::now();
        let told = Mutex::new(began);
        let sum = every(&setups, (twice, depth), arguments.jobs, |sum| {
            if let Ok(mut last) = told.lock()
                && last.elapsed() >= TELL_EVERY
            {
                *last = Instant::now();
                say(&format!(
                    "  {} singles and {} pairs so far, {} failed",
                    sum.singles, sum.pairs, sum.failed
                ));
            }
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let part = Part { name, seconds, sum };
        tell(&part);
        done.push(part);
    }
    let passed = done.iter().all(|part| part.sum.failed == 0);
    if let Some(report) = report {
        report.write(passed, &figures(&done))?;
    }
    Ok(code(passed))
}

fn tell(part: &Part) {
    let Part { name, seconds, sum } = part;
    say(&format!("  {name}: {seconds:.0} s"));
    let points: usize = sum.points.values().sum();
    say(&format!(
        "  {} flows with {points} I/Os, {} singles, {} pairs, {} failed",
        sum.points.len(),
        sum.singles,
        sum.pairs,
        sum.failed
    ));
    for (verdict, count) in &sum.ends {
        say(&format!("  {count:>8} {verdict}"));
    }
    let mut rows: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for ((role, io, manner), count) in &sum.cells {
        let row = rows.entry((role.as_str(), io.as_str())).or_default();
        row.push(format!("{manner} {count}"));
    }
    for ((role, io), row) in rows {
        say(&format!("  {role:<6} {io:<16} {}", row.join(", ")));
    }
    for (case, wrong) in &sum.told {
        say(&format!(
            "\n  cargo run --release -p holdfast-simulation --bin crash-points -- {case}"
        ));
        for problem in wrong {
            say(&format!("    {problem}"));
        }
    }
}

fn figures(parts: &[Part]) -> Value {
    let part = |part: &Part| {
        let sum = &part.sum;
        let ends: BTreeMap<String, u64> = sum
            .ends
            .iter()
            .map(|(verdict, count)| (verdict.to_string(), *count))
            .collect();
        json!({
            "what": part.name,
            "flows": sum.points.len(),
            "ios": sum.points.values().sum::<usize>(),
            "calls_and_manners": sum.cells.len(),
            "singles": sum.singles,
            "pairs": sum.pairs,
            "failed": sum.failed,
            "ends": ends,
        })
    };
    json!({ "parts": parts.iter().map(part).collect::<Vec<_>>() })
}

fn say(line: &str) {
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}
