//! Producers: they ask, and ask again until they are answered; some ask twice at a time.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast::api::intake::{IntakeError, submit};
use holdfast::payment::{InvalidRequest, Payment, PaymentId, Request};
use tokio::task::JoinSet;

use crate::asks::Asks;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// What was acknowledged: none of it may ever be lost.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<Vec<PaymentId>>);

impl Acknowledged {
    fn add(&self, id: &PaymentId) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }

    pub(crate) fn all(&self) -> Vec<PaymentId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Has every payment of the plan asked for, and waits until all are acknowledged.
pub(crate) async fn ask_all(world: Arc<World>, known: Arc<Acknowledged>, asks: Arc<Asks>) {
    let mut producers = JoinSet::new();
    for number in 0..world.plan.payments {
        if !world.plan.unasked.contains(&number) {
            let (world, known) = (Arc::clone(&world), Arc::clone(&known));
            producers.spawn(ask(world, known, Arc::clone(&asks), number));
        }
    }
    while let Some(ended) = producers.join_next().await {
        if let Err(error) = ended {
            world.problem(&format!("a producer panicked: {error}"));
        }
    }
}

async fn ask(world: Arc<World>, known: Arc<Acknowledged>, asks: Arc<Asks>, number: u64) {
    let mut dice = world.dice("producer", &[number]);
    rest(dice.below(world.plan.trouble_ms / 3)).await;
    let body = asks.request(&world, number);
    let process = Arc::new(Process::new(format!("shop{number}"), 1_000 + number));
    let shop = SimulatedStore::of(&world, &process);
    let (repeats, at_once, other) = (dice.in_1000(200), dice.in_1000(100), dice.in_1000(100));
    if at_once {
        world.hit(("producer", "repeats_at_once"));
        tokio::join!(
            insist(&world, &shop, &known, (number, &body)),
            insist(&world, &shop, &known, (number, &body)),
        );
    } else {
        insist(&world, &shop, &known, (number, &body)).await;
    }
    if repeats {
        world.hit(("producer", "repeats"));
        rest(dice.between(1, 200_000)).await;
        insist(&world, &shop, &known, (number, &body)).await;
    }
    if other {
        rest(dice.between(1, 20_000)).await;
        ask_otherwise(&world, &shop, &body).await;
    }
}

/// Asks until it is answered.
async fn insist(
    world: &World,
    shop: &SimulatedStore,
    known: &Acknowledged,
    (number, body): (u64, &str),
) {
    loop {
        let request = match Request::from_json(body.as_bytes()) {
            Ok(request) => request,
            Err(error) => return world.problem(&format!("p{number:02} is no request: {error}")),
        };
        if let Ok(payment) = Payment::new(request.clone(), world.now()) {
            world.name(payment.id(), number);
        }
        match submit(shop, &world.clock, &world.policies, request).await {
            Ok(submitted) => {
                known.add(submitted.payment().id());
                return;
            }
            Err(IntakeError::Store(_)) => rest(700).await,
            // The store was away until it was too late, so it was never recorded: an honest answer.
            Err(IntakeError::Invalid(error)) if is_too_late(&error) => return,
            Err(error) => return world.problem(&format!("p{number:02} is not taken: {error}")),
        }
    }
}

fn is_too_late(error: &InvalidRequest) -> bool {
    error.field == "not_after" && error.problem.contains("is past")
}

/// The same key with another content is refused, now and for ever.
async fn ask_otherwise(world: &World, shop: &SimulatedStore, body: &str) {
    let other = body.replacen("\"currency\":\"MYR\"", "\"currency\":\"SGD\"", 1);
    if other == body {
        return;
    }
    world.hit(("producer", "another_content"));
    let Ok(request) = Request::from_json(other.as_bytes()) else {
        return;
    };
    match submit(shop, &world.clock, &world.policies, request).await {
        Err(IntakeError::Conflict(_) | IntakeError::Adopted(_) | IntakeError::Store(_)) => {}
        Err(IntakeError::Invalid(error)) if is_too_late(&error) => {}
        answer => world.problem(&format!("another content under the same key: {answer:?}")),
    }
}
