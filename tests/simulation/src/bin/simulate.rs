//! `simulate`: seeds, many of them; or one, with all that happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use holdfast::payment::UnknownPolicy;
use holdfast_rig::Report;
use holdfast_simulation::{Keep, Outcome, Plan, Summary, figures, many, run, shrink};

/// How often a failing seed is run to make it small.
const MOST_RUNS: usize = 600;
const TELL_EVERY: Duration = Duration::from_secs(5);
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Runs the real worker against a simulated gateway in virtual time, once for each seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only this seed, with its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Leave out of that seed what is not needed to make it fail.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// How often each fault must have struck each call; by the number of seeds, without it.
    #[arg(long)]
    least: Option<u64>,
    /// After so many seeds that broke a promise no more are begun.
    #[arg(long, default_value_t = 10)]
    enough: usize,
    /// A gateway that does not serialise charges, with this policy for what is unknown.
    #[arg(long)]
    weakest: Option<Unknown>,
    /// Where to write the figures; every minute those of the seeds that are done.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unknown {
    Park,
    ResendSame,
}

impl Arguments {
    fn plan(&self, seed: u64) -> Plan {
        match self.weakest {
            None => Plan::of(seed),
            Some(Unknown::Park) => Plan::on_the_weakest_gateway(seed, UnknownPolicy::Park),
            Some(Unknown::ResendSame) => {
                Plan::on_the_weakest_gateway(seed, UnknownPolicy::ResendSame)
            }
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(&arguments, seed),
        None => all(&arguments),
    }
}

fn one(arguments: &Arguments, seed: u64) -> anyhow::Result<ExitCode> {
    let mut plan = arguments.plan(seed);
    if arguments.shrink {
        let Some(failing) = shrink(plan, MOST_RUNS)? else {
            say("nothing to shrink: this seed breaks no promise");
            return Ok(ExitCode::SUCCESS);
        };
        let (payments, faults) = failing.left;
        say(&format!(
            "shrunk to {payments} payments and {faults} faults"
        ));
        plan = failing.plan;
    }
    let outcome = run(plan, Keep::Lines)?;
    for line in &outcome.lines {
        if !arguments.shrink || concerns(line, &outcome.problems) {
            say(line);
        }
        if arguments.shrink && line.contains(" !! ") {
            break;
        }
    }
    Ok(tell_one(&outcome))
}

/// Whether a line is about a payment that a problem names, or about none.
fn concerns(line: &str, problems: &[String]) -> bool {
    let number = |word: &&str| {
        let digits = word.strip_prefix('p')?.trim_end_matches(':');
        (digits.len() >= 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.to_owned())
    };
    let of_line = line.split(' ').find_map(|word| number(&word));
    let named: Vec<String> = problems
        .iter()
        .filter_map(|problem| problem.split(' ').find_map(|word| number(&word)))
        .collect();
    named.is_empty() || of_line.is_none_or(|number| named.contains(&number))
}

fn tell_one(outcome: &Outcome) -> ExitCode {
    say(&format!(
        "digest {:016x}, {} events, {} faults, {} s of virtual time, states {:?}",
        outcome.digest,
        outcome.events,
        outcome.faults.len(),
        outcome.lasted_ms / 1000,
        outcome.states
    ));
    for problem in &outcome.problems {
        say(&format!("BROKEN: {problem}"));
    }
    if outcome.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn all(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (first, began) = (arguments.from, Instant::now());
    let report = arguments.report.as_deref().map(|path| {
        let command = format!("make simulate FROM={first} SEEDS={}", arguments.seeds);
        let name = path.file_stem().unwrap_or_default();
        Report::begin(path, &name.to_string_lossy(), command)
    });
    let told = Mutex::new((began, began));
    let summary = many(
        first..first + arguments.seeds,
        arguments.jobs,
        |seed| arguments.plan(seed),
        |sum| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.0.elapsed() >= TELL_EVERY {
                told.0 = Instant::now();
                progress(sum, arguments.seeds, began.elapsed());
            }
            if told.1.elapsed() >= WRITE_EVERY {
                told.1 = Instant::now();
                write(report.as_ref(), sum, false);
            }
            sum.failed.len() < arguments.enough
        },
    )?;
    progress(&summary, arguments.seeds, began.elapsed());
    summarise(&summary);
    let least = arguments.least.unwrap_or(arguments.seeds / 1000);
    let short: Vec<_> = summary.cells.short_of(least).collect();
    for ((call, fault), count) in &short {
        say(&format!(
            "met too seldom: {fault} on {call}, {count} of {least} times"
        ));
    }
    for (seed, problems) in &summary.failed {
        tell_failed(arguments, *seed, problems);
    }
    let fine = summary.failed.is_empty() && (short.is_empty() || arguments.weakest.is_some());
    write(report.as_ref(), &summary, fine);
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Keeps the figures; a run that is cut off has those of its last minute.
fn write(report: Option<&Report>, sum: &Summary, passed: bool) {
    if let Some(report) = report
        && let Err(error) = report.write(passed, &figures(sum))
    {
        say(&format!("the figures were not kept: {error:#}"));
    }
}

fn tell_failed(arguments: &Arguments, seed: u64, problems: &[String]) {
    say(&format!("\nseed {seed} broke a promise:"));
    for problem in problems {
        say(&format!("  {problem}"));
    }
    let weakest = match arguments.weakest {
        None => "",
        Some(Unknown::Park) => " --weakest park",
        Some(Unknown::ResendSame) => " --weakest resend-same",
    };
    say(&format!(
        "  cargo run --release -p holdfast-simulation --bin simulate -- --seed {seed}{weakest}"
    ));
}

fn progress(sum: &Summary, seeds: u64, took: Duration) {
    let rate = f64::from(u32::try_from(sum.seeds).unwrap_or(u32::MAX)) / took.as_secs_f64();
    let broken: Vec<u64> = sum.failed.iter().map(|(seed, _)| *seed).collect();
    say(&format!(
        "{}/{seeds} seeds, {rate:.0} a second, {} payments, {} faults, {} kills, broken: {broken:?}",
        sum.seeds, sum.payments, sum.faults, sum.workers[0],
    ));
}

fn summarise(sum: &Summary) {
    let [kills, pauses, stops] = sum.workers;
    say(&format!(
        "\n{} seeds, {} payments, {} faults, {} events, {} h of virtual time, digest {:016x}",
        sum.seeds,
        sum.payments,
        sum.faults,
        sum.events,
        sum.lasted_ms / 3_600_000,
        sum.digest
    ));
    say(&format!(
        "workers: {kills} killed, {pauses} paused for longer than their lease, {stops} told to end"
    ));
    say(&format!(
        "payments whose money moved more than once: {}",
        sum.doubles
    ));
    for (state, count) in &sum.states {
        say(&format!("  {count:>8} {state}"));
    }
    tell_cells(sum);
}

/// One line a call, with how often it met what.
fn tell_cells(sum: &Summary) {
    let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((call, fault), count) in sum.cells.iter() {
        let row = rows.entry(call).or_default();
        row.push(format!("{fault} {count}"));
    }
    for (call, row) in rows {
        say(&format!("  {call:<16} {}", row.join(", ")));
    }
}

fn say(line: &str) {
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}
