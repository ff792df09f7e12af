//! How the store is set up.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How durable a write must be before money may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Anything goes; for development, never with a live key.
    Dev,
    /// One Redis that has written to disk before it answers.
    Solo,
    /// The same, and replicas that have it too.
    Replicated,
}

impl Profile {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Solo => "solo",
            Self::Replicated => "replicated",
        }
    }
}

/// How the store is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where Redis is: `redis://[user:password@]host:port/db`, or
    /// `unix:///path?user=…&pass=…&db=…`. May hold a password: never printed.
    pub url: String,
    /// What every key begins with, so that several installations can share a Redis.
    pub prefix: String,
    /// How long a claim lasts unless it is renewed.
    pub lease_ms: u64,
    /// How durable a write must be before money may move.
    pub profile: Profile,
    /// How long an answer may take before the connection is given up; at least 2000.
    pub response_timeout_ms: u64,
    /// How long a connection attempt may take.
    pub connect_timeout_ms: u64,
    /// How long a write is repeated while Redis cannot be reached.
    pub save_patience_ms: u64,
    /// How long finished payments are kept, so that a late duplicate cannot run again.
    pub retention_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            prefix: "hf".to_owned(),
            lease_ms: 30_000,
            profile: Profile::Solo,
            response_timeout_ms: 5_000,
            connect_timeout_ms: 5_000,
            save_patience_ms: 30_000,
            retention_days: 400,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"***")
            .field("prefix", &self.prefix)
            .field("lease_ms", &self.lease_ms)
            .field("profile", &self.profile)
            .field("response_timeout_ms", &self.response_timeout_ms)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("save_patience_ms", &self.save_patience_ms)
            .field("retention_days", &self.retention_days)
            .finish()
    }
}

/// The shortest time in which a healthy Redis that is writing to disk may be given up.
const SHORTEST_RESPONSE_TIMEOUT_MS: u64 = 2_000;

impl Settings {
    /// Checks what Redis is not needed for; the error names the setting and the fix.
    pub(super) fn check(&self) -> Result<(), String> {
        let fault = |name: &str, problem: &str| Err(format!("{name} {problem}"));
        if self.url.starts_with("rediss:") || self.url.starts_with("valkeys:") {
            return fault(
                "url",
                "asks for TLS, which this version does not speak; use redis:// or unix:// on a \
                 trusted network, or a TLS proxy beside the worker",
            );
        }
        if self.prefix.is_empty() || !self.prefix.chars().all(|c| c.is_ascii_alphanumeric()) {
            return fault(
                "prefix",
                "must be letters and digits, at least one; the default is hf",
            );
        }
        if self.response_timeout_ms < SHORTEST_RESPONSE_TIMEOUT_MS {
            return fault(
                "response_timeout_ms",
                "must be at least 2000; Redis may be at its disk",
            );
        }
        for (name, value) in [
            ("lease_ms", self.lease_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("save_patience_ms", self.save_patience_ms),
            ("retention_days", u64::from(self.retention_days)),
        ] {
            if value == 0 {
                return fault(name, "must be above 0");
            }
        }
        Ok(())
    }

    pub(super) const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) const fn save_patience(&self) -> Duration {
        Duration::from_millis(self.save_patience_ms)
    }

    pub(super) const fn retention_ms(&self) -> u64 {
        self.retention_days as u64 * 24 * 60 * 60 * 1000
    }
}
