//! The workers: killed, stopped, asked to end, and started again.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

use super::beat::Beat;
use super::ground::Ground;
use super::hearing::OwnSettings;
use super::tally::Blow;
use crate::fleet::WorkerProcess;
use crate::works::Pace;

const STEP: Duration = Duration::from_millis(50);
/// How long a worker may take to stop: its time for that, what the pauses of Redis and gateway may
/// add, and a slow machine.
const STOP: Duration = Duration::from_secs(20);
/// The exit code of a worker that could not reach Redis.
const NO_REDIS: i32 = 4;

/// A fleet of workers, the first of which listens.
pub(super) struct Crew {
    ground: Arc<Ground>,
    hearing: OwnSettings,
    pace: Pace,
    places: Vec<Mutex<Place>>,
}

struct Place {
    number: usize,
    started: usize,
    worker: WorkerProcess,
}

impl Crew {
    pub(super) fn start(
        ground: Arc<Ground>,
        hearing: OwnSettings,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let mut crew = Self {
            ground,
            hearing,
            pace,
            places: Vec::new(),
        };
        for number in 0..crew.ground.plan.workers {
            let worker = crew.worker(number, 0)?;
            crew.places.push(Mutex::new(Place {
                number,
                started: 0,
                worker,
            }));
        }
        Ok(crew)
    }

    fn worker(&self, number: usize, started: usize) -> anyhow::Result<WorkerProcess> {
        let mut command = self.ground.command.clone();
        if number == 0 {
            command.env.extend_from_slice(&self.hearing);
        }
        if let Some(clocks) = &self.ground.clocks {
            command.env.extend(clocks.env(&clock_of(number))?);
        }
        Ok(command.start(&format!("worker-{number}-{started}"))?)
    }

    fn start_again(&self, place: &mut Place) -> anyhow::Result<()> {
        place.started += 1;
        place.worker = self.worker(place.number, place.started)?;
        Ok(())
    }

    /// A worker that nothing else is being done to.
    fn some(&self, random: &mut StdRng) -> Option<MutexGuard<'_, Place>> {
        let place = random.random_range(0..self.places.len());
        self.places[place].try_lock().ok()
    }

    /// Kills workers until faults are over.
    pub(super) async fn kill(self: Arc<Self>) -> anyhow::Result<()> {
        let mut beat = Beat::of(&self.ground, self.ground.plan.quotas.kills, 1);
        while beat.strikes(&self.ground).await {
            if let Some(mut place) = self.some(&mut beat.random) {
                place.worker.kill()?;
                self.ground.tally.count(Blow::Kill);
                self.start_again(&mut place)?;
            }
        }
        Ok(())
    }

    /// Makes workers stand still for longer than their leases, some for longer than the quiet
    /// period, until faults are over. Some never go on.
    pub(super) async fn pause(self: Arc<Self>) -> anyhow::Result<()> {
        let mut beat = Beat::of(&self.ground, self.ground.plan.quotas.pauses, 2);
        while beat.strikes(&self.ground).await {
            let Some(mut place) = self.some(&mut beat.random) else {
                continue;
            };
            let is_long = beat.random.next_u32().is_multiple_of(5);
            let beyond = if is_long {
                self.pace.quiet_ms
            } else {
                self.pace.lease_ms
            };
            place.worker.signal("STOP")?;
            sleep(Duration::from_millis(
                beyond + beat.random.random_range(100..1_500),
            ))
            .await;
            if beat.random.next_u32().is_multiple_of(8) {
                place.worker.kill()?;
                self.ground.tally.count(Blow::KillWhilePaused);
                self.start_again(&mut place)?;
                continue;
            }
            place.worker.signal("CONT")?;
            let blow = if is_long {
                Blow::LongPause
            } else {
                Blow::Pause
            };
            self.ground.tally.count(blow);
        }
        Ok(())
    }

    /// Asks workers to end until faults are over; each ends well, and in time.
    pub(super) async fn stop(self: Arc<Self>) -> anyhow::Result<()> {
        let mut beat = Beat::of(&self.ground, self.ground.plan.quotas.stops, 3);
        while beat.strikes(&self.ground).await {
            let Some(mut place) = self.some(&mut beat.random) else {
                continue;
            };
            if place.worker.ended_within(Duration::ZERO)?.is_none() {
                self.end(&mut place).await?;
            }
            self.start_again(&mut place)?;
        }
        Ok(())
    }

    /// Starts workers again that ended by themselves, until faults are over. They may do so only when
    /// they find no Redis at their start.
    pub(super) async fn look_after(self: Arc<Self>) -> anyhow::Result<()> {
        while !self.ground.is_over() {
            sleep(STEP * 4).await;
            for place in &self.places {
                let Ok(mut place) = place.try_lock() else {
                    continue;
                };
                if let Some(status) = place.worker.ended_within(Duration::ZERO)? {
                    if status.code() == Some(NO_REDIS) {
                        self.ground.tally.count(Blow::StartAgain);
                    } else {
                        let tail = place.worker.tail(3);
                        self.ground
                            .broken(format!("a worker ended by itself ({status}): {tail}"));
                    }
                    self.start_again(&mut place)?;
                }
            }
        }
        Ok(())
    }

    /// Lets the clocks of the workers' machines jump by up to a month until faults are over.
    pub(super) async fn jump(self: Arc<Self>) -> anyhow::Result<()> {
        let Some(clocks) = &self.ground.clocks else {
            return Ok(());
        };
        let half = self.ground.plan.quotas.jumps.div_ceil(2);
        let mut beat = Beat::of(&self.ground, half, 4);
        while beat.strikes(&self.ground).await {
            let number = beat.random.random_range(0..self.places.len());
            let later = TimeDelta::seconds(beat.random.random_range(-2_600_000..2_600_000));
            clocks.set(&clock_of(number), later)?;
            self.ground.tally.count(Blow::WorkerClock);
        }
        Ok(())
    }

    /// Asks all of them to end, at the end of it all.
    pub(super) async fn end_all(&self) -> anyhow::Result<()> {
        for place in &self.places {
            self.end(&mut *place.lock().await).await?;
        }
        Ok(())
    }

    async fn end(&self, place: &mut Place) -> anyhow::Result<()> {
        place.worker.signal("TERM")?;
        let until = Instant::now() + STOP;
        loop {
            if let Some(status) = place.worker.ended_within(Duration::ZERO)? {
                // It was asked before it had found Redis, or knew what to do when it is asked.
                let is_early = status.code().is_none() || status.code() == Some(NO_REDIS);
                if !status.success() && !is_early {
                    let tail = place.worker.tail(5);
                    self.ground
                        .broken(format!("a worker did not end well ({status}): {tail}"));
                }
                self.ground.tally.count(Blow::Stop);
                return Ok(());
            }
            if Instant::now() > until {
                let tail = place.worker.tail(5);
                self.ground
                    .broken(format!("a worker did not end within {STOP:?}: {tail}"));
                return Ok(place.worker.kill()?);
            }
            sleep(STEP).await;
        }
    }
}

fn clock_of(number: usize) -> String {
    format!("worker-{number}")
}
