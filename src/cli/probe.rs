//! `holdfast probe-gateway`: what CHIP does not document, measured on a test account.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::enqueue::TokenArgs;
use super::request::{Around, token};
use super::worker::gateway;
use crate::clock::Clock;
use crate::config::{Config, unknown_account};
use crate::gateway::{NoTestAccount, TestAccount};
use crate::operate::probe::{
    AMOUNT_MINOR, Pace, ProbeError, ProbeReport, Question, Verdict, Wish, measure,
};
use crate::payment::{AccountName, CardToken};

pub(super) const PROBE_EXAMPLES: &str = "\
Examples:
  holdfast probe-gateway --account hotel-test --dry-run
  holdfast probe-gateway --account hotel-test --out gateway.report.json
  holdfast probe-gateway --account hotel-test --only concurrent_charges --token-file card.token

It works with test accounts only, and only on purchases that CHIP itself calls test objects. It makes about
25 purchases of RM 1.00, charges a test card, and cancels, releases or refunds everything. Without a token it
saves CHIP's documented test card by Direct Post, and deletes it at the end. Name the report in
accounts.<name>.probe_report_file. If the run is stopped half-way, what was measured is written.

Exit codes:
  0 measured; the report is written
  1 nothing could be measured
  3 not a test account, by its mode or by what CHIP shows; or CHIP refused the key";

/// What to measure, where, and with what.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Which account of the settings; its mode must be test.
    #[arg(long)]
    account: String,
    /// Where to write the report. Older answers to other questions stay in it, with their dates.
    #[arg(long, value_name = "FILE", default_value = "gateway.report.json")]
    out: PathBuf,
    /// Only these questions, separated by commas; --dry-run lists their names.
    #[arg(long, value_name = "QUESTION", value_delimiter = ',')]
    only: Vec<Question>,
    /// How often each race is run. A good result counts after three rounds that agree.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    #[command(flatten)]
    token: TokenArgs,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Waits as the clock on the wall does.
struct RealTime;

