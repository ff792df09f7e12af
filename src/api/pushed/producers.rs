//! Who may push, and what: producers by the key that they sign with.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::KeyName;
use crate::api::v1::ProblemCode;
use crate::api::v1::problem::Problem;
use crate::config::Current;
use crate::payment::{AccountName, Ask, Command, Currency, Request, Timestamp};

/// What can be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "each is the request or the command of its name"
)]
pub enum Kind {
    Authorize,
    SaveCard,
    Charge,
    Adopt,
    Capture,
    Release,
    Reschedule,
    Cancel,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::SaveCard => "save_card",
            Self::Charge => "charge",
            Self::Adopt => "adopt",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Reschedule => "reschedule",
            Self::Cancel => "cancel",
        }
    }

    pub(super) const fn of_request(request: &Request) -> Self {
        match &request.ask {
            Ask::Authorize(_) => Self::Authorize,
            Ask::SaveCard(_) => Self::SaveCard,
            Ask::Charge(_) => Self::Charge,
            Ask::Adopt(_) => Self::Adopt,
        }
    }

    /// `None` for what is an operator's.
    pub(super) const fn of_command(command: &Command) -> Option<Self> {
        match command {
            Command::Capture { .. } => Some(Self::Capture),
            Command::Release => Some(Self::Release),
            Command::Reschedule { .. } => Some(Self::Reschedule),
            Command::Cancel => Some(Self::Cancel),
            Command::ResolveAsShown { .. }
            | Command::ProposeByHand { .. }
            | Command::ApproveByHand { .. }
            | Command::Rerun { .. } => None,
        }
    }
}

/// A key to sign with, and what its holder may push. Whatever is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// What the key is called: in what is signed, in the log, in quarantine.
    pub kid: KeyName,
    /// The public half, as Ed25519 has it.
    pub public_key: [u8; 32],
    /// Which requests and commands.
    pub types: Option<BTreeSet<Kind>>,
    /// For which accounts.
    pub accounts: Option<BTreeSet<AccountName>>,
    /// In which currencies.
    pub currencies: Option<BTreeSet<Currency>>,
    /// The largest amount of one request or capture, in minor units.
    pub largest_amount_minor: Option<u64>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

impl Producer {
    pub(super) fn is_in_time(&self, now: Timestamp) -> Result<(), Problem> {
        if self.expires_at.is_none_or(|end| now < end) {
            return Ok(());
        }
        let told = "the key has expired; sign with one that is configured and has not";
        Err(Problem::new(ProblemCode::KeyExpired, told).of_field("kid"))
    }

    pub(super) fn may(&self, kind: Kind, account: &AccountName) -> Result<(), Problem> {
        if self.types.as_ref().is_some_and(|all| !all.contains(&kind)) {
            let told = format!("the key {} is not for {}", self.kid.as_str(), kind.as_str());
            return Err(Problem::new(ProblemCode::ScopeMissing, told).of_field("type"));
        }
        let known = self.accounts.as_ref();
        if known.is_some_and(|all| !all.contains(account)) {
            let told = format!("the key is not for the account {account}");
            return Err(Problem::new(ProblemCode::AccountForbidden, told).of_field("account"));
        }
        Ok(())
    }

    /// Whether it may have money taken by a plan, which is a capture without a command.
    pub(super) fn may_capture(&self, field: &str) -> Result<(), Problem> {
        let kind = Kind::Capture;
        if self.types.as_ref().is_some_and(|all| !all.contains(&kind)) {
            let name = self.kid.as_str();
            let told = format!("the key {name} is not for capture, nor for a plan that captures");
            return Err(Problem::new(ProblemCode::ScopeMissing, told).of_field(field));
        }
        Ok(())
    }

    /// Whether it may have so much moved, in minor units.
    pub(super) fn may_move(&self, amount: u64, currency: Currency) -> Result<(), Problem> {
        let known = self.currencies.as_ref();
        if known.is_some_and(|all| !all.contains(&currency)) {
            let told = format!("the key is not for {}", currency.as_str());
            let problem = Problem::new(ProblemCode::CurrencyForbidden, told);
            return Err(problem.of_field("money.currency"));
        }
        match self.largest_amount_minor {
            Some(largest) if amount > largest => {
                let told = format!("the key may move {largest} at most, in minor units");
                Err(Problem::new(ProblemCode::AmountForbidden, told).of_field("money.amount"))
            }
            _ => Ok(()),
        }
    }
}

/// Whose pushes are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether what is not signed is taken, from whoever may push.
    pub accept_unsigned: bool,
    /// Who signs.
    pub producers: Vec<Producer>,
}

impl Rules {
    pub(super) fn producer(&self, kid: &str) -> Option<&Producer> {
        let mut all = self.producers.iter();
        all.find(|producer| producer.kid.as_str() == kid)
    }
}

/// The rules, which can be exchanged while pushes are taken.
#[derive(Debug)]
pub struct Producers(Current<Rules>);

impl Producers {
    /// These rules for now.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Current::new(rules))
    }

    /// From now on these rules count.
    pub fn replace(&self, rules: Rules) {
        self.0.replace(rules);
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.0.get()
    }
}
