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
