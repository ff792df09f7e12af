//! The gateway's error bodies.

use serde_json::{Map, Value, json};

/// An error answer: an HTTP status and a JSON body.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refusal {
    /// An error about the whole request, under `__all__`.
    pub(crate) fn all(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            body: json!({ "__all__": [fault(code, message)] }),
        }
    }

    /// A 400 about one field.
    pub(crate) fn field(name: &str, code: &str, message: &str) -> Self {
        let mut body = Map::new();
        body.insert(name.to_owned(), json!([fault(code, message)]));
        Self {
            status: 400,
            body: Value::Object(body),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::all(404, "not_found", "Not found.")
    }
}

/// One entry of an error list.
pub(crate) fn fault(code: &str, message: &str) -> Value {
    json!({ "message": message, "code": code })
}
