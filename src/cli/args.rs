//! What can be typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

use super::audit::AuditVerb;
use super::card::CardVerb;
use super::desk::person;
use super::doctor::DoctorArgs;
use super::enqueue::{ENQUEUE_EXAMPLES, EnqueueArgs};
use super::outgoing::{EndpointsVerb, EventsVerb};
use super::plans::PlansVerb;
use super::probe::{PROBE_EXAMPLES, ProbeArgs};
use super::quarantine::IntakeVerb;
use super::reconcile::{RECONCILE_EXAMPLES, ReconcileArgs};
use super::resolve::ResolveVerb;
use super::schema::SchemaOf;
use super::switches::SwitchVerb;
use super::webhooks::WebhooksVerb;
use crate::payment::StateName;

const EXIT_CODES: &str = "\
Exit codes:
  0 done
  1 anything else
  2 wrong input or settings
  3 refused: conflict, too late, not ready
  4 Redis cannot be reached or used
  5 enqueue --wait: it failed, no money moved
  6 enqueue --wait: it is parked, a person must look
  7 what was looked through is not as it must be (audit verify, doctor, reconcile)
  8 not all could be looked at or compared (audit verify, doctor, reconcile)
  9 plans apply and plans resume: the run was stopped

enqueue --wait also ends with 0 while the outcome is still open. Results go to standard output; errors,
warnings and logs go to standard error. With --json both are JSON.";

/// Deferred capture and saved-card charges on CHIP Collect, each with exactly one effect on money.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file. Default: the one that `HOLDFAST_CONFIG` names.
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Write results and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Work on payments until SIGTERM.
    #[command(after_help = "Example: holdfast worker --config /etc/holdfast/holdfast.toml")]
    Worker,
    /// Ask for a payment.
    #[command(after_help = ENQUEUE_EXAMPLES)]
    Enqueue(Box<EnqueueArgs>),
    /// Take held money now: all of it, or --amount; the rest is given back.
    #[command(after_help = "\
