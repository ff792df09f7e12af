//! `holdfast reconcile`: whether our records, the gateway and its statement agree.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::Failure;
use super::compared::{again, write_text};
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::{Account, Config, unknown_account};
use crate::operate::reconcile::{
    Asked, Books, BrandUse, Layout, MALAYSIA, Named, Pace, Period, Progress, Statement,
    StatementFrom, Stopped, Unit, Verdict,
};
use crate::payment::{AccountName, Timestamp};
use crate::store::redis::RedisStore;

pub(super) const RECONCILE_EXAMPLES: &str = "\
Examples:
  holdfast reconcile --account hotel --from 2027-01-01 --to 2027-01-31
  holdfast reconcile --account hotel --from 2027-01-31 --to 2027-01-31 --no-statement --json
  holdfast reconcile --account hotel --from 2027-01-01 --to 2027-01-31 --statement january.csv \\
      --column paid_on=\"Date paid\" --unit major

It moves no money and changes no record. Days are Malaysian.

Exit codes:
  0 the books agree (with --no-statement: our records and CHIP do)
  2 the options or the settings are wrong, or the --statement file cannot be read
  3 CHIP refuses the key
  4 Redis cannot be read
  7 the books differ
  8 what was compared agrees; something could not be compared, the period was not over, or there is no
    statement";

/// What is to be compared.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, one each")]
pub struct ReconcileArgs {
    /// Which account of the settings.
    #[arg(long)]
    account: String,
    /// The first day, or a time with offset.
    #[arg(long, value_name = "DAY")]
    from: String,
    /// The last day (inclusive), or a time with offset (exclusive).
    #[arg(long, value_name = "DAY")]
    to: String,
    /// The offset of days, and of times in the statement that have none. Default: Malaysian time.
    #[arg(long, default_value = MALAYSIA, allow_hyphen_values = true)]
    offset: String,
    /// A statement downloaded in CHIP's portal, as CSV. Default: one is ordered through the API.
    #[arg(long, value_name = "FILE", conflicts_with = "no_statement")]
    statement: Option<PathBuf>,
    /// The header of a column of the statement, as `paid_on=Paid`. Columns: id, status, reference, amount,
    /// currency, `paid_on` and type.
    #[arg(long, value_name = "COLUMN=HEADER")]
    column: Vec<Named>,
    /// The unit of the statement's amounts: major (15.00) or minor (1500). Needed only if they have no
    /// decimal point.
    #[arg(long)]
    unit: Option<Unit>,
    /// Compare without a statement: money that no record knows of is not found.
    #[arg(long)]
    no_statement: bool,
    /// Other systems use the brand too: ignore purchases without a reference of ours.
    #[arg(long)]
    shared_brand: bool,
    /// How many purchases are asked about at once.
    #[arg(long, value_name = "COUNT", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Only say what would be asked; CHIP is asked nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show purchase ids, and references that are not ours. Anyone who sees them may be able to charge.
    #[arg(long)]
    reveal: bool,
}

/// Where books are compared.
pub(super) struct Comparing<'a> {
    pub(super) store: &'a RedisStore,
    pub(super) config: &'a Config,
    pub(super) clock: &'a Clock,
    pub(super) as_json: bool,
}

