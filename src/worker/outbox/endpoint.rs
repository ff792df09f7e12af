//! Where events are sent.

use std::collections::BTreeSet;
use std::time::Duration;

use super::sign::SigningSecret;
use crate::payment::{AccountName, Private, digest_of, hex};
use crate::store::{EndpointName, EventHead};

/// An endpoint of a producer, as it is configured. Its address and its secrets print as masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What it is called.
    pub name: EndpointName,
    /// Its address.
    pub url: Private<String>,
    /// What its deliveries are signed with: several while one replaces another.
    pub secrets: Vec<SigningSecret>,
    /// Whose events it wants; `None` for those of all accounts.
    pub accounts: Option<BTreeSet<AccountName>>,
    /// Which events it wants, such as `payment.held`; `None` for all.
    pub types: Option<BTreeSet<String>>,
    /// How long a delivery may take.
    pub timeout: Duration,
    /// Whether the configuration wants it served; if not, its events are kept.
    pub enabled: bool,
}

impl Endpoint {
    /// Names what it wants: another name for another filter.
    #[must_use]
    pub fn filter(&self) -> String {
        let accounts = self.accounts.as_ref();
        let accounts = accounts.map(|all| all.iter().map(AccountName::as_str).collect::<Vec<_>>());
        name_of(format!("{accounts:?} {:?}", self.types).as_bytes())
    }

    /// Names its address, without a word of it.
    #[must_use]
    pub fn address(&self) -> String {
        name_of(self.url.reveal().as_bytes())
    }

    /// Whether it wants an event.
    #[must_use]
    pub fn wants(&self, head: &EventHead) -> bool {
        let of_account = self.accounts.as_ref();
        let of_type = self.types.as_ref();
        of_account.is_none_or(|accounts| accounts.contains(&head.account))
            && of_type.is_none_or(|types| types.contains(&head.kind()))
    }
}

fn name_of(bytes: &[u8]) -> String {
    let mut name = hex(&digest_of(&[bytes]));
    name.truncate(16);
    name
}
