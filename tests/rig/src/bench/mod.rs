//! `make bench`: how promptly a worker acts, how much it gets through, and what that costs.
//!
//! Figures, not tests: nothing here passes or fails by time. A noisy machine is told from a slow
//! worker by the yardsticks, which are measured in the same run. With a second binary each
//! measurement is made with both, one right after the other.

mod baseline;
mod drain;
mod front;
mod probe;
mod prompt;
mod stage;
mod timing;

use std::path::PathBuf;

use serde_json::{Value, json};

pub use baseline::Baseline;
pub use drain::{Burst, Drain};
pub use prompt::PickUp;
pub use timing::Sample;

use stage::Stage;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The workers to measure, by name.
    pub workers: Vec<(String, PathBuf)>,
    /// How many times each yardstick is taken.
    pub yardsticks: usize,
    /// How many captures and how many pick-ups.
    pub prompt: usize,
    /// Charges to drain, and how many at once.
    pub drains: Vec<(usize, usize)>,
    /// Charges that fall due at once.
    pub burst: usize,
}

impl Plan {
    /// Everything, in a few minutes.
    #[must_use]
    pub fn full(workers: Vec<(String, PathBuf)>) -> Self {
        let drains = vec![(2_000, 1), (20_000, 32), (20_000, 128)];
        Self {
            workers,
            yardsticks: 500,
            prompt: 300,
            drains,
            burst: 10_000,
        }
    }

    /// A first impression, in less than half a minute.
    #[must_use]
    pub fn quick(workers: Vec<(String, PathBuf)>) -> Self {
        let drains = vec![(200, 1), (1_500, 32), (1_500, 128)];
        Self {
            workers,
            yardsticks: 100,
            prompt: 40,
            drains,
            burst: 500,
        }
    }
}

/// What one worker showed.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How late captures reached the gateway.
    pub lateness: Sample,
    /// How soon new charges reached it.
    pub pick_up: PickUp,
    /// Drains, by concurrency.
    pub drains: Vec<(usize, Drain)>,
    /// Charges that fell due at once.
    pub burst: Option<Burst>,
}

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The yardsticks, at the beginning and at the end.
    pub baselines: [Baseline; 2],
    /// The figures, by worker.
    pub workers: Vec<(String, Figures)>,
}

/// Measures everything. `tell` hears of progress.
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    let mut figures: Vec<Figures> = plan.workers.iter().map(|_| Figures::default()).collect();
    let sides = || plan.workers.iter().enumerate();
    tell("yardsticks");
    let before = baseline::measure(&Stage::start().await?, plan.yardsticks).await?;
    for (side, (name, binary)) in sides() {
        tell(&format!("{name}: captures at a promised time, idle worker"));
        figures[side].lateness = prompt::lateness(binary, plan.prompt).await?;
    }
    for (side, (name, binary)) in sides() {
        tell(&format!("{name}: new charges, idle worker"));
        figures[side].pick_up = prompt::pick_up(binary, plan.prompt).await?;
    }
    for (count, concurrency) in &plan.drains {
        for (side, (name, binary)) in sides() {
            tell(&format!("{name}: {count} charges, {concurrency} at once"));
            let drain = drain::drain(binary, *count, *concurrency).await?;
            figures[side].drains.push((*concurrency, drain));
        }
    }
    for (side, (name, binary)) in sides() {
        tell(&format!(
            "{name}: {} charges due in the same millisecond",
            plan.burst
        ));
        figures[side].burst = Some(drain::burst(binary, plan.burst).await?);
    }
    tell("yardsticks again");
    let after = baseline::measure(&Stage::start().await?, plan.yardsticks).await?;
    let names = plan.workers.iter().map(|(name, _)| name.clone());
    Ok(Report {
        baselines: [before, after],
        workers: names.zip(figures).collect(),
    })
}

