//! What stands for each placeholder of the page.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

use super::kept::{FOLDER, Kept};
use super::markdown::{grouped, lasted, table};
use super::rows;

/// The text for a placeholder such as `simulate.matrix`.
pub(super) fn table_of(name: &str, runs: &BTreeMap<String, Kept>) -> anyhow::Result<String> {
    let (run, what) = name
        .split_once('.')
        .with_context(|| format!("{name:?} names no run"))?;
    let Some(kept) = runs.get(run) else {
        return Ok(match what {
            "run" => format!("No whole run is on record yet (`{FOLDER}/{run}.json`)."),
            _ => String::new(),
        });
    };
    let figures = &kept.figures;
    let text = match (run, what) {
        (_, "run") => Some(told(kept)),
        ("simulate_1000", "digest") => digest(kept),
        ("simulate", "matrix") => matrix(figures),
        ("simulate", "others") => others(figures),
        ("simulate" | "simulate_million" | "simulate_weakest", "endings") => endings(figures),
        ("model", "rows") => rows::model(figures),
        ("crash_points", "rows") => rows::crash_points(figures),
        ("chaos", "rows") => rows::chaos(figures),
        ("mutants", "rows") => rows::mutants(figures),
        ("cargo_mutants", "rows") => rows::cargo_mutants(figures),
        ("cargo_mutants", "survivors") => rows::survivors(figures),
        ("fuzz", "rows") => rows::fuzz(figures),
        _ => bail!("nothing is known of {name:?}"),
    };
    text.with_context(|| format!("{name}: the figures are not as expected"))
}

/// What was run, where and when.
fn told(kept: &Kept) -> String {
    format!(
        "{} by `{}` at commit {} on {}: {} on {} cores.",
        if kept.passed { "Passed" } else { "**FAILED**" },
        kept.command,
        kept.commit,
        kept.date,
        lasted(kept.seconds),
        kept.cores
    )
}

const GATEWAY: [&str; 6] = [
    "create", "charge", "capture", "release", "cancel", "look_up",
];
const STORE: [&str; 9] = [
    "store.create",
    "store.claim",
    "store.load",
    "store.license",
    "store.save",
    "store.command",
    "store.nudge",
    "store.renew",
    "store.give_back",
];

type Cells = BTreeMap<String, BTreeMap<String, Value>>;

fn cells(figures: &Value) -> Option<Cells> {
    serde_json::from_value(figures.get("cells")?.clone()).ok()
}

/// Faults in rows and calls in columns: how often each was met, and how many of those payments
/// were parked in the end.
fn matrix(figures: &Value) -> Option<String> {
    let cells = cells(figures)?;
    Some(format!(
        "{}\n\n{}",
        faults(&cells, "at the gateway", &GATEWAY)?,
        faults(&cells, "at the store", &STORE)?
    ))
}

fn faults(all: &Cells, head: &str, calls: &[&str]) -> Option<String> {
    let mut kinds: Vec<&String> = Vec::new();
    for call in calls {
        kinds.extend(all.get(*call)?.keys());
    }
    kinds.sort();
    kinds.dedup();
    let short = |call: &&str| call.trim_start_matches("store.").replace('_', " ");
    let head: Vec<String> = std::iter::once(head.to_owned())
        .chain(calls.iter().map(short))
        .collect();
    let rows: Vec<Vec<String>> = kinds
        .into_iter()
        .map(|kind| {
            let of = |call: &&str| all.get(*call).and_then(|row| row.get(kind)).map(cell);
            let name = std::iter::once(kind.replace('_', " "));
            name.chain(
                calls
                    .iter()
                    .map(|call| of(call).unwrap_or_else(|| "–".to_owned())),
            )
            .collect()
        })
        .collect();
    Some(table(&head, &rows))
}

fn cell(cell: &Value) -> String {
    let met = count(cell, "met");
    match cell
        .get("ended")
        .and_then(|ended| ended.get("parked"))
        .and_then(Value::as_u64)
    {
        Some(parked) => format!("{} ({} parked)", grouped(met), grouped(parked)),
        None => grouped(met),
    }
}

pub(super) fn count(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// What else happened, and what workers were doing when they were killed or paused.
fn others(figures: &Value) -> Option<String> {
    let rows = cells(figures)?
        .into_iter()
        .filter(|(call, _)| !GATEWAY.contains(&&**call) && !STORE.contains(&&**call));
    let rows: Vec<Vec<String>> = rows
        .map(|(who, kinds)| {
            let told: Vec<String> = kinds
                .iter()
                .map(|(kind, cell)| {
                    format!("{} {}", kind.replace('_', " "), grouped(count(cell, "met")))
                })
                .collect();
            vec![who, told.join(", ")]
        })
        .collect();
    Some(table(&["who", "what happened, how often"], &rows))
}

/// How payments ended, and what was wrong with them.
fn endings(figures: &Value) -> Option<String> {
    let states: BTreeMap<String, u64> =
        serde_json::from_value(figures.get("states")?.clone()).ok()?;
    let mut rows = vec![
        vec!["seeds".to_owned(), grouped(count(figures, "seeds"))],
        vec!["payments".to_owned(), grouped(count(figures, "payments"))],
        vec!["faults".to_owned(), grouped(count(figures, "faults"))],
        vec![
            "hours of virtual time".to_owned(),
            grouped(count(figures, "virtual_hours")),
        ],
        vec![
            "**seeds that broke a promise**".to_owned(),
            broken(figures)?.to_string(),
        ],
        vec![
            "**payments whose money moved twice**".to_owned(),
            grouped(count(figures, "moved_twice")),
        ],
    ];
    rows.extend(
        states
            .into_iter()
            .map(|(state, sum)| vec![format!("ended {state}"), grouped(sum)]),
    );
    Some(table(&["what", "how many"], &rows))
}

/// What anybody's machine must come to.
fn digest(kept: &Kept) -> Option<String> {
    let (figures, commit) = (&kept.figures, &kept.commit);
    let digest = figures.get("digest")?.as_str()?;
    let [seeds, payments, faults] =
        ["seeds", "payments", "faults"].map(|name| grouped(count(figures, name)));
    Some(format!(
        "  **`{digest}`** for {seeds} seeds, {payments} payments and {faults} faults, at commit \
         {commit}."
    ))
}

fn broken(figures: &Value) -> Option<usize> {
    Some(figures.get("broken_seeds")?.as_array()?.len())
}
