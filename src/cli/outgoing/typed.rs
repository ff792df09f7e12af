//! What can be typed about endpoints and events.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::desk::{payment_id, person};
use crate::cli::failure::Failure;
use crate::payment::{PaymentId, parse_time};
use crate::store::{EndpointName, EventPlace, Range};
use crate::worker::outbox::SigningSecret;

/// What to do about endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointsVerb {
    /// List the endpoints: what is pending, since when, and whether it is sent.
    #[command(after_help = "Example: holdfast endpoints list")]
    List,
    /// Send to an endpoint again, starting with everything that is pending.
    #[command(after_help = "Example: holdfast endpoints enable shop --reason \"mended\"")]
    Enable(Signed),
    /// Send nothing to an endpoint for now. Its events are kept.
    #[command(after_help = "Example: holdfast endpoints disable shop --reason \"maintenance\"")]
    Disable(Signed),
    /// Drop what is pending for an endpoint that was removed from the settings.
    #[command(after_help = "Example: holdfast endpoints forget shop --reason \"closed\"")]
    Forget(Signed),
    /// List what was done about endpoints, by whom and why, newest first.
    #[command(after_help = "Example: holdfast endpoints log --limit 10")]
    Log {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Make a secret to sign deliveries with. It is printed, and stored nowhere.
    #[command(after_help = "Example: holdfast endpoints new-secret > shop.secret")]
    NewSecret,
}

/// What to do about events.
#[derive(Debug, Subcommand)]
pub enum EventsVerb {
    /// List the events that are kept, in the order in which they were written.
    #[command(after_help = "Example: holdfast events list --payment pay_3f0c…")]
    List(RangeArgs),
    /// Send the events of a time range to an endpoint again, each under the same `webhook-id`.
    #[command(
        after_help = "Example: holdfast events replay --endpoint shop --from 2027-01-31T14:00:00+08:00 \
                      --reason \"database restored\" --dry-run"
    )]
    Replay {
        /// To which endpoint.
        #[arg(long)]
        endpoint: EndpointName,
        /// Which events.
        #[command(flatten)]
        range: RangeArgs,
        /// Why; kept in the log of endpoints.
        #[arg(long)]
        reason: String,
        /// Who asks. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
        /// Only say how many there are.
        #[arg(long)]
        dry_run: bool,
    },
    /// Skip one event that an endpoint cannot accept, so that the payment's next events are sent.
    #[command(
        after_help = "Example: holdfast events skip --endpoint shop --id evt_pay_3f0c…_2_1-0 --reason \"answered by hand\""
    )]
    Skip {
        /// To which endpoint.
        #[arg(long)]
        endpoint: EndpointName,
        /// Which event: its `webhook-id`.
        #[arg(long)]
        id: String,
        /// Why; kept in the log of endpoints.
        #[arg(long)]
        reason: String,
        /// Who asks. Default: the user of this terminal.
        #[arg(long, value_parser = person)]
        actor: Option<String>,
    },
}

/// Which event a `webhook-id` names.
pub(super) fn event_id(id: &str) -> Result<(PaymentId, EventPlace), Failure> {
    let read = || {
        let mut parts = id.strip_prefix("evt_")?.rsplitn(3, '_');
        let (place, _version) = (parts.next()?.parse().ok()?, parts.next()?);
        Some((PaymentId::new(parts.next()?).ok()?, place))
    };
    read().ok_or_else(|| Failure::Wrong(format!("--id: {id} is no id of an event")))
}

/// Which endpoint, and who says so why.
#[derive(Debug, Args)]
pub struct Signed {
    /// The endpoint's name.
    pub name: EndpointName,
    /// Why; kept in the log of endpoints.
    #[arg(long)]
    pub reason: String,
    /// Who asks. Default: the user of this terminal.
    #[arg(long, value_parser = person)]
    pub actor: Option<String>,
}

/// Which events.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct RangeArgs {
    /// Written from this time on, with offset: 2027-01-31T14:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Written up to this time, with offset.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Of this payment alone.
    #[arg(long, value_name = "ID")]
    pub payment: Option<String>,
}

impl EndpointsVerb {
    pub(in crate::cli) const fn only_looks(&self) -> bool {
        matches!(self, Self::List | Self::Log { .. })
    }
}

impl EventsVerb {
    pub(in crate::cli) const fn only_looks(&self) -> bool {
        matches!(self, Self::List(_) | Self::Replay { dry_run: true, .. })
    }
}

impl RangeArgs {
    pub(super) fn read(&self) -> Result<Range, Failure> {
        let moment = |name: &str, text: &Option<String>| {
            let wrong = |error| Failure::Wrong(format!("{name}: {error}"));
            text.as_deref().map(parse_time).transpose().map_err(wrong)
        };
        Ok(Range {
            from: moment("--from", &self.from)?,
            to: moment("--to", &self.to)?,
            payment: self.payment.as_deref().map(payment_id).transpose()?,
        })
    }
}

/// Makes a secret and shows it, this once.
pub(in crate::cli) fn new_secret(as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let secret = SigningSecret::fresh();
    if as_json {
        return Ok(writeln!(out, "{}", json!({ "secret": secret }))?);
    }
    Ok(writeln!(out, "{secret}")?)
}
