//! Whether the gateway lets an account in, and what it shows of it. Nothing is made there.

use reqwest::{Method, Request};
use serde::Deserialize;

use super::account::Account;
use super::client::{ChipGateway, headers};
use super::registration::codes;
use super::signature::PublicKey;
use super::transport::Trip;
use crate::payment::{AccountName, Timestamp};

/// What the gateway answered at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// The key is good.
    Open,
    /// The key is refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The gateway's codes.
        codes: String,
    },
    /// Nobody knows: why.
    Unknown(String),
}

/// One knock at the gateway's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    /// What was answered.
    pub entrance: Entrance,
    /// What time it was there, to the second, if it said so.
    pub date: Option<Timestamp>,
}

/// What the gateway shows of the account's brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brand {
    /// With these payment methods that can hold money.
    Shown(Vec<String>),
    /// Not under this key: the gateway's codes.
    Refused(String),
    /// Nobody knows: why.
    Unknown(String),
}

#[derive(Deserialize)]
struct Methods {
    available_payment_methods: Vec<String>,
}

impl ChipGateway {
    /// Asks for what only a good key is shown: the company's own key. `None` without such an account.
    pub async fn knock(&self, account: &AccountName) -> Option<Knock> {
        let accounts = self.accounts.get();
        let known = accounts.get(account)?;
        let (trip, date) = self
            .transport
            .read_dated(
                self.question(known, "public_key/", &[]),
                std::time::Duration::from_millis(self.settings.deadlines.look_up_ms),
            )
            .await;
        let entrance = match trip {
            Trip::Answered(reply) => {
                let pem = serde_json::from_slice::<String>(&reply.body).ok();
                let is_key = pem.is_some_and(|pem| PublicKey::from_pem(&pem).is_ok());
                match reply.status {
                    200..=299 if is_key => Entrance::Open,
                    status @ (401 | 403) => Entrance::Refused {
                        status,
                        codes: codes(&reply.body).unwrap_or_else(|| "no code".to_owned()),
                    },
                    200..=299 => Entrance::Unknown("what answers there is no CHIP".to_owned()),
                    status => Entrance::Unknown(format!("it answered {status}")),
                }
            }
            Trip::NotSent(why) => Entrance::Unknown(why.to_owned()),
            Trip::Unknown(why) => Entrance::Unknown(why),
        };
        Some(Knock { entrance, date })
    }

    /// Asks which payment methods the account's brand has that can hold money. `None` without such an
    /// account.
    pub async fn brand(&self, account: &AccountName) -> Option<Brand> {
        let accounts = self.accounts.get();
        let known = accounts.get(account)?;
        let query = [
            ("brand_id", known.brand_id.as_str()),
            ("currency", "MYR"),
            ("skip_capture", "true"),
        ];
        let question = self.question(known, "payment_methods/", &query);
        let deadline = std::time::Duration::from_millis(self.settings.deadlines.look_up_ms);
        let unreadable =
            || Brand::Unknown("the answer is not what the gateway documents".to_owned());
        Some(match self.transport.read(question, deadline).await {
            Trip::Answered(reply) => match (reply.status, codes(&reply.body)) {
                (200..=299, _) => serde_json::from_slice::<Methods>(&reply.body).map_or_else(
                    |_| unreadable(),
                    |shown| Brand::Shown(shown.available_payment_methods),
                ),
                (400 | 404, Some(codes)) => Brand::Refused(codes),
                (status, _) => Brand::Unknown(format!("it answered {status}")),
            },
            Trip::NotSent(why) => Brand::Unknown(why.to_owned()),
            Trip::Unknown(why) => Brand::Unknown(why),
        })
    }

    fn question(&self, account: &Account, path: &str, query: &[(&str, &str)]) -> Request {
        let mut url = account.url(path);
        // As for every look-up: what stands between may keep old answers.
        let now = self.clock.now().timestamp_millis().to_string();
        url.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("time", &now);
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = headers(account);
        request
    }
}
