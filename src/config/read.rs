//! From a tree of values to types. Nothing stops at the first problem.

use serde_json::Value;

use super::Setting;
use super::check::has_credentials;
use super::layers::{Layers, Origin, at, schema_path};
use super::problem::Problems;
use super::secret::MASK;
use super::sections::Written;
use crate::payment::AccountName;

/// A value for people: one line, secrets masked.
fn display(path: &str, value: &Value) -> String {
    let secret = match path {
        "redis.url" => value.as_str().is_none_or(has_credentials),
        path => path.ends_with(".secret_key") || path.ends_with(".success_callback"),
    };
    if secret {
        MASK.to_owned()
    } else {
        value.to_string()
    }
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
        let masked = display(path, value) == MASK;
        settings.push(Setting {
            name: path.to_owned(),
            value: if masked {
                Value::from(MASK)
            } else {
                value.clone()
            },
            origin: layers.origin(path),
        });
    });
    settings
}

/// The names of accounts are part of requests, records and environment variables.
pub(super) fn refuse_names(tree: &mut Value, problems: &mut Problems) {
    let Some(Value::Object(accounts)) = tree.get_mut("accounts") else {
        return;
    };
    accounts.retain(|name, _| match AccountName::new(name) {
        Ok(_) => true,
        Err(error) => {
            problems.add(&format!("accounts.{name:?}"), "", error.to_string());
            false
        }
    });
}

/// What is no setting at all: a slip of the pen would otherwise go unnoticed.
pub(super) fn refuse_unknown(tree: &mut Value, known: &Value, problems: &mut Problems) {
    let mut unknown = Vec::new();
    leaves(tree, "", &mut |path, value| {
        if at(known, &schema_path(path)).is_none_or(Value::is_object) {
            unknown.push((path.to_owned(), display(path, value)));
        }
    });
    for (path, value) in unknown {
        problems.add(
            &path,
            value,
            "is no setting; `holdfast config show` lists all of them",
        );
        remove(tree, &path);
    }
}

/// Keys in a configuration file end up in repositories and images.
pub(super) fn refuse_secrets_in_file(tree: &mut Value, layers: &Layers, problems: &mut Problems) {
    let mut found = Vec::new();
    leaves(tree, "", &mut |path, value| {
        let key = path.ends_with(".secret_key");
        let password = path == "redis.url" && value.as_str().is_some_and(has_credentials);
        if (key || password) && layers.origin(path) == Origin::File {
            found.push(path.to_owned());
        }
    });
    for path in found {
        let variable = path.replace('.', "__").replace('-', "_").to_uppercase();
        let fix = if path == "redis.url" {
            ""
        } else {
            ", or name a file with it as secret_key_file"
        };
        let fix = format!(
            "is a secret and stands in the configuration file; remove it there and set \
             HOLDFAST__{variable}{fix}"
        );
        problems.add(&path, MASK, fix);
        remove(tree, &path);
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
        let problem = error.inner().to_string();
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|r| r.split('`').next());
        let setting = missing.map_or(place.to_owned(), |field| format!("{place}.{field}"));
        let Some(example) = at(known, &schema_path(&setting)).filter(|e| !e.is_object()) else {
            problems.add(&setting, "", problem);
            return Err(std::mem::replace(problems, Problems(Vec::new())));
        };
        let value = at(&tree, &setting).map(|value| display(&setting, value));
        // Refused before and taken out: that is what there is to say about it.
        if !problems.0.iter().any(|known| known.setting == setting) {
            let masked = value.as_deref() == Some(MASK);
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
        let known = Layers::read(None, []).unwrap().known;
        // What the file has and the code has not is refused here; the rest is compared.
        let written: Written = serde_json::from_value(known.clone()).unwrap();
        assert_eq!(
            names(&serde_json::to_value(&written).unwrap()),
            names(&known)
        );
    }
}