impl Comparing<'_> {
    pub(super) async fn serve(
        &self,
        args: &ReconcileArgs,
        progress_to: &mut dyn Write,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let asked = self.asked(args)?;
        let gateway = gateway(self.config, self.clock);
        let gateway = gateway.map_err(|error| Failure::Other(format!("{error:#}")))?;
        let books = Books {
            store: self.store,
            gateway: &gateway,
            clock: self.clock,
            pace: Pace {
                at_once: usize::from(args.at_once),
                ..Pace::default()
            },
        };
        if args.dry_run {
            let mut line = ProgressLine::new(progress_to, self.as_json);
            let plan = books.plan(&asked, &mut |at| line.show(at)).await;
            line.end();
            let plan = plan?;
            let statement = matches!(asked.statement, StatementFrom::Gateway(_));
            if self.as_json {
                let told = json!({
                    "look_ups": plan.look_ups, "without": plan.without, "unreadable": plan.unread,
                    "asks_for_statement": statement,
                });
                return Ok(writeln!(out, "{told}")?);
            }
            let made = if statement {
                "one statement would be asked for, and "
            } else {
                ""
            };
            let (look_ups, without, unread) = (plan.look_ups, plan.without, plan.unread);
            return Ok(writeln!(
                out,
                "{made}{look_ups} purchases would be looked up at CHIP; {without} more payments have \
                 nothing there to look up, or are on their way; {unread} records cannot be read"
            )?);
        }
        let mut line = ProgressLine::new(progress_to, self.as_json);
        let report = books.reconcile(&asked, &mut |at| line.show(at)).await;
        line.end();
        let report = report?;
        if self.as_json {
            writeln!(out, "{}", report.json(args.reveal))?;
        } else {
            write_text(&report, args.reveal, out)?;
        }
        match report.verdict() {
            Verdict::Agree | Verdict::AgreeWithoutStatement => Ok(()),
            Verdict::Differ => Err(Failure::BooksBroken(format!(
                "the books differ: {} differences",
                report.differing()
            ))),
            Verdict::NotAllCompared => Err(Failure::NotAllCompared(again(&report))),
        }
    }

    /// When a statement's file was written: it cannot be newer than that. Without such a time, as on
    /// some file systems, it is taken for new.
    fn made_at(&self, file: &Path) -> Timestamp {
        let written = fs::metadata(file).and_then(|about| about.modified());
        written.map_or_else(|_| self.clock.now(), Timestamp::from)
    }

    fn asked(&self, args: &ReconcileArgs) -> Result<Asked, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::Wrong(error.to_string());
        let named = AccountName::new(&args.account);
        let named = named.map_err(|error| Failure::Wrong(format!("--account: {error}")))?;
        let Some((name, account)) = self.config.accounts.get_key_value(&named) else {
            let told = unknown_account(&named, self.config.accounts.keys());
            return Err(Failure::Wrong(told));
        };
        let period = Period::of(&args.from, &args.to, &args.offset);
        let period = period.map_err(|error| wrong(&error))?;
        let kept_days = self.config.redis.retention_days;
        if self.clock.now() - period.from > TimeDelta::days(i64::from(kept_days)) {
            return Err(Failure::Wrong(format!(
                "finished payments are kept for {kept_days} days (redis.retention_days): what was paid \
                 before has no record any more"
            )));
        }
        let layout = Layout {
            named: args.column.clone(),
            unit: args.unit,
            offset: period.offset,
        };
        let statement = match &args.statement {
            None if args.no_statement => StatementFrom::Nowhere,
            None => StatementFrom::Gateway(layout),
            Some(file) => {
                let bytes = fs::read(file).map_err(|error| {
                    Failure::Wrong(format!("{} cannot be read: {error}", file.display()))
                })?;
                let read = Statement::read(&bytes, &layout);
                StatementFrom::Read {
                    statement: read.map_err(|error| wrong(&error))?,
                    made_at: self.made_at(file),
                }
            }
        };
        let is_sibling = |(other, settings): &(&AccountName, &Account)| {
            *other != name
                && settings.brand_id == account.brand_id
                && settings.base_url == account.base_url
        };
        let siblings = self.config.accounts.iter().filter(is_sibling);
        Ok(Asked {
            account: name.clone(),
            siblings: siblings.map(|(name, _)| name.clone()).collect(),
            period,
            statement,
            brand: if args.shared_brand {
                BrandUse::Shared
            } else {
                BrandUse::Ours
            },
        })
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Store(error) => error.into(),
            Stopped::Denied => Self::Refused(stopped.to_string()),
            Stopped::NoStatement(_) | Stopped::BadStatement(_) => {
                Self::NotAllCompared(stopped.to_string())
            }
        }
    }
}

/// One line that is written over, on a terminal alone.
struct ProgressLine<'a> {
    to: Option<&'a mut dyn Write>,
    /// What was compared when it was last shown.
    shown: u64,
}

impl<'a> ProgressLine<'a> {
    fn new(to: &'a mut dyn Write, as_json: bool) -> Self {
        let seen = io::stderr().is_terminal() && !as_json;
        Self {
            to: seen.then_some(to),
            shown: 0,
        }
    }

    fn show(&mut self, progress: Progress) {
        let text = match progress {
            Progress::Statement(asked) => format!("CHIP makes the statement, asked {asked} times"),
            Progress::Compared(count) | Progress::Read(count) if count < self.shown + 50 => return,
            Progress::Compared(count) => {
                self.shown = count;
                format!("{count} payments compared")
            }
            Progress::Read(count) => {
                self.shown = count;
                format!("{count} records read")
            }
        };
        self.write(&format!("\r\x1b[K{text}"));
    }

    fn end(&mut self) {
        self.write("\r\x1b[K");
    }

    /// Whether anybody reads it does not matter.
    fn write(&mut self, text: &str) {
        if let Some(to) = &mut self.to {
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        }
    }
}
