//! What a decline code asks for. The table itself is data (`config/declines.toml`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What to do about a decline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// The card will not pay: seal and report.
    Never,
    /// The same card may pay later: the business ladder.
    Later,
    /// The customer must do something first, such as give another card: seal and report.
    NeedsCustomer,
    /// The shop's set-up at the acquirer is wrong: a person must look.
    NeedsOperator,
    /// The code does not say whether money moved: unknown, not declined.
    InDoubt,
}

/// Advice by the gateway's transaction code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclineTable {
    /// The day the table was last compared with its sources.
    pub as_of: String,
    /// For a code that is not listed.
    pub default: Advice,
    /// Code by code.
    pub codes: BTreeMap<String, Advice>,
}

impl DeclineTable {
    /// What `code` asks for.
    #[must_use]
    pub fn advice(&self, code: &str) -> Advice {
        self.listed(code).unwrap_or(self.default)
    }

    /// What `code` asks for, if the table lists it.
    #[must_use]
    pub fn listed(&self, code: &str) -> Option<Advice> {
        self.codes.get(code).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_not_listed_asks_for_what_the_table_says_of_such() {
        let table = DeclineTable {
            as_of: "2026-11-23".into(),
            default: Advice::Never,
            codes: [("insufficient_funds".to_owned(), Advice::Later)].into(),
        };
        assert_eq!(table.advice("insufficient_funds"), Advice::Later);
        assert_eq!(table.listed("insufficient_funds"), Some(Advice::Later));
        assert_eq!(table.advice("new_code"), Advice::Never);
        assert_eq!(table.listed("new_code"), None);
    }
}
