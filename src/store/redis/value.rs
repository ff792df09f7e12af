//! Reading what Redis answers.

use redis::Value;

use crate::store::StoreError;

/// The text of a reply that is one.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The number in a reply, given as a number or as text.
pub(super) fn number<N: std::str::FromStr + TryFrom<i64>>(value: &Value) -> Option<N> {
    match value {
        Value::Int(number) => N::try_from(*number).ok(),
        _ => text(value)?.parse().ok(),
    }
}

/// The items of a reply that is a list.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

/// The first word of a reply: a text, or a list that begins with one.
pub(super) fn word(value: &Value) -> &str {
    text(value)
        .or_else(|| items(value).first().and_then(text))
        .unwrap_or_default()
}

/// A reply that no version of ours gives.
pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Refused(format!(
        "an answer to {what} that this version does not know; do all workers run the same version?"
    ))
}
