//! What can be typed after `enqueue`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::request::parse_wait;

pub(super) const ENQUEUE_EXAMPLES: &str = "\
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

/// A request in a file.
#[derive(Debug, Args)]
pub struct FromJson {
    /// Read the request as JSON from this file, or from standard input with -.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// Wait until the payment has left the state new, but at most this long: 500ms, 5s, 2m.
    #[arg(long, value_name = "TIME", value_parser = parse_wait)]
    pub wait: Option<Duration>,
}

/// The four kinds of request.
#[derive(Debug, Subcommand)]
pub enum AskArgs {
    /// Reserve funds; capture or release them by plan or command.
    #[command(after_help = "\
Examples:
  holdfast enqueue authorize --account hotel --idempotency-key booking-8123 \\
      --amount 45000 --currency MYR --email guest@example.com --checkout
  holdfast enqueue authorize --account hotel --idempotency-key booking-8124 \\
      --amount 45000 --currency MYR --email guest@example.com --token-env CARD \\
      --release-at 2027-01-31T14:00:00+08:00")]
    Authorize(AuthorizeArgs),
    /// Verify a card without taking money, and keep its token.
    #[command(after_help = "\
Example: holdfast enqueue save-card --account hotel --idempotency-key card-8123 \\
    --email guest@example.com")]
    SaveCard(SaveCardArgs),
    /// Take money from a saved card.
    #[command(after_help = "\
Example: holdfast enqueue charge --account hotel --idempotency-key minibar-8123 \\
    --amount 1500 --currency MYR --email guest@example.com --token-file card.token")]
    Charge(ChargeArgs),
    /// Take over a hold that another service made.
    #[command(after_help = "\
Example: holdfast enqueue adopt --account hotel --idempotency-key taken-over-8123 \\
    --amount 45000 --currency MYR --purchase-file purchase.id")]
    Adopt(AdoptArgs),
}

/// What every request has.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Which account of the settings.
    #[arg(long, required_unless_present = "request")]
    pub account: Option<String>,
    /// Your own key for this request. The same key with the same content is the same payment.
    #[arg(long, value_name = "KEY", required_unless_present = "request")]
    pub idempotency_key: Option<String>,
    /// Your own number, shown to people.
    #[arg(long)]
    pub reference: Option<String>,
    /// The request as JSON instead.
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
    /// The saved card's token. It stays in your shell's history: better use one of the next two.
    #[arg(long)]
    pub token: Option<String>,
    /// A file with the token and nothing else, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// An environment variable with the token.
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
    /// How much to capture, in minor units (sen). Default: all of it.
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    pub capture_amount: Option<String>,
    /// Release at this time; with --capture-at, the fallback if it was not captured by then.
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
    /// The currency of the verification. Default: MYR.
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
    /// A file with that id and nothing else, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) purchase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) plan: PlanArgs,
}
