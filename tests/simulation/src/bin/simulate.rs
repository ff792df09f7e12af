//! `simulate`: seeds, many of them; or one, with all that happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use holdfast::payment::UnknownPolicy;
use holdfast_rig::{Before, Report};
use holdfast_simulation::{Keep, Outcome, Plan, Summary, figures, many, run, shrink, together};
use serde_json::Value;

/// How often a failing seed is run to make it small.
const MOST_RUNS: usize = 600;
const TELL_EVERY: Duration = Duration::from_secs(5);
/// So many seeds are put on record together.
const BLOCK: u64 = 10_000;

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
    /// Where to keep the figures. A run that was cut off goes on where its record ends.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unknown {
    Park,
    ResendSame,
}

impl Arguments {
    fn command_but_for_seeds(&self) -> String {
        let weakest = match self.weakest {
            None => "",
            Some(Unknown::Park) => "WEAKEST=park ",
            Some(Unknown::ResendSame) => "WEAKEST=resend-same ",
        };
        format!("make simulate {weakest}FROM={} SEEDS=", self.from)
    }

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
    let (record, done) = Record::open(arguments);
    let (first, end) = (arguments.from + done, arguments.from + arguments.seeds);
    if done > 0 {
        say(&format!(
            "{done} seeds are on record; going on with {first}"
        ));
    }
    let (began, told) = (Instant::now(), Mutex::new(Instant::now()));
    let mut whole = Summary::none();
    let mut next = first;
    while next < end && whole.failed.len() < arguments.enough {
        let block = next..end.min(next + BLOCK);
        next = block.end;
        let part = many(
            block,
            arguments.jobs,
            |seed| arguments.plan(seed),
            |sum| {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.elapsed() >= TELL_EVERY {
                    *told = Instant::now();
                    progress(&whole, sum, end - first, began.elapsed());
                }
                whole.failed.len() + sum.failed.len() < arguments.enough
            },
        )?;
        whole.join(part);
        record.write(&whole, false);
    }
    progress(&whole, &Summary::none(), end - first, began.elapsed());
    Ok(judge(arguments, &whole, &record))
}

/// Tells what this run came to, and keeps it.
fn judge(arguments: &Arguments, whole: &Summary, record: &Record) -> ExitCode {
    summarise(whole);
    let least = arguments.least.unwrap_or(whole.seeds / 200);
    let short: Vec<_> = whole.cells.short_of(least).collect();
    for ((call, fault), count) in &short {
        say(&format!(
            "met too seldom: {fault} on {call}, {count} of {least} times"
        ));
    }
    for (seed, problems) in &whole.failed {
        tell_failed(arguments, *seed, problems);
    }
    let fine = whole.failed.is_empty() && (short.is_empty() || arguments.weakest.is_some());
    record.write(whole, fine);
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Where the figures are kept, after each block of seeds. A run that was cut off goes on with the
/// first seed that is not on record.
struct Record {
    report: Option<Report>,
    before: Value,
}

impl Record {
    /// The record of this run, and how many of its seeds it has.
    fn open(arguments: &Arguments) -> (Self, u64) {
        let Some(path) = arguments.report.as_deref() else {
            let (report, before) = (None, Value::Null);
            return (Self { report, before }, 0);
        };
        let run = path.file_stem().unwrap_or_default().to_string_lossy();
        let same = arguments.command_but_for_seeds();
        let report = Report::begin(path, &run, format!("{same}{}", arguments.seeds));
        let seeds = |before: &Before| before.figures["seeds"].as_u64().unwrap_or_default();
        let goes_on = |before: &Before| {
            let whole = before.figures["broken_seeds"] == Value::Array(Vec::new());
            whole && before.command.starts_with(&same) && seeds(before) < arguments.seeds
        };
        let Some(before) = Before::read(path).filter(goes_on) else {
            let (report, before) = (Some(report), Value::Null);
            return (Self { report, before }, 0);
        };
        let (report, done) = (Some(report.after(&before)), seeds(&before));
        let before = before.figures;
        (Self { report, before }, done)
    }

    fn write(&self, whole: &Summary, passed: bool) {
        if let Some(report) = &self.report
            && let Err(error) = report.write(passed, &together(&self.before, &figures(whole)))
        {
            say(&format!("the figures were not kept: {error:#}"));
        }
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

fn progress(whole: &Summary, part: &Summary, seeds: u64, took: Duration) {
    let sum = |count: fn(&Summary) -> u64| count(whole) + count(part);
    let done = sum(|sum| sum.seeds);
    let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / took.as_secs_f64();
    let failed = whole.failed.iter().chain(&part.failed);
    let broken: Vec<u64> = failed.map(|(seed, _)| *seed).collect();
    let (payments, faults) = (sum(|sum| sum.payments), sum(|sum| sum.faults));
    let kills = sum(|sum| sum.workers[0]);
    say(&format!(
        "{done}/{seeds} seeds, {rate:.0} a second, {payments} payments, {faults} faults, \
         {kills} kills, broken: {broken:?}"
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
