//! What this machine can do at best: the yardstick for everything else.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::stage::{Stage, exchange};
use super::timing::Sample;

/// The yardsticks of one run.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// A write to this Redis that is on disk when it is answered.
    pub durable_set: Sample,
    /// A question to the gateway on a connection of its own.
    pub http: Sample,
}

/// Measures them, `count` times each.
pub(super) async fn measure(stage: &Stage, count: usize) -> anyhow::Result<Baseline> {
    let mut baseline = Baseline::default();
    let mut probe = stage.probe()?;
    let value = "x".repeat(1_000);
    for _ in 0..count {
        let began = Instant::now();
        let answer = probe.ask(&format!("SET bench:{{yardstick}} {value}"))?;
        baseline.durable_set.add_duration(began.elapsed());
        ensure!(answer == "+OK", "Redis refused a SET: {answer}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    probe.ask("DEL bench:{yardstick}")?;
    for _ in 0..count {
        let began = Instant::now();
        let answer = exchange(stage.gateway, "GET", "/sandbox/clock", "").await?;
        baseline.http.add_duration(began.elapsed());
        ensure!(
            answer.starts_with("HTTP/1.1 200"),
            "the sandbox answered: {answer}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(baseline)
}
