//! What is never shown: keys, and addresses that let their holder in.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

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
