//! How promptly an idle worker acts: at a time that was promised, and on work that just came.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use holdfast::payment::StateName;
use holdfast::store::Store;
use tokio::time::{sleep, timeout};

use super::front::Front;
use super::stage::Stage;
use super::timing::{Sample, now_us};

/// How many turns run at once in the worker that is measured.
const CONCURRENCY: usize = 32;
/// The machine is idle in between: a capture takes a few milliseconds.
const BETWEEN_MS: i64 = 41;
/// How long any one step may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How late captures were that were due at a certain time.
pub(super) async fn lateness(binary: &Path, count: usize) -> anyhow::Result<Sample> {
    let stage = Stage::start().await?;
    let mut front = Front::open(stage.gateway).await?;
    let _worker = stage.worker(binary, CONCURRENCY, front.address)?;
    let count_ms = i64::try_from(count)?;
    let first_ms = now_us() / 1_000 + 2_000 + count_ms * 10;
    let due_ms = |number: usize| {
        // Not always at the same place within a millisecond tick or a poll.
        let number = i64::try_from(number).unwrap_or(0);
        first_ms + number * BETWEEN_MS + number * 7 % 13
    };
    let holds: Vec<_> = (0..count)
        .map(|number| stage.hold(number, due_ms(number)))
        .collect::<Result<_, _>>()?;
    stage.enqueue(&holds, now_us() / 1_000).await?;

    let mut promised = HashMap::new();
    for (number, hold) in holds.iter().enumerate() {
        let held = timeout(PATIENCE, async {
            loop {
                let loaded = stage
                    .store
                    .load(hold.id())
                    .await?
                    .context("no such payment")?;
                if loaded.payment.state().name() == StateName::Held {
                    return anyhow::Ok(loaded.payment);
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        let held = held.await.context("a hold was not made in time")??;
        let purchase = held.purchase().context("a hold without a purchase")?;
        promised.insert(purchase.id.as_str().to_owned(), due_ms(number));
    }
    anyhow::ensure!(
        now_us() / 1_000 < first_ms,
        "the machine is too slow: holds took too long"
    );

    let mut late = Sample::default();
    while late.count() < count {
        let next = timeout(PATIENCE, front.next("/capture")).await;
        let arrival = next
            .context("a capture did not come")?
            .context("the door is closed")?;
        let due = arrival
            .purchase("/capture")
            .and_then(|purchase| promised.get(purchase));
        late.add(arrival.at_us - due.context("a capture of another purchase")? * 1_000);
    }
    Ok(late)
}

/// How soon an idle worker begins with a charge.
#[derive(Debug, Clone, Default)]
pub struct PickUp {
    /// What the producer waits for its answer.
    pub enqueued: Sample,
    /// From the producer's call to the first request at the gateway.
    pub reached: Sample,
    /// From the producer's answer to the first request at the gateway.
    pub reached_after_answer: Sample,
    /// From the producer's call to the charge at the gateway.
    pub charged: Sample,
}

/// Enqueues one charge after the other for an idle worker.
pub(super) async fn pick_up(binary: &Path, count: usize) -> anyhow::Result<PickUp> {
    let stage = Stage::start().await?;
    let mut front = Front::open(stage.gateway).await?;
    let _worker = stage.worker(binary, CONCURRENCY, front.address)?;
    let mut pick_up = PickUp::default();
    // The first one only shows that the worker is up.
    for number in 0..=count {
        sleep(Duration::from_millis(25 + u64::try_from(number % 17)?)).await;
        let payment = stage.charge(number, None)?;
        let began_us = now_us();
        stage.store.create(&payment, payment.created_at()).await?;
        let answered_us = now_us();
        let created = timeout(PATIENCE, front.next("/purchases")).await;
        let created = created
            .context("no create came")?
            .context("the door is closed")?;
        let charged = timeout(PATIENCE, front.next("/charge")).await;
        let charged = charged
            .context("no charge came")?
            .context("the door is closed")?;
        if number > 0 {
            pick_up.enqueued.add(answered_us - began_us);
            pick_up.reached.add(created.at_us - began_us);
            pick_up
                .reached_after_answer
                .add(created.at_us - answered_us);
            pick_up.charged.add(charged.at_us - began_us);
        }
    }
    Ok(pick_up)
}
