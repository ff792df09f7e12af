//! Settings: a file, and variables of the environment.

use holdfast::config::{Config, MASK};

use crate::{KEY, is_fit_to_show};

/// What separates the file from the variables, one `NAME=value` a line.
const ENVIRONMENT: &str = "\n# environment\n";

/// A configuration. Whatever is wrong with it is told for people, and a key is never shown.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if text.to_lowercase().contains("_file") {
        // It would be opened, whatever file of this machine it names.
        return;
    }
    let (file, variables) = text.split_once(ENVIRONMENT).unwrap_or((&text, ""));
    let given = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let key = (KEY.0.to_owned(), KEY.1.to_owned());
    let shown = match Config::read("fuzz.toml", file, given.chain([key])) {
        Ok(config) => {
            // What was accepted can be used.
            let policies = config.policies();
            assert_eq!(policies.len(), config.accounts.len());
            let _ = config.queue_settings();
            format!("{config:?}")
        }
        Err(problems) => {
            for problem in &problems.0 {
                assert!(!problem.fix.is_empty(), "{}: no fix", problem.setting);
            }
            is_fit_to_show(&problems.0[0].fix);
            problems.to_string()
        }
    };
    assert!(!shown.contains(KEY.1), "a key is shown, not {MASK}");
}
