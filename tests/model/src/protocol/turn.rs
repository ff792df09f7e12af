//! What a worker can do next: a turn of `src/worker/`, one action at a time. Between any two it
//! may sleep, crash, or go on when nobody expects it any more.

use super::action::{Act, Action};
use super::look;
use super::payment::{Age, Next, State, Step};
use super::same::nonce_of;
use super::store::{Record, Saved};
use super::testimony;
use super::worker::{At, Learned, Worker};
use super::world::World;
use crate::setup::{Fence, Setup};

/// What can follow: actions, and the moment after each.
pub(crate) type Follow = Vec<(Action, World)>;

/// All that worker `w` can do now.
pub(crate) fn acts(world: &World, w: usize, setup: &Setup, follow: &mut Follow) {
    let mut add = |(act, world): (Act, World)| follow.push((Action::Worker(w, act), world));
    let worker = &world.workers[w];
    match worker.at {
        At::Idle if world.payment().is_finished() => return,
        At::Idle => return claim(world, w, setup).into_iter().for_each(add),
        At::Deciding => {
            decide(world, w, setup).into_iter().for_each(&mut add);
            look::begin(world, w, setup).into_iter().for_each(&mut add);
        }
        At::Looking => look::go_on(world, w, setup).into_iter().for_each(&mut add),
        At::Ending => add(rest(world, w, setup)),
        At::Repeating => add(write_note(*world, w, None, setup)),
        At::Gating => {}
        At::Testifying | At::Swearing => add(testimony::act(world, w, setup)),
        At::Permitted => send(world, w, setup).into_iter().for_each(&mut add),
    }
    if matches!(worker.at, At::Repeating | At::Gating | At::Permitted) {
        let mut next = *world;
        give_up_call(&mut next, w, setup);
        add((Act::GiveUpCall, next));
    }
    let mut next = *world;
    next.workers[w] = Worker::default();
    add((Act::Crash, next));
}

/// `claim.lua`. That nobody's lease holds it back is on purpose: a lease is never what is safe.
fn claim(world: &World, w: usize, setup: &Setup) -> Option<(Act, World)> {
    let mut next = *world;
    let found = world.store.record;
    let record = match setup.rules.fence {
        Fence::Nonce => Record {
            nonce: nonce_of(w),
            ..found
        },
        Fence::Numbered(most) => {
            next.claims += 1;
            Record {
                nonce: Some(next.claims).filter(|claims| *claims <= most)?,
                ..found
            }
        }
        Fence::Counter => Record {
            nonce: found.claims + 1,
            claims: found.claims + 1,
            ..found
        },
    };
    next.write(record, setup);
    next.answered(setup);
    next.workers[w] = Worker {
        at: At::Deciding,
        nonce: record.nonce,
        version: record.version,
        payment: record.payment,
        ..Worker::default()
    };
    Some((Act::Claim, next))
}

/// `Worker::moves`: what comes next, or a rest at any time.
fn decide(world: &World, w: usize, setup: &Setup) -> Vec<(Act, World)> {
    let worker = &world.workers[w];
    let mut all = Vec::new();
    let next = worker.payment.next(setup);
    match next {
        Next::Create => {
            let mut next = *world;
            let id = next.gateway.create();
            next.workers[w].created(id);
            all.push((Act::Create(id), next));
        }
        Next::Send(Step::Charge) if !setup.rules.id_first => {
            all.push(send_unrecorded(world, w, setup));
        }
        Next::Send(step) => {
            let mut next = *world;
            next.workers[w].payment.open(step, worker.signature(setup));
            if worker.from_before {
                let mut next = next;
                give_up_call(&mut next, w, setup);
                all.push((Act::GiveUpCall, next));
            }
            all.push(write_note(next, w, Some(step), setup));
        }
        Next::Fail | Next::Resume | Next::GiveUp => all.push(settle(world, w, next)),
        Next::Look | Next::Nothing => {}
    }
    if worker.learned == Learned::default()
        && worker.payment.state == State::New
        && next != Next::GiveUp
    {
        all.push((Act::ParkAnyway, settle(world, w, Next::GiveUp).1));
    }
    all.push(rest(world, w, setup));
    all
}

fn settle(world: &World, w: usize, what: Next) -> (Act, World) {
    let mut next = *world;
    next.workers[w].payment.settle(what);
    (Act::Settle(what), next)
}

/// `Worker::license`, up to the write's answer.
fn write_note(mut next: World, w: usize, step: Option<Step>, setup: &Setup) -> (Act, World) {
    let saved = next.save(w, true, setup);
    let durable_at_once = !setup.rules.gate || next.failovers_left == 0;
    let version = next.store.record.version;
    match saved {
        Saved::Written => {
            let worker = &mut next.workers[w];
            worker.version = version;
            worker.at = At::Gating;
            if durable_at_once {
                worker.take_permit();
            }
        }
        Saved::Lost => give_up_call(&mut next, w, setup),
        Saved::Outdated => {
            let open = next.workers[w].payment.open;
            reload(&mut next, w, setup);
            if let Some(open) = open {
                next.workers[w].give_up_note(open.number, setup);
            }
        }
    }
    (
        step.map_or(Act::Repeat(saved), |step| Act::Note(step, saved)),
        next,
    )
}

fn give_up_call(next: &mut World, w: usize, setup: &Setup) {
    next.workers[w].give_up_call();
    reload(next, w, setup);
}

fn reload(next: &mut World, w: usize, setup: &Setup) {
    next.answered(setup);
    let Record {
        payment, version, ..
    } = next.store.record;
    next.workers[w].reload(payment, version, setup);
}

/// `Gateway::send`. The answer is not modelled: it tells what a look-up tells, or nothing.
fn send(world: &World, w: usize, setup: &Setup) -> Option<(Act, World)> {
    let worker = &world.workers[w];
    let open = worker.payment.open?;
    if open.age == Age::Quiet && !setup.around.sleepers {
        return None;
    }
    let id = worker.payment.purchase;
    let mut next = *world;
    let purchase = next.gateway.purchase_mut(id);
    match open.step {
        Step::Charge => purchase.on_the_way += 1,
        Step::Cancel => purchase.cancel_on_the_way = true,
    }
    next.workers[w].sent();
    Some((Act::Send(open.step, id), next))
}

fn send_unrecorded(world: &World, w: usize, setup: &Setup) -> (Act, World) {
    let mut next = *world;
    let id = world.workers[w].payment.purchase;
    let opened_by = world.workers[w].signature(setup);
    next.workers[w].payment.open(Step::Charge, opened_by);
    next.gateway.purchase_mut(id).on_the_way += 1;
    (Act::SendUnrecorded(id), next)
}

/// `Worker::rest`.
fn rest(world: &World, w: usize, setup: &Setup) -> (Act, World) {
    let mut next = *world;
    let saved = next.save(w, false, setup);
    match saved {
        Saved::Written => next.workers[w] = Worker::default(),
        Saved::Lost => next.workers[w].end_without_claim(),
        Saved::Outdated => reload(&mut next, w, setup),
    }
    (Act::Rest(saved), next)
}
