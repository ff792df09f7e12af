//! The codes in an error body. Both shapes that are known are read, and any nesting of them:
//! `{"__all__":[{"code":…}]}`, `{"__all__":{"code":…}}`, `{"field":[{"code":…}]}`, `{"code":…}`.

use serde_json::Value;

/// How deep and how far an error body is searched; the gateway's are far smaller.
const DEEPEST: usize = 8;
const MOST_CODES: usize = 64;

/// What stands for a code that is not written like one.
const ILLEGIBLE: &str = "illegible_code";

/// An error body, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A JSON object: what the gateway itself writes. The codes in it, the outermost first.
    Codes {
        codes: Vec<String>,
        retry_after_s: Option<u64>,
    },
    /// No body at all.
    Empty,
    /// Something else: the page of a proxy, or a body that was cut short.
    Illegible,
}

impl Refusal {
    pub(super) fn read(body: &[u8]) -> Self {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Self::Empty;
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value @ Value::Object(_)) => {
                let mut codes = Vec::new();
                collect(&value, DEEPEST, &mut codes);
                Self::Codes {
                    codes,
                    retry_after_s: retry_after_s(&value),
                }
            }
            Ok(_) | Err(_) => Self::Illegible,
        }
    }
}

fn collect(value: &Value, depth: usize, codes: &mut Vec<String>) {
    if depth == 0 || codes.len() >= MOST_CODES {
        return;
    }
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(code)) = fields.get("code") {
                codes.push(code_word(code));
            }
            // What is said of the whole call comes before what is said of a field.
            let (whole, rest): (Vec<_>, Vec<_>) = fields
                .iter()
                .partition(|(key, _)| matches!(key.as_str(), "__all__" | "errors"));
            for (_, inner) in whole.into_iter().chain(rest) {
                collect(inner, depth - 1, codes);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(item, depth - 1, codes)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn retry_after_s(body: &Value) -> Option<u64> {
    match body.get("retry_after")? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A code of the gateway, if it is written like one. It is stored, logged and shown, so nothing
/// else may pass for one: no sentence, no id, no number of a card.
pub(super) fn code_word(text: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !text.is_empty() && text.len() <= 64 && digits <= 8 && text.chars().all(fine) {
        text.to_owned()
    } else {
        ILLEGIBLE.to_owned()
    }
}
