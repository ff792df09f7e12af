//! What the settings lack for what is there.

use std::collections::BTreeSet;

use super::check::Check;
use crate::config::Config;
use crate::payment::AccountName;
use crate::store::redis::Profile;

/// `waiting` are the accounts that unfinished payments are of, if anybody could look.
pub(super) fn checks(config: &Config, waiting: Option<&BTreeSet<AccountName>>) -> Vec<Check> {
    vec![
        accounts(config, waiting),
        callers(config),
        durability(config),
    ]
}

fn accounts(config: &Config, waiting: Option<&BTreeSet<AccountName>>) -> Check {
    if config.accounts.is_empty() {
        let why = "these settings have no account; run this where a worker runs";
        return Check::not_checked("accounts", why);
    }
    let known = |name: &&AccountName| config.accounts.contains_key(*name);
    let missing: Vec<&str> = waiting
        .into_iter()
        .flatten()
        .filter(|name| !known(name))
        .map(AccountName::as_str)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Check::wrong(
            "accounts",
            format!("unfinished payments are of accounts that are not configured: {missing}"),
            "add them to the settings of every worker: until then nobody works on these payments",
        );
    }
    match waiting {
        None => Check::not_checked("accounts", "Redis cannot be asked which payments wait"),
        Some(_) => Check::fine(
            "accounts",
            "all accounts of unfinished payments are configured",
        ),
    }
}

fn callers(config: &Config) -> Check {
    match config.require_callers() {
        Ok(()) => Check::fine(
            "callers",
            "the API and the intake have the keys that they need",
        ),
        Err(problems) => Check::wrong(
            "callers",
            format!("no worker starts on these settings: {problems}"),
            "correct them, and try `holdfast config check`",
        ),
    }
}

fn durability(config: &Config) -> Check {
    match config.redis.durability {
        Profile::Dev => Check::warning(
            "durability",
            "redis.durability is dev: what Redis loses may be charged again, or never",
            "set redis.durability = \"solo\" except in development",
        ),
        profile => Check::fine(
            "durability",
            format!("redis.durability is {}", profile.as_str()),
        ),
    }
}