impl Report {
    /// The report for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (when, baseline) in ["before", "after"].iter().zip(&self.baselines) {
            lines.push(format!("yardsticks, {when}"));
            lines.push(format!(
                "  durable SET       {}",
                baseline.durable_set.line()
            ));
            lines.push(format!("  HTTP, fresh conn. {}", baseline.http.line()));
        }
        for (name, figures) in &self.workers {
            lines.push(String::new());
            lines.push(format!("worker {name}"));
            self.prompt_lines(figures, &mut lines);
            for (concurrency, drain) in &figures.drains {
                self.drain_lines(*concurrency, drain, &mut lines);
            }
            if let Some(Burst { payments, seconds }) = figures.burst {
                lines.push(format!(
                    "  {payments} due in the same millisecond: done after {seconds:.1} s"
                ));
            }
        }
        lines
    }

    fn prompt_lines(&self, figures: &Figures, lines: &mut Vec<String>) {
        let PickUp {
            enqueued,
            reached,
            reached_after_answer,
            charged,
        } = &figures.pick_up;
        let rows = [
            (
                "capture due at T: at the gateway after T",
                &figures.lateness,
            ),
            ("enqueue: the producer's wait", enqueued),
            ("enqueue begins -> first request arrives", reached),
            (
                "enqueue answered -> first request arrives",
                reached_after_answer,
            ),
            ("enqueue begins -> charge arrives", charged),
        ];
        for (what, sample) in rows {
            let times = sample.percentile_ms(50) / self.set_ms();
            lines.push(format!(
                "  {what:<42} {}  p50 = {times:.1} durable SETs",
                sample.line()
            ));
        }
    }

    fn drain_lines(&self, concurrency: usize, drain: &Drain, lines: &mut Vec<String>) {
        let cpu_ms = |seconds: f64| drain.each(seconds * 1_000.0);
        let each_ms = 1_000.0 / drain.rate();
        lines.push(format!(
            "  drain, {concurrency:>3} at once: {:>6.0} payments/s ({each_ms:.2} ms each = {:.1} durable SETs; n = {})",
            drain.rate(),
            each_ms / self.set_ms(),
            drain.payments
        ));
        lines.push(format!(
            "      CPU a payment: worker {:.2} ms, Redis {:.2} ms, sandbox {:.2} ms; worker's peak memory {:.0} MiB",
            cpu_ms(drain.worker_cpu_seconds),
            cpu_ms(drain.redis_cpu_seconds),
            cpu_ms(drain.sandbox_cpu_seconds),
            drain.worker_peak_mib
        ));
        #[allow(
            clippy::cast_precision_loss,
            reason = "bytes of a run are far below 2^52"
        )]
        let [bytes_in, bytes_out] =
            [drain.redis.bytes_in, drain.redis.bytes_out].map(|bytes| drain.each(bytes as f64));
        let calls: Vec<_> = drain
            .calls_each()
            .into_iter()
            .map(|(name, each)| format!("{name} {each:.2}"))
            .collect();
        lines.push(format!(
            "      Redis a payment: {bytes_in:.0} bytes in, {bytes_out:.0} out"
        ));
        lines.push(format!("      Redis calls a payment: {}", calls.join(", ")));
    }

    /// The p50 of the durable write, both yardsticks together, in milliseconds.
    fn set_ms(&self) -> f64 {
        let [before, after] = &self.baselines;
        f64::midpoint(
            before.durable_set.percentile_ms(50),
            after.durable_set.percentile_ms(50),
        )
    }

    /// The report for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let baseline = |baseline: &Baseline| json!({"durable_set": baseline.durable_set.json(), "http": baseline.http.json()});
        let worker = |(name, figures): &(String, Figures)| {
            let drain = |(concurrency, drain): &(usize, Drain)| json!({"concurrency": concurrency, "drain": drain.json()});
            json!({
                "worker": name,
                "capture_lateness": figures.lateness.json(),
                "enqueue": figures.pick_up.enqueued.json(),
                "first_request": figures.pick_up.reached.json(),
                "first_request_after_answer": figures.pick_up.reached_after_answer.json(),
                "charge": figures.pick_up.charged.json(),
                "drains": figures.drains.iter().map(drain).collect::<Vec<_>>(),
                "burst_seconds": figures.burst.map(|burst| burst.seconds),
            })
        };
        json!({
            "yardsticks": self.baselines.each_ref().map(baseline),
            "workers": self.workers.iter().map(worker).collect::<Vec<_>>(),
        })
    }
}
