//! A plan to rerun payments that are parked or otherwise unfinished: what each showed, what would be done to
//! it and to how much money, and, once it is applied, what became of it. Pure: whoever changes it says what
//! time it is.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::foresee::Foreseen;
use crate::payment::{AccountName, ParkReason, Payment, PaymentId, State, StateName, Timestamp};
use crate::store::audit::Mandate;
use crate::store::{Loaded, PlanId};

/// How long a plan can be applied once it is made: what the gateway showed grows old.
pub const LASTS: TimeDelta = TimeDelta::minutes(15);
pub(super) const VERSION: u32 = 1;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub(super) v: u32,
    /// What it is called.
    pub id: PlanId,
    /// When it was asked for.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
    /// Of which payments.
    pub of: Selection,
    /// Whoever asked for it sees these accounts alone; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<BTreeSet<AccountName>>,
    /// How far it is.
    pub phase: Phase,
    /// The payments; none before they were looked for.
    pub payments: Vec<Planned>,
    /// Whether there are more than one plan has.
    pub more: bool,
    /// Up to where they were looked for; nothing before, and once they were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) looked_to: Option<String>,
    /// In how many steps they were looked for.
    #[serde(default)]
    pub(super) looks: u32,
    /// Whether it was given up to look at all that are in the state, there being so many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
    /// Who had it applied, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Who had it go on after it was stopped, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Applied>,
    /// When a worker next does something about it, or a lease ends, or it is to be forgotten.
    pub due_at: Timestamp,
}

/// Which payments a plan is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// These.
    Payments(Vec<PaymentId>),
    /// Those that fit.
    Matching(Filter),
}

/// Which payments fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Those in this state.
    pub state: StateName,
    /// Those of this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// Those that are parked for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Those that have been in their state for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
}

/// How far a plan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// A worker is to find the payments.
    Wanted,
    /// A worker asks the gateway about each.
    Asking,
    /// It can be applied.
    Ready {
        /// Until then.
        until: Timestamp,
    },
    /// A worker reruns payments, stage by stage.
    Applying {
        /// The how manyth stage is next.
        stage: usize,
        /// How many odd results there were before this run.
        odd_before: usize,
    },
    /// A run that was stopped.
    Stopped {
        /// Why.
        why: String,
    },
    /// All of it was done.
    Done,
}

/// What a person commands of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanCommand {
    /// To have it carried out.
    Apply,
    /// To tell no further payment.
    Stop,
    /// To go on after that.
    Resume,
}

impl PlanCommand {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Apply, Self::Stop, Self::Resume];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Stop => "stop",
            Self::Resume => "resume",
        }
    }

    /// The same, in the audit log.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::Apply => "plan_apply",
            Self::Stop => "plan_stop",
            Self::Resume => "plan_resume",
        }
    }
}

/// Who had a plan applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The same, as the audit log has it.
    pub mandate: Mandate,
}

impl Applied {
    pub(super) fn new(by: &str, reason: &str, mandate: &Mandate, at: Timestamp) -> Self {
        Self {
            at,
            by: by.to_owned(),
            reason: reason.to_owned(),
            mandate: mandate.clone(),
        }
    }
}

/// A payment of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Which.
    pub payment: PaymentId,
    /// Of which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// The record as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// What the gateway showed, in a word; nothing where nothing was made there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// What a rerun would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreseen: Option<Foreseen>,
    /// The most that a rerun may come to take or reserve, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// What people had stopped that holds up the call which a rerun would make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a payment of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// The gateway is to be asked about it.
    Unasked,
    /// It will not be rerun by this plan.
    LeftOut {
        /// Why not.
        why: LeftOut,
    },
    /// It is to be rerun.
    Waits,
    /// It was told to be rerun, and what came of it is not known yet.
    Given {
        /// When.
        at: Timestamp,
    },
    /// It changed since it was planned; nothing was done.
    ChangedSince,
    /// It came out as foreseen.
    AsForeseen {
        /// In which state it is.
        state: StateName,
    },
    /// It was said to look on, and did so for as long as a run waits: what comes of it is not known, and
    /// it goes on by itself.
    LooksOn {
        /// In which state it is.
        state: StateName,
        /// Why it is parked, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ParkReason>,
    },
    /// It did not.
    Odd {
        /// In which state it is.
        state: StateName,
        /// Why it is parked, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ParkReason>,
    },
}

