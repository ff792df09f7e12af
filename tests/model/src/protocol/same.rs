//! Which moments are the same but for names: workers, purchases, versions. Only one of each is
//! searched.

use std::cmp::Reverse;

use super::gateway::{Gateway, PURCHASES};
use super::payment::{NONE, PurchaseId};
use super::store::{GONE, NOBODY};
use super::world::{WORKERS, World};
use crate::setup::{Fence, Setup};

const ORDERS: [[usize; WORKERS]; 6] = [
    [0, 1, 2],
    [1, 0, 2],
    [0, 2, 1],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];
/// The orders of two workers come first, those of one before them.
const ORDERS_OF: [usize; WORKERS + 1] = [1, 1, 2, 6];

/// The one that stands for all that are the same as `world`.
pub(crate) fn representative(world: &World, setup: &Setup) -> World {
    let mut world = *world;
    forget_purchases(&mut world);
    count_versions_from_the_oldest(&mut world);
    let fence = setup.rules.fence;
    // Where claims are only counted, workers are told apart by who wrote what.
    let workers = match fence {
        Fence::Nonce | Fence::Numbered(_) => setup.bounds.workers,
        Fence::Counter => 1,
    };
    // Workers that differ in more than names stand in the order of that.
    let keys = world.workers.map(|worker| worker.nameless());
    let sorted = |order: &&[usize; WORKERS]| {
        let mut pairs = order[..workers].windows(2);
        pairs.all(|pair| keys[pair[0]] <= keys[pair[1]])
    };
    let orders = ORDERS[..ORDERS_OF[workers]].iter().filter(sorted);
    let renamed = orders.map(|order| name_purchases(&in_order(&world, order, fence)));
    renamed.min().unwrap_or(world)
}

/// A purchase that nobody knows of and that no charge is on its way to.
fn forget_purchases(world: &mut World) {
    let mut reachable = [false; PURCHASES + 1];
    for id in world.known_purchases() {
        reachable[usize::from(id)] = true;
    }
    world.gateway.forget_unless(|id| reachable[usize::from(id)]);
}

/// Only differences count. What is found is compared with the version that was read, or with the
/// one after it; so from the one before the oldest on, all are kept apart.
fn count_versions_from_the_oldest(world: &mut World) {
    let oldest = world.records().map(|record| record.version).min();
    let before = oldest.unwrap_or(1) - 1;
    world.store.change_all(|record| record.version -= before);
    let since = |version: u8| match version.checked_sub(before) {
        Some(since) if version != GONE => since,
        _ => GONE,
    };
    for worker in &mut world.workers {
        if !worker.is_idle() {
            worker.version = since(worker.version);
        }
    }
    if let Some((version, _)) = &mut world.desk {
        *version = since(*version);
    }
}

fn in_order(world: &World, order: &[usize; WORKERS], fence: Fence) -> World {
    if *order == ORDERS[0] {
        return *world;
    }
    let mut sorted = *world;
    sorted.workers = order.map(|w| world.workers[w]);
    if fence != Fence::Nonce {
        return sorted;
    }
    // A nonce is named after the worker that holds it.
    let renamed = |nonce: u8| {
        let new = order.iter().position(|w| nonce_of(*w) == nonce);
        new.map_or(NOBODY, nonce_of)
    };
    for worker in &mut sorted.workers {
        worker.nonce = renamed(worker.nonce);
    }
    sorted.change_marks(renamed);
    sorted
}

/// The mark of the claim of worker `w`. It holds one at a time, and no two hold the same.
pub(crate) fn nonce_of(w: usize) -> u8 {
    u8::try_from(w + 1).unwrap_or(NOBODY)
}

/// Numbers the purchases in the order in which they are known; the others by what they are like.
fn name_purchases(world: &World) -> World {
    let mut names = [NONE; PURCHASES + 1];
    let mut free = 1;
    let mut others: Vec<PurchaseId> = Gateway::ids().collect();
    others.sort_unstable_by_key(|id| Reverse(world.gateway.purchase(*id)));
    for id in world.known_purchases().chain(others) {
        let name = &mut names[usize::from(id)];
        if *name == NONE {
            *name = free;
            free += 1;
        }
    }
    let name = |id: PurchaseId| names[usize::from(id)];
    let mut renamed = *world;
    for id in Gateway::ids() {
        *renamed.gateway.purchase_mut(name(id)) = *world.gateway.purchase(id);
    }
    renamed.change_payments(|payment| payment.purchase = name(payment.purchase));
    for worker in &mut renamed.workers {
        worker.learned.rename(name);
    }
    renamed
}
