//! Accounts whose key the gateway refused: left alone for a while, rather than parking all their
//! payments one by one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use crate::payment::{AccountName, Answer, Denial, LookUp, Timestamp};

/// How long an account is left alone after the gateway refused its key.
const OPEN_FOR: TimeDelta = TimeDelta::seconds(60);

/// What an answer says of the key that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The gateway took it.
    Taken,
    /// The gateway refused it, or its rights.
    Refused,
    /// Nothing: the gateway was not reached, or did not say.
    Unproved,
}

impl Key {
    pub(super) const fn of_answer(answer: &Answer) -> Self {
        match answer {
            Answer::NoEffect { denied: true, .. } => Self::Refused,
            Answer::NotSent { .. } | Answer::Unknown { .. } | Answer::RateLimited { .. } => {
                Self::Unproved
            }
            Answer::Shown(_)
            | Answer::NoEffect { denied: false, .. }
            | Answer::Declined { .. }
            | Answer::Conflict { .. } => Self::Taken,
        }
    }

    pub(super) const fn of_look_up(outcome: &LookUp) -> Self {
        match outcome {
            LookUp::Failed {
                denied: Denial::Said | Denial::Bare,
                ..
            } => Self::Refused,
            LookUp::Failed {
                denied: Denial::No, ..
            } => Self::Unproved,
            LookUp::Shown(_) | LookUp::NotFound => Self::Taken,
        }
    }
}

/// What became of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is left alone.
    Open {
        /// Until then.
        until: Timestamp,
    },
    /// It may be called.
    Closed,
    /// Whatever was so before.
    AsBefore,
}

/// Which accounts are left alone, and until when. Shared by all turns of a process.
#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<BTreeMap<AccountName, Timestamp>>);

impl Breakers {
    /// How long the account is to be left alone from `now`; `None` when it may be called.
    pub(super) fn pause(&self, account: &AccountName, now: Timestamp) -> Option<TimeDelta> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = open.get(account).filter(|until| **until > now)?;
        Some(*until - now)
    }

    /// Takes note of what an answer says of the account's key.
    pub(super) fn note(&self, account: &AccountName, key: Key, now: Timestamp) -> Noted {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match key {
            Key::Refused => {
                tracing::error!(
                    event = "key_refused", %account,
                    "the gateway refused the account's key; its payments wait. Check the key"
                );
                let until = now + OPEN_FOR;
                open.insert(account.clone(), until);
                Noted::Open { until }
            }
            Key::Taken => {
                open.remove(account);
                Noted::Closed
            }
            Key::Unproved => Noted::AsBefore,
        }
    }
}
