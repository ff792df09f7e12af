//! Whether a body was signed by the gateway: with a key of the account's webhooks, or with the
//! company key, which signs callbacks and is asked for at the gateway.

use tokio::sync::Mutex;

use super::client::ChipGateway;
use super::signature::{PublicKey, signature_bytes};
use super::transport::Trip;
use crate::payment::{AccountName, Timestamp, millis};

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

/// An account's company key, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct CompanyKey(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    key: Option<PublicKey>,
    asked_at: Option<Timestamp>,
}

impl ChipGateway {
    /// Whether the gateway signed exactly these bytes for `account`.
    pub async fn check_signature(
        &self,
        account: &AccountName,
        body: &[u8],
        signature: &str,
    ) -> SignatureCheck {
        let Some(known) = self.accounts.get(account) else {
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
        let Some(CompanyKey(known)) = self.company_keys.get(account) else {
            return SignatureCheck::UnknownAccount;
        };
        let mut known = known.lock().await;
        let fits =
            |key: &Option<PublicKey>| key.as_ref().is_some_and(|key| key.signed(body, signature));
        if fits(&known.key) {
            return SignatureCheck::Good;
        }
        let now = self.clock.now();
        let every = millis(self.settings.company_key_every_ms);
        if known
            .asked_at
            .is_none_or(|asked_at| now - asked_at >= every)
        {
            known.asked_at = Some(now);
            if let Some(key) = self.company_key(account).await {
                known.key = Some(key);
            }
        }
        match &known.key {
            key if fits(key) => SignatureCheck::Good,
            Some(_) => SignatureCheck::Bad,
            None => SignatureCheck::Undecided,
        }
    }

    /// Asks the gateway for the account's company key: a bare JSON string that holds the PEM.
    pub async fn company_key(&self, account: &AccountName) -> Option<PublicKey> {
        let known = self.accounts.get(account)?;
        let why = match self.get(known, "public_key/").await {
            Trip::Answered(reply) if (200..=299).contains(&reply.status) => {
                let pem = serde_json::from_slice::<String>(&reply.body).ok();
                match pem.as_deref().map(PublicKey::from_pem) {
                    Some(Ok(key)) => return Some(key),
                    Some(Err(error)) => error.to_string(),
                    None => "the answer is not a JSON string".to_owned(),
                }
            }
            Trip::Answered(reply) => format!("the gateway answered {}", reply.status),
            Trip::NotSent(why) => why.to_owned(),
            Trip::Unknown(why) => why,
        };
        tracing::warn!(account = %account, why, "the company key cannot be had; callbacks wait");
        None
    }
}
