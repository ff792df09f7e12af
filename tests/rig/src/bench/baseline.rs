//! What this machine can do at best: the yardstick for everything else.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::probe::{RedisProbe, busy_ms};
use super::stage::{Stage, exchange};
use super::timing::Sample;

/// The yardsticks of one run.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// A write to this Redis that is on disk when it is answered.
    pub durable_set: Sample,
    /// A question to the gateway on a connection of its own.
    pub http: Sample,
    /// What one of each costs.
    pub(super) costs: Costs,
}

/// What one durable write and one question to the gateway cost together.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs {
    /// CPU of whoever asks, in milliseconds.
    pub(super) client_cpu_ms: f64,
    /// CPU of Redis, in milliseconds.
    pub(super) redis_cpu_ms: f64,
    /// Bytes that Redis read.
    pub(super) bytes_in: f64,
}

impl Costs {
    pub(super) fn json(&self) -> Value {
        json!({
            "client_cpu_ms": self.client_cpu_ms,
            "redis_cpu_ms": self.redis_cpu_ms,
            "redis_bytes_in": self.bytes_in,
        })
    }
}

/// Measures them, `count` times each.
pub(super) async fn measure(stage: &Stage, count: usize) -> anyhow::Result<Baseline> {
    let mut baseline = Baseline::default();
    let mut probe = stage.probe()?;
    let value = "x".repeat(1_000);
    let before = Spent::so_far(stage, &mut probe)?;
    for _ in 0..count {
        let began = Instant::now();
        let answer = probe.ask(&format!("SET bench:{{yardstick}} {value}"))?;
        baseline.durable_set.add_duration(began.elapsed());
        ensure!(answer == "+OK", "Redis refused a SET: {answer}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
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
    let after = Spent::so_far(stage, &mut probe)?;
    baseline.costs = before.until(&after, count);
    probe.ask("DEL bench:{yardstick}")?;
    Ok(baseline)
}

/// What was spent up to one moment.
struct Spent {
    client_ms: f64,
    redis_ms: f64,
    bytes_in: u64,
}

impl Spent {
    fn so_far(stage: &Stage, probe: &mut RedisProbe) -> anyhow::Result<Self> {
        Ok(Self {
            client_ms: busy_ms(std::process::id())?,
            redis_ms: busy_ms(stage.redis.pid().unwrap_or_default())?,
            bytes_in: probe.counts()?.bytes_in,
        })
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of a run are far below 2^52"
    )]
    fn until(&self, after: &Self, count: usize) -> Costs {
        let each = |total: f64| total / count as f64;
        Costs {
            client_cpu_ms: each(after.client_ms - self.client_ms),
            redis_cpu_ms: each(after.redis_ms - self.redis_ms),
            bytes_in: each((after.bytes_in - self.bytes_in) as f64),
        }
    }
}
