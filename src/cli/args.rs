//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::card::CardVerb;
use super::outgoing::{EndpointsVerb, EventsVerb};
use super::quarantine::IntakeVerb;
use super::request::parse_wait;
use super::schema::SchemaOf;
use super::webhooks::WebhooksVerb;
use crate::payment::StateName;

const EXIT_CODES: &str = "\
Exit codes: 0 done · 2 wrong input or settings · 3 refused: conflict, too late, not ready ·
4 Redis cannot be reached or used · 5 enqueue --wait: it failed, no money moved ·
6 enqueue --wait: it is parked, a person must look · 1 anything else. enqueue --wait ends with 0 also
while the outcome is open. Results go to standard output, errors, warnings and logs to standard error;
with --json both are JSON.";

/// Deferred capture and saved-card charges on CHIP Collect, each with exactly one effect on money.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file; `HOLDFAST_CONFIG` without it.
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
    Worker,
    /// Ask for a payment.
    #[command(after_help = ENQUEUE_EXAMPLES)]
    Enqueue(Box<EnqueueArgs>),
    /// Take held money now: all of it, or --amount; the rest is given back.
    Capture {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// How much, in minor units (sen).
        #[arg(long, allow_hyphen_values = true)]
        amount: Option<String>,
    },
    /// Give held money back now.
    Release {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
    },
    /// Change when a hold is captured or released; what is not given stays.
    #[command(group = ArgGroup::new("change").required(true).multiple(true)
        .args(["capture_at", "capture_amount", "release_at"]))]
    Reschedule {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
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
    /// Never take this money: seal a payment before it is held or paid.
    Cancel {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
    },
    /// Look at a stopped payment again, and go on from what is true. Never charges twice.
    #[command(after_help = "Example: holdfast rerun pay_3f0c… --reason \"key replaced\"")]
    Rerun {
        /// Which payment, and the command's key.
        #[command(flatten)]
        on: On,
        /// Why; kept in the record.
        #[arg(long)]
        reason: String,
        /// Who asks; the user of this terminal without it.
        #[arg(long)]
        actor: Option<String>,
    },
    /// Show a payment: state, money, plan, what comes next, and all that happened.
    Show {
        /// The payment's id.
        id: String,
        /// Show links, purchase id and card token. Whoever sees them may be able to pay or charge.
        #[arg(long)]
        reveal: bool,
    },
    /// List the payments in a state, the oldest first; of failed and parked ones also why.
    #[command(after_help = "Example: holdfast list --state parked")]
    List {
        /// One of new, `awaiting_payer`, held, paid, released, saved, failed or parked.
        #[arg(long)]
        state: StateName,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Go on after this cursor, as the last page ended.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// Count payments by state, and what is due.
    Stats,
    /// Make an API key: prints the key, which is kept nowhere, and what belongs in the settings.
    #[command(after_help = "Example: holdfast api-key shop")]
    ApiKey {
        /// What it is called: in the log, and in the settings.
        name: String,
    },
    /// See what is known of a saved card, have it looked at, have it deleted or kept after all.
    #[command(subcommand)]
    Card(CardVerb),
    /// Set up where CHIP posts what happens to purchases, by its own API.
    #[command(subcommand, after_help = super::webhooks::EXAMPLES)]
    Webhooks(WebhooksVerb),
    /// See and command the endpoints that events are sent to.
    #[command(subcommand)]
    Endpoints(EndpointsVerb),
    /// See events, and send them again.
    #[command(subcommand)]
    Events(EventsVerb),
    /// Look after what producers push to Redis.
    #[command(subcommand)]
    Intake(IntakeVerb),
    /// Check or show the settings.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Print the wire format as JSON Schema.
    #[command(after_help = "Example: holdfast schema request > request.v1.json")]
    Schema {
        /// Of what.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Ask the worker of this machine whether it is ready to work, for routing. While money stands still
    /// it is ready, and says why (with --json as `reason`): it takes webhooks. The exit code is 0.
    Health {
        /// Only whether it lives, for a container's health check: a worker that waits for Redis
        /// needs no restart.
        #[arg(long)]
        live: bool,
    },
}

/// What to do with the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigVerb {
    /// Report all problems at once.
    Check,
    /// Print every setting in effect and where it came from; secrets are masked.
    Show,
    /// Print every setting there is, with its default, its unit and its reason.
    Defaults,
}

/// Which payment, and under which key the command is known.
#[derive(Debug, Args)]
pub struct On {
    /// The payment's id.
    pub id: String,
    /// The command's idempotency key; a random one is made and printed without it.
    #[arg(long, visible_alias = "idempotency-key")]
    pub key: Option<String>,
}

const ENQUEUE_EXAMPLES: &str = "\
Examples:
  holdfast enqueue authorize --account hotel --idempotency-key booking-8123 \\
      --amount 45000 --currency MYR --email guest@example.com --checkout \\
      --capture-at \"$(date -u -d '+2 days' +%FT%TZ)\" --wait 5s
  holdfast enqueue charge --account hotel --idempotency-key minibar-8123 \\
      --amount 1500 --currency MYR --email guest@example.com --token-file card.token
  holdfast enqueue --request request.json

Money is in minor units (1500 is RM 15.00), times are RFC 3339 with an offset. Capture or release a hold
within 6 days, unless the settings say otherwise. The same key with the same content is the same payment.";

/// A request: flags, or JSON.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct EnqueueArgs {
    /// The request as JSON.
    #[command(flatten)]
    pub json: FromJson,
    /// The request as flags.
    #[command(subcommand)]
    pub ask: Option<AskArgs>,
}

