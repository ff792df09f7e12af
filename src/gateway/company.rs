//! Whether a body was signed by the gateway: with a key of the account's webhooks, or with the
//! company key, which signs callbacks and is asked for at the gateway. After the company key was
//! replaced, the one before counts for a while: what it signed is delivered again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use tokio::sync::watch;

use super::account::Account;
use super::client::ChipGateway;
use super::signature::{PublicKey, signature_bytes};
use super::transport::Trip;
use crate::payment::{AccountName, Timestamp, millis};

/// How long the company key before this one counts: the gateway delivers again for 36 hours.
const PREVIOUS_COUNTS: TimeDelta = TimeDelta::hours(37);

/// Who signed a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    /// The gateway.
    Good,
    /// Not the gateway.
    Bad,
    /// The configuration names no such account.
    UnknownAccount,
    /// No webhook key fits and the company key was never seen: ask again later.
    Undecided,
}

/// An account's company key, as far as it is known. The lock is held for a glance only: whoever
/// waits for the gateway waits without it.
#[derive(Debug, Default)]
pub(super) struct CompanyKey(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    key: Option<PublicKey>,
    /// The one before, and until when it counts.
    previous: Option<(PublicKey, Timestamp)>,
    asked_at: Option<Timestamp>,
    /// Closes when the fetch that is under way has ended.
    fetch: Option<watch::Receiver<()>>,
}

/// The company keys of all accounts. What is known of one outlives the exchange of the account's
/// settings: it signs for as long as the company says so.
#[derive(Debug, Clone, Default)]
pub(super) struct CompanyKeys(Arc<Mutex<BTreeMap<AccountName, Arc<CompanyKey>>>>);

impl CompanyKeys {
    fn of(&self, account: &AccountName) -> Arc<CompanyKey> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(account.clone()).or_default())
    }
}

impl CompanyKey {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that count, copied out: a signature is checked without the lock.
    fn keys(&self, now: Timestamp) -> Vec<PublicKey> {
        let known = self.known();
        let previous = known.previous.as_ref().filter(|(_, until)| now < *until);
        let previous = previous.map(|(key, _)| key.clone());
        known.key.iter().cloned().chain(previous).collect()
    }

    /// The gateway says that it is this one.
    fn learn(&self, key: PublicKey, now: Timestamp) {
        let mut known = self.known();
        if known.key.as_ref() == Some(&key) {
            return;
        }
        let before = known.key.replace(key);
        known.previous = before.map(|before| (before, now + PREVIOUS_COUNTS));
    }
}

impl ChipGateway {
    /// Whether the gateway signed exactly these bytes for `account`.
    pub async fn check_signature(
        &self,
        account: &AccountName,
        body: &[u8],
        signature: &str,
    ) -> SignatureCheck {
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            return SignatureCheck::UnknownAccount;
        };
        let Some(signature) = signature_bytes(signature) else {
            return SignatureCheck::Bad;
        };
        if known
            .webhook_keys
            .iter()
            .any(|key| key.signed(body, &signature))
        {
            return SignatureCheck::Good;
        }
        self.check_company(account, body, &signature).await
    }

    /// The company key is fetched once and kept. A signature that does not fit may mean that it
    /// was replaced, so it is fetched again then, but not more often than the settings say:
    /// whoever posts rubbish must not make us knock at the gateway.
    async fn check_company(
        &self,
        account: &AccountName,
        body: &[u8],
        signature: &[u8],
    ) -> SignatureCheck {
        let company = &self.company_keys.of(account);
        let fits = |keys: &[PublicKey]| keys.iter().any(|key| key.signed(body, signature));
        if fits(&company.keys(self.clock.now())) {
            return SignatureCheck::Good;
        }
        if let Some(mut fetch) = self.fetch_company_key(account, company) {
            // Nothing is ever sent on it: it ends with an error when the fetch has ended.
            while fetch.changed().await.is_ok() {}
        }
        match &company.keys(self.clock.now())[..] {
            [] => SignatureCheck::Undecided,
            keys if fits(keys) => SignatureCheck::Good,
            _ => SignatureCheck::Bad,
        }
    }

    /// The fetch that is under way, or a new one if it is time for one. It is a task of its own:
    /// the request that asked for it may be given up, and what it learns still counts.
    fn fetch_company_key(
        &self,
        account: &AccountName,
        company: &Arc<CompanyKey>,
    ) -> Option<watch::Receiver<()>> {
        let now = self.clock.now();
        let every = millis(self.settings.company_key_every_ms);
        let mut known = company.known();
        if let Some(fetch) = known.fetch.as_ref().filter(|f| f.has_changed().is_ok()) {
            return Some(fetch.clone());
        }
        if known
            .asked_at
            .is_some_and(|asked_at| now - asked_at < every)
        {
            return None;
        }
        let (under_way, fetch) = watch::channel(());
        known.asked_at = Some(now);
        known.fetch = Some(fetch.clone());
        drop(known);
        let (gateway, account, company) = (self.clone(), account.clone(), Arc::clone(company));
        tokio::spawn(async move {
            if let Some(key) = gateway.company_key(&account).await {
                company.learn(key, gateway.clock.now());
            }
            drop(under_way);
        });
        Some(fetch)
    }

    /// Asks the gateway for the account's company key: a bare JSON string that holds the PEM.
    pub async fn company_key(&self, account: &AccountName) -> Option<PublicKey> {
        let accounts = self.accounts.get();
        match self.company_key_of(accounts.get(account)?).await {
            Ok(key) => Some(key),
            Err(why) => {
                tracing::warn!(%account, why, "the company key cannot be had; callbacks wait");
                None
            }
        }
    }

    async fn company_key_of(&self, account: &Account) -> Result<PublicKey, String> {
        match self.get(account, "public_key/").await {
            Trip::Answered(reply) if (200..=299).contains(&reply.status) => {
                let pem = serde_json::from_slice::<String>(&reply.body).ok();
                match pem.as_deref().map(PublicKey::from_pem) {
                    Some(key) => key.map_err(|error| error.to_string()),
                    None => Err("the answer is not a JSON string".to_owned()),
                }
            }
            Trip::Answered(reply) => Err(format!("the gateway answered {}", reply.status)),
            Trip::NotSent(why) => Err(why.to_owned()),
            Trip::Unknown(why) => Err(why),
        }
    }

    /// Whether the gateway takes the secret key of `next`, as one of the company whose purchases
    /// the account has: another company's key would find none of them, and what was taken would
    /// look like what never was. The gateway is asked with the old key; if that is refused by now,
    /// what was heard of the company before has to do, and without that nothing is proved.
    pub async fn is_same_company(&self, name: &AccountName, next: &Account) -> Result<(), String> {
        let new = self.company_key_of(next).await?;
        let accounts = self.accounts.get();
        let old = match accounts.get(name) {
            Some(old) => self.company_key_of(old).await,
            None => Err("the account is not known".to_owned()),
        };
        let same = match old {
            Ok(old) => old == new,
            Err(why) => match &self.company_keys.of(name).keys(self.clock.now())[..] {
                [] => {
                    return Err(format!(
                        "asked with the key in use {why}, and the company's own key was never \
                         seen, so nobody can tell whose the new one is; make the old one valid \
                         again, or, if you are sure that it is the same company's, start the \
                         workers anew"
                    ));
                }
                known => known.contains(&new),
            },
        };
        if same {
            Ok(())
        } else {
            Err("it is a key of another company".to_owned())
        }
    }
}
