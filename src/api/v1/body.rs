//! What is posted: JSON, and the key that makes it safe to post it again.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::problem::{Problem, ProblemCode};

/// The header that names a request, as in the IETF's draft; quotes around the key are optional.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The JSON object that was posted; an empty body is an empty object.
pub(super) fn object(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Map<String, Value>, Problem> {
    match json(headers, body)? {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(invalid("must be a JSON object")),
    }
}

/// The JSON that was posted; `None` for an empty body.
pub(super) fn json(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Option<Value>, Problem> {
    let body = body.map_err(|error| unread(&error))?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if !is_json(headers) {
        let told = "send the header Content-Type: application/json";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, told));
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| {
        invalid(format!(
            "is not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn unread(error: &BytesRejection) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let told = "the body is too long: 64 KiB for a request, 4 MiB for a batch";
        return Problem::new(ProblemCode::BodyTooLarge, told);
    }
    invalid("could not be read to its end")
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
        let told = "send the header Idempotency-Key with a value of your own that is different for \
                    each thing you want, and the same when you repeat a request";
        Problem::new(ProblemCode::IdempotencyKeyMissing, told).of_field("Idempotency-Key")
    })
}

/// Puts the key of the header where the wire format has it.
pub(super) fn keyed(
    mut fields: Map<String, Value>,
    header: Option<String>,
) -> Result<Map<String, Value>, Problem> {
    let inside = fields.get("idempotency_key");
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
