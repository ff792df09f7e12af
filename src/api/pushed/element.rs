//! One element of an intake: bytes, until it is known who asks for what.

use std::panic::AssertUnwindSafe;

use serde_json::{Map, Value};

use super::producers::{Kind, Producer, Rules};
use super::signature::{Jws, invalid};
use super::single::Single;
use crate::api::KeyName;
use crate::api::v1::problem::Problem;
use crate::api::v1::{ProblemCode, body};
use crate::payment::{
    AccountName, Ask, BeforeExpiry, Command, IdempotencyKey, InvalidRequest, PaymentId, Plan,
    Request, Timestamp,
};

/// The longest element: as a request over HTTP.
pub const LARGEST_ELEMENT_BYTES: usize = 64 * 1024;
/// How long the name of a push is.
const SHORTEST_NAME: usize = 16;
const LONGEST_NAME: usize = 64;

/// What an element asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A payment.
    Payment(Request),
    /// Something of a payment.
    Command(PushedCommand),
}

/// A command, and what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedCommand {
    /// The account of the payment.
    pub account: AccountName,
    /// The command's own key.
    pub key: IdempotencyKey,
    /// The payment.
    pub payment: PaymentId,
    /// The command.
    pub command: Command,
    /// Which kind of it.
    pub kind: Kind,
}

/// What could be read of an element, and whether it may be done.
#[derive(Debug)]
pub struct Element {
    /// The name of the key that it is said to be signed with.
    pub kid: Option<KeyName>,
    /// Under which account whoever pushed it looks for the answer, if it says.
    pub account: Option<AccountName>,
    /// The idempotency key, if it says.
    pub key: Option<IdempotencyKey>,
    /// What it asks for, if that can be told.
    pub(super) asked: Option<Asked>,
    /// Why it is refused whatever the store says, if it is.
    pub(super) refused: Option<Problem>,
    /// Who signed it.
    pub(super) producer: Option<Producer>,
}

impl Element {
    /// Reads an element. Nothing here asks the store.
    #[must_use]
    pub fn read(bytes: &[u8], rules: &Rules, now: Timestamp) -> Self {
        let bare = bytes.trim_ascii_start().first() == Some(&b'{');
        if bare {
            let refused = (!rules.accept_unsigned).then(|| {
                let told = "only what is signed is taken here: push it as a JWS in compact form, \
                            signed with a key that is configured";
                Problem::new(ProblemCode::SignatureMissing, told)
            });
            return Self::of(bytes, None, refused);
        }
        let Some(jws) = Jws::read(bytes) else {
            let told = "it is neither a JSON object nor a JWS in compact form (RFC 7515): three \
                        parts in base64url without padding, joined by dots";
            return Self::nothing(invalid(told));
        };
        let (producer, refused) = match jws.producer(rules) {
            Ok(producer) => {
                let in_time = producer.is_in_time(now).and_then(|()| jws.is_fresh(now));
                (Some(producer), in_time.err())
            }
            Err(problem) => (None, Some(problem)),
        };
        let mut element = Self::of(&jws.payload, producer, refused);
        element.kid = jws.kid();
        element
    }

    /// One that is too long to be read.
    pub(super) fn too_long() -> Self {
        let told = format!("an element has {LARGEST_ELEMENT_BYTES} bytes at most");
        Self::nothing(Problem::new(ProblemCode::BodyTooLarge, told))
    }

    /// What it asks for, or why not.
    pub fn verdict(&self) -> Result<&Asked, (ProblemCode, &str)> {
        match (&self.asked, &self.refused) {
            (_, Some(problem)) => Err((problem.code, &problem.detail)),
            (Some(asked), None) => Ok(asked),
            (None, None) => Err((ProblemCode::InvalidRequest, "it asks for nothing")),
        }
    }

    /// What `read` reads, or that it broke: nobody else's may be held up.
    pub(super) fn guarded(read: impl FnOnce() -> Self) -> Self {
        std::panic::catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Self::nothing(Self::breaks()))
    }

    pub(super) fn breaks() -> Problem {
        let told = "this version of Holdfast breaks on it; tell an operator";
        Problem::new(ProblemCode::RecordUnreadable, told)
    }

    const fn nothing(problem: Problem) -> Self {
        Self {
            kid: None,
            account: None,
            key: None,
            asked: None,
            refused: Some(problem),
            producer: None,
        }
    }

    fn of(json: &[u8], producer: Option<&Producer>, refused: Option<Problem>) -> Self {
        let mut element = Self {
            kid: None,
            account: None,
            key: None,
            asked: None,
            refused,
            producer: producer.cloned(),
        };
        let fields = match object(json) {
            Ok(fields) => fields,
            Err(problem) => {
                element.refused.get_or_insert(problem);
                return element;
            }
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        element.account = text("account").and_then(|text| AccountName::new(text).ok());
        let key = text(InvalidRequest::KEY_FIELD);
        element.key = key.and_then(|text| IdempotencyKey::new(text).ok());
        let asked = named(fields).and_then(asked);
        let allowed = |asked: Asked| {
            let checked = producer.map_or(Ok(()), |producer| may(producer, &asked));
            (asked, checked.err())
        };
        match asked.map(allowed) {
            Ok((asked, forbidden)) => {
                element.asked = Some(asked);
                element.refused = element.refused.or(forbidden);
            }
            Err(problem) => {
                element.refused.get_or_insert(problem);
            }
        }
        element
    }
}

