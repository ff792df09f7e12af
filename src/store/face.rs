//! The face of a payment: what an overview and a search must know of it, in one line.
//!
//! The faces of all unfinished payments stand in the index of states, so that sums over them are exact
//! and cost one range each, and no record is read for it. A face follows from the payment alone.

use std::fmt::{self, Display};

use crate::clock::from_millis;
use crate::payment::{
    AccountName, Amount, Ask, Attempt, Command, CommandAnswer, Currency, HoldOutcome, Money,
    Payment, PaymentId, Source, State, StateName, Step, Timestamp,
};

/// What is written for what there is not.
const NONE: &str = "-";

/// What an overview and a search must know of a payment. No word of the producer's stands in it but
/// the account's name, which has no `:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// The state.
    pub state: StateName,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Which payment.
    pub id: PaymentId,
    /// Under which account.
    pub account: AccountName,
    /// What is held; before that, what was asked for.
    pub money: Option<Money>,
    /// When the hold lapses, if there is one: also while it is parked.
    pub lapses_at: Option<Timestamp>,
    /// What is to be done about its money by itself, and when; the guard's time is not meant.
    pub planned: Option<Dated>,
    /// The call whose outcome is not known, and since when.
    pub in_doubt: Option<Dated>,
    /// Why it failed or was parked, in a word.
    pub reason: Option<String>,
}

/// A step, and a time that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// Which step.
    pub step: StepName,
    /// When.
    pub at: Timestamp,
}

/// A step's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepName {
    /// See [`Step::Create`].
    Create,
    /// See [`Step::Charge`].
    Charge,
    /// See [`Step::Capture`].
    Capture,
    /// See [`Step::Release`].
    Release,
    /// See [`Step::Cancel`].
    Cancel,
}

/// What is true of a payment's turn when its face is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Nobody works on it: an attempt that is open is in doubt.
    Rest,
    /// Its call may be on the way: it is in doubt once it was answered or looked up in vain. So a
    /// charge that goes well never shows as one, and nothing is written for it.
    Work,
}

impl StepName {
    const ALL: [Self; 5] = [
        Self::Create,
        Self::Charge,
        Self::Capture,
        Self::Release,
        Self::Cancel,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }

    /// Whether money may have moved, or may be held no more, if its outcome is not known.
    #[must_use]
    pub const fn is_about_money(self) -> bool {
        matches!(self, Self::Charge | Self::Capture | Self::Release)
    }
}

impl From<Step> for StepName {
    fn from(step: Step) -> Self {
        match step {
            Step::Create => Self::Create,
            Step::Charge => Self::Charge,
            Step::Capture { .. } => Self::Capture,
            Step::Release => Self::Release,
            Step::Cancel => Self::Cancel,
        }
    }
}

impl Face {
    /// The face of a payment, unfinished or not.
    #[must_use]
    pub fn of(payment: &Payment, at: At) -> Self {
        let (request, state) = (payment.request(), payment.state());
        let hold = match state.active() {
            Some(crate::payment::Active::Held(hold)) => Some(hold),
            _ => None,
        };
        let since = payment.history().last();
        let counts =
            |open: &&Attempt| matches!(at, At::Rest) || open.note.is_some() || open.looks.is_some();
        Self {
            state: state.name(),
            since: since.map_or(payment.created_at(), |change| change.at),
            id: payment.id().clone(),
            account: request.account.clone(),
            money: match (state, &hold) {
                (State::Paid(money), _) => Some(*money),
                (_, Some(hold)) => Some(hold.money),
                (_, None) => request.money(),
            },
            lapses_at: hold.map(|hold| hold.expires_at),
            planned: planned(payment),
            in_doubt: payment.open_attempt().filter(counts).map(|open| Dated {
                step: open.step.into(),
                at: open.opened_at,
            }),
            reason: reason(state),
        }
    }

    /// What an index of faces has in common with a place in it.
    #[must_use]
    pub(super) fn place(&self) -> String {
        let (state, since) = (self.state, self.since.timestamp_millis());
        format!("{state}:{since:013}:{}", self.id)
    }

