//! From a tree of values to types. Nothing stops at the first problem.

use std::path::Path;

use serde_json::Value;

use super::Setting;
use super::account::TWICE;
use super::check::has_credentials;
use super::layers::{Layers, Origin, at, schema_path};
use super::problem::Problems;
use super::secret::{MASK, in_file, is_word, quoted, quoted_path};
use super::sections::Written;
use crate::payment::AccountName;
use crate::store::EndpointName;

/// Whether the value of a setting lets its holder in.
fn is_secret(path: &str, value: &Value) -> bool {
    match path {
        "redis.url" => value.as_str().is_none_or(has_credentials),
        path => {
            [".secret_key", ".success_callback"]
                .iter()
                .any(|name| path.ends_with(name))
                || is_of_endpoint(path, "secrets")
        }
    }
}

fn is_of_endpoint(path: &str, setting: &str) -> bool {
    let keys: Vec<&str> = path.split('.').collect();
    matches!(keys[..], ["endpoints", _, name] if name == setting)
}

/// Whether a value is not shown: a secret, or an address that may hold one.
fn is_masked(path: &str, value: &Value) -> bool {
    is_secret(path, value) || is_of_endpoint(path, "url")
}

/// A value that is wrong, for people: one line. What may be a secret in the wrong place is masked.
fn display(path: &str, value: &Value) -> String {
    if is_masked(path, value) || !is_plain(value) {
        MASK.to_owned()
    } else {
        value.to_string()
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => is_word(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(_) => false,
    }
}

/// What serde says is wrong, which quotes what it found.
fn without_secrets(problem: &str) -> String {
    for (begin, end) in [("`", "`, "), ("string \"", "\", ")] {
        let Some((head, rest)) = problem.split_once(begin) else {
            continue;
        };
        // What was found may hold anything, what was expected does not.
        let ends = ["expected", "there are no"].map(|word| rest.rfind(&format!("{end}{word}")));
        let Some(length) = ends.into_iter().flatten().max() else {
            continue;
        };
        let (found, rest) = rest.split_at(length);
        let found = if is_word(found) { found } else { MASK };
        return format!("{head}{begin}{found}{rest}");
    }
    problem.to_owned()
}

/// Calls `each` with the path and the value of every leaf.
fn leaves(tree: &Value, path: &str, each: &mut impl FnMut(&str, &Value)) {
    match tree {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &inner, each);
            }
        }
        leaf => each(path, leaf),
    }
}

/// Every setting in effect, for people.
pub(super) fn shown(tree: &Value, layers: &Layers) -> Vec<Setting> {
    let mut settings = Vec::new();
    leaves(tree, "", &mut |path, value| {
        let from = match path {
            "redis.url" if at(tree, "redis.url_file").is_some() => "redis.url_file",
            path => path,
        };
        settings.push(Setting {
            name: path.to_owned(),
            value: if is_masked(path, value) {
                Value::from(MASK)
            } else {
                value.clone()
            },
            origin: layers.origin(from),
        });
    });
    settings
}

/// The names of accounts are part of requests, records and environment variables, those of endpoints
/// part of keys in Redis.
pub(super) fn refuse_names(tree: &mut Value, problems: &mut Problems) {
    if let Some(Value::Object(endpoints)) = tree.get_mut("endpoints") {
        endpoints.retain(|name, _| match name.parse::<EndpointName>() {
            Ok(_) => true,
            Err(fix) => {
                problems.add(&format!("endpoints.{}", quoted(name)), "", fix);
                false
            }
        });
    }
    let Some(Value::Object(accounts)) = tree.get_mut("accounts") else {
        return;
    };
    accounts.retain(|name, _| match AccountName::new(name) {
        Ok(_) => true,
        Err(error) => {
            problems.add(&format!("accounts.{}", quoted(name)), "", error.to_string());
            false
        }
    });
}

/// What is no setting at all: a slip of the pen would otherwise go unnoticed. Its value is never
/// shown: it may be a key under a name that was misspelt.
pub(super) fn refuse_unknown(tree: &mut Value, known: &Value, problems: &mut Problems) {
    let mut unknown = Vec::new();
    leaves(tree, "", &mut |path, _| {
        if at(known, &schema_path(path)).is_none_or(Value::is_object) {
            unknown.push(path.to_owned());
        }
    });
    for path in unknown {
        problems.add(
            &quoted_path(&path),
            MASK,
            "is no setting; `holdfast config defaults` shows all of them",
        );
        remove(tree, &path);
    }
}

