//! What goes wrong with Redis, what may pass, and how long to wait for that.

use std::time::Duration;

use redis::{ServerError, Value};
use tokio::time::sleep;

use crate::store::StoreError;

const FIRST_PAUSE_MS: u64 = 20;
const LONGEST_PAUSE_MS: u64 = 1_000;

/// Why the link cannot be made.
pub(super) enum LinkFault {
    /// The address is none.
    Address(String),
    /// Nobody answers there, or not in time.
    Unreachable(String),
    /// Whoever answers there will not do.
    Unusable(String),
}

impl LinkFault {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Address(text) | Self::Unreachable(text) | Self::Unusable(text) => text,
        }
    }
}

pub(super) fn unreachable(error: &redis::RedisError) -> LinkFault {
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => {
            LinkFault::Unusable("refuses user or password".to_owned())
        }
        _ => LinkFault::Unreachable(error.to_string()),
    }
}

/// Turns a reply that is an error into one.
pub(super) fn refused(reply: Value) -> Result<Value, StoreError> {
    match reply {
        Value::ServerError(error) => match error.code() {
            "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => {
                Err(StoreError::Unavailable(refusal(&error)))
            }
            _ => Err(StoreError::Refused(refusal(&error))),
        },
        reply => Ok(reply),
    }
}

pub(super) fn refusal(error: &ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default())
}

/// Whether the same call may go through later: the link is down, the disk or the memory is full.
pub(super) fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(_) => true,
        StoreError::Refused(why) => why.starts_with("OOM ") || why.starts_with("MISCONF "),
        StoreError::Unreadable { .. } | StoreError::Busy(_) | StoreError::Broken(_) => false,
    }
}

pub(super) fn no_answer(patience: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer within {patience:?}"))
}

/// Pauses that grow, each one a little different so that workers do not move in step.
#[derive(Default)]
pub(super) struct Pause {
    rests: u32,
}

impl Pause {
    pub(super) async fn rest(&mut self) {
        let base = (FIRST_PAUSE_MS << self.rests.min(10)).min(LONGEST_PAUSE_MS);
        self.rests += 1;
        sleep(Duration::from_millis(rand::random_range(base / 2..=base))).await;
    }
}
