//! `holdfast reconcile`: whether our records, the gateway and its statement agree.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::Failure;
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::{Account, Config, unknown_account};
use crate::operate::reconcile::{
    Asked, Books, BrandUse, Finding, Kind, Layout, MALAYSIA, Named, Pace, Period, Progress, Report,
    Side, Statement, StatementFrom, Stopped, Unit, Verdict,
};
use crate::payment::AccountName;
use crate::store::redis::RedisStore;

pub(super) const RECONCILE_EXAMPLES: &str = "\
Examples:
  holdfast reconcile --account hotel --from 2027-01-01 --to 2027-01-31
  holdfast reconcile --account hotel --from 2027-01-31 --to 2027-01-31 --no-statement --json
  holdfast reconcile --account hotel --from 2027-01-01 --to 2027-01-31 --statement january.csv \\
      --column paid_on=\"Date paid\" --unit major

Ends with 0 if the books agree, with 7 if they differ, and with 8 if all that could be compared agrees
and something could not be. It moves no money and changes no record. Days are Malaysian.";

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
    /// The last day, which is part of it; or a time with offset, which is not.
    #[arg(long, value_name = "DAY")]
    to: String,
    /// The offset of days, and of times in a statement file that have none: Malaysian time.
    #[arg(long, default_value = MALAYSIA, allow_hyphen_values = true)]
    offset: String,
    /// A statement that was downloaded in CHIP's portal, as CSV. Without it one is asked for by API.
    #[arg(long, value_name = "FILE", conflicts_with = "no_statement")]
    statement: Option<PathBuf>,
    /// What a column of the statement is called, as `paid_on=Paid`. Columns are id, status,
    /// reference, amount, currency, `paid_on` and type.
    #[arg(long, value_name = "COLUMN=HEADER")]
    column: Vec<Named>,
    /// The unit of the statement's amounts: major (15.00) or minor (1500). A decimal point tells without
    /// it.
    #[arg(long)]
    unit: Option<Unit>,
    /// Without a statement: money that no record knows of is not found.
    #[arg(long)]
    no_statement: bool,
    /// Other systems use the brand too: leave alone what carries no reference of ours.
    #[arg(long)]
    shared_brand: bool,
    /// How many purchases are asked about at once.
    #[arg(long, value_name = "COUNT", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Only say what would be asked. Nothing is asked of CHIP.
    #[arg(long)]
    dry_run: bool,
    /// Show purchase ids, and references that are not ours. Whoever sees them may be able to charge.
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
            let plan = books.plan(&asked).await?;
            let statement = matches!(asked.statement, StatementFrom::Gateway(_));
            if self.as_json {
                let told = json!({
                    "look_ups": plan.look_ups, "without": plan.without,
                    "asks_for_statement": statement,
                });
                return Ok(writeln!(out, "{told}")?);
            }
            let made = if statement {
                "one statement would be asked for, and "
            } else {
                ""
            };
            let (look_ups, without) = (plan.look_ups, plan.without);
            return Ok(writeln!(
                out,
                "{made}{look_ups} purchases would be looked up at CHIP; {without} more payments have \
                 nothing there to look up, or are on their way"
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
            Verdict::Agree => Ok(()),
            Verdict::Differ => Err(Failure::BooksBroken(format!(
                "the books differ: {} differences",
                report.differing()
            ))),
            Verdict::NotAllCompared => Err(Failure::NotAllCompared(format!(
                "{} payments could not be compared; run it again",
                report.not_compared
            ))),
        }
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
                StatementFrom::Read(read.map_err(|error| wrong(&error))?)
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
            Progress::Compared(count) if count < self.shown + 50 => return,
            Progress::Compared(count) => {
                self.shown = count;
                format!("{count} payments compared")
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

fn write_text(report: &Report, reveal: bool, out: &mut dyn Write) -> io::Result<()> {
    let period = report.period;
    let (from, to) = (period.shown(period.from), period.shown(period.to));
    writeln!(
        out,
        "{}: {from} to {to} ({})",
        report.account, period.offset
    )?;
    writeln!(
        out,
        "payments     {} agree · {} open · {} parked · {} not compared · {} differences",
        report.agree,
        report.open,
        report.parked,
        report.not_compared,
        report.differing()
    )?;
    match report.lines {
        Some(lines) => writeln!(
            out,
            "statement    {} paid · of them {} of other accounts, {} of other systems",
            lines.of_period, lines.of_siblings, lines.foreign
        )?,
        None => writeln!(
            out,
            "statement    none: money that no record knows of was not looked for"
        )?,
    }
    for (currency, sums) in &report.sums {
        let stated = match report.lines {
            Some(_) => format!(" · in the statement {}", money(sums.statement, currency)),
            None => String::new(),
        };
        writeln!(
            out,
            "taken        recorded {} · at CHIP {}{stated}",
            money(sums.recorded, currency),
            money(sums.gateway, currency)
        )?;
    }
    let later = (report.refunded.len(), report.charged_back.len());
    if later != (0, 0) {
        writeln!(
            out,
            "given back   {} refunded · {} charged back",
            later.0, later.1
        )?;
    }
    for kind in Kind::ALL {
        let found = report.findings.iter().filter(|it| it.kind == kind);
        let Some(count) = report.differences.get(&kind) else {
            continue;
        };
        writeln!(out, "\n{} ({count}): {}", kind.as_str(), kind.what_to_do())?;
        for finding in found {
            writeln!(out, "  {}", line_of(report, finding, reveal))?;
        }
    }
    if report.not_compared > 0 {
        writeln!(out, "\nnot compared ({}):", report.not_compared)?;
    }
    for (payment, why) in &report.not_compared_listed {
        writeln!(out, "  {payment}  {why}")?;
    }
    let verdict = match report.verdict() {
        Verdict::Agree => "the books agree",
        Verdict::Differ => "the books differ",
        Verdict::NotAllCompared => "not all could be compared; the rest agrees",
    };
    writeln!(out, "\n{verdict}")
}

fn line_of(report: &Report, finding: &Finding, reveal: bool) -> String {
    let side = |name: &str, side: &Option<Side>| {
        side.as_ref().map(|side| match &side.money {
            Some((amount, currency)) => {
                format!("{name} {} {}", side.word, money(*amount, currency))
            }
            None => format!("{name} {}", side.word),
        })
    };
    let name = match &finding.payment {
        Some(payment) => payment.to_string(),
        None => "no payment".to_owned(),
    };
    let purchase = report.purchase_name(finding, reveal);
    let reference = finding.reference.as_ref().filter(|_| reveal);
    let parts = [
        Some(name),
        purchase,
        reference.map(|text| format!("reference {text:?}")),
        side("recorded", &finding.recorded),
        side("CHIP", &finding.gateway),
        side("statement", &finding.statement),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn money(minor: u64, currency: &str) -> String {
    format!("{currency} {}.{:02}", minor / 100, minor % 100)
}
