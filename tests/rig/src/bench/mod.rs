//! `make bench`: how promptly a worker acts, how much it gets through, and what that costs.
//!
//! Figures, not tests: nothing here passes or fails by time. A noisy machine is told from a slow
//! worker by the yardsticks, which are measured in the same run. With a second binary each
//! measurement is made with both, one right after the other.

mod baseline;
mod drain;
mod front;
mod future;
mod probe;
mod prompt;
mod report;
mod stage;
mod timing;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub use baseline::Baseline;
pub use drain::{Burst, Drain};
pub use future::Future;
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
    /// Charges that are due next month.
    pub future: usize,
}

impl Plan {
    /// Everything, in about five minutes on two cores.
    #[must_use]
    pub fn full(workers: Vec<(String, PathBuf)>) -> Self {
        let drains = vec![(20_000, 1), (20_000, 32), (20_000, 128)];
        Self {
            workers,
            yardsticks: 500,
            prompt: 300,
            drains,
            burst: 10_000,
            future: 100_000,
        }
    }

    /// A first impression, in about a minute.
    #[must_use]
    pub fn quick(workers: Vec<(String, PathBuf)>) -> Self {
        let drains = vec![(200, 1), (1_500, 32), (1_500, 128)];
        Self {
            workers,
            yardsticks: 100,
            prompt: 40,
            drains,
            burst: 500,
            future: 2_000,
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
    /// Charges that wait.
    pub future: Option<Future>,
}

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The yardsticks, at the beginning and at the end.
    pub baselines: [Baseline; 2],
    /// The figures, by worker.
    pub workers: Vec<(String, Figures)>,
    /// How long all of it took.
    pub took: Duration,
}

/// Measures everything. `tell` hears of progress.
pub async fn run(plan: &Plan, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    let began = Instant::now();
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
    for (side, (name, binary)) in sides() {
        tell(&format!("{name}: {} charges due next month", plan.future));
        figures[side].future = Some(future::future(binary, plan.future).await?);
    }
    tell("yardsticks again");
    let after = baseline::measure(&Stage::start().await?, plan.yardsticks).await?;
    let names = plan.workers.iter().map(|(name, _)| name.clone());
    Ok(Report {
        baselines: [before, after],
        workers: names.zip(figures).collect(),
        took: began.elapsed(),
    })
}
