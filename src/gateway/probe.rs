//! The door of the probe: calls on test accounts that nothing licenses.
//!
//! To measure what a gateway does when one purchase is charged twice at the same time, somebody has
//! to do it. A [`Permit`](crate::store::Permit) is there to make that impossible, so the probe does not
//! get any: it has a door of its own, and three locks on it. A [`TestAccount`] is only made of an
//! account whose settings say `mode = "test"`; a [`TestPurchase`] only of an answer in which the gateway
//! itself calls the purchase a test object, of the right brand and sum; and every call that could move
//! money takes one. No payment of the store can become one:
//!
//! ```compile_fail
//! use holdfast::gateway::TestPurchase;
//! fn forge(id: holdfast::payment::PurchaseId) -> TestPurchase {
//!     TestPurchase { id }
//! }
//! ```
//!
//! ```compile_fail
//! use holdfast::gateway::{ChipGateway, TestAccount};
//! use holdfast::payment::AccountName;
//! fn forge(gateway: ChipGateway, name: AccountName, opened: tokio::time::Instant) -> TestAccount {
//!     TestAccount { gateway, name, opened }
//! }
//! ```
//!
//! whereas this is the way in:
//!
//! ```
//! use holdfast::gateway::{ChipGateway, NoTestAccount, TestAccount};
//! fn open(
//!     gateway: ChipGateway,
//!     name: &holdfast::payment::AccountName,
//! ) -> Result<TestAccount, NoTestAccount> {
//!     TestAccount::of(gateway, name)
//! }
//! ```

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::json;
use tokio::time::Instant;

use super::account::Account;
use super::call::{Call, look_up_path};
use super::classify;
use super::client::ChipGateway;
use super::transport::Trip;
use crate::payment::{AccountName, Answer, CardToken, PurchaseId, Sighting, Timestamp};

/// Reserved by RFC 2606: nobody lives there.
const EMAIL: &str = "probe@holdfast.example";
const REDIRECT: &str = "https://holdfast.example/probe";
/// The plain card of CHIP's documentation for test accounts; not a card of anybody.
const TEST_CARD: &str = "4444333322221111";
const CURRENCY: &str = "MYR";

/// Why nothing may be tried out on an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTestAccount {
    /// The settings have no such account.
    #[error("the account is not configured")]
    Unknown,
    /// Its money is real.
    #[error("its mode is live; what is measured is measured with a test account, and only there")]
    Live,
}

/// An account whose settings say that its money is not real.
#[derive(Debug)]
pub struct TestAccount {
    gateway: ChipGateway,
    name: AccountName,
    opened: Instant,
}

/// A purchase that the gateway itself calls a test object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestPurchase {
    id: PurchaseId,
}

/// What a purchase is made for.
#[derive(Debug, Clone)]
pub struct ProbeOrder<'a> {
    /// What is tried out on it: people find it by that at the gateway.
    pub about: &'a str,
    /// How much, in minor units; 0 only verifies a card.
    pub total_minor: u64,
    /// Whether the funds are only reserved.
    pub reserve: bool,
    /// Until when it can be paid; strictly.
    pub due: Timestamp,
    /// The `Idempotency-Key`, if it is to carry one.
    pub key: Option<&'a str>,
}

/// What is done to a purchase besides charging it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It can never be paid.
    Cancel,
    /// What is reserved goes back.
    Release,
    /// What was taken goes back.
    Refund,
}

/// What is wrong with the card that is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostedCard {
    /// Nothing, and it is to be kept.
    Kept,
    /// Its CVC: the acquirer declines it.
    Declined,
}

/// A call and its answer, with the time of both since the account was opened.
#[derive(Debug)]
pub struct Heard {
    /// What the answer means.
    pub answer: Answer,
    /// The HTTP status, if there was one.
    pub http_status: Option<u16>,
    /// When the call began.
    pub began_ms: u64,
    /// When its answer was there.
    pub ended_ms: u64,
}

/// What became of asking for a purchase.
#[derive(Debug)]
pub enum Created {
    /// It is a test object.
    Test(TestPurchase, Box<Sighting>),
    /// It is not, or not what was asked for: nothing more may be tried.
    Foreign,
    /// There is none.
    Not,
}

impl TestAccount {
    /// The account of that name, if its mode is `test`. Calls nobody.
    pub fn of(gateway: ChipGateway, name: &AccountName) -> Result<Self, NoTestAccount> {
        let accounts = gateway.accounts.get();
        match accounts.get(name) {
            None => Err(NoTestAccount::Unknown),
            Some(account) if !account.test => Err(NoTestAccount::Live),
            Some(_) => Ok(Self {
                gateway,
                name: name.clone(),
                opened: Instant::now(),
            }),
        }
    }

    /// The account's name.
    #[must_use]
    pub const fn name(&self) -> &AccountName {
        &self.name
    }

    /// Which gateway it is at: scheme, host and port of its address.
    #[must_use]
    pub fn origin(&self) -> String {
        let accounts = self.gateway.accounts.get();
        let account = accounts.get(&self.name);
        account.map_or_else(String::new, |it| it.base_url.origin().ascii_serialization())
    }

    /// How long ago it was opened, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes a purchase.
    pub async fn create(&self, order: &ProbeOrder<'_>) -> (Heard, Created) {
        let accounts = self.gateway.accounts.get();
        let account = accounts.get(&self.name).filter(|account| account.test);
        let began_ms = self.elapsed_ms();
        let trip = match account {
            Some(account) => self.gateway.post(account, self.creating(order, account)),
            None => return (self.heard(began_ms, gone(), None), Created::Not),
        };
        let heard = self.heard(began_ms, trip.await, None);
        let created = match &heard.answer {
            Answer::Shown(seen) if is_as_asked(seen, order, account) => {
                let id = seen.purchase.clone();
                Created::Test(TestPurchase { id }, seen.clone())
            }
            Answer::Shown(_) => Created::Foreign,
            _ => Created::Not,
        };
        (heard, created)
    }

