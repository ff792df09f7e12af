//! Producers: they ask for payments, and repeat themselves until they are told that it is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast::api::intake::{IntakeError, Submitted, submit};
use holdfast::payment::{PaymentId, Request};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::sleep;

use super::canaries::NAME;
use super::ground::Ground;

/// How many of them there are.
pub(super) const COUNT: u64 = 8;
const BREATH: Duration = Duration::from_millis(20);

/// Asks for payments until faults are over, no more at a time than the plan says.
pub(super) async fn produce(
    ground: Arc<Ground>,
    next: Arc<AtomicU64>,
    place: u64,
) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(ground.plan.seed ^ (place + 1) << 32);
    while !ground.is_over() {
        if ground.under_way.load(Ordering::Relaxed) >= ground.plan.under_way
            || is_early(&ground, &next)
        {
            sleep(BREATH).await;
            continue;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let accounts = ground.plan.manners.accounts();
        let account = accounts[random.random_range(0..accounts.len())];
        let now = ground.clock.now();
        let json = ground.purse.request((number, account), now, &mut random);
        let Some(id) = ask(&ground, &json).await? else {
            continue;
        };
        ground.told().payments.push(id.clone());
        match random.next_u32() % 40 {
            0 | 1 => repeat(&ground, &json, &id).await?,
            2 => ask_otherwise(&ground, &json, number).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether more was asked for than belongs into the time that has passed.
fn is_early(ground: &Ground, next: &AtomicU64) -> bool {
    let each = ground.plan.between(ground.plan.quotas.payments);
    let asked = u32::try_from(next.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    ground.began.elapsed() < each * asked.saturating_sub(32)
}

/// Asks until it is told that the payment is recorded; `None` when it came too late for that.
async fn ask(ground: &Ground, json: &str) -> anyhow::Result<Option<PaymentId>> {
    loop {
        match once(ground, json).await {
            Ok(submitted) => return Ok(Some(submitted.payment().id().clone())),
            Err(IntakeError::Store(_)) => sleep(BREATH).await,
            Err(IntakeError::Invalid(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

async fn once(ground: &Ground, json: &str) -> Result<Submitted, IntakeError> {
    let request = Request::from_json(json.as_bytes())?;
    submit(&ground.store, &ground.clock, &ground.policies, request).await
}

/// Asks for the same again: it is there, and it is the same payment.
async fn repeat(ground: &Ground, json: &str, id: &PaymentId) -> anyhow::Result<()> {
    match once(ground, json).await {
        Ok(Submitted::Existing(payment)) if payment.id() == id => Ok(()),
        Ok(_) => {
            ground.broken(format!("{id}: it was recorded, and recorded again"));
            Ok(())
        }
        Err(IntakeError::Store(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Asks for something else under the same key, which is refused.
async fn ask_otherwise(ground: &Ground, json: &str, number: u64) -> anyhow::Result<()> {
    let other = if json.contains("MYR") {
        json.replace("MYR", "SGD")
    } else {
        json.replace(NAME, "Somebody Else")
    };
    match once(ground, &other).await {
        Ok(_) => {
            ground.broken(format!(
                "chaos-{number}: its key was taken, and taken again"
            ));
            Ok(())
        }
        Err(
            IntakeError::Conflict(_)
            | IntakeError::Adopted(_)
            | IntakeError::Store(_)
            | IntakeError::Invalid(_),
        ) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
