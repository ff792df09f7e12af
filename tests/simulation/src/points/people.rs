//! Who asks, pays and commands in a flow. Whoever's process dies starts another one and does the
//! same again, under the same key.

use std::future::Future;
use std::sync::Arc;

use chip_sandbox::TestCard;
use holdfast::api::intake::{Given, IntakeError, command, submit};
use holdfast::payment::{Command, IdempotencyKey, Payment, PaymentId, Request, StateName};
use holdfast::store::Store;
use holdfast::store::audit::Mandate;

use crate::process::Process;
use crate::store::SimulatedStore;
use crate::webhooks::pump;
use crate::world::{World, rest};

/// How long it takes to start a process in place of one that died.
pub(super) const START_MS: u64 = 1_000;
/// How long whoever was not answered waits before it asks again.
const AGAIN_MS: u64 = 700;
/// How often people look.
const LOOK_EVERY_MS: u64 = 500;

/// Does something with a process that may die, in another one if it did, until it is answered.
async fn insist<T, F: Future<Output = Result<T, IntakeError>>>(
    world: &Arc<World>,
    name: &str,
    work: impl Fn(Arc<SimulatedStore>) -> F,
) -> Option<T> {
    loop {
        let process = Arc::new(Process::new(name.to_owned(), 1_000));
        let store = Arc::new(SimulatedStore::of(world, &process));
        match process.outlived(work(store)).await {
            None => {
                world.note(name, format_args!("dies, and begins again"));
                rest(START_MS).await;
            }
            Some(Ok(done)) => return Some(done),
            Some(Err(IntakeError::Store(_))) => rest(AGAIN_MS).await,
            Some(Err(error)) => {
                world.problem(&format!("{name} is not answered: {error}"));
                return None;
            }
        }
    }
}

/// Asks for the payment until it is acknowledged.
pub(super) async fn ask(world: &Arc<World>, request: Request) -> Option<PaymentId> {
    if let Ok(payment) = Payment::new(request.clone(), world.now()) {
        world.name(payment.id(), 0);
    }
    let (clock, policies) = (&world.clock, &world.policies);
    let submitted = insist(world, "shop", |store| {
        let request = request.clone();
        async move { submit(&*store, clock, policies, request).await }
    });
    submitted.await.map(|done| done.payment().id().clone())
}

/// The payment once it is in that state; `None` if it comes to rest in another one.
async fn when_in(world: &World, id: &PaymentId, state: StateName) -> Option<Payment> {
    loop {
        let stored = world.store.stored(id);
        if let Some(payment) = stored {
            if payment.state().name() == state {
                return Some(payment);
            }
            if is_at_rest(&payment) {
                return None;
            }
        }
        rest(LOOK_EVERY_MS).await;
    }
}

/// Whether it needs nobody any more, or a person.
pub(super) fn is_at_rest(payment: &Payment) -> bool {
    payment.is_finished() || payment.state().name() == StateName::Parked
}

/// Pays, once there is a link.
pub(super) async fn pay(world: Arc<World>, id: PaymentId, after_ms: u64) {
    let Some(payment) = when_in(&world, &id, StateName::AwaitingPayer).await else {
        return;
    };
    rest(after_ms).await;
    let purchase = payment.purchase();
    let Some(purchase) = purchase.and_then(|known| known.id.as_str().parse().ok()) else {
        return world.problem("there is a link and no purchase");
    };
    world.note("payer", format_args!("p00 pays"));
    world.engine(|engine, now_ms| engine.pay(now_ms, purchase, TestCard::Plain, false));
    pump(&world);
}

/// Looks around, puts right what the gateway refuses, and commands, once the payment is in that
/// state: one command after the other.
pub(super) async fn give(
    world: Arc<World>,
    id: PaymentId,
    (state, after_ms, words): (StateName, u64, Vec<Command>),
) {
    if when_in(&world, &id, state).await.is_none() {
        return;
    }
    rest(after_ms).await;
    insist(&world, "person", |desk| look_around(desk, state)).await;
    world.engine(|engine, _| engine.clear_faults());
    for (number, asked) in words.iter().enumerate() {
        rest(after_ms * number as u64).await;
        let Ok(key) = IdempotencyKey::new(format!("command-{number}")) else {
            return world.problem("no key");
        };
        say(&world, &id, &key, asked).await;
    }
}

async fn say(world: &Arc<World>, id: &PaymentId, key: &IdempotencyKey, asked: &Command) {
    let (clock, policies) = (&world.clock, &world.policies);
    let given = Given {
        to: id,
        key,
        command: asked,
        by: &Mandate::typed_by("person"),
    };
    let given = insist(world, "person", |desk| async move {
        command(&*desk, clock, policies, given).await
    });
    if let Some(done) = given.await {
        let answer = done.answer;
        world.commanded(id, key, answer);
        world.note("person", format_args!("p00 {asked:?}: {answer:?}"));
    }
}

async fn look_around(desk: Arc<SimulatedStore>, state: StateName) -> Result<(), IntakeError> {
    desk.stats().await?;
    desk.list(&state.into(), None, 10).await?;
    Ok(())
}