    /// Charges a saved card for it.
    pub async fn charge(&self, on: &TestPurchase, token: &CardToken, key: Option<&str>) -> Heard {
        let body = json!({ "recurring_token": token.as_str() });
        self.call(on, "charge", body.to_string().into_bytes(), key)
            .await
    }

    /// Does something else to it.
    pub async fn act(&self, on: &TestPurchase, act: Act) -> Heard {
        let verb = match act {
            Act::Cancel => "cancel",
            Act::Release => "release",
            Act::Refund => "refund",
        };
        self.call(on, verb, Vec::new(), None).await
    }

    /// Has the card deleted that it saved.
    pub async fn forget_card(&self, on: &TestPurchase) -> Heard {
        self.call(on, "delete_recurring_token", Vec::new(), None)
            .await
    }

    /// Asks what is true of it.
    pub async fn look(&self, on: &TestPurchase) -> Heard {
        let accounts = self.gateway.accounts.get();
        let began_ms = self.elapsed_ms();
        let trip = match accounts.get(&self.name) {
            Some(account) => self.gateway.get(account, &look_up_path(&on.id)).await,
            None => gone(),
        };
        self.heard(began_ms, trip, Some(&on.id))
    }

    /// Posts the test card to where a form on a shop's page would; `None` without such an address. The
    /// key does not go there, and the answer, a redirection, is not followed: a look shows what it did.
    pub async fn post_card(
        &self,
        seen: &Sighting,
        card: PostedCard,
        until: Timestamp,
    ) -> Option<()> {
        let url = Url::parse(seen.links.direct_post.as_ref()?.reveal()).ok()?;
        let accounts = self.gateway.accounts.get();
        let account = accounts.get(&self.name).filter(|account| account.test)?;
        if url.scheme() != "https" && url.scheme() != account.base_url.scheme() {
            return None;
        }
        let (cvc, keep) = match card {
            PostedCard::Kept => ("123", "on"),
            PostedCard::Declined => ("321", "off"),
        };
        let expires = until.format("%m/%y").to_string();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cardholder_name", "Holdfast Probe")
            .append_pair("card_number", TEST_CARD)
            .append_pair("expires", &expires)
            .append_pair("cvc", cvc)
            .append_pair("remember_card", keep)
            .finish();
        let mut request = Request::new(Method::POST, url);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(form.into());
        let deadline = std::time::Duration::from_millis(self.gateway.settings.deadlines.charge_ms);
        let _shown_by_a_look = self.gateway.transport.write(request, deadline).await;
        Some(())
    }

    async fn call(&self, on: &TestPurchase, verb: &str, body: Vec<u8>, key: Option<&str>) -> Heard {
        let call = Call {
            path: format!("{}{verb}/", look_up_path(&on.id)),
            body,
            key: key.map(str::to_owned),
            deadline_ms: self.gateway.settings.deadlines.charge_ms,
        };
        let accounts = self.gateway.accounts.get();
        let began_ms = self.elapsed_ms();
        let trip = match accounts.get(&self.name).filter(|account| account.test) {
            Some(account) => self.gateway.post(account, call).await,
            None => gone(),
        };
        self.heard(began_ms, trip, Some(&on.id))
    }

    fn creating(&self, order: &ProbeOrder<'_>, account: &Account) -> Call {
        let name = "Probe of a test account";
        let body = json!({
            "brand_id": account.brand_id,
            "client": { "email": EMAIL },
            "purchase": {
                "currency": CURRENCY,
                "products": [{ "name": name, "price": order.total_minor, "quantity": "1" }],
                "due_strict": true,
            },
            "reference": format!("holdfast-probe-{}", order.about),
            "skip_capture": order.reserve,
            "due": order.due.timestamp(),
            "send_receipt": false,
            "platform": "api",
            "creator_agent": "holdfast",
            "success_redirect": REDIRECT,
            "failure_redirect": REDIRECT,
        });
        Call {
            path: "purchases/".to_owned(),
            body: body.to_string().into_bytes(),
            key: order.key.map(str::to_owned),
            deadline_ms: self.gateway.settings.deadlines.create_ms,
        }
    }

    fn heard(&self, began_ms: u64, trip: Trip, purchase: Option<&PurchaseId>) -> Heard {
        let (answer, http_status) = match trip {
            Trip::Answered(reply) => (classify::answer(&reply, purchase), Some(reply.status)),
            Trip::NotSent(why) => (Answer::NotSent { why: why.into() }, None),
            Trip::Unknown(why) => (Answer::Unknown { why }, None),
        };
        Heard {
            answer,
            http_status,
            began_ms,
            ended_ms: self.elapsed_ms(),
        }
    }
}

/// Whether it is a test object, of the right brand and sum. The last decides: whatever else a
/// gateway does, nothing is tried out with real money.
fn is_as_asked(seen: &Sighting, order: &ProbeOrder<'_>, account: Option<&Account>) -> bool {
    let brand = account.is_some_and(|account| account.brand_id == seen.brand);
    let sum = seen.total == order.total_minor && seen.currency == CURRENCY && !seen.converted;
    brand && sum && seen.test
}

/// The account was taken out of the settings meanwhile.
const fn gone() -> Trip {
    Trip::NotSent(super::client::UNKNOWN_ACCOUNT)
}
