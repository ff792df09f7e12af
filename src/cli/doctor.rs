//! `holdfast doctor`: what is wrong here, for people and for programs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use super::commands::typist;
use super::desk::person;
use super::failure::Failure;
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::Config;
use crate::operate::doctor::{Check, Doctor, Found, MOST_SUSPECTS, Repair, Report};
use crate::store::audit::Mandate;
use crate::store::redis::RedisStore;

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast doctor
  holdfast doctor --json
  holdfast doctor --repair --dry-run
  holdfast doctor --repair --reason \"restored from a backup\"

Checks Redis, the workers and what is stopped, the gateway under each account's key, all records and indexes,
and the settings, and says how to repair what is wrong. It changes nothing at the gateway, and workers may run
meanwhile. --repair makes payments due that nobody would look at, and corrects the indexes from the records.
It never changes or deletes a record. Each repair is in the audit log.

Exit codes:
  0 nothing is wrong, warnings aside
  4 Redis cannot be reached or used; the rest was checked
  7 something is wrong, or was not repaired
  8 nothing is known to be wrong, and some of work, index or settings could not be checked";

/// How long what looks wrong has to stay so before it is told.
const BETWEEN: Duration = Duration::from_secs(2);

/// What to do about what is wrong.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Repair what is safe to repair.
    #[arg(long)]
    pub repair: bool,
    /// Only say what --repair would do.
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
    /// Why; kept in the audit log with each repair.
    #[arg(long, requires = "repair")]
    pub reason: Option<String>,
    /// Who asks. Default: the user of this terminal.
    #[arg(long, requires = "repair", value_parser = person)]
    pub actor: Option<String>,
}

impl DoctorArgs {
    fn by(&self, env: &[(String, String)]) -> Mandate {
        let name = typist(self.actor.as_deref(), env);
        Mandate::typed_by(&name).because(self.reason.as_deref())
    }

    const fn repair<'a>(&self, by: &'a Mandate) -> Repair<'a> {
        match (self.repair, self.dry_run) {
            (true, true) => Repair::Plan,
            (true, false) => Repair::Mend(by),
            (false, _) => Repair::Tell,
        }
    }
}

/// Looks at everything, and tells it.
pub(super) async fn run(
    args: &DoctorArgs,
    config: &Config,
    (env, as_json): (&[(String, String)], bool),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (clock, machine) = (Clock::system(), Clock::system());
    let gateway = gateway(config, &clock);
    let gateway = gateway.map_err(|error| Failure::Other(format!("{error:#}")))?;
    let opened = RedisStore::connect_for_reading(config.store_settings(), clock.clone()).await;
    let unopened = opened.as_ref().err().map(ToString::to_string);
    let doctor = Doctor {
        config,
        gateway: &gateway,
        store: opened
            .as_ref()
            .map_err(|_| unopened.as_deref().unwrap_or_default()),
        clock: &clock,
        machine: &machine,
        between: BETWEEN,
        most: MOST_SUSPECTS,
    };
    let (by, progress) = (args.by(env), Progress::new(as_json));
    let report = doctor
        .examine(args.repair(&by), &mut |count| progress.tell(count))
        .await;
    progress.end();
    if as_json {
        writeln!(out, "{}", as_value(&report))?;
    } else {
        tell(&report, out)?;
    }
    match (unopened, report.count(Found::Wrong)) {
        (Some(why), _) => Err(Failure::Store(why)),
        (None, 0) if report.is_whole() => Ok(()),
        (None, 0) => Err(Failure::NotAllCompared(
            "nothing is known to be wrong, and not all was looked at: see what was not checked"
                .to_owned(),
        )),
        (None, 1) => Err(Failure::BooksBroken("one thing is wrong".to_owned())),
        (None, wrong) => Err(Failure::BooksBroken(format!("{wrong} things are wrong"))),
    }
}

/// How far it came, for whoever sits before a terminal.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new(as_json: bool) -> Self {
        Self {
            shown: !as_json && io::stderr().is_terminal(),
        }
    }

    fn tell(&self, looked_at: u64) {
        if self.shown {
            let _ = write!(io::stderr(), "\r{looked_at} looked at");
        }
    }

    /// Leaves the line to what comes next.
    fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn as_value(report: &Report) -> Value {
    let check = |(group, check): &(_, Check)| {
        let mut told = json!({ "group": group });
        if let (Value::Object(told), Value::Object(of)) = (&mut told, json!(check)) {
            told.extend(of);
        }
        told
    };
    json!({
        "checks": report.checks.iter().map(check).collect::<Vec<_>>(),
        "wrong": report.count(Found::Wrong),
        "warnings": report.count(Found::Warning),
        "not_checked": report.count(Found::NotChecked),
        "mended": report.count(Found::Mended),
    })
}

/// Colours are taken out again at the edge, where nobody sees them.
fn tell(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let bold = Style::new().bold();
    let longest = report
        .checks
        .iter()
        .map(|(_, check)| check.name.len())
        .max();
    let width = longest.unwrap_or_default();
    let mut last = None;
    for (group, check) in &report.checks {
        let section = (group, &check.account);
        if last != Some(section) {
            let account = check.account.as_ref();
            let account = account.map_or(String::new(), |account| format!(" {account}"));
            writeln!(out, "{bold}{}{account}{bold:#}", group.as_str())?;
            last = Some(section);
        }
        let (mark, colour) = mark(check.found);
        let style = colour.on_default();
        writeln!(
            out,
            "  {style}{mark}{style:#} {:width$}  {}",
            check.name, check.what
        )?;
        if let Some(fix) = &check.fix {
            writeln!(out, "    {:width$}  → {fix}", "")?;
        }
        for payment in &check.payments {
            writeln!(out, "    {:width$}    {payment}", "")?;
        }
    }
    let count = |found| report.count(found);
    writeln!(
        out,
        "{bold}{} wrong, {} warnings, {} put right, {} not checked{bold:#}",
        count(Found::Wrong),
        count(Found::Warning),
        count(Found::Mended),
        count(Found::NotChecked),
    )
}

const fn mark(found: Found) -> (&'static str, AnsiColor) {
    match found {
        Found::Fine => ("✓", AnsiColor::Green),
        Found::Mended => ("+", AnsiColor::Cyan),
        Found::NotChecked => ("?", AnsiColor::BrightBlack),
        Found::Warning => ("!", AnsiColor::Yellow),
        Found::Wrong => ("✗", AnsiColor::Red),
    }
}
