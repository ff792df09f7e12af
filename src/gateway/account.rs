//! Which key, which brand, which address.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::signature::{InvalidKey, PublicKey};
use crate::payment::{AccountName, Private};

/// The only payment methods that can hold money or save a card.
const CARDS: [&str; 3] = ["visa", "mastercard", "maestro"];

/// What the configuration says about an account.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// The secret key.
    pub secret_key: Private<String>,
    /// The brand's id.
    pub brand_id: String,
    /// Where the gateway's API is, such as `https://gate.chip-in.asia/api/v1/`.
    pub base_url: String,
    /// Whether the key is a test key.
    pub test: bool,
    /// Where the gateway reports a purchase that was paid, if it is to do so.
    pub success_callback: Option<Private<String>>,
    /// Which cards a payer may use to hold money or save a card; all that the brand takes,
    /// without it.
    pub card_whitelist: Option<Vec<String>>,
    /// The public keys of the account's webhooks, as PEM; several while one replaces another.
    pub webhook_keys: Vec<String>,
}

/// Why an account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAccount {
    /// Empty, or not to be put into a header.
    #[error("the secret key is empty or holds a character that no key has; copy it again")]
    SecretKey,
    /// Empty.
    #[error("the brand id is empty; give the brand's UUID from the gateway's portal")]
    Brand,
    /// Not an address.
    #[error(
        "the base URL must be an absolute http or https URL without user, query or fragment, such as https://gate.chip-in.asia/api/v1/"
    )]
    BaseUrl,
    /// A live key must not travel in the clear.
    #[error("a live account needs an https base URL; plain http is for test accounts only")]
    PlainHttp,
    /// Not a card.
    #[error(
        "the card whitelist must name some of visa, mastercard, maestro and nothing else; leave it out to take every card"
    )]
    Whitelist,
    /// Not a key.
    #[error("webhook key {number}: {source}")]
    WebhookKey {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        source: InvalidKey,
    },
}

/// An account, checked.
pub struct Account {
    /// Whether its money is not real, as the settings say.
    pub(super) test: bool,
    pub(super) authorization: HeaderValue,
    pub(super) brand_id: String,
    pub(super) base_url: Url,
    pub(super) success_callback: Option<Private<String>>,
    pub(super) card_whitelist: Option<Vec<String>>,
    pub(super) webhook_keys: Vec<PublicKey>,
}

impl Account {
    /// Checks what the configuration says.
    pub fn new(config: AccountConfig) -> Result<Self, InvalidAccount> {
        let key = config.secret_key.reveal();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAccount::SecretKey);
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| InvalidAccount::SecretKey)?;
        authorization.set_sensitive(true);
        if config.brand_id.trim().is_empty() {
            return Err(InvalidAccount::Brand);
        }
        let cards_only = |list: &Vec<String>| {
            !list.is_empty() && list.iter().all(|method| CARDS.contains(&method.as_str()))
        };
        if config
            .card_whitelist
            .as_ref()
            .is_some_and(|list| !cards_only(list))
        {
            return Err(InvalidAccount::Whitelist);
        }
        let webhook_keys = config
            .webhook_keys
            .iter()
            .zip(1..)
            .map(|(pem, number)| {
                PublicKey::from_pem(pem)
                    .map_err(|source| InvalidAccount::WebhookKey { number, source })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            test: config.test,
            authorization,
            brand_id: config.brand_id,
            base_url: base_url(&config.base_url, config.test)?,
            success_callback: config.success_callback,
            card_whitelist: config.card_whitelist,
            webhook_keys,
        })
    }

    /// The address of `path`, which ends in a slash: the gateway's router wants it.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", self.base_url.path()));
        url
    }
}

fn base_url(written: &str, test: bool) -> Result<Url, InvalidAccount> {
    let mut url = Url::parse(written.trim()).map_err(|_| InvalidAccount::BaseUrl)?;
    let extra = url.query().is_some() || url.fragment().is_some();
    let credentials = !url.username().is_empty() || url.password().is_some();
    if url.host_str().is_none() || extra || credentials {
        return Err(InvalidAccount::BaseUrl);
    }
    match url.scheme() {
        "https" => {}
        "http" if test => {}
        "http" => return Err(InvalidAccount::PlainHttp),
        _ => return Err(InvalidAccount::BaseUrl),
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("secret_key", &"***")
            .field("brand_id", &self.brand_id)
            .field("base_url", &self.base_url.as_str())
            .field("webhook_keys", &self.webhook_keys.len())
            .finish_non_exhaustive()
    }
}

/// All accounts, by name.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<AccountName, Account>);

impl Accounts {
    /// The account of that name.
    #[must_use]
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.0.get(name)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &AccountName> {
        self.0.keys()
    }
}

impl FromIterator<(AccountName, Account)> for Accounts {
    fn from_iter<I: IntoIterator<Item = (AccountName, Account)>>(accounts: I) -> Self {
        Self(accounts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AccountConfig {
        AccountConfig {
            secret_key: Private::new("sk-very-secret".to_owned()),
            brand_id: "brand-1".to_owned(),
            base_url: "https://gate.example/api/v1".to_owned(),
            test: false,
            success_callback: None,
            card_whitelist: None,
            webhook_keys: Vec::new(),
        }
    }

    #[test]
    fn a_secret_key_is_never_printed() {
        let config = config();
        let printed = format!("{config:?} {:?}", Account::new(config.clone()).unwrap());
        assert!(!printed.contains("very-secret"), "{printed}");
    }

    #[test]
    fn every_address_ends_in_a_slash() {
        let account = Account::new(config()).unwrap();
        assert_eq!(
            account.url("purchases/").as_str(),
            "https://gate.example/api/v1/purchases/"
        );
    }

    #[test]
    fn a_live_key_does_not_travel_in_the_clear() {
        let plain = AccountConfig {
            base_url: "http://gate.example/".to_owned(),
            ..config()
        };
        assert!(matches!(
            Account::new(plain.clone()),
            Err(InvalidAccount::PlainHttp)
        ));
        assert!(
            Account::new(AccountConfig {
                test: true,
                ..plain
            })
            .is_ok()
        );
    }

    #[test]
    fn only_cards_can_be_whitelisted() {
        for (list, fine) in [
            (vec!["visa", "maestro"], true),
            (vec!["visa", "fpx"], false),
            (vec![], false),
        ] {
            let list = list.into_iter().map(str::to_owned).collect();
            let config = AccountConfig {
                card_whitelist: Some(list),
                ..config()
            };
            assert_eq!(Account::new(config).is_ok(), fine);
        }
    }

    #[test]
    fn what_cannot_be_an_address_or_a_key_is_refused() {
        for url in [
            "",
            "gate.example",
            "ftp://gate.example/",
            "https://u:p@gate.example/",
        ] {
            let config = AccountConfig {
                base_url: url.to_owned(),
                ..config()
            };
            assert!(
                matches!(Account::new(config), Err(InvalidAccount::BaseUrl)),
                "{url}"
            );
        }
        for key in ["", "with space", "line\nbreak"] {
            let config = AccountConfig {
                secret_key: Private::new(key.to_owned()),
                ..config()
            };
            assert!(
                matches!(Account::new(config), Err(InvalidAccount::SecretKey)),
                "{key}"
            );
        }
    }
}