/// Why a payment is not rerun by a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// There is none, or none that whoever asked may see.
    Missing,
    /// It has ended.
    Finished,
    /// Its account is not configured where the plan was made.
    AccountMissing,
    /// The gateway could not be asked about it.
    GatewaySilent,
    /// The gateway refuses its account's key, or did so before it was asked about.
    KeyRefused,
    /// The gateway wants to be asked less often, about its account, and it was not asked any more.
    RateLimited,
    /// It takes no command any more.
    TakesNone,
    /// Its record cannot be read.
    Unreadable,
}

impl LeftOut {
    /// Whether it goes for all payments of the account that are to be asked about.
    #[must_use]
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::KeyRefused | Self::RateLimited)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Finished => "finished",
            Self::AccountMissing => "account_missing",
            Self::GatewaySilent => "gateway_silent",
            Self::KeyRefused => "key_refused",
            Self::RateLimited => "rate_limited",
            Self::TakesNone => "takes_none",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A record as it was: as much of it as must be the same when a plan is applied. Looks alone change
/// none of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The version that was read.
    pub version: u64,
    /// The state.
    pub state: StateName,
    /// Why it is parked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ParkReason>,
    /// How many calls were noted.
    pub attempts: usize,
    /// Whether what the last one did is unknown.
    pub in_doubt: bool,
    /// How many commands it was given.
    pub commands: usize,
}

impl Seen {
    /// As `loaded` is.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Self {
        Self::at(&loaded.payment, loaded.version)
    }

    fn at(payment: &Payment, version: u64) -> Self {
        Self {
            version,
            state: payment.state().name(),
            reason: match payment.state() {
                State::Parked { reason, .. } => Some(reason.clone()),
                _ => None,
            },
            attempts: payment.attempts().len(),
            in_doubt: payment.open_attempt().is_some(),
            commands: payment.commands().len(),
        }
    }

    /// Whether `payment` is as it was, but for looks that showed nothing new.
    #[must_use]
    pub fn is_still(&self, payment: &Payment) -> bool {
        *self == Self::at(payment, self.version)
    }
}

/// Why nothing was done about a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// A worker has not asked about all payments yet.
    #[error("a worker is still asking the gateway about its payments; wait until it is ready")]
    NotReady,
    /// It is too old.
    #[error("the plan has expired: what the gateway showed is old by now; make a new one")]
    Expired,
    /// It was applied before.
    #[error("the plan was applied before, and can be applied once; look at what became of it")]
    AppliedBefore,
    /// It is not being applied, so there is nothing to stop.
    #[error("the plan is not being applied; there is nothing to stop")]
    NothingToStop,
    /// It was not stopped, so there is nothing to resume.
    #[error("the plan was not stopped; there is nothing to resume")]
    NothingToResume,
    /// There is nothing in it to be done.
    #[error("the plan has no payment that can be rerun; its payments say why")]
    Empty,
}

impl Filter {
    /// Whether `payment` is among those meant, at `now`.
    #[must_use]
    pub fn fits(&self, payment: &Payment, now: Timestamp) -> bool {
        let since = payment
            .history()
            .last()
            .map_or(payment.created_at(), |last| last.at);
        let age = u64::try_from((now - since).num_milliseconds()).unwrap_or(0);
        let named = |wanted: &String| match payment.state() {
            State::Parked { reason, .. } => reason.as_str() == wanted,
            _ => false,
        };
        payment.state().name() == self.state
            && self
                .account
                .as_ref()
                .is_none_or(|account| *account == payment.request().account)
            && self.reason.as_ref().is_none_or(named)
            && self.older_than_ms.is_none_or(|least| age >= least)
    }
}
