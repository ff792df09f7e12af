//! Payers pay, people give commands, and both look at what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use holdfast::api::intake::{self, Commanded, Given, IntakeError};
use holdfast::payment::{Command, CommandAnswer, IdempotencyKey, PaymentId, StateName};
use holdfast::store::audit::Mandate;
use holdfast::store::{Store, StoreError};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::sleep;

use super::asks;
use super::ground::Ground;

/// Between what people do.
const BREATH: Duration = Duration::from_millis(300);
/// How many links, parked payments and payments of any kind are looked at in one go.
const LINKS: usize = 200;
const PARKED: usize = 5;
const LOOKS: usize = 40;

/// Some of the payers who have a link pay; some are told that it is over.
pub(super) async fn pay(ground: Arc<Ground>) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(ground.plan.seed ^ 0x21);
    while !ground.is_over() {
        sleep(BREATH).await;
        let by = StateName::AwaitingPayer.into();
        let waiting = ground.store.list(&by, None, LINKS);
        let Some(page) = passing(waiting.await)? else {
            continue;
        };
        for waiting in page.payments {
            match random.next_u32() % 10 {
                0..3 => ground.pay(&waiting.payment)?,
                3 => give(&ground, waiting.payment.id(), "no-more", &Command::Cancel)
                    .await
                    .map(drop)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// People give commands, some of them twice, and ask for a look at some of what is parked.
pub(super) async fn command(ground: Arc<Ground>) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(ground.plan.seed ^ 0x22);
    for number in 0_u64.. {
        sleep(BREATH / 4).await;
        if ground.is_over() {
            break;
        }
        if let Some(id) = recent(&ground, &mut random) {
            let command = asks::some_command(ground.clock.now(), &mut random);
            let key = format!("command-{number}");
            let first = give(&ground, &id, &key, &command).await?;
            if random.next_u32().is_multiple_of(8)
                && let Some(first) = first
                && let Some(again) = give(&ground, &id, &key, &command).await?
                && first != again
            {
                let told = format!("{id}: {key} was answered {first:?}, and then {again:?}");
                ground.broken(told);
            }
        }
        if number % 16 == 0 {
            let by = StateName::Parked.into();
            let parked = ground.store.list(&by, None, PARKED);
            for parked in passing(parked.await)?.map_or(Vec::new(), |page| page.payments) {
                let key = format!("look-{number}");
                give(&ground, parked.payment.id(), &key, &asks::rerun()).await?;
            }
        }
    }
    Ok(())
}

/// Somebody looks at payments now and then: an end that was seen once stays.
pub(super) async fn look(ground: Arc<Ground>) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(ground.plan.seed ^ 0x23);
    while !ground.is_over() {
        sleep(BREATH).await;
        for _ in 0..LOOKS {
            let Some(id) = recent(&ground, &mut random) else {
                break;
            };
            match passing(ground.store.load(&id).await)? {
                None => break,
                Some(None) => ground.broken(format!("{id}: it was recorded, and is not there")),
                Some(Some(loaded)) if loaded.payment.is_finished() => {
                    let state = loaded.payment.state().clone();
                    ground.told().ends.insert(id, state);
                }
                Some(Some(_)) => {}
            }
        }
    }
    Ok(())
}

/// Gives a payment a command; the answer, if there is one. Some commands fit no payment of that kind
/// or time, some payments change too quickly, and some answers are lost.
pub(super) async fn give(
    ground: &Ground,
    id: &PaymentId,
    key: &str,
    command: &Command,
) -> anyhow::Result<Option<CommandAnswer>> {
    let key = IdempotencyKey::new(key)?;
    let given = Given {
        to: id,
        key: &key,
        command,
        by: &Mandate::typed_by("chaos"),
    };
    match intake::command(&ground.store, &ground.clock, &ground.policies, given).await {
        Ok(Commanded {
            answer, payment, ..
        }) => {
            // Once a payment has ended nothing is noted any more.
            if !payment.is_finished() {
                ground.told().commands.push((id.clone(), key));
            }
            Ok(Some(answer))
        }
        Err(IntakeError::Invalid(_) | IntakeError::Busy(_) | IntakeError::Store(_)) => Ok(None),
        Err(IntakeError::Missing(id)) => {
            ground.broken(format!("{id}: it was recorded, and is not there"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// One of the payments that were asked for last.
fn recent(ground: &Ground, random: &mut StdRng) -> Option<PaymentId> {
    let told = ground.told();
    let all = told.payments.len();
    let most = usize::try_from(ground.plan.under_way).unwrap_or(usize::MAX);
    let back = random.random_range(0..all.min(most).max(1));
    all.checked_sub(back + 1)
        .map(|place| told.payments[place].clone())
}

/// What was answered, if Redis could be reached.
fn passing<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(StoreError::Unavailable(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
