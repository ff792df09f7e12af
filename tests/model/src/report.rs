//! Findings for people, and for programs.

use std::fmt::Write;

use crate::rows::Kind;
use crate::run::{Finding, Verdict};

/// The head of the table.
#[must_use]
pub fn head() -> String {
    format!(
        "{:<27} {:>9} {:>5} {:>6} {:>6} {:>7} {:>7}  found",
        "row", "states", "depth", "paid", "failed", "parked", "seconds"
    )
}

/// The line above the rows of a kind.
#[must_use]
pub const fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Promise => "promises: nothing may go wrong, and every good end must be reached",
        Kind::Rule => "a promise with one rule broken: it must go wrong",
        Kind::Assumption => "a promise with one assumption broken: it must go wrong",
    }
}

/// One line of the table.
#[must_use]
pub fn line(finding: &Finding) -> String {
    let as_expected = if finding.is_as_expected() {
        ""
    } else {
        "NOT AS EXPECTED: "
    };
    format!(
        "{:<27} {:>9} {:>5} {:>6} {:>6} {:>7} {:>7.1}  {as_expected}{}",
        finding.row.name,
        finding.states,
        finding.depth,
        finding.paid,
        finding.failed,
        finding.parked,
        finding.took.as_secs_f64(),
        verdict(finding)
    )
}

fn verdict(finding: &Finding) -> String {
    match finding.verdict {
        Verdict::Complete => "complete: nothing wrong".to_owned(),
        Verdict::Wrong(what) => what.to_owned(),
        Verdict::Truncated => "truncated: more states than allowed".to_owned(),
    }
}

const LEGEND: &str = "(v2: the record's version; ~: a failover can still take it back; coming: sent, not \
                      arrived; at work: at the acquirer; taken: how often money was)\n";

/// What a row is and how it ended; what happened, if something went wrong.
#[must_use]
pub fn story(finding: &Finding) -> String {
    let mut text = format!(
        "{}: {}\n{} ({}): {}\n",
        finding.row.name,
        finding.row.about,
        kind(finding.row.kind),
        if finding.is_as_expected() {
            "as expected"
        } else {
            "NOT AS EXPECTED"
        },
        verdict(finding)
    );
    let width = finding.trace.iter().map(|line| line.what.len()).max();
    for (number, line) in (1..).zip(&finding.trace) {
        let width = width.unwrap_or(0);
        let _ = writeln!(text, "{number:>3}  {:<width$}  {}", line.what, line.then);
    }
    if width.is_some() {
        text.push_str(LEGEND);
    }
    text
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Promise => "promise",
        Kind::Rule => "rule broken",
        Kind::Assumption => "assumption broken",
    }
}

/// All findings as a JSON array.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let all: Vec<String> = findings.iter().map(json_of).collect();
    format!("[{}]", all.join(",\n "))
}

fn json_of(finding: &Finding) -> String {
    let (verdict, wrong) = match finding.verdict {
        Verdict::Complete => ("complete", None),
        Verdict::Wrong(what) => ("wrong", Some(what)),
        Verdict::Truncated => ("truncated", None),
    };
    let trace: Vec<String> = finding
        .trace
        .iter()
        .map(|line| format!("[{},{}]", quoted(&line.what), quoted(&line.then)))
        .collect();
    format!(
        "{{\"row\":{},\"about\":{},\"kind\":{},\"as_expected\":{},\"verdict\":{},\"wrong\":{},\
         \"states\":{},\"depth\":{},\"paid\":{},\"failed\":{},\"parked\":{},\"seconds\":{:.3},\
         \"trace\":[{}]}}",
        quoted(finding.row.name),
        quoted(finding.row.about),
        quoted(kind(finding.row.kind)),
        finding.is_as_expected(),
        quoted(verdict),
        wrong.map_or_else(|| "null".to_owned(), quoted),
        finding.states,
        finding.depth,
        finding.paid,
        finding.failed,
        finding.parked,
        finding.took.as_secs_f64(),
        trace.join(",")
    )
}

/// Nothing here holds anything but printable ASCII.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