impl Pace for RealTime {
    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Does what was typed.
pub(super) async fn run(
    args: &ProbeArgs,
    config: &Config,
    around: &mut Around<'_>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let clock = Clock::system();
    let account = account(&args.account, config, &clock)?;
    let wish = wish(args, around)?;
    if args.dry_run {
        return Ok(writeln!(out, "{}", plan(&wish, as_json)?)?);
    }
    let file = ReportFile::open(&args.out, &account)?;
    let shows_progress = io::stderr().is_terminal() && !as_json;
    let (all, mut begun) = (wish.questions.len(), 0);
    let begins = |question: Question| {
        begun += 1;
        if shows_progress {
            // Nobody is kept from measuring by a terminal that went away.
            let _ = writeln!(around.warnings, "{begun} of {all}: {}", question.as_str());
        }
    };
    let measured = measure(&account, &wish, &clock, &RealTime, begins).await?;
    let report = file.keep(measured.report)?;
    let told = if as_json {
        json!(report).to_string()
    } else {
        told(&report, &args.out)
    };
    writeln!(out, "{told}")?;
    measured.broken_off.map_or(Ok(()), |why| Err(why.into()))
}

/// The account, if something may be tried out on it. Nothing is sent for that.
fn account(name: &str, config: &Config, clock: &Clock) -> Result<TestAccount, Failure> {
    let name = AccountName::new(name);
    let name = name.map_err(|error| Failure::Wrong(format!("--account: {error}")))?;
    let gateway = gateway(config, clock);
    let gateway = gateway.map_err(|error| Failure::Other(format!("{error:#}")))?;
    TestAccount::of(gateway, &name).map_err(|error| match error {
        NoTestAccount::Unknown => Failure::Wrong(unknown_account(&name, config.accounts.keys())),
        NoTestAccount::Live => Failure::Refused(format!("{name}: {error}")),
    })
}

fn wish(args: &ProbeArgs, around: &mut Around<'_>) -> Result<Wish, Failure> {
    let token = token(&args.token, around)?.map(CardToken::new).transpose();
    let token = token.map_err(|error| Failure::Wrong(format!("the token: {error}")))?;
    let wanted = |it: &Question| args.only.is_empty() || args.only.contains(it);
    Ok(Wish {
        questions: Question::ALL.into_iter().filter(wanted).collect(),
        rounds: args.rounds,
        token,
    })
}

/// What would be sent.
fn plan(wish: &Wish, as_json: bool) -> Result<String, Failure> {
    let all = wish.questions.iter();
    let purchases = wish.purchases();
    if as_json {
        let questions = all.map(|it| {
            json!({
                "question": it.as_str(), "asked": it.asked(),
                "rounds": wish.rounds_of(*it), "purchases": wish.purchases_of(*it),
            })
        });
        let plan = json!({
            "dry_run": true, "purchases": purchases, "amount_minor": AMOUNT_MINOR,
            "saves_card": wish.saves_card(), "questions": questions.collect::<Vec<_>>(),
        });
        return Ok(plan.to_string());
    }
    let mut text = String::new();
    if wish.saves_card() {
        text.push_str(
            "card                       1  a test card is saved, and deleted in the end\n",
        );
    }
    for it in all {
        let (name, count) = (it.as_str(), wish.purchases_of(*it));
        writeln!(text, "{name:<25} {count:>2}  {}", it.asked()).map_err(unwritten)?;
    }
    let (ringgit, sen) = (AMOUNT_MINOR / 100, AMOUNT_MINOR % 100);
    write!(
        text,
        "{purchases} purchases at most, of RM {ringgit}.{sen:02} each; nothing was sent"
    )
    .map_err(unwritten)?;
    Ok(text)
}

fn unwritten(error: std::fmt::Error) -> Failure {
    Failure::Other(error.to_string())
}

/// The report, for people.
fn told(report: &ProbeReport, file: &Path) -> String {
    let mut lines = Vec::new();
    for found in &report.findings {
        let word = found.verdict.word();
        let (telling, all) = found.told();
        let day = found.measured_at.format("%Y-%m-%d");
        lines.push(format!(
            "{:<25} {word}, told by {telling} of {all} rounds in test mode, {day}",
            found.question.as_str()
        ));
        if let Verdict::Open(_) = found.verdict {
            for (manner, count) in &found.rounds {
                let word = Verdict::Always(*manner).word();
                lines.push(indented(&format!("{word}: {count}")));
            }
            lines.extend(found.not_measured.iter().map(|why| indented(why)));
        }
        lines.push(indented(&found.means));
    }
    lines.push(format!("measured at {}", report.gateway));
    let it = report.purchases;
    lines.push(format!(
        "{} purchases: {} cancelled, {} released, {} refunded, {} ended by themselves, {} left as they were",
        it.made, it.cancelled, it.released, it.refunded, it.ended, it.left_behind
    ));
    lines.push(format!("the report is in {}", file.display()));
    lines.join("\n")
}

fn indented(line: &str) -> String {
    format!("    {line}")
}

/// A file for the report. Written beside its place first: it is there whole, or not at all.
struct ReportFile<'a> {
    path: &'a Path,
    part: PathBuf,
    file: fs::File,
    /// What is there already.
    earlier: Option<ProbeReport>,
}

impl<'a> ReportFile<'a> {
    /// Makes sure that the report can be written, before anything is sent. A file that holds anything
    /// else stays, and so does what was measured of another account or gateway.
    fn open(path: &'a Path, account: &TestAccount) -> Result<Self, Failure> {
        let unwritable = |error| unwritable(path, &error);
        let there = match fs::read_to_string(path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unwritable(error)),
        };
        let refused = |what: &str| {
            let path = path.display();
            Failure::Refused(format!("{path} holds {what}; give --out"))
        };
        let earlier = match ProbeReport::read(&there) {
            _ if there.trim().is_empty() => None,
            Err(_) => return Err(refused("something else")),
            Ok(earlier) if !earlier.is_of(account.name(), &account.origin()) => {
                return Err(refused("the report of another account or gateway"));
            }
            Ok(earlier) => Some(earlier),
        };
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = fs::File::create(&part).map_err(unwritable)?;
        Ok(Self {
            path,
            part,
            file,
            earlier,
        })
    }

    /// Writes the report down, with what was known before.
    fn keep(mut self, report: ProbeReport) -> Result<ProbeReport, Failure> {
        let report = match self.earlier.take() {
            Some(earlier) => report.over(earlier),
            None => report,
        };
        let text = serde_json::to_string_pretty(&report);
        let text = text.map_err(|error| Failure::Other(error.to_string()))?;
        writeln!(self.file, "{text}")
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.part, self.path))
            .map_err(|error| unwritable(self.path, &error))?;
        Ok(report)
    }
}

/// What was not renamed into its place is of no use.
impl Drop for ReportFile<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part);
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{} cannot be written: {error}", path.display()))
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::NotTest | ProbeError::Denied(_) => Self::Refused(error.to_string()),
            ProbeError::Unreachable(_) | ProbeError::Nothing(_) => Self::Other(error.to_string()),
        }
    }
}
