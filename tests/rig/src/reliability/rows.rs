//! The tables of the other long runs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::markdown::{grouped, table};
use super::tables::count;

/// How many inputs each reader was given.
pub(super) fn fuzz(figures: &Value) -> Option<String> {
    let rows = figures.as_object()?.iter().map(|(target, counts)| {
        let number = |name: &str| grouped(count(counts, name));
        vec![target.clone(), number("tried"), number("kept")]
    });
    let head = ["what is read", "inputs tried", "that reached something new"];
    Some(table(&head, &rows.collect::<Vec<_>>()))
}

/// The rows of the model, with how much was searched.
pub(super) fn model(figures: &Value) -> Option<String> {
    let of = |row: &Map<String, Value>| {
        let number = |name: &str| row.get(name).and_then(Value::as_u64).map(grouped);
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let found = text("wrong").unwrap_or_else(|| "nothing wrong".to_owned());
        Some(vec![
            format!("`{}`", text("row")?),
            text("kind")?,
            number("states")?,
            number("paid")?,
            number("failed")?,
            number("parked")?,
            found,
        ])
    };
    let rows = figures.as_array()?.iter().map(|row| of(row.as_object()?));
    let head = ["row", "kind", "states", "paid", "failed", "parked", "found"];
    Some(table(&head, &rows.collect::<Option<Vec<_>>>()?))
}

/// Every part of the crash points: how much was struck, and what came of it.
pub(super) fn crash_points(figures: &Value) -> Option<String> {
    let parts = figures.get("parts")?.as_array()?;
    let rows = parts.iter().map(|part| {
        let number = |name: &str| grouped(count(part, name));
        let ends = counted(part.get("ends")?)?;
        Some(vec![
            part.get("what")?.as_str()?.to_owned(),
            number("flows"),
            number("ios"),
            number("singles"),
            number("pairs"),
            ends.join("; "),
        ])
    });
    let head = [
        "what is struck",
        "flows",
        "I/Os",
        "singles",
        "pairs",
        "how the runs ended",
    ];
    Some(table(&head, &rows.collect::<Option<Vec<_>>>()?))
}

/// Names and numbers: `as expected 12`.
fn counted(of: &Value) -> Option<Vec<String>> {
    let all = of.as_object()?.iter();
    all.map(|(name, number)| Some(format!("{name} {}", grouped(number.as_u64()?))))
        .collect()
}

/// How often the gateway's faults struck which call; older records say only how often each struck.
fn by_call(figures: &Value) -> Option<String> {
    let of = figures.get("faults_of_the_gateway")?.as_object()?;
    let told = of.iter().map(|(name, told)| match told.as_u64() {
        Some(number) => Some(format!("{name} {}", grouped(number))),
        None => Some(format!("{name}: {}", counted(told)?.join(", "))),
    });
    Some(told.collect::<Option<Vec<_>>>()?.join("; "))
}

/// What was done to the processes, and what became of the payments.
pub(super) fn chaos(figures: &Value) -> Option<String> {
    let number = |name: &str| grouped(count(figures, name));
    let row = |what: &str, told: String| vec![what.to_owned(), told];
    let listed = |name: &str| Some(counted(figures.get(name)?)?.join(", "));
    let rows = [
        row("payments asked for", number("payments")),
        row("commands given", number("commands")),
        row("workers killed with kill -9", number("kills")),
        row("workers stopped for longer than a lease", number("pauses")),
        row("Redis killed and started again", number("redis_kills")),
        row("connections spoilt", number("socket_faults")),
        row("clock jumps", number("clock_jumps")),
        row("faults of the gateway", number("gateway_faults")),
        row("each of them", listed("faults")?),
        row("faults of the gateway, by call", by_call(figures)?),
        row("how payments ended", listed("final_states")?),
        row(
            "seconds until all rested, once nothing was done any more",
            number("seconds_to_rest"),
        ),
        row(
            "bytes of logs in which no secret was found",
            number("log_bytes_searched"),
        ),
        row(
            "**payments whose money moved twice**",
            number("moved_twice"),
        ),
        row("**promises broken**", number("problems")),
    ];
    Some(table(&["what", "how many"], &rows))
}

/// Which layer noticed each broken rule.
pub(super) fn mutants(figures: &Value) -> Option<String> {
    let text = |row: &Value, name: &str| Some(row.get(name)?.as_str()?.to_owned());
    let mutants = figures.get("mutants")?.as_array()?;
    let rows = mutants.iter().map(|row| {
        let name = format!("`{}`", text(row, "name")?);
        Some(vec![
            name,
            text(row, "rule")?,
            text(row, "killed_by")?,
            in_vain(row),
            text(row, "how")?,
            text(row, "commit")?,
        ])
    });
    let head = [
        "what is broken",
        "rule",
        "noticed by",
        "not by",
        "how",
        "at commit",
    ];
    Some(table(&head, &rows.collect::<Option<Vec<_>>>()?))
}

/// The layers that were asked first, and passed.
fn in_vain(row: &Value) -> String {
    let layers = row.get("unnoticed_by").and_then(Value::as_array);
    let layers: Vec<&str> = layers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    layers.join(", ")
}

/// What became of the mechanical changes, file by file.
pub(super) fn cargo_mutants(figures: &Value) -> Option<String> {
    let files: BTreeMap<String, Value> =
        serde_json::from_value(figures.get("files")?.clone()).ok()?;
    let kinds = ["caught", "timeout", "missed", "unviable"];
    let row = |name: String, sum: &dyn Fn(&str) -> u64| -> Vec<String> {
        let numbers = kinds.iter().map(|kind| grouped(sum(kind)));
        std::iter::once(name).chain(numbers).collect()
    };
    let all = |kind: &str| files.values().map(|counts| count(counts, kind)).sum();
    let rows = files
        .iter()
        .map(|(file, counts)| row(format!("`{file}`"), &|kind| count(counts, kind)))
        .chain([row("**all**".to_owned(), &all)]);
    let head = [
        "file",
        "noticed",
        "never ended",
        "missed",
        "does not compile",
    ];
    Some(table(&head, &rows.collect::<Vec<_>>()))
}

/// What no test can notice, with the reason.
pub(super) fn survivors(figures: &Value) -> Option<String> {
    let text = |row: &Value, name: &str| Some(row.get(name)?.as_str()?.to_owned());
    let explained = figures.get("explained")?.as_array()?;
    let unexplained = figures.get("unexplained")?.as_array()?;
    if explained.is_empty() && unexplained.is_empty() {
        return Some("None was missed.".to_owned());
    }
    let rows = explained.iter().chain(unexplained).map(|row| {
        let why = text(row, "why").unwrap_or_else(|| "**not explained**".to_owned());
        Some(vec![
            format!("`{}`", text(row, "file")?),
            format!("`{}`", text(row, "at")?),
            text(row, "change")?,
            why,
        ])
    });
    let head = ["file", "line", "change", "why nothing can notice it"];
    Some(table(&head, &rows.collect::<Option<Vec<_>>>()?))
}
