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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(body: &Value) -> Vec<String> {
        match Refusal::read(body.to_string().as_bytes()) {
            Refusal::Codes { codes, .. } => codes.iter().map(Code::with_field).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// A code below so many fields.
    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!({"code": "invalid"}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn a_body_is_searched_eight_levels_deep_and_for_sixty_four_codes() {
        assert_eq!(codes(&nested(0)), ["invalid"]);
        assert_eq!(codes(&nested(7)), ["a.a.a.a.a.a.a.invalid"]);
        assert!(codes(&nested(8)).is_empty());
        let many = |count: usize| json!({"a": vec![json!({"code": "invalid"}); count]});
        assert_eq!(codes(&many(64)).len(), 64);
        assert_eq!(codes(&many(65)).len(), 64);
        assert!(codes(&json!({"a": [[{"code": "invalid"}]]})).is_empty());
    }

    #[test]
    fn what_is_said_of_the_whole_call_comes_first_and_names_no_field() {
        let body = json!({"a": {"code": "one"}, "error": {"code": "two"}, "__all__": [
            {"code": "three"}]});
        assert_eq!(codes(&body), ["three", "two", "a.one"]);
    }

    #[test]
    fn a_field_is_told_as_long_as_it_is_written_like_one() {
        let told = |path: &[&str]| {
            let body = path.iter().rev();
            let body = body.fold(json!({"code": "x"}), |inner, name| json!({ *name: inner }));
            codes(&body).pop().unwrap()
        };
        let names = [32, 30, 33].map(|length| "a".repeat(length));
        let [fits, shorter, longer] = names.each_ref().map(String::as_str);
        assert_eq!(told(&["brand_id"]), "brand_id.x");
        assert_eq!(told(&[fits]), format!("{fits}.x"));
        let whole = format!("{fits}.{fits}.{shorter}.x");
        assert_eq!(told(&[fits, fits, shorter]), whole, "96 bytes");
        for path in [
            &[longer][..],
            &[""],
            &["a", ""],
            &["Name"],
            &["a-b"],
            &["a1"],
            &[fits, fits, &"a".repeat(31)],
        ] {
            assert_eq!(told(path), "illegible_field.x", "{path:?}");
        }
    }

    #[test]
    fn a_code_is_told_as_long_as_it_is_written_like_one() {
        let longest = "a".repeat(64);
        for code in ["a", "3ds.failed_V2", "x12345678", longest.as_str()] {
            assert_eq!(code_word(code), code);
        }
        let longer = "a".repeat(65);
        for text in ["", "a b", "a-b", "é", "x123456789", longer.as_str()] {
            assert_eq!(code_word(text), "illegible_code", "{text:?}");
        }
    }

    #[test]
    fn a_wait_is_a_whole_number_of_seconds() {
        let wait = |asked: Value| {
            let body = json!({ "retry_after": asked });
            match Refusal::read(body.to_string().as_bytes()) {
                Refusal::Codes { retry_after_s, .. } => retry_after_s,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wait(json!(7)), Some(7));
        assert_eq!(wait(json!(" 7 ")), Some(7));
        for none in [
            json!(-7),
            json!(7.5),
            json!("soon"),
            json!(null),
            json!([7]),
        ] {
            assert_eq!(wait(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_body_is_codes_or_nothing_or_illegible() {
        for empty in ["", " \r\n\t"] {
            assert_eq!(Refusal::read(empty.as_bytes()), Refusal::Empty);
        }
        for page in ["<html>", "[1]", "7", r#"{"code":"#] {
            assert_eq!(Refusal::read(page.as_bytes()), Refusal::Illegible, "{page}");
        }
        assert!(codes(&json!({})).is_empty());
    }
}
