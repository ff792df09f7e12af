//! Which settings can take the place of others while a worker runs: accounts and API keys. The
//! rest is read once: what was checked together must hold together, and a deadline in use cannot
//! become longer than the quiet period that counts on it.

use super::problem::Problems;
use super::{Account, Config, Setting};
use crate::payment::AccountName;

/// How payments are decided and calls are made; the accounts were checked against these.
const CHECKED_WITH: [&str; 2] = ["policy.", "gateway."];

impl Config {
    /// Whether accounts or API keys of `next` are others.
    #[must_use]
    pub fn is_exchanged_by(&self, next: &Self) -> bool {
        self.accounts != next.accounts || self.api.keys != next.api.keys
    }

    /// These settings with the accounts and API keys of `next`. Nothing is exchanged if a payment
    /// that is under way would find itself somewhere else.
    pub fn exchanged(&self, next: &Self) -> Result<Self, Problems> {
        let mut problems = Problems(Vec::new());
        for setting in self.unlike(next) {
            let fine = !CHECKED_WITH.iter().any(|part| setting.starts_with(part));
            problems.unless(fine, setting, "", || {
                "was changed, and accounts depend on it; it takes a restart of the workers to \
                 exchange them together"
                    .to_owned()
            });
        }
        for (name, account) in &self.accounts {
            if let Some(next) = next.accounts.get(name) {
                stays(name, account, next, &mut problems);
            }
        }
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let mut exchanged = self.clone();
        exchanged.accounts.clone_from(&next.accounts);
        exchanged.api.keys.clone_from(&next.api.keys);
        Ok(exchanged)
    }

    /// The names of all settings that are others in `next` and wait for the next start.
    #[must_use]
    pub fn waiting(&self, next: &Self) -> Vec<String> {
        let names = self.unlike(next).map(ToOwned::to_owned);
        names.collect()
    }

    fn unlike<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a str> {
        let missing = |from: &'a Self, to: &'a Self| {
            let stays = |setting: &Setting| {
                let same =
                    |other: &Setting| other.name == setting.name && other.value == setting.value;
                to.settings.iter().any(same)
            };
            from.settings.iter().filter(move |setting| !stays(setting))
        };
        let here = missing(self, next).chain(missing(next, self));
        let mut names: Vec<&str> = here
            .map(|setting| setting.name.as_str())
            .filter(|name| !name.starts_with("accounts.") && !name.starts_with("api.keys"))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
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