fn object(json: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(json) {
        Ok(Single(Value::Object(fields))) => Ok(fields),
        Ok(Single(_)) => Err(wrong("element", "must be a JSON object")),
        Err(error) => Err(body::unreadable(&error)),
    }
}

/// The same without the name of the push. Each has one of its own, so that nobody takes the answer to
/// an earlier push of the same request for the answer to this one, nor guesses where it stands.
fn named(mut fields: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let fine = |name: &str| {
        (SHORTEST_NAME..=LONGEST_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match fields.remove("push") {
        Some(Value::String(name)) if fine(&name) => Ok(fields),
        _ => {
            let told = format!(
                "must be there, {SHORTEST_NAME} to {LONGEST_NAME} letters, digits or -, such as a \
                 random UUID: a new one for each push, also of the same request"
            );
            Err(wrong("push", &told))
        }
    }
}

fn asked(fields: Map<String, Value>) -> Result<Asked, Problem> {
    let fields = body::keyed(fields, None)?;
    if fields.contains_key("command") {
        return command(fields).map(Asked::Command);
    }
    let json = Value::Object(fields).to_string();
    Ok(Asked::Payment(Request::from_json(json.as_bytes())?))
}

/// A command as the schema has it, with the names of account, key and payment beside it.
fn command(mut fields: Map<String, Value>) -> Result<PushedCommand, Problem> {
    if fields.remove("v") != Some(1.into()) {
        return Err(wrong("v", "must be 1"));
    }
    let mut name = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) => Ok(Some(text)),
        None => Ok(None),
        Some(_) => Err(wrong(field, "must be text")),
    };
    let (account, key) = (name("account")?, name(InvalidRequest::KEY_FIELD)?);
    let (id, of_key) = (name("payment")?, name("payment_key")?);
    let account = AccountName::new(account.unwrap_or_default())
        .map_err(|error| wrong("account", &error.to_string()))?;
    let keyed = |key: String, field: &str| {
        IdempotencyKey::new(key).map_err(|error| wrong(field, &error.to_string()))
    };
    let key = keyed(key.unwrap_or_default(), InvalidRequest::KEY_FIELD)?;
    let payment = match (id, of_key) {
        (Some(id), None) => payment_id(&id)?,
        (None, Some(key)) => PaymentId::derive(&account, &keyed(key, "payment_key")?),
        _ => {
            let told = "name the payment by its id here, or by the idempotency key that it was \
                        asked for with as payment_key";
            return Err(wrong("payment", told));
        }
    };
    let command = Command::from_json(Value::Object(fields).to_string().as_bytes())?;
    let kind = Kind::of_command(&command).ok_or_else(|| {
        let told = "must be capture, release, reschedule or cancel; a rerun is an operator's";
        wrong("command", told)
    })?;
    Ok(PushedCommand {
        account,
        key,
        payment,
        command,
        kind,
    })
}

fn payment_id(text: &str) -> Result<PaymentId, Problem> {
    let id = PaymentId::looks_like_one(text).then(|| PaymentId::new(text));
    id.and_then(Result::ok).ok_or_else(|| {
        let told = "a payment's id is pay_ and 32 hexadecimal digits";
        Problem::new(ProblemCode::PaymentNotFound, told).of_field("payment")
    })
}

/// Whether a producer may ask for this. What a command moves is known once its payment is.
fn may(producer: &Producer, asked: &Asked) -> Result<(), Problem> {
    match asked {
        Asked::Payment(request) => {
            producer.may(Kind::of_request(request), &request.account)?;
            if plan(request).is_some_and(captures) {
                producer.may_capture("plan")?;
            }
            let amount = request.money().map_or(0, |money| money.amount.minor());
            producer.may_move(amount, request.currency())
        }
        Asked::Command(command) => {
            // When, or how much: either way more may be taken than without it.
            if let Command::Reschedule {
                capture_at,
                capture_amount,
                ..
            } = &command.command
            {
                if capture_at.is_some() {
                    producer.may_capture("capture_at")?;
                }
                if capture_amount.is_some() {
                    producer.may_capture("capture_amount")?;
                }
            }
            producer.may(command.kind, &command.account)
        }
    }
}

const fn plan(request: &Request) -> Option<&Plan> {
    match &request.ask {
        Ask::Authorize(ask) => Some(&ask.plan),
        Ask::Adopt(ask) => Some(&ask.plan),
        Ask::SaveCard(_) | Ask::Charge(_) => None,
    }
}

/// Whether money is taken by this plan without a further command.
fn captures(plan: &Plan) -> bool {
    plan.capture_at.is_some() || plan.before_expiry == Some(BeforeExpiry::Capture)
}

fn wrong(field: &str, told: &str) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, told).of_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_breaks_its_reader_is_refused_and_breaks_nothing_else() {
        let element = Element::guarded(|| panic!("of all things"));
        let refused = element.verdict().map_err(|(code, _)| code);
        assert_eq!(refused, Err(ProblemCode::RecordUnreadable));
    }
}
