//! The settings as they are written. What each means stands in `config/default.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::api::ApiSettings;
use super::events::{EndpointSettings, EventsSettings};
use super::intake::IntakeSettings;
use super::secret::Secret;
use crate::api::Limits;
use crate::gateway::Deadlines;
use crate::payment::{BeforeExpiry, Ladder, UnknownPolicy};
use crate::store::redis::Profile;

/// Everything, as written. Not checked yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) worker: Worker,
    pub(super) redis: Redis,
    pub(super) gateway: Gateway,
    pub(super) http: Http,
    pub(super) api: ApiSettings,
    pub(super) intake: IntakeSettings,
    pub(super) policy: PolicySettings,
    pub(super) log: Log,
    pub(super) events: EventsSettings,
    #[serde(default)]
    pub(super) endpoints: BTreeMap<String, EndpointSettings>,
    #[serde(default)]
    pub(super) accounts: BTreeMap<String, AccountSettings>,
}

/// How the queue runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct Worker {
    pub concurrency: usize,
    pub batch: usize,
    pub lease_ms: u64,
    pub renew_ms: u64,
    pub poll_ms: u64,
    pub shutdown_ms: u64,
}

/// Where payments are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct Redis {
    pub url: Secret,
    pub url_file: Option<PathBuf>,
    pub prefix: String,
    pub durability: Profile,
    pub response_timeout_ms: u64,
    pub connect_timeout_ms: u64,
    pub save_patience_ms: u64,
    pub retention_days: u32,
}

/// How the gateway is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct Gateway {
    pub base_url: String,
    pub connect_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub largest_answer_bytes: usize,
    pub company_key_every_ms: u64,
    pub card_whitelist: Vec<String>,
    pub deadlines: Deadlines,
}

/// What is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct Http {
    pub listen: String,
    pub metrics: bool,
    pub limits: Limits,
}

/// How payments are decided, for all accounts that do not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct PolicySettings {
    pub quiet_ms: u64,
    pub unknown: UnknownPolicy,
    pub parked_look_every_ms: u64,
    pub link_lifetime_ms: u64,
    pub link_grace_ms: u64,
    pub purchase_lifetime_ms: u64,
    pub hold_lifetime_ms: u64,
    pub expiry_margin_ms: u64,
    pub before_expiry: BeforeExpiry,
    pub retry_after_cap_ms: u64,
    pub poison_claims: u32,
    pub lookup: Ladder,
    pub technical: Ladder,
    pub business: Ladder,
    pub payer: Ladder,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "config/default.toml is the documentation of every setting"
)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

/// For whom logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Pretty,
}

/// An account, as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountSettings {
    pub(super) mode: Mode,
    pub(super) brand_id: String,
    pub(super) secret_key: Option<Secret>,
    pub(super) secret_key_file: Option<PathBuf>,
    pub(super) base_url: Option<String>,
    pub(super) unknown: Option<UnknownPolicy>,
    pub(super) hold_lifetime_ms: Option<u64>,
    pub(super) largest_amount_minor: Option<u64>,
    #[serde(default)]
    pub(super) webhook_public_keys: Vec<String>,
    #[serde(default)]
    pub(super) webhook_public_key_files: Vec<PathBuf>,
    pub(super) success_callback: Option<Secret>,
    pub(super) success_callback_file: Option<PathBuf>,
    pub(super) probe_report_file: Option<PathBuf>,
}

/// Whether money is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The key is a test key.
    Test,
    /// The key is a live key.
    Live,
}
