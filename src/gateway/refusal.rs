//! The codes in an error body. Both shapes that are known are read, and any nesting of them:
//! `{"__all__":[{"code":…}]}`, `{"__all__":{"code":…}}`, `{"field":[{"code":…}]}`, `{"code":…}`.

use serde_json::Value;

/// How deep and how far an error body is searched; the gateway's are far smaller.
const DEEPEST: usize = 8;
const MOST_CODES: usize = 64;

/// What stands for a code that is not written like one.
const ILLEGIBLE: &str = "illegible_code";
/// What stands for a path of fields whose names are not written like names, or that is too long.
const ILLEGIBLE_FIELD: &str = "illegible_field";
const LONGEST_PATH: usize = 96;
/// What the gateway calls a fault of the whole call: no field.
const WHOLE: [&str; 3] = ["__all__", "errors", "error"];

/// One code of an error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    /// The gateway's word.
    pub(super) word: String,
    /// The field it is about, such as `client.email`; `None` for the whole call.
    pub(super) field: Option<String>,
}

impl Code {
    /// The word, and before it the field, as one name.
    pub(super) fn with_field(&self) -> String {
        match &self.field {
            Some(field) => format!("{field}.{}", self.word),
            None => self.word.clone(),
        }
    }
}

/// An error body, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A JSON object: what the gateway itself writes. The codes in it, the outermost first.
    Codes {
        codes: Vec<Code>,
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
                collect(&value, &mut Vec::new(), &mut codes);
                Self::Codes {
                    codes,
                    retry_after_s: retry_after_s(&value),
                }
            }
            Ok(_) | Err(_) => Self::Illegible,
        }
    }
}

fn collect<'a>(value: &'a Value, path: &mut Vec<&'a str>, codes: &mut Vec<Code>) {
    if path.len() >= DEEPEST || codes.len() >= MOST_CODES {
        return;
    }
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(code)) = fields.get("code") {
                codes.push(Code {
                    word: code_word(code),
                    field: field(path),
                });
            }
            // What is said of the whole call comes before what is said of a field.
            let (whole, rest): (Vec<_>, Vec<_>) = fields
                .iter()
                .partition(|(key, _)| WHOLE.contains(&key.as_str()));
            for (key, inner) in whole.into_iter().chain(rest) {
                path.push(key);
                collect(inner, path, codes);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().for_each(|item| match item {
            // Arrays within arrays are nothing the gateway writes, and have no end.
            Value::Array(_) => {}
            item => collect(item, path, codes),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path in words; a name that might be a value is not told.
fn field(path: &[&str]) -> Option<String> {
    let names: Vec<_> = path.iter().filter(|name| !WHOLE.contains(name)).collect();
    let word = |name: &str| {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        !name.is_empty() && name.len() <= 32 && name.bytes().all(fine)
    };
    if names.is_empty() {
        return None;
    }
    let legible = names.iter().all(|name| word(name));
    let path = names.into_iter().copied().collect::<Vec<_>>().join(".");
    let fine = legible && path.len() <= LONGEST_PATH;
    Some(if fine {
        path
    } else {
        ILLEGIBLE_FIELD.to_owned()
    })
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
