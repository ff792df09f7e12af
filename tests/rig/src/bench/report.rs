//! The figures, for people and for programs. Each stands beside its yardstick of the same run.

use serde_json::{Value, json};

use super::baseline::{Baseline, Costs};
use super::drain::{Burst, Drain};
use super::prompt::PickUp;
use super::timing::Sample;
use super::{Figures, Future, Report};

/// How late captures may be, at p99 on an idle machine.
const LATENESS_MS: u32 = 20;
/// How long an idle worker may take to begin with a charge, at p99 on an idle machine.
const PICK_UP_MS: u32 = 10;

impl Report {
    /// The report for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (when, baseline) in ["before", "after"].iter().zip(&self.baselines) {
            baseline_lines(when, baseline, &mut lines);
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
            lines.extend(figures.future.iter().flat_map(future_lines));
        }
        lines.push(format!("\nall of it took {:.0} s", self.took.as_secs_f64()));
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
                Some(LATENESS_MS),
            ),
            ("enqueue: the producer's wait", enqueued, None),
            (
                "enqueue begins -> first request arrives",
                reached,
                Some(PICK_UP_MS),
            ),
            (
                "enqueue answered -> first request arrives",
                reached_after_answer,
                None,
            ),
            ("enqueue begins -> charge arrives", charged, None),
        ];
        for (what, sample, target_ms) in rows {
            let times = sample.percentile_ms(50) / self.set().percentile_ms(50);
            lines.push(format!("  {what:<42} {}", sample.line()));
            let target = target_ms.map(|ms| format!("; target on an idle machine: p99 {ms} ms"));
            lines.push(format!(
                "      p50 = {times:.1} durable SETs{}",
                target.unwrap_or_default()
            ));
        }
    }

    fn drain_lines(&self, concurrency: usize, drain: &Drain, lines: &mut Vec<String>) {
        let each_ms = 1_000.0 / drain.rate();
        lines.push(format!(
            "  drain, {concurrency:>3} at once: {:>6.0} payments/s ({each_ms:.2} ms each = {:.1} durable SETs; \
             n = {} in {:.1} s)",
            drain.rate(),
            each_ms / self.set().percentile_ms(50),
            drain.payments,
            drain.seconds
        ));
        let [worker, redis, sandbox] = [
            drain.worker_cpu_seconds,
            drain.redis_cpu_seconds,
            drain.sandbox_cpu_seconds,
        ]
        .map(|seconds| drain.each(seconds * 1_000.0));
        let bare = |cost: fn(&Costs) -> f64| self.bare(cost);
        lines.push(format!(
            "      CPU a payment: worker {worker:.2} ms (= {:.1} bare SETs and calls), Redis {redis:.2} ms \
             (= {:.1} SETs), sandbox {sandbox:.2} ms",
            worker / bare(|costs| costs.client_cpu_ms),
            redis / bare(|costs| costs.redis_cpu_ms),
        ));
        lines.push(format!(
            "      the worker's peak memory: {:.0} MiB ({:.0} MiB with nothing to do)",
            drain.worker_peak_mib, drain.worker_idle_mib
        ));
        let [bytes_in, bytes_out] = drain.bytes_each();
        lines.push(format!(
            "      Redis a payment: {bytes_in:.0} bytes in (= {:.1} SETs), {bytes_out:.0} out",
            bytes_in / bare(|costs| costs.bytes_in),
        ));
        let calls: Vec<_> = drain
            .calls_each()
            .into_iter()
            .map(|(name, each)| format!("{name} {each:.2}"))
            .collect();
        lines.push(format!(
            "      Redis calls a payment, those of scripts as well: {}",
            calls.join(", ")
        ));
    }

    /// The durable write, both yardsticks together.
    fn set(&self) -> Sample {
        let [before, after] = &self.baselines;
        before.durable_set.with(&after.durable_set)
    }

    /// What bare calls cost, both yardsticks together.
    fn bare(&self, cost: fn(&Costs) -> f64) -> f64 {
        let [before, after] = &self.baselines;
        f64::midpoint(cost(&before.costs), cost(&after.costs))
    }

    /// The report for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let baseline = |baseline: &Baseline| json!({"durable_set": baseline.durable_set.json(), "http": baseline.http.json(), "costs": baseline.costs.json()});
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
                "future": figures.future.as_ref().map(Future::json),
                "burst_seconds": figures.burst.map(|burst| burst.seconds),
            })
        };
        json!({
            "seconds": self.took.as_secs_f64(),
            "yardsticks": self.baselines.each_ref().map(baseline),
            "workers": self.workers.iter().map(worker).collect::<Vec<_>>(),
        })
    }
}

fn future_lines(future: &Future) -> [String; 3] {
    let Future {
        payments,
        worker_cpu_percent,
        redis_cpu_percent,
        get,
        list,
    } = future;
    [
        format!(
            "  {payments} due next month: the worker takes {worker_cpu_percent:.1} % of a core, \
             Redis {redis_cpu_percent:.1} % (target for a million: below 2 %)"
        ),
        format!("      GET of one, p99 below 5 ms wanted  {}", get.line()),
        format!("      a page of 50, p99 below 5 ms wanted {}", list.line()),
    ]
}

fn baseline_lines(when: &str, baseline: &Baseline, lines: &mut Vec<String>) {
    let costs = &baseline.costs;
    lines.push(format!("yardsticks, {when}"));
    lines.push(format!(
        "  durable SET of 1 kB {}",
        baseline.durable_set.line()
    ));
    lines.push(format!("  HTTP, fresh conn.   {}", baseline.http.line()));
    lines.push(format!(
        "  one of each         CPU of the client {:.3} ms, of Redis {:.3} ms; Redis: 1 call, {:.0} bytes in",
        costs.client_cpu_ms, costs.redis_cpu_ms, costs.bytes_in
    ));
}
