//! Accounts whose key the gateway refused: left alone for a while, rather than parking all their
//! payments one by one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use crate::payment::{AccountName, Timestamp};

/// How long an account is left alone after the gateway refused its key.
const OPEN_FOR: TimeDelta = TimeDelta::seconds(60);

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

    /// Takes note of whether the gateway refused the account's key.
    pub(super) fn note(&self, account: &AccountName, denied: bool, now: Timestamp) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if denied {
            tracing::error!(%account, "the gateway refused the account's key; its payments wait. Check the key");
            open.insert(account.clone(), now + OPEN_FOR);
        } else {
            open.remove(account);
        }
    }
}
