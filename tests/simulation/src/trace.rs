//! What happened, one line an event, in virtual time. Ids are numbers in the order of their
//! appearance: two runs of a seed write the same lines, and no line holds a secret.

use std::fmt;

use crate::dice::{extend, word};

/// The lines of a run, or only their digest.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    digest: u64,
    events: u64,
    line: String,
}

/// Whether lines are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Only their digest.
    Digest,
    /// All of them.
    Lines,
}

impl Trace {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            lines: (keep == Keep::Lines).then(Vec::new),
            digest: word("trace"),
            events: 0,
            line: String::new(),
        }
    }

    pub(crate) fn note(&mut self, at_ms: i64, who: &str, what: fmt::Arguments<'_>) {
        use fmt::Write;
        self.line.clear();
        let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
        // Writing to a text cannot fail.
        let _ = write!(self.line, "{seconds:>6}.{ms:03} {who:<6} {what}");
        self.digest = extend(self.digest, &self.line);
        self.events += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
