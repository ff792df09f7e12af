//! What is posted: JSON, and the key that makes it safe to post it again.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::LARGEST_BODY_BYTES;
use super::problem::{Problem, ProblemCode};

/// The header that names a request, as in the IETF's draft; quotes around the key are optional.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The JSON object that was posted; an empty body is an empty object. Read only once it is known
/// that the caller may ask for this at all.
pub(super) async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Problem> {
    let bytes = bytes(headers, body, LARGEST_BODY_BYTES).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("must be a JSON object")),
        Err(error) => Err(unreadable(&error)),
    }
}

/// What was posted, if it says that it is JSON.
pub(super) async fn bytes(
    headers: &HeaderMap,
    body: Body,
    largest: usize,
) -> Result<Bytes, Problem> {
    let bytes = to_bytes(body, largest).await.map_err(|_| {
        // The length is the usual reason; a sender that went away hears nothing anyway.
        let told = format!("the body must be whole, and have {largest} bytes at most");
        Problem::new(ProblemCode::BodyTooLarge, told)
    })?;
    let empty = bytes.iter().all(u8::is_ascii_whitespace);
    if !empty && !is_json(headers) {
        let told = "send the header Content-Type: application/json";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, told));
    }
    Ok(bytes)
}

/// Where it is no JSON. What stands there is not repeated.
pub(in crate::api) fn unreadable(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    invalid(format!(
        "is not the JSON it should be: line {line}, column {column}"
    ))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn invalid(told: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, told).of_field("body")
}

/// The key of the request, from its header.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let text = text.ok_or_else(|| {
        let told = "must be one header of printable ASCII";
        Problem::new(ProblemCode::InvalidRequest, told).of_field("Idempotency-Key")
    })?;
    let text = text.trim();
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    Ok(Some(quoted.unwrap_or(text).to_owned()))
}

/// Demands a key: without one nobody could safely repeat what may not have been heard.
pub(super) fn demanded(key: Option<String>) -> Result<String, Problem> {
    key.ok_or_else(|| {
        let told = "send the header Idempotency-Key, or idempotency_key within a request, with a value \
                    of your own that is different for each thing you want, and the same when you \
                    repeat a request";
        Problem::new(ProblemCode::IdempotencyKeyMissing, told).of_field("Idempotency-Key")
    })
}

/// Puts the key of the header where the wire format has it.
pub(in crate::api) fn keyed(
    mut fields: Map<String, Value>,
    header: Option<String>,
) -> Result<Map<String, Value>, Problem> {
    let inside = fields.get("idempotency_key");
    // In a header it would be another key: the same one must not name two payments.
    let bare = |key: &str| key == key.trim() && !key.starts_with('"') && !key.ends_with('"');
    if inside.and_then(Value::as_str).is_some_and(|key| !bare(key)) {
        let told = "must not begin or end with a space or a quotation mark";
        return Err(Problem::new(ProblemCode::InvalidRequest, told).of_field("idempotency_key"));
    }
    match (header, inside) {
        (Some(header), Some(inside)) if *inside != header => {
            let told = "differs from the header Idempotency-Key; give one of them";
            return Err(Problem::new(ProblemCode::InvalidRequest, told).of_field("idempotency_key"));
        }
        (None, Some(_)) => {}
        (header, _) => {
            fields.insert("idempotency_key".to_owned(), demanded(header)?.into());
        }
    }
    // The address says which version it is.
    fields.entry("v").or_insert_with(|| 1.into());
    Ok(fields)
}
