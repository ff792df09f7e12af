//! What the gateway tells by itself: lost, doubled, late, out of order, refused. It is read as the
//! product reads it, and a nudge is all that comes of it.

use std::sync::Arc;

use chip_sandbox::{Delivery, Engine};
use holdfast::api::intake;
use holdfast::gateway::Notice;
use holdfast::payment::{AccountName, PaymentId};
use tokio::time::{Duration, Instant, sleep_until};

use crate::oracle;
use crate::points;
use crate::process::Process;
use crate::store::SimulatedStore;
use crate::world::{World, rest};

/// How often the gateway looks at its timers when there are none.
const LOOK_EVERY_MS: i64 = 600_000;

/// Sends what the gateway wants to tell, and looks at what it moved.
pub(crate) fn pump(world: &Arc<World>) {
    pump_quietly(world);
    world.gateway_moved.notify_one();
}

fn pump_quietly(world: &Arc<World>) {
    for delivery in world.engine(Engine::tick) {
        world.sent_off();
        tokio::spawn(deliver(Arc::clone(world), delivery));
    }
    oracle::check_movements(world);
}

/// Lets the gateway do what falls due.
pub(crate) async fn keep_time(world: Arc<World>) {
    loop {
        let wake_ms = world.engine(|engine, _| engine.next_wake_ms());
        let now_ms = world.now_ms();
        let wait_ms = wake_ms.map_or(LOOK_EVERY_MS, |wake| wake.max(now_ms + 1) - now_ms);
        let wait_ms = wait_ms.min(LOOK_EVERY_MS).unsigned_abs();
        let wake = Instant::now() + Duration::from_millis(wait_ms);
        tokio::select! {
            biased;
            () = world.gateway_moved.notified() => {}
            () = sleep_until(wake) => pump_quietly(&world),
        }
    }
}

async fn deliver(world: Arc<World>, delivery: Delivery) {
    if points::is_deaf(&world) {
        world.engine(|engine, now_ms| engine.delivered(now_ms, delivery.id, true));
        return world.arrived();
    }
    let about = about(&delivery);
    let known = about.iter().find_map(|id| world.known(id));
    let (mut dice, id) = world.next_dice("webhook", known.unwrap_or(0));
    rest(dice.between(20, 400)).await;
    let struck = dice.in_1000(world.plan.faults_in_1000) && world.may_strike(id);
    let fault = struck.then(|| *dice.pick(&["lost", "duplicated", "late", "refused"]));
    if let Some(fault) = fault {
        world.struck(id, ("webhook", fault));
    }
    let process = Arc::new(Process::new("hook".to_owned(), 900));
    let shop = SimulatedStore::of(&world, &process);
    let accepted = match fault {
        Some("lost") => true,
        Some("refused") => false,
        Some("late") => {
            // The gateway waits for 10 s, and tells it again.
            rest(10_000).await;
            world.engine(|engine, now_ms| engine.delivered(now_ms, delivery.id, false));
            rest(dice.between(1, 300_000)).await;
            nudge(&world, &shop, delivery.event, &about).await;
            world.arrived();
            return;
        }
        Some(_) => {
            nudge(&world, &shop, delivery.event, &about).await
                && nudge(&world, &shop, delivery.event, &about).await
        }
        None => {
            let heard = process.outlived(nudge(&world, &shop, delivery.event, &about));
            heard.await.unwrap_or(false)
        }
    };
    world.engine(|engine, now_ms| engine.delivered(now_ms, delivery.id, accepted));
    world.arrived();
    pump(&world);
}

/// The payments that a delivery may be about, read as the product reads it.
fn about(delivery: &Delivery) -> Vec<PaymentId> {
    let name = delivery.url.rsplit('/').next().unwrap_or_default();
    let account = AccountName::new(name).ok();
    let notice = Notice::read(delivery.body.as_bytes());
    account.map_or_else(Vec::new, |account| notice.payments(&account))
}

async fn nudge(world: &World, shop: &SimulatedStore, event: &str, about: &[PaymentId]) -> bool {
    match intake::nudge(shop, about.to_vec()).await {
        Ok(Some((payment, nudged))) => {
            let number = world.number(&payment);
            world.note("hook", format_args!("p{number:02} {event}: {nudged:?}"));
            true
        }
        Ok(None) => true,
        Err(_) => false,
    }
}
