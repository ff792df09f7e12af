//! What is wrong with the settings: the setting, its value, what to do.

use std::fmt;

use serde::Serialize;

/// One setting that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which, as a path such as `worker.lease_ms`.
    pub setting: String,
    /// Its value, masked if it is a secret; empty where there is none.
    pub value: String,
    /// What is wrong with it, and what to write instead.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "{}: {}", self.setting, self.fix),
            value => write!(f, "{} = {value}: {}", self.setting, self.fix),
        }
    }
}

/// All that is wrong with the settings, in one report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One problem that is all there is to say.
    pub(super) fn one(setting: &str, value: impl fmt::Display, fix: impl Into<String>) -> Self {
        let mut problems = Self(Vec::new());
        problems.add(setting, value, fix);
        problems
    }

    pub(super) fn add(&mut self, setting: &str, value: impl fmt::Display, fix: impl Into<String>) {
        self.0.push(Problem {
            setting: setting.to_owned(),
            value: value.to_string(),
            fix: fix.into(),
        });
    }

    /// Adds a problem unless `fine`.
    pub(super) fn unless(
        &mut self,
        fine: bool,
        setting: &str,
        value: impl fmt::Display,
        fix: impl FnOnce() -> String,
    ) {
        if !fine {
            self.add(setting, value, fix());
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            f,
            "{count} problem{} with the settings",
            if count == 1 { "" } else { "s" }
        )?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
