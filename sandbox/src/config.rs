//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fault::Rule;

/// The test key of the default account.
pub const DEFAULT_SECRET_KEY: &str = "sandbox-test-key";

/// The brand of the default account.
pub const DEFAULT_BRAND_ID: Uuid = Uuid::from_u128(0x5a4d_b000_0000_4000_8000_0000_0000_0001);

/// Everything a sandbox can be told before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The clock.
    pub time: Time,
    /// The seed of ids; none for other ids at every start.
    pub seed: Option<u64>,
    /// The companies.
    pub accounts: Vec<Account>,
    /// How the gateway behaves where that is a matter of choice.
    pub behaviour: Behaviour,
    /// Webhooks that exist from the start.
    pub webhooks: Vec<WebhookConfig>,
    /// Faults in force from the start.
    pub faults: Vec<Rule>,
    /// Whether to keep a row of every request (true) or only counts (false).
    pub keep_requests: bool,
    /// How long an unanswered connection is kept open.
    pub silence_cap: Duration,
    /// How long a webhook endpoint may take to answer.
    pub delivery_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            time: Time::System,
            seed: None,
            accounts: vec![Account::default()],
            behaviour: Behaviour::default(),
            webhooks: Vec::new(),
            faults: Vec::new(),
            keep_requests: true,
            silence_cap: Duration::from_secs(120),
            delivery_timeout: Duration::from_secs(10),
        }
    }
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Time {
    /// The machine's clock; [`advance`](crate::Sandbox::advance) and
    /// [`set_time`](crate::Sandbox::set_time) move it and it keeps running.
    System,
    /// A clock that stands still until it is moved.
    Manual(DateTime<Utc>),
}

/// A company at the gateway.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its id.
    pub company_id: Uuid,
    /// The key of its test data.
    pub test_key: String,
    /// The key of its live data.
    pub live_key: Option<String>,
    /// Its brands; the first is the default one.
    pub brands: Vec<Uuid>,
}

impl std::fmt::Debug for Account {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("company_id", &self.company_id)
            .field("brands", &self.brands)
            .finish_non_exhaustive()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new("Sandbox Sdn. Bhd.", DEFAULT_SECRET_KEY, DEFAULT_BRAND_ID)
    }
}

impl Account {
    /// A company with one brand and a test key; its id follows from the brand's.
    #[must_use]
    pub fn new(name: &str, test_key: &str, brand: Uuid) -> Self {
        Self {
            name: name.to_owned(),
            company_id: Uuid::from_u128(brand.as_u128() ^ 0xc0),
            test_key: test_key.to_owned(),
            live_key: None,
            brands: vec![brand],
        }
    }

    /// The same with a live key.
    #[must_use]
    pub fn with_live_key(self, key: &str) -> Self {
        Self {
            live_key: Some(key.to_owned()),
            ..self
        }
    }
}

/// A webhook registered at the start, for the test (or live) data of one account.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Position of the account in [`Config::accounts`].
    pub account: usize,
    /// Whether it hears of live objects instead of test ones.
    pub live: bool,
    /// Its title.
    pub title: String,
    /// Where deliveries go; only `http` is spoken.
    pub url: String,
    /// Which events it hears; empty for all.
    pub events: Vec<String>,
}

impl WebhookConfig {
    /// A webhook for every test event of the first account.
    #[must_use]
    pub fn all(url: &str) -> Self {
        Self {
            account: 0,
            live: false,
            title: "sandbox".to_owned(),
            url: url.to_owned(),
            events: Vec::new(),
        }
    }
}

/// What a charge of a purchase with `skip_capture` does; nobody has written it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeOnSkipCapture {
    /// Reserves the funds: the answer says `hold`.
    #[default]
    Hold,
    /// Takes the money: the answer says `paid`.
    Paid,
    /// Is refused with a 400.
    Refused,
}

/// Where the gateway could behave one way or another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "open questions, one each")]
pub struct Behaviour {
    /// How long the acquirer takes for a charge, in real milliseconds.
    pub charge_ms: u64,
    /// How long the acquirer takes for a capture.
    pub capture_ms: u64,
    /// How long the acquirer takes for a release.
    pub release_ms: u64,
    /// What a charge of a purchase with `skip_capture` does.
    pub charge_on_skip_capture: ChargeOnSkipCapture,
    /// Whether a charge in flight keeps another one of the same purchase out.
    pub serialises_charges: bool,
    /// Whether a capture in flight keeps another one of the same purchase out.
    pub serialises_captures: bool,
    /// Whether a purchase whose last charge failed can be charged again.
    pub charges_after_error: bool,
    /// Whether a capture that was pending and failed is listed among the attempts.
    pub lists_failed_captures: bool,
    /// For how many milliseconds a paid purchase does not show its payment yet.
    pub paid_without_payment_ms: u64,
    /// Whether a purchase can be cancelled while a charge of it is in flight, which goes on.
    pub cancel_races_charge: bool,
    /// Whether a saved card can still be charged for a purchase that is past its strict due time.
    pub charges_expired: bool,
    /// Whether a repeat of a call with its `Idempotency-Key` is answered as the call was.
    pub honours_idempotency_keys: bool,
    /// Whether a card can be posted to a purchase by the merchant's own form.
    pub offers_direct_post: bool,
    /// How long a hold can be captured, in milliseconds; none for ever.
    pub hold_lifetime_ms: Option<u64>,
    /// The HTTP status of `*_wrong_status` errors: 400 as observed, 409 as documented.
    pub wrong_status_http: u16,
    /// How long a purchase may be paid when `due` is left out, in seconds.
    pub due_default_s: i64,
    /// How long a statement takes to be made, in milliseconds of the sandbox's clock.
    pub statement_ms: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            charge_ms: 0,
            capture_ms: 0,
            release_ms: 0,
            charge_on_skip_capture: ChargeOnSkipCapture::Hold,
            serialises_charges: true,
            serialises_captures: true,
            charges_after_error: true,
            lists_failed_captures: true,
            paid_without_payment_ms: 0,
            cancel_races_charge: false,
            charges_expired: false,
            honours_idempotency_keys: false,
            offers_direct_post: true,
            hold_lifetime_ms: None,
            wrong_status_http: 400,
            due_default_s: 3600,
            statement_ms: 2000,
        }
    }
}
