//! What many runs came to, as figures to publish.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::many::Summary;

/// The figures of a summary. Counts by call, then by fault: how often it was met, and how the
/// payments ended that met it.
#[must_use]
pub fn figures(sum: &Summary) -> Value {
    let [killed, paused, stopped] = sum.workers;
    json!({
        "seeds": sum.seeds,
        "digest": format!("{:016x}", sum.digest),
        "payments": sum.payments,
        "faults": sum.faults,
        "events": sum.events,
        "virtual_hours": sum.lasted_ms / 3_600_000,
        "workers": { "killed": killed, "paused": paused, "stopped": stopped },
        "moved_twice": sum.doubles,
        "states": sum.states,
        "broken_seeds": sum.failed.iter().map(|(seed, _)| seed).collect::<Vec<_>>(),
        "cells": cells(sum),
    })
}

/// The figures of two parts together: counts are added, lists are put one after the other.
#[must_use]
pub fn together(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Null, only) | (only, Value::Null) => only.clone(),
        (Value::Number(one), Value::Number(other)) => {
            let count = |number: &serde_json::Number| number.as_u64().unwrap_or_default();
            json!(count(one) + count(other))
        }
        (Value::Array(one), Value::Array(other)) => one.iter().chain(other).cloned().collect(),
        // The digest, which does not depend on the order of the runs either.
        (Value::String(one), Value::String(other)) => {
            let digest = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
            json!(format!("{:016x}", digest(one) ^ digest(other)))
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut sum = one.clone();
            for (name, value) in other {
                let before = sum.entry(name.clone()).or_insert(Value::Null);
                *before = together(before, value);
            }
            Value::Object(sum)
        }
        (one, _) => one.clone(),
    }
}

fn cells(sum: &Summary) -> BTreeMap<&'static str, BTreeMap<&'static str, Value>> {
    let mut rows: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    for ((call, fault), met) in sum.cells.iter() {
        let ended: BTreeMap<&str, u64> = sum
            .cells
            .states_after((call, fault))
            .into_iter()
            .map(|(state, count)| (state.as_str(), count))
            .collect();
        let cell = json!({ "met": met, "ended": ended });
        rows.entry(call).or_default().insert(fault, cell);
    }
    rows
}
