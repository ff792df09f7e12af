//! The CHIP Collect client: one method a call, one answer a method.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use reqwest::{Method, Request, Url};
use tokio::time::Instant;

use super::Gateway;
use super::account::{Account, Accounts};
use super::call::{Call, look_up_path};
use super::classify;
use super::company::CompanyKeys;
use super::settings::Settings;
use super::transport::{Transport, TransportError, Trip};
use crate::clock::Clock;
use crate::config::Current;
use crate::payment::{AccountName, Answer, CreateOrder, Denial, LookUp, MoneyOrder, PurchaseId};
use crate::store::Permit;

/// The code of a call for an account that the configuration does not name.
pub(super) const UNKNOWN_ACCOUNT: &str = "account_not_configured";
/// What the log calls a look-up: it is no step of a payment, and stands where one would.
const LOOK_UP: &str = "look_up";

/// The gateway over HTTP, for all accounts. Clones share everything.
#[derive(Debug, Clone)]
pub struct ChipGateway {
    pub(super) accounts: Current<Accounts>,
    pub(super) company_keys: CompanyKeys,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) transport: Arc<Transport>,
}

impl ChipGateway {
    /// Makes the client. Connects to nothing yet.
    pub fn new(
        accounts: Accounts,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            company_keys: CompanyKeys::default(),
            accounts: Current::new(accounts),
            transport: Arc::new(Transport::new(&settings, clock.clone())?),
            settings: Arc::new(settings),
            clock,
        })
    }

    /// From now on these accounts are known, with these keys. What is on its way ends as it began.
    pub fn replace_accounts(&self, accounts: Accounts) {
        self.accounts.replace(accounts);
    }

    /// The clock that everything asked here goes by.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks for `path` and reads the answer to its end.
    pub(super) async fn get(&self, account: &Account, path: &str) -> Trip {
        let mut url = account.url(path);
        // Something between us and the gateway may keep old answers: no two look-ups are alike.
        url.query_pairs_mut()
            .append_pair("time", &self.clock.now().timestamp_millis().to_string());
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = headers(account);
        self.transport
            .read(request, ms(self.settings.deadlines.look_up_ms))
            .await
    }

    /// Makes a call that changes something, once.
    pub(super) async fn post(&self, account: &Account, call: Call) -> Trip {
        let url = account.url(&call.path);
        self.post_to(account, url, call).await
    }

    /// The same, where the path is not all there is to the address.
    pub(super) async fn post_to(&self, account: &Account, url: Url, call: Call) -> Trip {
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = headers(account);
        if let Some(key) = call.key.and_then(|key| HeaderValue::try_from(key).ok()) {
            request.headers_mut().insert("idempotency-key", key);
        }
        if call.body.is_empty() {
            // Of itself the client says nothing of a body that is empty, and there are proxies that
            // refuse a POST without a length.
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
        } else {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(call.body.into());
        }
        self.transport.write(request, ms(call.deadline_ms)).await
    }

    async fn create_on(&self, account: &Account, order: &CreateOrder) -> (Answer, Option<u16>) {
        match Call::create(order, account, &self.settings.deadlines) {
            Some(call) => answered(self.post(account, call).await, None),
            None => (unwritable(), None),
        }
    }

    async fn send_on(&self, account: &Account, order: &MoneyOrder) -> (Answer, Option<u16>) {
        match Call::money(order, &self.settings.deadlines) {
            Some(call) => answered(self.post(account, call).await, Some(&order.purchase)),
            None => (unwritable(), None),
        }
    }
}

impl Gateway for ChipGateway {
    async fn create(&self, order: &CreateOrder) -> Answer {
        let started = Instant::now();
        let (answer, http_status) = match self.accounts.get().get(&order.account) {
            Some(account) => self.create_on(account, order).await,
            None => (not_configured(), None),
        };
        let call = ("create", order.payment.as_str(), None);
        log_write(call, &answer, (http_status, started), &self.clock);
        answer
    }

    async fn send(&self, permit: Permit) -> Answer {
        let order = permit.order();
        let started = Instant::now();
        let (answer, http_status) = match self.accounts.get().get(&order.account) {
            Some(account) => self.send_on(account, order).await,
            None => (not_configured(), None),
        };
        let call = (
            order.call.as_str(),
            order.payment.as_str(),
            Some(order.attempt),
        );
        log_write(call, &answer, (http_status, started), &self.clock);
        answer
    }

    async fn look_up(&self, account: &AccountName, purchase: &PurchaseId) -> LookUp {
        let started = Instant::now();
        let accounts = self.accounts.get();
        let Some(known) = accounts.get(account) else {
            let why = UNKNOWN_ACCOUNT.to_owned();
            return LookUp::Failed {
                why,
                denied: Denial::No,
                retry_after_ms: None,
            };
        };
        let failed = |why| LookUp::Failed {
            why,
            denied: Denial::No,
            retry_after_ms: None,
        };
        let mut http_status = None;
        let look_up = match self.get(known, &look_up_path(purchase)).await {
            Trip::Answered(reply) => {
                http_status = Some(reply.status);
                classify::look_up(&reply, purchase)
            }
            Trip::NotSent(why) => failed(why.to_owned()),
            Trip::Unknown(why) => failed(why),
        };
        log_look_up(account, &look_up, (http_status, started));
        look_up
    }
}

pub(super) fn headers(account: &Account) -> HeaderMap {
    HeaderMap::from_iter([
        (AUTHORIZATION, account.authorization.clone()),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ])
}

fn unwritable() -> Answer {
    Answer::NotSent {
        why: "the request could not be written as JSON".to_owned(),
    }
}

/// Nothing was sent: an account that was taken out while a payment was worked on parks nothing.
fn not_configured() -> Answer {
    Answer::NotSent {
        why: UNKNOWN_ACCOUNT.to_owned(),
    }
}

fn answered(trip: Trip, purchase: Option<&PurchaseId>) -> (Answer, Option<u16>) {
    match trip {
        Trip::Answered(reply) => (classify::answer(&reply, purchase), Some(reply.status)),
        Trip::NotSent(why) => (
            Answer::NotSent {
                why: why.to_owned(),
            },
            None,
        ),
        Trip::Unknown(why) => (Answer::Unknown { why }, None),
    }
}

fn log_write(
    (step, payment, attempt): (&'static str, &str, Option<u32>),
    answer: &Answer,
    (http_status, started): (Option<u16>, Instant),
    clock: &Clock,
) {
    let note = answer.note(clock.now());
    tracing::info!(
        payment.id = payment,
        step,
        attempt,
        http.status = http_status,
        class = note.class.as_str(),
        code = note.code.as_deref(),
        duration_ms = elapsed_ms(started),
        "the gateway was called"
    );
}

/// A look-up that says nothing matters to whoever follows a payment in doubt; the many that say
/// only that the payer has not paid yet do not.
fn log_look_up(
    account: &AccountName,
    look_up: &LookUp,
    (http_status, started): (Option<u16>, Instant),
) {
    let duration_ms = elapsed_ms(started);
    let (class, why) = match look_up {
        LookUp::Shown(_) => {
            return tracing::debug!(
                account = %account,
                step = LOOK_UP,
                http.status = http_status,
                class = "shown",
                duration_ms,
                "the gateway was asked"
            );
        }
        LookUp::NotFound => ("not_found", None),
        LookUp::Failed { why, .. } => ("failed", Some(why.as_str())),
    };
    tracing::info!(
        account = %account,
        step = LOOK_UP,
        http.status = http_status,
        class,
        why,
        duration_ms,
        "the gateway was asked"
    );
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
