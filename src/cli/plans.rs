//! Plans to rerun unfinished payments, mostly parked ones: made, looked at, applied, stopped, resumed. A
//! worker asks the gateway and does what is to be done; here it is waited for.

use std::io::Write;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::desk::{Desk, payment_id, person, user};
use super::failure::Failure;
use super::request::Around;
use super::view::time;
use crate::operate::planning::{self, Listed, PlanError, Said};
use crate::operate::shown::{fate_word, foreseen_word, phase_word, summary, whole};
use crate::operate::{Fate, Filter, Phase, Plan, Selection};
use crate::payment::{AccountName, ParkReason, StateName};
use crate::store::audit::Mandate;
use crate::store::{PlanId, Plans};

/// How often a plan is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What to do about plans.
#[derive(Debug, Subcommand)]
pub enum PlansVerb {
    /// Make a plan to rerun payments. A worker asks the gateway about each; nothing is changed.
    #[command(after_help = "Examples:
  holdfast plans make pay_3f0c…
  holdfast plans make --state parked --reason-is gateway_unreachable --older-than 2h")]
    Make(MakeArgs),
    /// Show what a plan would do to each payment, or what became of it.
    #[command(after_help = "Example: holdfast plans show plan_5d…")]
    Show {
        /// The plan's id.
        plan: String,
    },
    /// List the plans of the last 30 days, the newest first.
    #[command(after_help = "Example: holdfast plans list --limit 5")]
    List {
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Apply a plan, once, within 15 minutes. Payments that have not changed since are rerun: one first,
    /// then ten, then a hundred at a time. A rerun can charge and capture. The run stops, with exit code 9,
    /// if too many turn out otherwise than planned.
    #[command(after_help = "Example: holdfast plans apply plan_5d… --reason \"key replaced\"")]
    Apply(RunArgs),
    /// Stop a run: no further payment is rerun. Reruns that were started are carried out.
    #[command(
        after_help = "Example: holdfast plans stop plan_5d… --reason \"the bank calls back\""
    )]
    Stop(RunArgs),
    /// Resume a run that was stopped, until a day after the plan was made. Exit code 9 if it stops again.
    #[command(after_help = "Example: holdfast plans resume plan_5d… --reason \"looked at them\"")]
    Resume(RunArgs),
}

/// Which payments to plan for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["payments", "state"]))]
pub struct MakeArgs {
    /// These payments.
    pub payments: Vec<String>,
    /// Those in this state: parked, or new, `awaiting_payer` or held.
    #[arg(long)]
    pub state: Option<StateName>,
    /// Only those of this account.
    #[arg(long, conflicts_with = "payments")]
    pub account: Option<AccountName>,
    /// Only those parked for this reason, as `holdfast list --state parked` shows it.
    #[arg(long, conflicts_with = "payments", value_name = "REASON")]
    pub reason_is: Option<String>,
    /// Only those that have been in their state for so long: 30m, 2h, 3d.
    #[arg(long, conflicts_with = "payments", value_name = "TIME", value_parser = age)]
    pub older_than: Option<u64>,
    /// Who asks. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    pub actor: Option<String>,
    /// How long to wait until it is ready: 30s, 2m.
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "1m")]
    pub wait: u64,
}

/// Which plan, who, and why.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plan's id.
    pub plan: String,
    /// Why; kept.
    #[arg(long)]
    pub reason: String,
    /// Who does it. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    pub actor: Option<String>,
    /// How long to wait for the run to end: 30s, 10m.
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "10m")]
    pub wait: u64,
}

/// A time span in milliseconds.
fn age(text: &str) -> Result<u64, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text
        .strip_suffix(unit)
        .and_then(|digits| digits.parse::<u64>().ok());
    let ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let span = number.and_then(|number| number.checked_mul(ms));
    span.filter(|_| ms > 0)
        .ok_or_else(|| format!("{text:?} is no time span: a whole number and s, m, h or d"))
}

impl PlansVerb {
    /// Whether it changes nothing.
    pub(super) const fn only_looks(&self) -> bool {
        matches!(self, Self::Show { .. } | Self::List { .. })
    }
}