/// A request that stands in a file.
#[derive(Debug, Args)]
pub struct FromJson {
    /// Read the request as JSON from this file, or from standard input with -.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// Wait so long at most until the payment rests: 500ms, 5s, 2m.
    #[arg(long, value_name = "TIME", value_parser = parse_wait)]
    pub wait: Option<Duration>,
}

/// The four kinds of request.
#[derive(Debug, Subcommand)]
pub enum AskArgs {
    /// Reserve funds; capture or release them by plan or command.
    Authorize(AuthorizeArgs),
    /// Verify a card without taking money, and keep its token.
    SaveCard(SaveCardArgs),
    /// Take money from a saved card.
    Charge(ChargeArgs),
    /// Take over a hold that another service made.
    Adopt(AdoptArgs),
}

/// What every request has.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Which account of the settings.
    #[arg(long, required_unless_present = "request")]
    pub account: Option<String>,
    /// Your name for this very request.
    #[arg(long, value_name = "KEY", required_unless_present = "request")]
    pub idempotency_key: Option<String>,
    /// Your own number, shown to people.
    #[arg(long)]
    pub reference: Option<String>,
    /// Or the request as JSON.
    #[command(flatten)]
    pub json: FromJson,
}

/// How much.
#[derive(Debug, Args)]
pub struct MoneyArgs {
    /// How much, in minor units (sen): 1500 is RM 15.00.
    #[arg(long, required_unless_present = "request", allow_hyphen_values = true)]
    pub amount: Option<String>,
    /// Three letters, such as MYR.
    #[arg(long, required_unless_present = "request")]
    pub currency: Option<String>,
}

/// Who pays.
#[derive(Debug, Args)]
pub struct CustomerArgs {
    /// The customer's e-mail address; the gateway requires one.
    #[arg(long, required_unless_present = "request")]
    pub email: Option<String>,
    /// The customer's name, for receipts.
    #[arg(long)]
    pub full_name: Option<String>,
    /// The customer's phone number, as `<country code> <number>`.
    #[arg(long)]
    pub phone: Option<String>,
    /// What it is for, shown to the payer.
    #[arg(long)]
    pub description: Option<String>,
}

/// Which saved card.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The saved card's token. It stays in your shell's history: better one of the next two.
    #[arg(long)]
    pub token: Option<String>,
    /// A file that holds the token and nothing else, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// An environment variable that holds the token.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
}

/// Where the payer goes.
#[derive(Debug, Args)]
pub struct CheckoutArgs {
    /// Where the payer lands after success; needed for Direct Post.
    #[arg(long, value_name = "URL")]
    pub success_redirect: Option<String>,
    /// Where the payer lands after failure; needed for Direct Post.
    #[arg(long, value_name = "URL")]
    pub failure_redirect: Option<String>,
    /// Where the payer lands after turning back.
    #[arg(long, value_name = "URL")]
    pub cancel_redirect: Option<String>,
    /// Until when the link can be paid, with offset.
    #[arg(long, value_name = "TIME")]
    pub pay_by: Option<String>,
}

/// What becomes of the hold.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Capture at this time, with offset: 2027-01-31T14:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    pub capture_at: Option<String>,
    /// How much to capture, in minor units (sen); all without it.
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    pub capture_amount: Option<String>,
    /// Release at this time; with --capture-at, the fallback.
    #[arg(long, value_name = "TIME")]
    pub release_at: Option<String>,
    /// When the hold lapses, if you know better than the settings.
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// What to do shortly before the hold lapses: release, capture or park.
    #[arg(long, value_name = "WHAT")]
    pub before_expiry: Option<String>,
}

/// `enqueue authorize`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source")
    .args(["request", "checkout", "token", "token_file", "token_env"]).required(true))]
pub struct AuthorizeArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) money: MoneyArgs,
    /// The payer enters a card on the gateway's page or by Direct Post.
    #[arg(long)]
    pub(super) checkout: bool,
    #[command(flatten)]
    pub(super) token: TokenArgs,
    #[command(flatten)]
    pub(super) payer: CheckoutArgs,
    #[command(flatten)]
    pub(super) customer: CustomerArgs,
    #[command(flatten)]
    pub(super) plan: PlanArgs,
}

/// `enqueue save-card`
#[derive(Debug, Args)]
pub struct SaveCardArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// The currency of the verification; MYR without it.
    #[arg(long)]
    pub(super) currency: Option<String>,
    #[command(flatten)]
    pub(super) payer: CheckoutArgs,
    #[command(flatten)]
    pub(super) customer: CustomerArgs,
}

/// `enqueue charge`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source")
    .args(["request", "token", "token_file", "token_env"]).required(true))]
pub struct ChargeArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) money: MoneyArgs,
    #[command(flatten)]
    pub(super) token: TokenArgs,
    #[command(flatten)]
    pub(super) customer: CustomerArgs,
    /// Do not start before this time, with offset.
    #[arg(long, value_name = "TIME")]
    pub(super) not_before: Option<String>,
    /// Never start later than this time, with offset.
    #[arg(long, value_name = "TIME")]
    pub(super) not_after: Option<String>,
}

/// `enqueue adopt`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source")
    .args(["request", "purchase", "purchase_file"]).required(true))]
pub struct AdoptArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) money: MoneyArgs,
    /// The gateway's id of what is on hold.
    #[arg(long, value_name = "ID")]
    pub(super) purchase: Option<String>,
    /// A file that holds that id and nothing else, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) purchase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) plan: PlanArgs,
}
