//! From JSON to a request or a command, with errors that name the field.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Timestamp;
use super::command::Command;
use super::id::{AccountName, IdempotencyKey, Reference};
use super::money::Amount;
use super::request::{Ask, InvalidRequest, Request, WIRE_VERSION, offset_time};
use super::resolution::StatedEnd;

#[derive(Deserialize)]
struct Common {
    account: AccountName,
    idempotency_key: IdempotencyKey,
    #[serde(default)]
    reference: Option<Reference>,
}

const COMMON: [&str; 3] = ["account", "idempotency_key", "reference"];
const KINDS: &str = "authorize, save_card, charge or adopt";

pub(super) fn request(json: &[u8]) -> Result<Request, InvalidRequest> {
    let mut rest = object(json)?;
    version(&rest)?;
    let kind = word(rest.remove("type"), "type", KINDS)?;
    rest.remove("v");
    let common: Map<String, Value> = COMMON
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), rest.remove(key)?)))
        .collect();
    let common: Common = typed(Value::Object(common))?;
    let rest = Value::Object(rest);
    no_list(&rest, "")?;
    let ask = match kind.as_str() {
        "authorize" => Ask::Authorize(typed(rest)?),
        "save_card" => Ask::SaveCard(typed(rest)?),
        "charge" => Ask::Charge(typed(rest)?),
        "adopt" => Ask::Adopt(typed(rest)?),
        other => {
            return Err(InvalidRequest::new(
                "type",
                format!("{other:?} is none of {KINDS}"),
            ));
        }
    };
    let request = Request {
        account: common.account,
        idempotency_key: common.idempotency_key,
        reference: common.reference,
        ask,
    };
    request.check()?;
    Ok(request)
}

const COMMANDS: &str = "capture, release, reschedule, cancel, rerun, resolve_as_shown, \
                        propose_by_hand or approve_by_hand";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capture {
    #[serde(default)]
    amount: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reschedule {
    #[serde(default, with = "offset_time::option")]
    capture_at: Option<Timestamp>,
    #[serde(default)]
    capture_amount: Option<Amount>,
    #[serde(default, with = "offset_time::option")]
    release_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rerun {
    reason: String,
    actor: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByHand {
    outcome: StatedEnd,
    reason: String,
    actor: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {}

impl Command {
    /// The commands as JSON Schema, version 1.
    pub const SCHEMA: &str = include_str!("../../schema/command.v1.json");

    /// Reads a command from its JSON form, such as `{"command":"capture","amount":1500}`.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidRequest> {
        let mut rest = object(json)?;
        let name = word(rest.remove("command"), "command", COMMANDS)?;
        let rest = Value::Object(rest);
        // One kind at a time, so that an error names the field.
        match name.as_str() {
            "capture" => typed(rest).map(|Capture { amount }| Self::Capture { amount }),
            "release" => typed(rest).map(|Bare {}| Self::Release),
            "reschedule" => typed(rest).map(
                |Reschedule {
                     capture_at,
                     capture_amount,
                     release_at,
                 }| Self::Reschedule {
                    capture_at,
                    capture_amount,
                    release_at,
                },
            ),
            "cancel" => typed(rest).map(|Bare {}| Self::Cancel),
            "resolve_as_shown" => {
                typed(rest).map(|Rerun { reason, actor }| Self::ResolveAsShown { reason, actor })
            }
            "propose_by_hand" => typed(rest).map(
                |ByHand {
                     outcome,
                     reason,
                     actor,
                 }| Self::ProposeByHand {
                    outcome,
                    reason,
                    actor,
                },
            ),
            "approve_by_hand" => typed(rest).map(
                |ByHand {
                     outcome,
                     reason,
                     actor,
                 }| Self::ApproveByHand {
                    outcome,
                    reason,
                    actor,
                },
            ),
            "rerun" => typed(rest).map(|Rerun { reason, actor }| Self::Rerun { reason, actor }),
            other => Err(InvalidRequest::new(
                "command",
                format!("{other:?} is none of {COMMANDS}"),
            )),
        }
    }
}

/// The word that says which kind the rest is of.
fn word(value: Option<Value>, field: &str, words: &str) -> Result<String, InvalidRequest> {
    match value {
        Some(Value::String(word)) => Ok(word),
        Some(other) => Err(InvalidRequest::new(
            field,
            format!("must be one of {words}; got {}", got(&other)),
        )),
        None => Err(InvalidRequest::new(
            field,
            format!("is missing; give {words}"),
        )),
    }
}

/// What stands where a short word or a number should.
fn got(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string().chars().take(32).collect(),
    }
}

fn object(json: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(InvalidRequest::new("request", "must be a JSON object")),
        Err(error) => Err(InvalidRequest::new(
            "request",
            format!("is not JSON: {error}"),
        )),
    }
}

/// No field of a request is a list; serde would take one for an object, its fields by position.
fn no_list(value: &Value, path: &str) -> Result<(), InvalidRequest> {
    match value {
        Value::Array(_) => Err(InvalidRequest::new(
            path,
            "must not be a list: no field of a request is one",
        )),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            no_list(value, &format!("{path}{dot}{name}"))
        }),
        _ => Ok(()),
    }
}