impl<S: Plans> Desk<'_, S> {
    pub(super) async fn plans(
        &self,
        verb: PlansVerb,
        around: &mut Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match verb {
            PlansVerb::Make(args) => self.make_plan(args, around, out).await,
            PlansVerb::Show { plan } => {
                let plan = planning::plan(self.store, &plan_id(&plan)?).await?;
                self.show_plan(&plan, out)
            }
            PlansVerb::List { limit } => self.list_plans(usize::from(limit), out).await,
            PlansVerb::Apply(args) => {
                let (id, said) = (plan_id(&args.plan)?, said(&args, around)?);
                planning::apply(self.store, self.clock, &id, &said).await?;
                self.follow_plan((&id, args.wait), around, out).await
            }
            PlansVerb::Resume(args) => {
                let (id, said) = (plan_id(&args.plan)?, said(&args, around)?);
                planning::resume(self.store, self.clock, &id, &said).await?;
                self.follow_plan((&id, args.wait), around, out).await
            }
            PlansVerb::Stop(args) => {
                let (id, said) = (plan_id(&args.plan)?, said(&args, around)?);
                let plan = planning::stop(self.store, self.clock, &id, &said).await?;
                self.show_plan(&plan, out)
            }
        }
    }

    async fn make_plan(
        &self,
        args: MakeArgs,
        around: &mut Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let by = args.actor.map_or_else(|| user(around.env), Ok)?;
        let ids = args.payments.iter().map(|id| payment_id(id));
        let of = match args.state {
            Some(state) if state.is_finished() => {
                let told = "--state: finished payments cannot be rerun; usually parked is meant";
                return Err(Failure::Wrong(told.to_owned()));
            }
            Some(state) => Selection::Matching(Filter {
                state,
                account: args.account,
                reason: args.reason_is,
                older_than_ms: args.older_than,
            }),
            None => Selection::Payments(ids.collect::<Result<_, _>>()?),
        };
        let plan = Plan::wanted(of, &by, self.clock.now());
        let plan = planning::ask(self.store, plan, &Mandate::typed_by(&by)).await?;
        let plan = self.rested(&plan.id, args.wait, around).await?;
        self.show_plan(&plan, out)?;
        if plan.rests() || self.as_json {
            return Ok(());
        }
        let id = &plan.id;
        Ok(writeln!(
            out,
            "not ready yet; look again with `holdfast plans show {id}`"
        )?)
    }

    /// Waits until a run has come to rest, and shows what became of it.
    async fn follow_plan(
        &self,
        (id, wait_ms): (&PlanId, u64),
        around: &mut Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let plan = self.rested(id, wait_ms, around).await?;
        self.show_plan(&plan, out)?;
        match &plan.phase {
            Phase::Stopped { why } => Err(Failure::RunStopped(format!(
                "{id} was stopped: {why}. Look at these payments, then: `holdfast plans resume {id} --reason \"…\"`"
            ))),
            _ => Ok(()),
        }
    }

    /// The plan once no worker has anything to do about it, or as it is after so long. What is done
    /// meanwhile is told as it comes.
    async fn rested(
        &self,
        id: &PlanId,
        wait_ms: u64,
        around: &mut Around<'_>,
    ) -> Result<Plan, Failure> {
        let mut told = String::new();
        let resting = async {
            loop {
                let plan = planning::plan(self.store, id).await?;
                if plan.rests() {
                    return Ok::<_, Failure>(plan);
                }
                let now = progress(&plan);
                if !self.as_json && now != told {
                    writeln!(around.warnings, "{now}")?;
                    told = now;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(Duration::from_millis(wait_ms), resting).await {
            Ok(rested) => rested,
            Err(_) => Ok(planning::plan(self.store, id).await?),
        }
    }

    fn show_plan(&self, plan: &Plan, out: &mut dyn Write) -> Result<(), Failure> {
        let now = self.clock.now();
        if self.as_json {
            return Ok(writeln!(out, "{:#}", whole(plan, now))?);
        }
        self.write_heading(plan, out)?;
        for planned in &plan.payments {
            let seen = planned.seen.as_ref();
            let state = seen.map_or("-", |seen| seen.state.as_str());
            let why = seen.and_then(|seen| seen.reason.as_ref());
            let why = why.map_or(String::new(), |why| format!(" ({})", why.as_str()));
            let shown = planned.shown.as_deref().unwrap_or("nothing made yet");
            let foreseen = planned
                .foreseen
                .as_ref()
                .map_or("-".to_owned(), foreseen_word);
            let id = &planned.payment;
            let fate = match &planned.fate {
                Fate::LeftOut { why } => format!("left out: {}", why.as_str()),
                Fate::AsForeseen { state } => format!("as foreseen: {state}"),
                Fate::LooksOn { state, reason } => {
                    let why = reason.as_ref().map(ParkReason::as_str);
                    format!("still looks on: {state} {}", why.unwrap_or_default())
                }
                Fate::Odd { state, reason } => {
                    let why = reason.as_ref().map(ParkReason::as_str);
                    format!("odd: {state} {}", why.unwrap_or_default())
                }
                fate => fate_word(fate).to_owned(),
            };
            writeln!(
                out,
                "{id}  {state}{why}  gateway: {shown}  {foreseen}  {fate}"
            )?;
        }
        Ok(())
    }

    fn write_heading(&self, plan: &Plan, out: &mut dyn Write) -> Result<(), Failure> {
        let phase = phase_word(plan, self.clock.now());
        let until = match &plan.phase {
            Phase::Ready { until } => format!(", to be applied until {}", time(*until)),
            Phase::Stopped { why } => format!(": {why}"),
            _ => String::new(),
        };
        let (id, by, at) = (&plan.id, &plan.made_by, time(plan.made_at));
        writeln!(out, "{id}  {phase}{until}  made {at} by {by}")?;
        if let Some(applied) = &plan.applied {
            let (at, by, reason) = (time(applied.at), &applied.by, &applied.reason);
            writeln!(out, "applied {at} by {by}: {reason}")?;
        }
        for ((currency, how), minor) in plan.touches() {
            let how = how.as_str();
            writeln!(
                out,
                "{how:<14} at most {minor} minor units of {}",
                currency.as_str()
            )?;
        }
        for warning in plan.warnings() {
            writeln!(out, "warning: {warning}")?;
        }
        Ok(())
    }

    async fn list_plans(&self, limit: usize, out: &mut dyn Write) -> Result<(), Failure> {
        let now = self.clock.now();
        if self.as_json {
            let shown = |plan: &Plan| Some(summary(plan, now));
            let Listed { plans, more } = planning::plans(self.store, limit, shown).await?;
            return Ok(writeln!(
                out,
                "{}",
                json!({ "plans": plans, "more": more })
            )?);
        }
        let line = |plan: &Plan| {
            let (id, by, at) = (&plan.id, &plan.made_by, time(plan.made_at));
            let (phase, many) = (phase_word(plan, now), plan.payments.len());
            Some(format!("{id}  {at}  {phase}  {many} payments  by {by}"))
        };
        let Listed { plans, more } = planning::plans(self.store, limit, line).await?;
        for plan in &plans {
            writeln!(out, "{plan}")?;
        }
        if more {
            writeln!(out, "there are more")?;
        }
        Ok(())
    }
}

fn said(args: &RunArgs, around: &Around<'_>) -> Result<Said, Failure> {
    let by = args.actor.clone().map_or_else(|| user(around.env), Ok)?;
    Said::new(&by, &args.reason, &Mandate::typed_by(&by))
        .map_err(|error| Failure::Wrong(format!("--reason: {error}")))
}

fn plan_id(text: &str) -> Result<PlanId, Failure> {
    text.parse().map_err(Failure::Wrong)
}

/// How far it is, in a line.
fn progress(plan: &Plan) -> String {
    let count = |fits: fn(&Fate) -> bool| {
        let fates = plan.payments.iter().map(|planned| &planned.fate);
        fates.filter(|fate| fits(fate)).count()
    };
    let all = plan.payments.len();
    match plan.phase {
        Phase::Applying { .. } => {
            let told = all - count(|fate| matches!(fate, Fate::Waits | Fate::LeftOut { .. }));
            let odd = count(|fate| matches!(fate, Fate::Odd { .. }));
            format!("{told} of {all} told, {odd} odd")
        }
        Phase::Wanted => "waiting for a worker to ask the gateway".to_owned(),
        _ => {
            let asked = all - count(|fate| *fate == Fate::Unasked);
            format!("{asked} of {all} asked about")
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => error.into(),
            PlanError::Missing(_) => Self::Wrong(error.to_string()),
            PlanError::NotNow(_) | PlanError::Busy(_) => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn a_span_is_a_whole_number_and_a_unit() {
        let spans = ["90s", "30m", "2h", "3d"].map(age);
        let ms = [90_000, 1_800_000, 7_200_000, 259_200_000].map(Ok);
        assert_eq!(spans, ms);
        for wrong in ["", "2", "h", "2w", "-2h", "2 h", "99999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
