//! The accounts, checked.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::check;
use super::probed;
use super::problem::Problems;
use super::secret::{MASK, Secret, in_file, quoted};
use super::sections::{AccountSettings, Mode, Written};
use crate::gateway::PublicKey;
use crate::operate::probe::ProbeReport;
use crate::payment::{AccountName, UnknownPolicy};

/// What there is to say about a secret in two places.
pub(super) const TWICE: &str = "is given twice, as text and as a file; give one of them";

/// One CHIP key and brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whether money is real.
    pub mode: Mode,
    /// The brand's id at the gateway.
    pub brand_id: Uuid,
    /// The key.
    pub secret_key: Secret,
    /// Where the gateway's API is.
    pub base_url: String,
    /// What to do about a call that shows no effect.
    pub unknown: UnknownPolicy,
    /// How long a hold lasts, unless the plan says.
    pub hold_lifetime_ms: u64,
    /// The largest amount of one payment, in minor units.
    pub largest_amount_minor: Option<u64>,
    /// The public keys of the account's webhooks, as PEM.
    pub webhook_keys: Vec<String>,
    /// Where the gateway reports a purchase that was paid.
    pub success_callback: Option<Secret>,
    /// What was measured of the gateway.
    pub probed: Option<ProbeReport>,
}

pub(super) fn accounts(
    written: &Written,
    problems: &mut Problems,
) -> BTreeMap<AccountName, Account> {
    let mut accounts = BTreeMap::new();
    for (text, settings) in &written.accounts {
        let checked = AccountName::new(text).map_err(|error| {
            problems.add(&format!("accounts.{}", quoted(text)), "", error.to_string());
        });
        if let Ok(name) = checked
            && let Some(account) = account(&name, settings, written, problems)
        {
            accounts.insert(name, account);
        }
    }
    accounts
}

fn account(
    name: &AccountName,
    settings: &AccountSettings,
    written: &Written,
    problems: &mut Problems,
) -> Option<Account> {
    let path = |setting: &str| format!("accounts.{name}.{setting}");
    let brand_id = Uuid::try_parse(&settings.brand_id).map_err(|_| {
        // Not quoted: key and brand stand side by side in the portal, and are mixed up.
        let fix = "must be the brand's UUID from CHIP's portal (Collect, Brands)";
        problems.add(&path("brand_id"), MASK, fix);
    });
    let secret_key = secret_key(name, settings, problems);
    let base_url = settings
        .base_url
        .clone()
        .unwrap_or_else(|| written.gateway.base_url.clone());
    if let Err(fix) = check::base_url(&base_url, settings.mode) {
        let own = settings.base_url.is_some();
        let setting = if own {
            path("base_url")
        } else {
            "gateway.base_url".to_owned()
        };
        problems.add(&setting, check::shown_url(&base_url), fix);
    }
    let policy = &written.policy;
    let hold_lifetime_ms = settings.hold_lifetime_ms.unwrap_or(policy.hold_lifetime_ms);
    if settings.hold_lifetime_ms.is_some() {
        check::hold_lifetime(
            hold_lifetime_ms,
            &path("hold_lifetime_ms"),
            policy,
            problems,
        );
    }
    let success_callback = callback(name, settings, problems);
    let webhook_keys = webhook_keys(name, settings, problems);
    let unknown = settings.unknown.unwrap_or(policy.unknown);
    let probed = probed::report(&path(""), settings, unknown, problems);
    Some(Account {
        mode: settings.mode,
        brand_id: brand_id.ok()?,
        secret_key: secret_key?,
        base_url,
        unknown,
        hold_lifetime_ms,
        largest_amount_minor: settings.largest_amount_minor,
        webhook_keys,
        success_callback,
        probed,
    })
}

fn secret_key(
    name: &AccountName,
    settings: &AccountSettings,
    problems: &mut Problems,
) -> Option<Secret> {
    let setting = format!("accounts.{name}.secret_key");
    let variable = name.as_str().replace('-', "_").to_uppercase();
    let how = format!("set HOLDFAST__ACCOUNTS__{variable}__SECRET_KEY, or secret_key_file");
    let text = match (&settings.secret_key, &settings.secret_key_file) {
        (Some(_), Some(_)) => {
            problems.add(&setting, MASK, TWICE);
            return None;
        }
        (None, None) => {
            problems.add(&setting, "", format!("is missing; {how}"));
            return None;
        }
        (Some(secret), None) => secret.reveal().to_owned(),
        (None, Some(file)) => in_file(file, &format!("{setting}_file"), problems)?,
    };
    let key = text.trim();
    let fine = !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
    problems.unless(fine, &setting, MASK, || {
        format!("is empty or holds a character that no key has; copy it again, then {how}")
    });
    fine.then(|| Secret::new(key.to_owned()))
}

fn webhook_keys(
    name: &AccountName,
    settings: &AccountSettings,
    problems: &mut Problems,
) -> Vec<String> {
    let setting = format!("accounts.{name}.webhook_public_keys");
    let mut keys = Vec::new();
    for pem in &settings.webhook_public_keys {
        check_pem(pem, &setting, problems);
        keys.push(pem.clone());
    }
    let setting = format!("accounts.{name}.webhook_public_key_files");
    for file in &settings.webhook_public_key_files {
        if let Some(pem) = in_file(file, &setting, problems) {
            check_pem(&pem, &setting, problems);
            keys.push(pem);
        }
    }
    keys
}

fn check_pem(pem: &str, setting: &str, problems: &mut Problems) {
    if let Err(error) = PublicKey::from_pem(pem) {
        problems.add(
            setting,
            "",
            format!("holds a key that cannot be used: {error}"),
        );
    }
}

/// Plain http is for a simulator: whoever reads a callback on its way knows what was paid.
fn callback(
    name: &AccountName,
    settings: &AccountSettings,
    problems: &mut Problems,
) -> Option<Secret> {
    let setting = format!("accounts.{name}.success_callback");
    let text = match (&settings.success_callback, &settings.success_callback_file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.add(&setting, MASK, TWICE);
            return None;
        }
        (Some(secret), None) => secret.reveal().to_owned(),
        (None, Some(file)) => in_file(file, &format!("{setting}_file"), problems)?,
    };
    let text = text.trim();
    let scheme = |scheme: &str| match settings.mode {
        Mode::Live => scheme == "https",
        Mode::Test => matches!(scheme, "http" | "https"),
    };
    let url = url::Url::parse(text);
    let fine = url.is_ok_and(|url| scheme(url.scheme()) && url.has_host()) && text.len() <= 500;
    problems.unless(fine, &setting, MASK, || {
        "must be this worker's public address, at most 500 characters: https, and plain http only \
         for a test account"
            .to_owned()
    });
    fine.then(|| Secret::new(text.to_owned()))
}
