//! What is never shown: keys, and addresses that let their holder in.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};

use super::problem::Problems;

/// The mask that stands for a secret.
pub const MASK: &str = "***";

/// A secret from the settings. Prints and serializes as a mask.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps what must not be shown.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Takes the secret out, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// What stands in a file of its own, such as a mounted secret. Whoever gave the secret itself
/// instead of its file does not find it in the report: only a whole path is quoted.
pub(super) fn in_file(file: &Path, setting: &str, problems: &mut Problems) -> Option<String> {
    std::fs::read_to_string(file)
        .map_err(|error| {
            let shown = if file.is_absolute() {
                file.display().to_string()
            } else {
                MASK.to_owned()
            };
            let fix = format!(
                "cannot be read ({error}); write the whole path of a file that this process may read"
            );
            problems.add(setting, shown, fix);
        })
        .ok()
}
