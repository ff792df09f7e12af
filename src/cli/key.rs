//! A new API key.

use std::io::Write;

use serde_json::json;

use super::Failure;
use crate::api::v1::new_key;
use crate::api::{KeyHash, KeyName};

/// Makes a key and shows it, this once.
pub(super) fn make(name: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(name) = KeyName::new(name) else {
        let told = "the name of a key is 1 to 64 letters, digits, - or _";
        return Err(Failure::Wrong(told.to_owned()));
    };
    let key = new_key();
    let hash = KeyHash::of(key.reveal()).to_string();
    let name = name.as_str();
    if as_json {
        let made = json!({ "name": name, "key": key.reveal(), "sha256": hash });
        return Ok(writeln!(out, "{made}")?);
    }
    Ok(write!(
        out,
        "The key, which is stored nowhere:\n\n  {}\n\n\
         The entry for the configuration of every worker:\n\n\
         [[api.keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n\
         # For a service. For a person at the desk: [\"read\"] to look, or [\"read\", \"command\", \"operate\"] to act.\n\
         scopes = [\"enqueue\", \"read\", \"command\"]\n",
        key.reveal()
    )?)
}
