//! From JSON to a request or a command, with errors that name the field.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::command::Command;
use super::id::{AccountName, IdempotencyKey, Reference};
use super::request::{Ask, InvalidRequest, Request, WIRE_VERSION};

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
    let kind = match rest.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => {
            return Err(InvalidRequest::new(
                "type",
                format!("must be one of {KINDS}"),
            ));
        }
        None => {
            return Err(InvalidRequest::new(
                "type",
                format!("is missing; give {KINDS}"),
            ));
        }
    };
    rest.remove("v");
    let common: Map<String, Value> = COMMON
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), rest.remove(key)?)))
        .collect();
    let common: Common = typed(Value::Object(common))?;
    let rest = Value::Object(rest);
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

impl Command {
    /// Reads a command from its JSON form, such as `{"command":"capture","amount":1500}`.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidRequest> {
        typed(Value::Object(object(json)?))
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

fn version(object: &Map<String, Value>) -> Result<(), InvalidRequest> {
    match object.get("v").map(Value::as_u64) {
        Some(Some(WIRE_VERSION)) => Ok(()),
        Some(_) => Err(InvalidRequest::new("v", format!("must be {WIRE_VERSION}"))),
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