Examples:
  holdfast capture pay_3f0c…
  holdfast capture pay_3f0c… --amount 30000 --key checkout-8123")]
    Capture {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// How much, in minor units (sen).
        #[arg(long, allow_hyphen_values = true)]
        amount: Option<String>,
    },
    /// Give held money back now.
    #[command(after_help = "Example: holdfast release pay_3f0c… --key no-show-8123")]
    Release {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Change when a hold is captured or released; what is not given stays.
    #[command(group = ArgGroup::new("change").required(true).multiple(true)
        .args(["capture_at", "capture_amount", "release_at"]),
        after_help = "Example: holdfast reschedule pay_3f0c… --capture-at 2027-01-31T14:00:00+08:00")]
    Reschedule {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// The new capture time, with offset: 2027-01-31T14:00:00+08:00.
        #[arg(long, value_name = "TIME")]
        capture_at: Option<String>,
        /// The new amount to capture, in minor units (sen).
        #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
        capture_amount: Option<String>,
        /// The new release time, with offset.
        #[arg(long, value_name = "TIME")]
        release_at: Option<String>,
    },
    /// Cancel a payment that is not held or paid yet, so that it can never be paid.
    #[command(after_help = "Example: holdfast cancel pay_3f0c…")]
    Cancel {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Look at a parked payment again, and go on from what is true. That can charge or capture, but never
    /// twice.
    #[command(after_help = "Example: holdfast rerun pay_3f0c… --reason \"key replaced\"")]
    Rerun {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the record.
        #[arg(long)]
        reason: String,
    },
    /// Settle a parked payment: as the gateway shows it, or by what two people state where it shows nothing.
    #[command(subcommand)]
    Resolve(ResolveVerb),
    /// Rerun many payments: make a plan, check it, apply it.
    #[command(subcommand)]
    Plans(PlansVerb),
    /// Show a payment: state, money, plan, what comes next, and all that happened.
    #[command(after_help = "\
Examples:
  holdfast show pay_3f0c…
  holdfast show pay_3f0c… --json")]
    Show {
        /// The payment's id.
        id: String,
        /// Show links, purchase id and card token. Anyone who sees them may be able to pay or charge.
        #[arg(long)]
        reveal: bool,
    },
    /// List the payments in a state, oldest first; for failed and parked ones also why.
    #[command(after_help = "Example: holdfast list --state parked")]
    List {
        /// One of new, `awaiting_payer`, held, paid, released, saved, failed or parked.
        #[arg(long)]
        state: StateName,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Continue after this cursor, which the last page printed.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// Count payments by state, and what is due.
    #[command(after_help = "Example: holdfast stats --json")]
    Stats,
    /// Make an API key: print the key, which is stored nowhere, and the entry for the settings.
    #[command(after_help = "Example: holdfast api-key shop")]
    ApiKey {
        /// Its name, in the log and in the settings.
        name: String,
    },
    /// Show what is known of a saved card; check it at CHIP; delete it, or withdraw a deletion.
    #[command(subcommand)]
    Card(CardVerb),
    /// Set up CHIP's webhooks through its API.
    #[command(subcommand, after_help = super::webhooks::EXAMPLES)]
    Webhooks(WebhooksVerb),
    /// Show the endpoints that events are sent to; enable and disable them.
    #[command(subcommand)]
    Endpoints(EndpointsVerb),
    /// List events, and send them again.
    #[command(subcommand)]
    Events(EventsVerb),
    /// Handle what producers pushed to Redis and was refused.
    #[command(subcommand)]
    Intake(IntakeVerb),
    /// Read and verify the audit log: who did what, and why.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Stop and go.
    #[command(flatten)]
    Switch(SwitchVerb),
    /// Check or show the settings.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Measure what CHIP does not document, on a test account, and write a dated report.
    #[command(after_help = PROBE_EXAMPLES)]
    ProbeGateway(ProbeArgs),
    /// Compare the books: our records, CHIP purchase by purchase, and its statement.
    #[command(after_help = RECONCILE_EXAMPLES)]
    Reconcile(Box<ReconcileArgs>),
    /// Print the wire format as JSON Schema.
    #[command(after_help = "Example: holdfast schema request > request.v1.json")]
    Schema {
        /// Which schema.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Ask the worker on this machine whether it is ready. While money stands still it is ready all the
    /// same, because it still takes webhooks, and says why (with --json as `reason`).
    #[command(after_help = "\
Examples:
  holdfast health
  holdfast health --live")]
    Health {
        /// Only ask whether it is alive, for a container's health check: a worker that waits for Redis
        /// needs no restart.
        #[arg(long)]
        live: bool,
    },
    /// Find out what is wrong with this installation, and how to repair it.
    #[command(after_help = super::doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print completions for a shell.
    #[command(after_help = "\
Examples:
  holdfast completions bash > /etc/bash_completion.d/holdfast
  holdfast completions zsh > ~/.zfunc/_holdfast
  holdfast completions fish > ~/.config/fish/completions/holdfast.fish")]
    Completions {
        /// For which shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What to do with the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigVerb {
    /// Check the settings, and report all problems at once.
    #[command(after_help = "Example: holdfast config check --config holdfast.toml")]
    Check,
    /// Print every setting in effect and where it came from; secrets are masked.
    #[command(after_help = "Example: holdfast config show --config holdfast.toml")]
    Show,
    /// Print every setting with its default, unit and reason.
    #[command(after_help = "Example: holdfast config defaults > holdfast.toml")]
    Defaults,
}

/// Which payment, and under which key the command is known.
#[derive(Debug, Args)]
pub struct On {
    /// The payment's id.
    pub id: String,
    /// The command's idempotency key. Default: a random one, which is printed.
    #[arg(long, visible_alias = "idempotency-key")]
    pub key: Option<String>,
    /// Who asks, for the audit log. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    pub actor: Option<String>,
}
