//! One thing that was looked at.

use serde::Serialize;

use crate::payment::AccountName;

/// What kind of thing was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Where payments are kept.
    Redis,
    /// Whether anybody works, and may.
    Work,
    /// CHIP, for each account.
    Gateway,
    /// Whether records and indexes agree.
    Index,
    /// What the settings say.
    Settings,
}

impl Group {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Work => "work",
            Self::Gateway => "gateway",
            Self::Index => "index",
            Self::Settings => "settings",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Nothing to do.
    Fine,
    /// It was wrong, and was put right.
    Mended,
    /// Nobody could tell.
    NotChecked,
    /// It works, and may not for long, or not as well as it could.
    Warning,
    /// It does not work, or money is in danger.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a stable word.
    pub name: &'static str,
    /// Of which account, if it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// What was found.
    pub found: Found,
    /// The same in words; what is wrong, if anything is.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Which payments it is about, the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<String>,
}

impl Check {
    fn new(name: &'static str, found: Found, what: impl Into<String>) -> Self {
        Self {
            name,
            account: None,
            found,
            what: what.into(),
            fix: None,
            payments: Vec::new(),
        }
    }

    pub(super) fn fine(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Found::Fine, what)
    }

    pub(super) fn not_checked(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Found::NotChecked, why)
    }

    pub(super) fn warning(
        name: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::found(name, Found::Warning, what, fix)
    }

    pub(super) fn wrong(
        name: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::found(name, Found::Wrong, what, fix)
    }

    pub(super) fn found(
        name: &'static str,
        found: Found,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::new(name, found, what)
        }
    }

    /// What is missing and how to put it right, as one text with a semicolon between.
    pub(super) fn lacking(name: &'static str, lack: &str) -> Self {
        let (what, fix) = lack
            .split_once("; ")
            .unwrap_or((lack, "see the operations guide"));
        Self::wrong(name, what, fix)
    }

    pub(super) fn about(self, account: &AccountName) -> Self {
        Self {
            account: Some(account.clone()),
            ..self
        }
    }
}

/// All that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which it was looked at, which is that of the groups.
    pub checks: Vec<(Group, Check)>,
}

impl Report {
    pub(super) fn add(&mut self, group: Group, checks: impl IntoIterator<Item = Check>) {
        self.checks
            .extend(checks.into_iter().map(|check| (group, check)));
    }

    /// Whether all was looked at that money hangs on: whether anybody works, all records and indexes, and
    /// whether the settings have what they need.
    /// What a gateway or a right of ours keeps from being looked at stands in its own line.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.checks.iter().any(|(group, check)| {
            let counts = matches!(group, Group::Work | Group::Index | Group::Settings);
            counts && check.found == Found::NotChecked
        })
    }

    /// How often this was found.
    #[must_use]
    pub fn count(&self, found: Found) -> usize {
        let those = self.checks.iter().filter(|(_, check)| check.found == found);
        those.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_money_hangs_on_and_was_not_looked_at_is_not_passed_over() {
        for (group, whole) in [
            (Group::Redis, true),
            (Group::Gateway, true),
            (Group::Work, false),
            (Group::Index, false),
            (Group::Settings, false),
        ] {
            let mut report = Report::default();
            report.add(group, [Check::not_checked("it", "nobody could")]);
            assert_eq!(report.is_whole(), whole, "{group:?}");
        }
    }
}
