//! The CHIP Collect client: one method a call, one answer a method.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use reqwest::{Method, Request};
use serde::Serialize;
use tokio::time::Instant;

use super::Gateway;
use super::account::{Account, Accounts};
use super::body::CreateBody;
use super::classify;
use super::company::CompanyKey;
use super::settings::Settings;
use super::transport::{Transport, TransportError, Trip};
use crate::clock::Clock;
use crate::payment::{
    AccountName, Answer, CardToken, CreateOrder, LookUp, MoneyCall, MoneyOrder, PurchaseId,
};
use crate::store::Permit;

/// The code of a call for an account that the configuration does not name.
const UNKNOWN_ACCOUNT: &str = "account_not_configured";
/// What the log calls a look-up: it is no step of a payment, and stands where one would.
const LOOK_UP: &str = "look_up";

/// The gateway over HTTP, for all accounts. Clones share everything.
#[derive(Debug, Clone)]
pub struct ChipGateway {
    pub(super) accounts: Arc<Accounts>,
    pub(super) company_keys: Arc<BTreeMap<AccountName, Arc<CompanyKey>>>,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    transport: Arc<Transport>,
}

impl ChipGateway {
    /// Makes the client. Connects to nothing yet.
    pub fn new(
        accounts: Accounts,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, TransportError> {
        let unknown = accounts.names().map(|name| (name.clone(), Arc::default()));
        Ok(Self {
            company_keys: Arc::new(unknown.collect()),
            accounts: Arc::new(accounts),
            transport: Arc::new(Transport::new(&settings, clock.clone())?),
            settings: Arc::new(settings),
            clock,
        })
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

    async fn post(
        &self,
        account: &Account,
        path: &str,
        body: Vec<u8>,
        (key, deadline_ms): (Option<&str>, u64),
    ) -> Trip {
        let mut request = Request::new(Method::POST, account.url(path));
        *request.headers_mut() = headers(account);
        if let Some(key) = key.and_then(|key| HeaderValue::try_from(key).ok()) {
            request.headers_mut().insert("idempotency-key", key);
        }
        if body.is_empty() {
            // Of itself the client says nothing of a body that is empty, and there are proxies that
            // refuse a POST without a length.
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
        } else {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.into());
        }
        self.transport.write(request, ms(deadline_ms)).await
    }

    async fn create_on(&self, account: &Account, order: &CreateOrder) -> (Answer, Option<u16>) {
        let Some(body) = json(&CreateBody::of(order, account)) else {
            return (unwritable(), None);
        };
        let deadline_ms = self.settings.deadlines.create_ms;
        // No key: the body of a later try has another due time, and a gateway that minds the key
        // would refuse it. A purchase too many is only a link that expires.
        let trip = self
            .post(account, "purchases/", body, (None, deadline_ms))
            .await;
        answered(trip, None)
    }

    async fn send_on(&self, account: &Account, order: &MoneyOrder) -> (Answer, Option<u16>) {
        let deadlines = &self.settings.deadlines;
        let (body, deadline_ms) = match &order.call {
            MoneyCall::Charge(token) => (
                json(&ChargeBody {
                    recurring_token: token_text(token),
                }),
                deadlines.charge_ms,
            ),
            // Always with the amount: without it the gateway takes all.
            MoneyCall::Capture(amount) => (
                json(&CaptureBody {
                    amount: amount.minor(),
                }),
                deadlines.capture_ms,
            ),
            MoneyCall::Release => (Some(Vec::new()), deadlines.release_ms),
            MoneyCall::Cancel => (Some(Vec::new()), deadlines.cancel_ms),
        };
        let Some(body) = body else {
            return (unwritable(), None);
        };
        let path = format!(
            "purchases/{}/{}/",
            order.purchase.as_str(),
            order.call.as_str()
        );
        // Harmless where it is ignored, which is what was observed; nothing relies on it.
        let key = order.key.as_str();
        let trip = self
            .post(account, &path, body, (Some(key), deadline_ms))
            .await;
        answered(trip, Some(&order.purchase))
    }
}

impl Gateway for ChipGateway {
    async fn create(&self, order: &CreateOrder) -> Answer {
        let started = Instant::now();
        let (answer, http_status) = match self.accounts.get(&order.account) {
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
        let (answer, http_status) = match self.accounts.get(&order.account) {
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
        let Some(known) = self.accounts.get(account) else {
            let why = UNKNOWN_ACCOUNT.to_owned();
            return LookUp::Failed {
                why,
                denied: true,
                retry_after_ms: None,
            };
        };
        let failed = |why| LookUp::Failed {
            why,
            denied: false,
            retry_after_ms: None,
        };
        let mut http_status = None;
        let path = format!("purchases/{}/", purchase.as_str());
        let look_up = match self.get(known, &path).await {
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

#[derive(Serialize)]
struct ChargeBody<'a> {
    recurring_token: &'a str,
}

#[derive(Serialize)]
struct CaptureBody {
    amount: u64,
}

fn token_text(token: &CardToken) -> &str {
    token.as_str()
}

fn headers(account: &Account) -> HeaderMap {
    HeaderMap::from_iter([
        (AUTHORIZATION, account.authorization.clone()),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ])
}

fn json(body: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(body).ok()
}

fn unwritable() -> Answer {
    Answer::NotSent {
        why: "the request could not be written as JSON".to_owned(),
    }
}

fn not_configured() -> Answer {
    Answer::NoEffect {
        code: UNKNOWN_ACCOUNT.to_owned(),
        denied: true,
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
