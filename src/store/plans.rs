//! What operators plan: beside payments, as text that the store does not read.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::audit::AuditEntry;
use super::switches::Switches;
use super::{Nonce, StoreError};
use crate::payment::{Timestamp, digest_of, hex};

const PREFIX: &str = "plan_";
const DIGITS: usize = 32;
/// Within this time a plan is due that is carried out.
pub(super) const SOON: TimeDelta = TimeDelta::minutes(15);

/// What a plan is called: `plan_` and 32 hexadecimal digits, at random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(String);

impl PlanId {
    /// A new one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(format!("{PREFIX}{}", Nonce::fresh().as_str()))
    }

    /// The one that a form leads to, however often it is sent: `mark` is what only its sender and this
    /// program know, so that nobody chooses one.
    #[must_use]
    pub(crate) fn of_form(mark: &str, key: &str) -> Self {
        let digest = digest_of(&[mark.as_bytes(), key.as_bytes()]);
        Self(format!("{PREFIX}{}", hex(&digest[..DIGITS / 2])))
    }

    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlanId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.strip_prefix(PREFIX).unwrap_or_default();
        let fine = digits.len() == DIGITS && digits.bytes().all(hexadecimal);
        fine.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!("{text:?} is no plan's id: plan_ and {DIGITS} hexadecimal digits")
        })
    }
}

impl TryFrom<String> for PlanId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> Self {
        id.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plan as it was read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPlan {
    /// The plan.
    pub text: String,
    /// What a write must still find.
    pub(super) mark: String,
}

/// What is written of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanWrite<'a> {
    /// The plan.
    pub text: &'a str,
    /// When it is due; without a time it is forgotten.
    pub due: Option<Timestamp>,
    /// On whose word, if on anybody's: it is written with it.
    pub audit: Option<&'a AuditEntry>,
}

/// What keeps plans. Every method is one atomic step in the store.
pub trait Plans: Send + Sync + 'static {
    /// A plan.
    fn plan(
        &self,
        id: &PlanId,
    ) -> impl Future<Output = Result<Option<FoundPlan>, StoreError>> + Send;

    /// Writes a plan, if nobody wrote it since it was `found`. `None`: somebody did.
    fn keep_plan(
        &self,
        id: &PlanId,
        found: Option<&FoundPlan>,
        write: PlanWrite<'_>,
    ) -> impl Future<Output = Result<Option<FoundPlan>, StoreError>> + Send;

    /// Up to `slots` plans that are due.
    fn due_plans(
        &self,
        slots: usize,
    ) -> impl Future<Output = Result<Vec<PlanId>, StoreError>> + Send;

    /// Has a plan that cannot be read come up again only at `until`. One that is not there comes up no
    /// more.
    fn postpone_plan(
        &self,
        id: &PlanId,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Plans that are kept, as far as `most` goes: those first that are due within `SOON`, as all are
    /// that a worker carries out, and then those that are kept longest, as the newest are.
    fn plans(&self, most: usize) -> impl Future<Output = Result<Vec<PlanId>, StoreError>> + Send;

    /// What people have stopped: it holds up what a plan would have sent.
    fn switches(&self) -> impl Future<Output = Result<Switches, StoreError>> + Send;
}
