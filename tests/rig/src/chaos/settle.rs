//! Faults are over: everything comes to rest within a bound.

use std::time::Duration;

use holdfast::payment::StateName;
use holdfast::store::Store;
use tokio::time::{Instant, sleep};

use super::asks;
use super::ground::Ground;
use super::people::give;

/// How long Redis may take to come back for us, once nobody hurts it any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long payments may take to end, or to be parked, once faults are over.
pub const BOUND: Duration = Duration::from_secs(120);
const PAGE: usize = 500;

/// Waits until nothing is under way, people look at whatever is parked, twice, and nothing is under
/// way again. What is not at rest within the bound is found in the books.
pub(super) async fn all(ground: &Ground, tell: &impl Fn(&str)) -> anyhow::Result<Duration> {
    let took = until_at_rest(ground).await?;
    for key in ["last-look", "very-last-look"] {
        let count = look_at_the_parked(ground, key).await?;
        tell(&format!("{count} are parked; looking at them again"));
        sleep(Duration::from_secs(1)).await;
    }
    until_at_rest(ground).await?;
    ground.sandbox.deliveries_settled().await;
    Ok(took)
}

/// The last payers pay now.
async fn until_at_rest(ground: &Ground) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while began.elapsed() < BOUND {
        let mut moving = 0;
        for state in [StateName::New, StateName::AwaitingPayer, StateName::Held] {
            let by = state.into();
            let page = patiently(|| ground.store.list(&by, None, PAGE)).await?;
            moving += page.payments.len();
            if state == StateName::AwaitingPayer {
                for waiting in page.payments {
                    ground.pay(&waiting.payment)?;
                }
            }
        }
        if moving == 0 {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(began.elapsed())
}

/// What is answered, asked again while it fails: the last fault may have cut our own connection, and
/// the end of a long run must not hang on one answer.
pub(super) async fn patiently<T, E, F>(ask: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    loop {
        match ask().await {
            Err(_) if began.elapsed() < PATIENCE => sleep(Duration::from_millis(200)).await,
            answer => return answer,
        }
    }
}

async fn look_at_the_parked(ground: &Ground, key: &str) -> anyhow::Result<usize> {
    let (mut cursor, mut count) = (None, 0);
    loop {
        let by = StateName::Parked.into();
        let asked = || ground.store.list(&by, cursor.as_ref(), PAGE);
        let page = patiently(asked).await?;
        for parked in page.payments {
            give(ground, parked.payment.id(), key, &asks::rerun()).await?;
            count += 1;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}
