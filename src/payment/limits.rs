//! What the gateway takes in its fields. It would refuse the rest only when the purchase is made,
//! long after the producer has gone, so it is refused at the door, with the field's name.
//!
//! No value is repeated in an error: they are about a person, or let their holder pay.

use super::id::Private;
use super::request::{Checkout, Customer, InvalidRequest};

const LONGEST_EMAIL: usize = 254;
const LONGEST_PHONE: usize = 32;
const LONGEST_FULL_NAME: usize = 128;
const LONGEST_DESCRIPTION: usize = 256;
const LONGEST_REDIRECT: usize = 500;

impl Checkout {
    /// Checks the addresses; `path` is where this checkout stands in the request.
    pub(super) fn check(&self, path: &str) -> Result<(), InvalidRequest> {
        for (name, url, markup) in [
            ("success_redirect", &self.success_redirect, true),
            ("failure_redirect", &self.failure_redirect, true),
            ("cancel_redirect", &self.cancel_redirect, false),
        ] {
            // What is empty is not sent.
            let Some(url) = revealed(url.as_ref()).filter(|url| !url.is_empty()) else {
                continue;
            };
            let problem = if url.chars().count() > LONGEST_REDIRECT {
                "must be at most 500 characters; shorten it"
            } else if !is_web_address(url) {
                "must be an absolute http or https URL without spaces, such as \
                 https://shop.example/thanks"
            } else if !markup && url.contains(['<', '>', '\'', '"']) {
                "must not hold any of < > ' \"; write them as %3C %3E %27 %22"
            } else {
                continue;
            };
            return Err(InvalidRequest::new(&format!("{path}.{name}"), problem));
        }
        Ok(())
    }
}

fn is_web_address(url: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let start = url.get(..scheme.len())?;
        let fits = start.eq_ignore_ascii_case(scheme);
        fits.then(|| &url[scheme.len()..])
    });
    let Some(rest) = rest else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let clean = |c: char| !c.is_whitespace() && !c.is_control() && c != '\\';
    !host.is_empty() && !host.starts_with([':', '.']) && url.chars().all(clean)
}

impl Customer {
    /// Checks what the gateway is told about the payer.
    pub(super) fn check(&self) -> Result<(), InvalidRequest> {
        if !is_email(self.email.reveal()) {
            return Err(InvalidRequest::new(
                "customer.email",
                "must be one e-mail address of at most 254 characters, such as \
                 payer@shop.example; the gateway requires one",
            ));
        }
        if let Some(phone) = revealed(self.phone.as_ref())
            && (phone.chars().count() > LONGEST_PHONE || has_control(phone))
        {
            let problem = "must be at most 32 characters, none of them a control character, such \
                           as \"+60 123456789\"";
            return Err(InvalidRequest::new("customer.phone", problem));
        }
        if let Some(name) = revealed(self.full_name.as_ref())
            && (name.chars().count() > LONGEST_FULL_NAME || has_control(name))
        {
            let problem = "must be at most 128 characters on one line, none of them a control \
                           character; shorten it or leave it out";
            return Err(InvalidRequest::new("customer.full_name", problem));
        }
        Ok(())
    }
}

/// One address, as far as any mail system agrees on what one is: the finer rules are the gateway's.
fn is_email(text: &str) -> bool {
    let Some((mailbox, domain)) = text.split_once('@') else {
        return false;
    };
    let mut labels = domain.split('.');
    let label = |label: &str| {
        let fine = |c: char| c == '-' || c.is_alphanumeric();
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(fine)
    };
    let clean = |c: char| !c.is_whitespace() && !c.is_control();
    text.chars().count() <= LONGEST_EMAIL
        && !mailbox.is_empty()
        && mailbox.chars().all(clean)
        && domain.contains('.')
        && labels.all(label)
}

/// Checks what a payment is for.
pub(super) fn check_description(text: Option<&str>) -> Result<(), InvalidRequest> {
    let fine = |text: &str| {
        !text.is_empty() && text.chars().count() <= LONGEST_DESCRIPTION && !has_control(text)
    };
    match text {
        Some(text) if !fine(text) => Err(InvalidRequest::new(
            "description",
            "must be 1 to 256 characters on one line, none of them a control character; shorten \
             it or leave it out",
        )),
        _ => Ok(()),
    }
}