fn version(object: &Map<String, Value>) -> Result<(), InvalidRequest> {
    match object.get("v") {
        Some(v) if v.as_u64() == Some(WIRE_VERSION) => Ok(()),
        Some(other) => Err(InvalidRequest::new(
            "v",
            format!("must be {WIRE_VERSION}; got {}", got(other)),
        )),
        None => Err(InvalidRequest::new(
            "v",
            format!("is missing; give {WIRE_VERSION}"),
        )),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, InvalidRequest> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "request" } else { &path };
        InvalidRequest::new(field, error.inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::scenes::{TOKEN, start};
    use super::super::{Amount, Command, InvalidRequest, Request, StatedEnd};

    fn command(json: &Value) -> Result<Command, InvalidRequest> {
        Command::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn what_is_wrong_at_length_is_told_in_short_with_what_to_do() {
        let long = "é".repeat(20_000);
        for json in [
            json!({"command": long}),
            json!({"command": "capture", long.as_str(): 1}),
        ] {
            let wrong = command(&json).unwrap_err();
            let told = wrong.to_string();
            assert!(told.len() < 1_500, "{} bytes", told.len());
            assert!(
                told.contains("release") || told.contains("expected"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_command_that_is_wrong_is_told_by_its_field_and_what_was_got() {
        for (json, field, told) in [
            (
                json!({"command": "capture", "amount": 0}),
                "amount",
                "got 0",
            ),
            (
                json!({"command": "capture", "amount": -5}),
                "amount",
                "got -5",
            ),
            (
                json!({"command": "capture", "sum": 5}),
                "sum",
                "unknown field",
            ),
            (
                json!({"command": "release", "amount": 5}),
                "amount",
                "unknown field",
            ),
            (
                json!({"command": "reschedule", "capture_amount": 0}),
                "capture_amount",
                "got 0",
            ),
            (
                json!({"command": "reschedule", "release_at": "2027-01-31T14:00:00"}),
                "release_at",
                "offset",
            ),
            (
                json!({"command": "rerun", "actor": "x"}),
                "request",
                "reason",
            ),
            (json!({"command": "refund"}), "command", "rerun"),
            (json!({"command": 7}), "command", "got 7"),
            (json!({}), "command", "is missing"),
        ] {
            let error = command(&json).unwrap_err();
            assert_eq!(error.field, field, "{json}: {error}");
            assert!(error.problem.contains(told), "{json}: {error}");
        }
    }

    #[test]
    fn a_list_in_place_of_an_object_is_refused_with_its_field() {
        let adopt = |money: Value, plan: Value| {
            let json = json!({"v": 1, "type": "adopt", "account": "hotel", "idempotency_key": "k",
                "purchase": TOKEN, "money": money, "plan": plan});
            Request::from_json(json.to_string().as_bytes()).map_err(|error| error.field)
        };
        let money = || json!({"amount": 1, "currency": "MYR"});
        assert!(adopt(money(), json!({})).is_ok());
        for (money, plan, field) in [
            (json!([1, "MYR"]), json!({}), "money"),
            (
                json!({"amount": 1, "currency": ["MYR"]}),
                json!({}),
                "money.currency",
            ),
            (money(), json!([]), "plan"),
            (
                money(),
                json!({"before_expiry": {"release": null}}),
                "plan.before_expiry",
            ),
        ] {
            assert_eq!(adopt(money, plan), Err(field.to_owned()));
        }
    }

    #[test]
    fn every_command_is_read_as_it_is_stored() {
        let at = Some(start());
        let amount = Amount::new(700).ok();
        for given in [
            Command::Capture { amount },
            Command::Capture { amount: None },
            Command::Release,
            Command::Cancel,
            Command::Reschedule {
                capture_at: at,
                capture_amount: amount,
                release_at: None,
            },
            Command::Rerun {
                reason: "key mended".to_owned(),
                actor: "aina".to_owned(),
            },
            Command::ResolveAsShown {
                reason: "captured in the portal".to_owned(),
                actor: "aina".to_owned(),
            },
            Command::ProposeByHand {
                outcome: StatedEnd::NeverPaid,
                reason: "the bank says so".to_owned(),
                actor: "aina".to_owned(),
            },
            Command::ApproveByHand {
                outcome: StatedEnd::HoldGone,
                reason: "read the statement".to_owned(),
                actor: "badrul".to_owned(),
            },
        ] {
            let json = serde_json::to_value(&given).unwrap();
            assert_eq!(command(&json), Ok(given));
        }
    }

    #[test]
    fn a_version_or_a_kind_that_is_none_is_told_with_what_was_got() {
        let request = |v: Value, kind: Value| {
            let json = json!({"v": v, "type": kind, "account": "hotel", "idempotency_key": "k",
                "token": TOKEN});
            let error = Request::from_json(json.to_string().as_bytes()).unwrap_err();
            error.to_string()
        };
        let told = [
            (request(json!(2), json!("charge")), "v: must be 1; got 2"),
            (
                request(json!("1"), json!("charge")),
                "v: must be 1; got \"1\"",
            ),
            (
                request(json!([1]), json!("charge")),
                "v: must be 1; got a list",
            ),
            (
                request(json!(1), json!(null)),
                "type: must be one of authorize, save_card, charge or adopt; got null",
            ),
        ];
        for (told, expected) in told {
            assert_eq!(told, expected);
        }
    }
}
