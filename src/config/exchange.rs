//! Which settings can take the place of others while a worker runs: accounts, keys and
//! endpoints. The rest is read once: what was checked together must hold together. A deadline in
//! use must not become longer than the quiet period that counts on it, nor a live key come to a
//! worker whose Redis may forget.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::{Account, Config, Setting};
use crate::payment::AccountName;

impl Config {
    /// Whether accounts, keys or endpoints of `next` are others.
    #[must_use]
    pub fn is_exchanged_by(&self, next: &Self) -> bool {
        self.accounts != next.accounts
            || self.api.keys != next.api.keys
            || self.intake.rules != next.intake.rules
            || self.events.endpoints != next.events.endpoints
    }

    /// These settings with the accounts of `next`. Nothing is exchanged if a payment of one of the
    /// `former` accounts, which may be under way, would find itself somewhere else.
    pub fn with_accounts_of(
        &self,
        next: &Self,
        former: &BTreeMap<AccountName, Account>,
    ) -> Result<Self, Problems> {
        next.require_accounts()?;
        let mut problems = Problems(Vec::new());
        let same = [
            ("redis", self.redis == next.redis),
            ("worker", self.worker == next.worker),
            ("gateway", self.gateway == next.gateway),
            ("policy", self.policy == next.policy),
        ];
        for (section, same) in same {
            problems.unless(same, section, "", || {
                "was changed, and accounts are checked against it; it takes a restart of the \
                 workers to exchange them together"
                    .to_owned()
            });
        }
        for (name, account) in former {
            if let Some(next) = next.accounts.get(name) {
                stays(name, account, next, &mut problems);
            }
        }
        if !problems.0.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            accounts: next.accounts.clone(),
            ..self.clone()
        })
    }

    /// The names of all settings that are others in `next` and wait for the next start.
    #[must_use]
    pub fn waiting(&self, next: &Self) -> Vec<String> {
        let missing = |from: &Self, to: &Self| -> Vec<String> {
            let stays = |setting: &Setting| {
                let same = |other: &&Setting| other.name == setting.name;
                to.settings.iter().find(same).map(|other| &other.value) == Some(&setting.value)
            };
            let gone = from.settings.iter().filter(|setting| !stays(setting));
            gone.map(|setting| setting.name.clone()).collect()
        };
        let mut names = missing(self, next);
        names.extend(missing(next, self));
        let exchanged = [
            "accounts.",
            "api.keys",
            "endpoints.",
            "intake.accept_unsigned",
            "intake.producers",
        ];
        names.retain(|name| !exchanged.iter().any(|part| name.starts_with(part)));
        if self.redis.url != next.redis.url {
            // Masked, so that it looks the same.
            names.push("redis.url".to_owned());
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A purchase is found with the account under which it was made, at the same place.
fn stays(name: &AccountName, account: &Account, next: &Account, problems: &mut Problems) {
    let same = [
        ("mode", account.mode == next.mode),
        ("brand_id", account.brand_id == next.brand_id),
        ("base_url", account.base_url == next.base_url),
    ];
    for (what, same) in same {
        problems.unless(same, &format!("accounts.{name}.{what}"), "", || {
            "was changed, and payments of the account may be under way; give what is new an \
             account of its own"
                .to_owned()
        });
    }
}
