//! How many payments a worker gets through, and what each one costs.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::probe::{RedisCounts, RedisProbe, cpu_seconds, peak_mib};
use super::stage::Stage;
use super::timing::now_us;

/// How often Redis is asked how many are finished.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long a worker has to come up before its memory is read.
const IDLE: Duration = Duration::from_millis(500);
/// Longer than this without a payment that finishes is a fault.
const STANDSTILL_US: i64 = 30_000_000;
/// How much of a run is left out at its beginning: the worker is only just starting.
const WARM_UP: u64 = 20;

/// What a run of many payments took.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Payments that were measured.
    pub payments: u64,
    /// How long they took.
    pub seconds: f64,
    /// CPU of the worker.
    pub worker_cpu_seconds: f64,
    /// CPU of Redis.
    pub redis_cpu_seconds: f64,
    /// CPU of the gateway's simulator.
    pub sandbox_cpu_seconds: f64,
    /// The most memory of the worker.
    pub worker_peak_mib: f64,
    /// The same of a worker that has nothing to do.
    pub worker_idle_mib: f64,
    /// What Redis did.
    pub(super) redis: RedisCounts,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^52"
)]
impl Drain {
    /// Payments in a second.
    #[must_use]
    pub(super) fn rate(&self) -> f64 {
        self.payments as f64 / self.seconds
    }

    /// `total` for each payment.
    #[must_use]
    pub(super) fn each(&self, total: f64) -> f64 {
        total / self.payments as f64
    }

    /// How often Redis was called from outside for each payment, and what it did by itself.
    #[must_use]
    pub(super) fn calls_each(&self) -> Vec<(&str, f64)> {
        let calls = self.redis.calls.iter();
        calls
            .map(|(name, calls)| (name.as_str(), self.each(*calls as f64)))
            .collect()
    }

    /// Bytes that Redis read and wrote for each payment.
    #[must_use]
    pub(super) fn bytes_each(&self) -> [f64; 2] {
        [self.redis.bytes_in, self.redis.bytes_out].map(|bytes| self.each(bytes as f64))
    }

    /// All of it as JSON.
    #[must_use]
    pub(super) fn json(&self) -> Value {
        let [bytes_in, bytes_out] = self.bytes_each();
        json!({
            "payments": self.payments,
            "seconds": self.seconds,
            "payments_a_second": self.rate(),
            "worker_cpu_ms_each": self.each(self.worker_cpu_seconds * 1_000.0),
            "redis_cpu_ms_each": self.each(self.redis_cpu_seconds * 1_000.0),
            "sandbox_cpu_ms_each": self.each(self.sandbox_cpu_seconds * 1_000.0),
            "worker_peak_mib": self.worker_peak_mib,
            "worker_idle_mib": self.worker_idle_mib,
            "redis_bytes_in_each": bytes_in,
            "redis_bytes_out_each": bytes_out,
            "redis_calls_each": self.calls_each().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        })
    }
}

/// Charges that all wait when the worker starts.
pub(super) async fn drain(
    binary: &Path,
    count: usize,
    concurrency: usize,
) -> anyhow::Result<Drain> {
    let stage = Stage::start().await?;
    let idle_mib = idle_mib(&stage, binary, concurrency).await?;
    let charges: Vec<_> = (0..count)
        .map(|number| stage.charge(number, None))
        .collect::<Result<_, _>>()?;
    stage.enqueue(&charges, now_us() / 1_000).await?;
    let mut probe = stage.probe()?;
    let worker = stage.worker(binary, concurrency, stage.gateway)?;
    let count = u64::try_from(count)?;
    until_finished(&mut probe, WARM_UP.min(count / 10)).await?;
    let before = Reading::take(&stage, &mut probe, worker.id())?;
    until_finished(&mut probe, count).await?;
    let after = Reading::take(&stage, &mut probe, worker.id())?;
    before.until(&after, [peak_mib(worker.id())?, idle_mib])
}

/// The memory of a worker that has come up and has nothing to do. It is gone afterwards.
async fn idle_mib(stage: &Stage, binary: &Path, concurrency: usize) -> anyhow::Result<f64> {
    let worker = stage.worker(binary, concurrency, stage.gateway)?;
    sleep(IDLE).await;
    Ok(peak_mib(worker.id())?)
}

/// How long a worker with the default settings takes for charges that all fall due at once.
#[derive(Debug, Clone, Copy)]
pub struct Burst {
    /// How many.
    pub payments: u64,
    /// From the time they were due to the end of the last one.
    pub seconds: f64,
}

/// Charges that an idle worker knows of, and that all fall due in the same millisecond.
pub(super) async fn burst(binary: &Path, count: usize) -> anyhow::Result<Burst> {
    let stage = Stage::start().await?;
    let _worker = stage.worker(binary, 32, stage.gateway)?;
    let due_ms = now_us() / 1_000 + 2_000 + i64::try_from(count)?;
    let charges: Vec<_> = (0..count)
        .map(|number| stage.charge(number, Some(due_ms)))
        .collect::<Result<_, _>>()?;
    stage.enqueue(&charges, due_ms).await?;
    let mut probe = stage.probe()?;
    let left_ms = due_ms - now_us() / 1_000;
    ensure!(
        left_ms > 0,
        "the machine is too slow: enqueueing took too long"
    );
    sleep(Duration::from_millis(left_ms.unsigned_abs())).await;
    let payments = u64::try_from(count)?;
    until_finished(&mut probe, payments).await?;
    Ok(Burst {
        payments,
        seconds: seconds(now_us() - due_ms * 1_000),
    })
}

async fn until_finished(probe: &mut RedisProbe, count: u64) -> anyhow::Result<()> {
    let (mut finished, mut changed_us) = (0, now_us());
    loop {
        let now = probe.finished()?;
        if now >= count {
            return Ok(());
        }
        if now > finished {
            (finished, changed_us) = (now, now_us());
        }
        ensure!(
            now_us() - changed_us < STANDSTILL_US,
            "the worker stands still at {now} of {count}"
        );
        sleep(ASK_EVERY).await;
    }
}

/// All counters at one moment.
struct Reading {
    at_us: i64,
    finished: u64,
    redis: RedisCounts,
    /// Worker, Redis, sandbox.
    cpu_seconds: [f64; 3],
}

impl Reading {
    fn take(stage: &Stage, probe: &mut RedisProbe, worker: u32) -> anyhow::Result<Self> {
        let redis = stage.redis.pid().unwrap_or_default();
        Ok(Self {
            at_us: now_us(),
            finished: probe.finished()?,
            redis: probe.counts()?,
            cpu_seconds: [
                cpu_seconds(worker)?,
                cpu_seconds(redis)?,
                cpu_seconds(stage.sandbox_pid())?,
            ],
        })
    }

    fn until(&self, after: &Self, [peak, idle]: [f64; 2]) -> anyhow::Result<Drain> {
        ensure!(
            after.finished > self.finished,
            "too few payments to measure"
        );
        let [worker, redis, sandbox] = self.cpu_seconds;
        Ok(Drain {
            payments: after.finished - self.finished,
            seconds: seconds(after.at_us - self.at_us),
            worker_cpu_seconds: after.cpu_seconds[0] - worker,
            redis_cpu_seconds: after.cpu_seconds[1] - redis,
            sandbox_cpu_seconds: after.cpu_seconds[2] - sandbox,
            worker_peak_mib: peak,
            worker_idle_mib: idle,
            redis: after.redis.since(&self.redis),
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "times of a run are far below 2^52 microseconds"
)]
fn seconds(us: i64) -> f64 {
    us as f64 / 1_000_000.0
}
