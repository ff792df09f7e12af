//! A payment as it is kept in a hash.

use redis::{Pipeline, Value};
use serde::Deserialize;

use super::keys::Keys;
use super::value::{items, number, text};
use crate::clock::from_millis;
use crate::payment::{BODY_VERSION, Payment, StateName, Timestamp, digest_of};
use crate::store::{Loaded, StoreError, json_of};

/// Why a record cannot be read, without a word of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A newer program wrote it.
    #[error("it has version {0}; this program reads {BODY_VERSION}")]
    Newer(u32),
    /// It is not as this program would have written it.
    #[error("{0}")]
    Broken(String),
}

impl Problem {
    pub(super) fn broken(what: &str) -> Self {
        Self::Broken(what.to_owned())
    }

    fn field(name: &str) -> Self {
        Self::Broken(format!("its field {name} is not as expected"))
    }
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// The stored form.
pub(super) fn body_of(payment: &Payment) -> Result<Vec<u8>, StoreError> {
    json_of(payment, "a payment").map(String::into_bytes)
}

/// Reads the stored form. Names the place of a fault, never the text that is there.
pub fn payment_of(body: &[u8]) -> Result<Payment, Problem> {
    match serde_json::from_slice::<Payment>(body) {
        Ok(payment) if payment.body_version() == BODY_VERSION => Ok(payment),
        _ => Err(fault_of(body)),
    }
}

/// What is wrong with a body. Found by reading it again, slowly, and only then.
fn fault_of(body: &[u8]) -> Problem {
    let Ok(Versioned { v }) = serde_json::from_slice(body) else {
        return Problem::broken("it has no version");
    };
    if v > BODY_VERSION {
        return Problem::Newer(v);
    }
    let reader = &mut serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Payment>(reader) {
        Ok(_) => Problem::Broken(format!("it has version {v}, which was never written")),
        Err(error) => Problem::field(&error.path().to_string()),
    }
}

/// What tells one write from another: a hash of all that it was made of.
pub(super) fn write_id(parts: &[&[u8]]) -> String {
    use std::fmt::Write;
    digest_of(parts)
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The commands that read a record, as one step.
pub(super) fn ask(pipeline: &mut Pipeline, keys: &Keys, partition: u64, id: &str) {
    pipeline
        .cmd("HMGET")
        .arg(keys.payment_named(partition, id))
        .arg(&["version", "state", "nudges", "nonce", "body"]);
    pipeline.cmd("ZSCORE").arg(keys.due(partition)).arg(id);
}

/// The answer to [`ask`]; `None` when there is no record.
pub(super) fn read(
    fields: &Value,
    score: &Value,
    now: Timestamp,
) -> Result<Option<Loaded>, Problem> {
    let [version, state, nudges, nonce, body] = items(fields) else {
        return Err(Problem::broken("it is no hash"));
    };
    if matches!(version, Value::Nil) {
        return Ok(None);
    }
    let due = millis_of(score).and_then(from_millis);
    let claimed =
        text(nonce).is_some_and(|nonce| !nonce.is_empty()) && due.is_some_and(|due| due > now);
    let loaded = loaded([version, state, nudges, body])?;
    Ok(Some(Loaded {
        due,
        claimed,
        ..loaded
    }))
}

/// From version, state, nudges and body; due and claim are for the caller to say.
pub(super) fn loaded([version, state, nudges, body]: [&Value; 4]) -> Result<Loaded, Problem> {
    let field = Problem::field;
    let Value::BulkString(body) = body else {
        return Err(field("body"));
    };
    Ok(Loaded {
        payment: payment_of(body)?,
        version: number(version).ok_or_else(|| field("version"))?,
        nudges: number(nudges).ok_or_else(|| field("nudges"))?,
        stored: text(state)
            .and_then(|state| state.parse::<StateName>().ok())
            .ok_or_else(|| field("state"))?,
        due: None,
        claimed: false,
    })
}

/// The milliseconds in a score.
pub(super) fn millis_of(score: &Value) -> Option<i64> {
    match score {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "scores are whole milliseconds"
        )]
        Value::Double(ms) => Some(*ms as i64),
        _ => number(score),
    }
}
