//! Reads the fields of a JSON object and gathers what is wrong with them.

use serde_json::{Map, Value, json};

use super::refusal::fault;

/// A reader over one object.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    errors: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(
        object: Option<&'a Map<String, Value>>,
        empty: &'a Map<String, Value>,
    ) -> Self {
        Self {
            object: object.unwrap_or(empty),
            errors: Map::new(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn fail(&mut self, name: &str, code: &str, message: &str) {
        self.fail_with(name, json!([fault(code, message)]));
    }

    pub(crate) fn fail_with(&mut self, name: &str, errors: Value) {
        self.errors.entry(name.to_owned()).or_insert(errors);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), Value> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Value::Object(self.errors))
        }
    }

    /// Refuses a `null` where a value may only be left out.
    pub(crate) fn not_null(&mut self, name: &str) {
        if self.object.get(name).is_some_and(Value::is_null) {
            self.missing(name);
        }
    }

    fn missing(&mut self, name: &str) {
        if self.object.contains_key(name) {
            self.fail(name, "null", "This field may not be null.");
        } else {
            self.fail(name, "required", "This field is required.");
        }
    }

    pub(crate) fn text(&mut self, name: &str, max: usize) -> String {
        let text = match self.get(name) {
            None => return String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                self.fail(name, "invalid", "Not a valid string.");
                return String::new();
            }
        };
        if text.chars().count() > max {
            let message = format!("Ensure this field has no more than {max} characters.");
            self.fail(name, "max_length", &message);
        }
        text
    }

    pub(crate) fn strict_text(&mut self, name: &str, max: usize) -> String {
        self.not_null(name);
        self.text(name, max)
    }

    pub(crate) fn required_text(&mut self, name: &str, max: usize) -> String {
        if self.get(name).is_none() {
            self.missing(name);
            return String::new();
        }
        let text = self.text(name, max);
        if text.is_empty() {
            self.fail(name, "blank", "This field may not be blank.");
        }
        text
    }

    pub(crate) fn url(&mut self, name: &str) -> String {
        let text = self.text(name, 500);
        if !text.is_empty() && !is_url(&text) {
            self.fail(name, "invalid", "Enter a valid URL.");
        }
        text
    }

    pub(crate) fn email(&mut self, name: &str) -> String {
        let text = self.required_text(name, 254);
        if !text.is_empty() && !is_email(&text) {
            self.fail(name, "invalid", "Enter a valid email address.");
        }
        text
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.get(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.fail(name, "invalid", "Must be a valid boolean.");
                false
            }
        }
    }

    pub(crate) fn integer(&mut self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        let number = value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if number.is_none() {
            self.fail(name, "invalid", "A valid integer is required.");
        }
        number
    }

    /// An integer that is not negative.
    pub(crate) fn amount(&mut self, name: &str) -> Option<i64> {
        let number = self.integer(name)?;
        if number < 0 {
            let message = "Ensure this value is greater than or equal to 0.";
            self.fail(name, "min_value", message);
        }
        Some(number)
    }

    pub(crate) fn required_amount(&mut self, name: &str) -> i64 {
        if self.get(name).is_none() {
            self.missing(name);
        }
        self.amount(name).unwrap_or(0)
    }

    /// A decimal of so many places, as a scaled integer and as it is echoed.
    pub(crate) fn decimal(&mut self, name: &str, places: usize, default: i128) -> (i128, String) {
        let text = match self.get(name) {
            None => return (default, shown(default, places)),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => String::new(),
        };
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if text.starts_with('-') {
            self.fail(
                name,
                "min_value",
                "Ensure this value is greater than or equal to 0.",
            );
        } else if whole.is_empty() || whole.len() > 12 || !is_digits(whole) || !is_digits(part) {
            self.fail(name, "invalid", "A valid number is required.");
        } else if part.len() > places {
            let message = format!("Ensure that there are no more than {places} decimal places.");
            self.fail(name, "max_decimal_places", &message);
        } else {
            let scaled = format!("{whole}{part:0<places$}").parse().unwrap_or(0);
            return (scaled, shown(scaled, places));
        }
        (default, shown(default, places))
    }
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// One `@`, something before it, and a domain of at least two labels behind it.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(is_inner)
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "@,;:<>()[]\\\"".contains(c);
    !local.is_empty()
        && !local.contains(is_odd)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn shown(scaled: i128, places: usize) -> String {
    let digits = format!("{scaled:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    format!("{whole}.{part}")
}
