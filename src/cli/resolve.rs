//! To settle a parked payment: by what the gateway shows, or by two people's word where it shows nothing.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::args::On;
use super::desk::{Desk, user};
use super::failure::Failure;
use super::request::Around;
use crate::payment::StatedEnd;
use crate::store::audit::Mandate;
use crate::store::{Cards, Plans, Store};

/// How to settle a parked payment.
#[derive(Debug, Subcommand)]
pub enum ResolveVerb {
    /// Report what the gateway shows, although it is not what was asked: another amount, or a hold that
    /// somebody else captured or released. A worker looks first, and what it sees counts; no call
    /// follows. A purchase that was only marked as paid by hand is not accepted.
    #[command(
        after_help = "Example: holdfast resolve as-shown pay_3f0c… --reason \"captured in the portal\""
    )]
    AsShown(Said),
    /// State how it ended, if the gateway does not show it. Nothing happens until another person
    /// approves. That money was taken cannot be stated.
    #[command(
        after_help = "Example: holdfast resolve propose pay_3f0c… --outcome hold-gone --reason \"it lapsed\""
    )]
    Propose(Stated),
    /// Approve what another person stated, within a day. A worker looks first: if the gateway shows
    /// something else, that counts.
    #[command(
        after_help = "Example: holdfast resolve approve pay_3f0c… --outcome hold-gone --reason \"checked the statement\""
    )]
    Approve(Stated),
}

/// Which payment, and why.
#[derive(Debug, Args)]
pub struct Said {
    /// Which payment, and the command's key.
    #[command(flatten)]
    pub on: On,
    /// Why; kept in the record.
    #[arg(long)]
    pub reason: String,
}

/// The same, and how it ended.
#[derive(Debug, Args)]
pub struct Stated {
    /// Which payment, and why.
    #[command(flatten)]
    pub said: Said,
    /// How it ended.
    #[arg(long, value_enum)]
    pub outcome: Outcome,
}

/// How it ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Outcome {
    /// Nothing was taken or reserved, and nothing ever will be.
    NeverPaid,
    /// The reservation is gone, and nothing of it was taken.
    HoldGone,
}

impl<S: Store + Cards + Plans> Desk<'_, S> {
    pub(super) async fn resolve(
        &self,
        verb: &ResolveVerb,
        around: &Around<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (name, said, outcome) = match verb {
            ResolveVerb::AsShown(said) => ("resolve_as_shown", said, None),
            ResolveVerb::Propose(stated) => ("propose_by_hand", &stated.said, Some(stated.outcome)),
            ResolveVerb::Approve(stated) => ("approve_by_hand", &stated.said, Some(stated.outcome)),
        };
        let (on, reason) = (&said.on, &said.reason);
        let actor = on.actor.clone().map_or_else(|| user(around.env), Ok)?;
        let mut command = json!({"command": name, "reason": reason, "actor": actor});
        if let Some(outcome) = outcome {
            command["outcome"] = outcome.stored();
        }
        let by = Mandate::typed_by(&actor).because(Some(reason));
        self.command(on, &command, &by, out).await
    }
}

impl Outcome {
    fn stored(self) -> Value {
        json!(match self {
            Self::NeverPaid => StatedEnd::NeverPaid,
            Self::HoldGone => StatedEnd::HoldGone,
        })
    }
}