fn revealed(text: Option<&Private<String>>) -> Option<&str> {
    text.map(|text| text.reveal().as_str())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Request;

    fn refused(mut ask: Value, field: &str, value: &str) -> Option<(String, String)> {
        let mut at = &mut ask;
        for part in field.split('.') {
            at = &mut at[part];
        }
        *at = json!(value);
        ask["v"] = json!(1);
        ask["account"] = json!("hotel");
        ask["idempotency_key"] = json!("k");
        let error = Request::from_json(ask.to_string().as_bytes()).err()?;
        let shown = value.len() > 20 && error.problem.contains(value);
        assert!(!shown, "the value is repeated: {error}");
        Some((error.field, error.problem))
    }

    fn authorize() -> Value {
        json!({"type": "authorize", "money": {"amount": 1, "currency": "MYR"},
            "source": {"checkout": {}}, "customer": {"email": "a@b.example"}})
    }

    fn save_card() -> Value {
        json!({"type": "save_card", "checkout": {}, "customer": {"email": "a@b.example"}})
    }

    #[test]
    fn a_redirect_that_the_gateway_would_refuse_is_refused_at_the_door() {
        let long = format!("https://shop.example/{}", "x".repeat(480));
        let fits = &long[..500];
        for (ask, path) in [(authorize(), "source.checkout"), (save_card(), "checkout")] {
            for name in ["success_redirect", "failure_redirect", "cancel_redirect"] {
                let field = format!("{path}.{name}");
                for bad in [
                    long.as_str(),
                    "shop.example/thanks",
                    "/thanks",
                    "ftp://shop.example/",
                    "javascript:alert(1)",
                    "https://",
                    "https:///thanks",
                    "http://:80/",
                    "https://shop.example/a b",
                    "https://shop.example/\n",
                    "https:\\\\shop.example",
                ] {
                    let (told, problem) = refused(ask.clone(), &field, bad).unwrap_or_default();
                    assert_eq!(told, field, "{bad}");
                    assert!(problem.contains("must be"), "{problem}");
                }
                for fine in [
                    fits,
                    "http://localhost:3000/",
                    "HTTPS://shop.example?order=7#top",
                    "https://kedai.example/terima-kasih/é",
                    "",
                ] {
                    assert_eq!(refused(ask.clone(), &field, fine), None, "{fine}");
                }
            }
        }
        for markup in ["<", ">", "'", "\""] {
            let url = format!("https://shop.example/?q={markup}");
            let field = |name: &str| format!("source.checkout.{name}");
            let cancel = field("cancel_redirect");
            let (told, _) = refused(authorize(), &cancel, &url).unwrap_or_default();
            assert_eq!(told, cancel, "{url}");
            assert_eq!(refused(authorize(), &field("success_redirect"), &url), None);
        }
    }

    #[test]
    fn what_is_no_email_address_is_refused_at_the_door() {
        let longest = format!("{}@b.example", "a".repeat(244));
        assert_eq!(longest.chars().count(), 254);
        let longer = format!("a{longest}");
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.example",
            "a@b",
            "a b@c",
            "a b@c.example",
            "a@@b",
            "a@@b.example",
            "a@b@c.example",
            "a@b..example",
            "a@.example",
            "a@b.example.",
            "a@-b.example",
            "a@b c.example",
            "a@b.example ",
            "a@b.example\n",
            "a\u{0}@b.example",
            "<a@b.example>",
            "a@b.example,c@d.example",
            longer.as_str(),
        ] {
            let (field, _) = refused(save_card(), "customer.email", bad).unwrap_or_default();
            assert_eq!(field, "customer.email", "{bad:?}");
        }
        for fine in [
            "a@b.example",
            "first.last+tag@mail.kedai.example",
            "o'neil@b.example",
            "siti@xn--kda.example",
            "a@kedaié.example",
            longest.as_str(),
        ] {
            assert_eq!(refused(save_card(), "customer.email", fine), None, "{fine}");
        }
    }

    #[test]
    fn control_characters_and_overlong_texts_are_refused_at_the_door() {
        for (field, longest) in [
            ("description", 256),
            ("customer.full_name", 128),
            ("customer.phone", 32),
        ] {
            let (fits, longer) = ("é".repeat(longest), "é".repeat(longest + 1));
            for bad in ["a\u{0}b", "a\nb", "a\u{7f}", longer.as_str()] {
                let (told, _) = refused(authorize(), field, bad).unwrap_or_default();
                assert_eq!(told, field, "{bad:?}");
            }
            assert_eq!(refused(authorize(), field, &fits), None, "{field}");
        }
    }
}