    /// Reads a face; `None` if it is none of this version.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let state = next()?.parse().ok()?;
        let since = from_millis(next()?.parse().ok()?)?;
        let id = PaymentId::new(next()?).ok()?;
        let account = AccountName::new(next()?).ok()?;
        let money = match (next()?, next()?) {
            (NONE, _) => None,
            (currency, minor) => Some(Money {
                amount: Amount::new(minor.parse().ok()?).ok()?,
                currency: Currency::new(currency).ok()?,
            }),
        };
        let lapses_at = given(next()?, |ms| from_millis(ms.parse().ok()?)).ok()?;
        let planned = given(next()?, Dated::from_text).ok()?;
        let in_doubt = given(next()?, Dated::from_text).ok()?;
        let reason = given(next()?, |why| Some(why.to_owned())).ok()?;
        Some(Self {
            state,
            since,
            id,
            account,
            money,
            lapses_at,
            planned,
            in_doubt,
            reason,
        })
    }
}

impl Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (currency, minor) = self.money.as_ref().map_or((NONE, 0), |money| {
            (money.currency.as_str(), money.amount.minor())
        });
        let lapses_at = self.lapses_at.map(|at| at.timestamp_millis());
        write!(
            f,
            "{}:{}:{currency}:{minor}:{}:{}:{}:{}",
            self.place(),
            self.account,
            or_none(lapses_at),
            or_none(self.planned),
            or_none(self.in_doubt),
            or_none(self.reason.as_deref()),
        )
    }
}

impl Dated {
    fn from_text(text: &str) -> Option<Self> {
        let (word, ms) = text.split_once('.')?;
        Some(Self {
            step: StepName::ALL
                .into_iter()
                .find(|step| step.as_str() == word)?,
            at: from_millis(ms.parse().ok()?)?,
        })
    }
}

impl Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step.as_str(), self.at.timestamp_millis())
    }
}

fn or_none(what: Option<impl Display>) -> String {
    what.map_or_else(|| NONE.to_owned(), |what| what.to_string())
}

/// A part that cannot be read.
struct Unreadable;

/// Reads a part that may stand for what there is not.
fn given<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Unreadable> {
    if text == NONE {
        return Ok(None);
    }
    read(text).map(Some).ok_or(Unreadable)
}

/// Why it failed or was parked, without the gateway's code.
fn reason(state: &State) -> Option<String> {
    let told = match state {
        State::Failed(reason) => serde_json::to_value(reason),
        State::Parked { reason, .. } => serde_json::to_value(reason),
        _ => return None,
    };
    Some(told.ok()?.get("why")?.as_str()?.to_owned())
}

/// What the machine is to do about the money by itself. What is carried out already keeps its time.
fn planned(payment: &Payment) -> Option<Dated> {
    let dated = |step, at: Option<Timestamp>| at.map(|at| Dated { step, at });
    match (payment.state(), &payment.request().ask) {
        (State::New, Ask::Charge(ask)) => dated(
            StepName::Charge,
            ask.not_before.or(Some(payment.created_at())),
        ),
        (State::New, Ask::Authorize(ask)) if matches!(ask.source, Source::Token(_)) => {
            dated(StepName::Charge, Some(payment.created_at()))
        }
        (State::Held(_), _) => {
            let commanded = payment.decision().filter(|decision| decision.by_command);
            if let Some(decision) = commanded {
                let step = match decision.outcome {
                    HoldOutcome::Capture(_) => StepName::Capture,
                    HoldOutcome::Release => StepName::Release,
                };
                return dated(step, commanded_at(payment));
            }
            let plan = payment.plan();
            dated(StepName::Capture, plan.capture_at)
                .or_else(|| dated(StepName::Release, plan.release_at))
        }
        _ => None,
    }
}

/// When it was last commanded what becomes of the hold.
fn commanded_at(payment: &Payment) -> Option<Timestamp> {
    let decided = payment.commands().iter().rev().find(|entry| {
        let decides = matches!(entry.command, Command::Capture { .. } | Command::Release);
        decides && entry.answer == CommandAnswer::Accepted
    });
    decided.map(|entry| entry.at)
}
