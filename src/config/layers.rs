//! Defaults, file, environment: one over the other.

use std::path::Path;

use config::{File, FileFormat};
use serde_json::{Map, Value, json};

use super::problem::Problems;

/// The defaults and their reasons: the documentation of every setting.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What the environment variables of settings begin with.
const PREFIX: &str = "HOLDFAST__";

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The compiled-in defaults.
    Default,
    /// The configuration file.
    File,
    /// The environment.
    Environment,
}

/// The settings as they were given.
pub(super) struct Layers {
    /// Every setting there is, those without a default included; an account is `accounts.hotel`.
    pub(super) known: Value,
    /// One layer over the other.
    pub(super) merged: Value,
    /// The file alone.
    pub(super) file: Value,
    environment: Value,
}

impl Layers {
    /// Reads a file, by its name and text, and the variables that are meant for us. A variable that
    /// cannot be put anywhere is a problem; a value that is wrong is found later.
    pub(super) fn read(
        (name, text): (&str, &str),
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let known = parse("config/default.toml", &with_optional(DEFAULTS))?;
        let file = parse(name, text)?;
        let environment = environment(env, &known, &file)?;
        let merged = config::Config::builder()
            .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(Given(environment.clone()))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| Problems::one("settings", "", format!("cannot be read: {error}")))?;
        Ok(Self {
            known,
            merged,
            file,
            environment,
        })
    }

    /// Where the value at `path` came from.
    pub(super) fn origin(&self, path: &str) -> Origin {
        if at(&self.environment, path).is_some() {
            Origin::Environment
        } else if at(&self.file, path).is_some() {
            Origin::File
        } else {
            Origin::Default
        }
    }
}

/// A layer that was made elsewhere.
#[derive(Debug, Clone)]
struct Given(Value);

impl config::Source for Given {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, config::ConfigError> {
        serde_json::from_value(self.0.clone())
            .map_err(|error| config::ConfigError::Message(error.to_string()))
    }
}

pub(super) fn read_file(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| {
        let fix = format!("cannot be read ({error}); name a file that exists");
        Problems::one("--config", path.display(), fix)
    })
}

/// The defaults with every setting that has none: lines that start with # and a name.
fn with_optional(defaults: &str) -> String {
    let bare = |line: &str| {
        let rest = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()));
        rest.unwrap_or(line).to_owned()
    };
    defaults.lines().map(bare).collect::<Vec<_>>().join("\n")
}

fn parse(name: &str, text: &str) -> Result<Value, Problems> {
    let source = File::from_str(text, FileFormat::Toml);
    let built = config::Config::builder().add_source(source).build();
    built
        .and_then(config::Config::try_deserialize)
        .map_err(|error| {
            // The parser quotes the line it fails at, which may hold a secret.
            let text = error.to_string();
            let told: Vec<&str> = text.lines().filter(|line| !line.contains('|')).collect();
            Problems::one(
                "--config",
                name,
                format!("is not TOML: {}", told.join(" ").trim()),
            )
        })
}

/// The value at a path of keys joined by dots.
pub(super) fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |value, key| value.get(key))
}

/// The setting that `path` is an example of: all accounts have the same settings, and so have all
/// endpoints.
pub(super) fn schema_path(path: &str) -> String {
    let mut keys: Vec<&str> = path.split('.').collect();
    match keys.as_mut_slice() {
        ["accounts", name, ..] => *name = "hotel",
        ["endpoints", name, ..] => *name = "shop",
        _ => {}
    }
    keys.join(".")
}

/// Variables such as `HOLDFAST__WORKER__BATCH`, as a tree with the types of the settings.
fn environment(
    env: impl IntoIterator<Item = (String, String)>,
    known: &Value,
    file: &Value,
) -> Result<Value, Problems> {
    let mut problems = Problems(Vec::new());
    let mut tree = json!({});
    for (name, text) in env {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let mut keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if let [section, given, ..] = keys.as_mut_slice()
            && matches!(section.as_str(), "accounts" | "endpoints")
        {
            let named = file.get(section.as_str()).and_then(Value::as_object);
            let named = named.into_iter().flat_map(Map::keys);
            let found: Vec<&String> = named.filter(|name| plain(name) == *given).collect();
            match found[..] {
                [] => {}
                [one] => given.clone_from(one),
                _ => {
                    let one = section.trim_end_matches('s');
                    let fix = format!("is meant for more than one {one}; rename them");
                    problems.add(&name, "", fix);
                }
            }
        }
        let path = keys.join(".");
        match at(known, &schema_path(&path)) {
            Some(example) if !example.is_object() => {
                set(&mut tree, &keys, typed(&text, example));
            }
            _ => problems.add(
                &name,
                "",
                format!("names no setting ({path}); `holdfast config defaults` shows all of them"),
            ),
        }
    }
    if problems.0.is_empty() {
        Ok(tree)
    } else {
        Err(problems)
    }
}

/// The name of an account or an endpoint as an environment variable can hold it.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Text as the type of the setting; what does not fit stays text and is refused with the rest.
fn typed(text: &str, example: &Value) -> Value {
    match example {
        Value::Number(_) => text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| json!(text), Value::from),
        Value::Bool(_) => text
            .trim()
            .parse::<bool>()
            .map_or_else(|_| json!(text), Value::from),
        Value::Array(items) => {
            let item = items.first().cloned().unwrap_or_else(|| json!(""));
            let words = text
                .trim()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .split(',');
            let words = words.map(str::trim).filter(|word| !word.is_empty());
            words.map(|word| typed(word, &item)).collect()
        }
        _ => json!(text),
    }
}

fn set(tree: &mut Value, keys: &[String], value: Value) {
    let mut place = tree;
    for key in keys {
        place = &mut place[key.as_str()];
    }
    *place = value;
}