/// Keys in a configuration file end up in repositories and images, whatever stands above the file.
pub(super) fn refuse_secrets_in_file(tree: &mut Value, layers: &Layers, problems: &mut Problems) {
    let mut found = Vec::new();
    leaves(&layers.file, "", &mut |path, value| {
        let setting = at(&layers.known, &schema_path(path)).is_some();
        // What is no text is no address; that is told of later.
        let text = path != "redis.url" || value.is_string();
        if setting && text && is_secret(path, value) {
            found.push(path.to_owned());
        }
    });
    for path in found {
        let variable = path.replace('.', "__").replace('-', "_").to_uppercase();
        let name = path.rsplit('.').next().unwrap_or_default();
        let file = match name.strip_suffix('s') {
            Some(one) => format!("{one}_files"),
            None => format!("{name}_file"),
        };
        let fix = format!(
            "is a secret and stands in the configuration file; remove it there, and set \
             HOLDFAST__{variable} or name a file with it as {file}"
        );
        problems.add(&path, MASK, fix);
        remove(tree, &path);
    }
}

/// An address of Redis in a file of its own takes the place of the default one.
pub(super) fn take_in_redis_url(tree: &mut Value, layers: &Layers, problems: &mut Problems) {
    let Some(file) = at(tree, "redis.url_file").and_then(Value::as_str) else {
        return;
    };
    if layers.origin("redis.url") != Origin::Default {
        problems.add("redis.url", MASK, TWICE);
    } else if let Some(url) = in_file(Path::new(file), "redis.url_file", problems) {
        tree["redis"]["url"] = Value::from(url.trim());
    }
}

/// The settings with their types. What cannot be read is a problem, and is replaced by its
/// default to find the next one.
pub(super) fn typed(
    mut tree: Value,
    known: &Value,
    problems: &mut Problems,
) -> Result<Written, Problems> {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Written>(&tree) {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let place = path.split('[').next().unwrap_or_default();
        let problem = without_secrets(&error.inner().to_string());
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|r| r.split('`').next());
        if LISTS.iter().any(|(list, _)| *list == place) {
            list(&tree, place, &path, &problem, problems);
            *place
                .split('.')
                .fold(&mut tree, |value, key| &mut value[key]) = Value::Array(Vec::new());
            continue;
        }
        let setting = missing.map_or(place.to_owned(), |field| format!("{place}.{field}"));
        let Some(example) = at(known, &schema_path(&setting)).filter(|e| !e.is_object()) else {
            problems.add(&quoted_path(&setting), "", problem);
            return Err(std::mem::replace(problems, Problems(Vec::new())));
        };
        let value = at(&tree, &setting).map(|value| display(&setting, value));
        // Refused before and taken out: that is what there is to say about it.
        if !problems.0.iter().any(|known| known.setting == setting) {
            let masked = at(&tree, &setting).is_some_and(|value| is_masked(&setting, value));
            let problem = match missing {
                Some(_) => "is missing".to_owned(),
                None if masked => "must be text".to_owned(),
                None => problem,
            };
            problems.add(
                &setting,
                value.unwrap_or_default(),
                format!("{problem}; such as {example}"),
            );
        }
        let keys = setting.split('.');
        *keys.fold(&mut tree, |value, key| &mut value[key]) = example.clone();
    }
}

/// The lists of those who may ask, and what an entry is called by.
const LISTS: [(&str, &str); 2] = [("api.keys", "name"), ("intake.producers", "kid")];

/// An entry that cannot be read is told of by its place, its name and the field; never quoted, for a
/// key may stand there where its hash belongs.
fn list(tree: &Value, list: &str, path: &str, problem: &str, problems: &mut Problems) {
    let number = path[list.len()..]
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
    let entry = number.and_then(|number| at(tree, list)?.get(number));
    let name = LISTS.iter().find(|known| known.0 == list);
    let name = entry.and_then(|entry| entry.get(name?.1)?.as_str());
    let name = name.map(|name| format!("of {}: ", quoted(name)));
    let fix = format!(
        "{}{problem}; `holdfast config defaults` shows what an entry has. If a key or the private \
         half of one stands there, make another",
        name.unwrap_or_default()
    );
    problems.add(&quoted_path(path), MASK, fix);
}

fn remove(tree: &mut Value, path: &str) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut keys = parent.split('.').filter(|key| !key.is_empty());
    if let Some(Value::Object(map)) = keys.try_fold(tree, |value, key| value.get_mut(key)) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(tree: &Value) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        leaves(tree, "", &mut |path, _| {
            names.insert(path.to_owned());
        });
        names
    }

    #[test]
    fn the_commented_file_and_the_code_have_the_same_settings() {
        let known = Layers::read(("", ""), []).unwrap().known;
        // What the file has and the code has not is refused here; the rest is compared.
        let written: Written = serde_json::from_value(known.clone()).unwrap();
        assert_eq!(
            names(&serde_json::to_value(&written).unwrap()),
            names(&known)
        );
    }
}
