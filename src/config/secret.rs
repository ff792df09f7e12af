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

/// The longest word that a report quotes: keys and tokens are longer.
const LONGEST_WORD: usize = 32;

/// Whether what stands where it is wrong may be quoted: a word that is shorter than any key. Whatever
/// else it is, somebody may have put a secret into the wrong place.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    text.len() <= LONGEST_WORD && text.chars().all(plain)
}

/// Text that is wrong where it stands, for a report.
pub(super) fn quoted(text: &str) -> String {
    quoted_with(text, "")
}

/// The same where these letters belong as well.
pub(super) fn quoted_with(text: &str, letters: &str) -> String {
    let bare = text.replace(|c| letters.contains(c), "");
    if text.len() <= LONGEST_WORD && is_word(&bare) {
        format!("{text:?}")
    } else {
        MASK.to_owned()
    }
}

/// The path of a setting that nobody knows, for a report: a secret may stand where a name belongs.
pub(super) fn quoted_path(path: &str) -> String {
    let quoted = |name: &str| {
        if is_word(&name.replace(['[', ']'], "")) {
            name.to_owned()
        } else {
            MASK.to_owned()
        }
    };
    path.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// What stands in a file of its own, such as a mounted secret. Whoever gave the secret itself
/// instead of its file does not find it in the report: only the path of what is there is quoted.
pub(super) fn in_file(file: &Path, setting: &str, problems: &mut Problems) -> Option<String> {
    std::fs::read_to_string(file)
        .map_err(|error| {
            let shown = if file.is_absolute() && file.exists() {
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
