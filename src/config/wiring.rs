//! What the other modules are given.

use std::sync::LazyLock;

use config::{File, FileFormat};

use super::{Account, Config, Mode};
use crate::gateway::{self, AccountConfig};
use crate::payment::{AccountFacts, AccountName, DeclineTable, Policy, Private};
use crate::queue;
use crate::store::redis as store;
use crate::worker::Policies;

const DECLINES: &str = include_str!("../../config/declines.toml");

/// What the gateway's transaction codes ask for.
#[must_use]
pub fn declines() -> &'static DeclineTable {
    static TABLE: LazyLock<DeclineTable> = LazyLock::new(|| {
        config::Config::builder()
            .add_source(File::from_str(DECLINES, FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .expect("the compiled-in table is read by a test of this module")
    });
    &TABLE
}

impl Config {
    /// How payments of each account are decided.
    #[must_use]
    pub fn policies(&self) -> Policies {
        let each = self.accounts.iter();
        each.map(|(name, account)| (name.clone(), self.policy_of(account)))
            .collect()
    }

    fn policy_of(&self, account: &Account) -> Policy {
        let policy = &self.policy;
        Policy {
            account: AccountFacts {
                brand: account.brand_id.to_string(),
                test: account.mode == Mode::Test,
                hold_lifetime_ms: account.hold_lifetime_ms,
                largest_amount_minor: account.largest_amount_minor,
            },
            quiet_ms: policy.quiet_ms,
            unknown: account.unknown,
            lookup: policy.lookup.clone(),
            technical: policy.technical.clone(),
            business: policy.business.clone(),
            payer: policy.payer.clone(),
            parked_look_every_ms: policy.parked_look_every_ms,
            link_lifetime_ms: policy.link_lifetime_ms,
            link_grace_ms: policy.link_grace_ms,
            purchase_lifetime_ms: policy.purchase_lifetime_ms,
            expiry_margin_ms: policy.expiry_margin_ms,
            before_expiry: policy.before_expiry,
            retry_after_cap_ms: policy.retry_after_cap_ms,
            poison_claims: policy.poison_claims,
            declines: declines().clone(),
        }
    }

    /// The accounts, as the gateway's client wants them.
    #[must_use]
    pub fn gateway_accounts(&self) -> Vec<(AccountName, AccountConfig)> {
        let cards = &self.gateway.card_whitelist;
        let each = self.accounts.iter().map(|(name, account)| {
            let config = AccountConfig {
                secret_key: Private::new(account.secret_key.reveal().to_owned()),
                brand_id: account.brand_id.to_string(),
                base_url: account.base_url.clone(),
                test: account.mode == Mode::Test,
                success_callback: account
                    .success_callback
                    .as_ref()
                    .map(|url| Private::new(url.reveal().to_owned())),
                card_whitelist: (!cards.is_empty()).then(|| cards.clone()),
                webhook_keys: account.webhook_keys.clone(),
            };
            (name.clone(), config)
        });
        each.collect()
    }

    /// How the gateway is called.
    #[must_use]
    pub fn gateway_settings(&self) -> gateway::Settings {
        gateway::Settings {
            deadlines: self.gateway.deadlines.clone(),
            connect_timeout_ms: self.gateway.connect_timeout_ms,
            largest_answer_bytes: self.gateway.largest_answer_bytes,
            // One for each payment that is worked on: a look-up never waits for a connection.
            idle_connections: self.worker.concurrency,
            idle_timeout_ms: self.gateway.idle_timeout_ms,
            company_key_every_ms: self.gateway.company_key_every_ms,
        }
    }

    /// How the store is set up.
    #[must_use]
    pub fn store_settings(&self) -> store::Settings {
        store::Settings {
            url: self.redis.url.reveal().to_owned(),
            prefix: self.redis.prefix.clone(),
            lease_ms: self.worker.lease_ms,
            profile: self.redis.durability,
            response_timeout_ms: self.redis.response_timeout_ms,
            connect_timeout_ms: self.redis.connect_timeout_ms,
            save_patience_ms: self.redis.save_patience_ms,
            retention_days: self.redis.retention_days,
        }
    }

    /// How the queue runs. Another process each time it is asked.
    #[must_use]
    pub fn queue_settings(&self) -> queue::Settings {
        queue::Settings {
            concurrency: self.worker.concurrency,
            batch: self.worker.batch,
            lease_ms: self.worker.lease_ms,
            renew_ms: self.worker.renew_ms,
            poll_ms: self.worker.poll_ms,
            shutdown_ms: self.worker.shutdown_ms,
            identity: rand::random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Advice;

    #[test]
    fn a_code_that_nobody_knows_is_never_charged_again() {
        assert_eq!(declines().advice("a_code_of_tomorrow"), Advice::Never);
    }

    #[test]
    fn a_dead_token_is_listed_so_that_it_fails_rather_than_parks() {
        assert_eq!(
            declines().listed("invalid_recurring_token"),
            Some(Advice::Never)
        );
    }

    #[test]
    fn a_code_that_leaves_open_whether_money_moved_is_in_doubt() {
        for code in ["timeout", "acquirer_connection_error", "reconcile_error"] {
            assert_eq!(declines().advice(code), Advice::InDoubt, "{code}");
        }
    }
}
