//! What can happen next that no worker does: at the gateway, on the way, in the store, by people.

use super::action::{Action, Command};
use super::gateway::{Gateway, Outcome, Status};
use super::payment::Payment;
use super::store::Record;
use super::turn::Follow;
use super::worker::At;
use super::world::World;
use crate::setup::{People, Setup};

/// All that can happen now without a worker.
pub(crate) fn events(world: &World, setup: &Setup, follow: &mut Follow) {
    at_gateway(world, setup, follow);
    in_store(world, setup, follow);
    if setup.around.people != People::Nobody {
        by_people(world, setup, follow);
    }
    // Within the quiet period whatever was sent has arrived and had its effect, if the period is
    // long enough. A worker that sends late sends after it.
    if !setup.around.quiet_is_enough || !world.gateway.is_busy() {
        let mut next = *world;
        next.quiet_passes(setup);
        if next != *world {
            follow.push((Action::QuietPasses, next));
        }
    }
}

fn at_gateway(world: &World, setup: &Setup, follow: &mut Follow) {
    let around = setup.around;
    for id in Gateway::ids() {
        let purchase = world.gateway.purchase(id);
        let mut add = |action, change: &dyn Fn(&mut World)| {
            let mut next = *world;
            change(&mut next);
            follow.push((action, next));
        };
        if purchase.on_the_way > 0 {
            add(Action::ChargeArrives(id), &|next| {
                next.gateway.purchase_mut(id).charge_arrives(around);
            });
            add(Action::ChargeIsLost(id), &|next| {
                next.gateway.purchase_mut(id).on_the_way -= 1;
            });
        }
        if purchase.at_acquirer > 0 {
            for outcome in [Outcome::Taken, Outcome::Declined] {
                add(Action::ChargeEnds(id, outcome), &|next| {
                    let taken = next.gateway.purchase_mut(id).charge_ends(outcome);
                    next.gateway.taken += u8::from(taken);
                });
            }
        }
        if purchase.cancel_on_the_way {
            add(Action::CancelArrives(id), &|next| {
                let purchase = next.gateway.purchase_mut(id);
                purchase.cancel_on_the_way = false;
                purchase.cancel_arrives(around);
            });
        }
        let recorded = world.payment().purchase == id;
        if around.people == People::Meddle && recorded && purchase.status == Status::Payable {
            add(Action::CancelledOutside(id), &|next| {
                next.gateway.purchase_mut(id).cancel_arrives(around);
            });
        }
    }
}

fn in_store(world: &World, setup: &Setup, follow: &mut Follow) {
    if world.store.is_durable() {
        return;
    }
    // What nobody waits for may as well become durable later.
    let waited_for = world.workers.iter().any(|worker| worker.at == At::Gating);
    if waited_for || world.payment().is_finished() {
        let mut flushed = *world;
        flushed.flush(setup);
        follow.push((Action::Flushed, flushed));
    }
    for record in world.store.older() {
        let mut next = *world;
        next.fail_over_to(*record, setup);
        follow.push((Action::FailedOver, next));
    }
}

/// `command.lua`. Reading and writing are one action, unless what was read can be taken back and
/// its version be given to something else in between.
fn by_people(world: &World, setup: &Setup, follow: &mut Follow) {
    let mut add = |action, next: Option<World>| follow.extend(next.map(|next| (action, next)));
    if setup.around.people == People::Meddle {
        let rerun = commanded(world, setup, Payment::ask_again);
        add(Action::Commanded(Command::Rerun), rerun);
    }
    if !setup.commands_can_be_fooled() {
        let cancel = commanded(world, setup, Payment::cancel);
        return add(Action::Commanded(Command::Cancel), cancel);
    }
    let found = world.store.record;
    let Some((version, read)) = world.desk else {
        let mut next = *world;
        next.desk = Some((found.version, found.payment));
        let useful = found.payment.clone().cancel();
        return add(Action::DeskReads, Some(next).filter(|_| useful));
    };
    let mut next = *world;
    next.desk = None;
    let matches = version == found.version;
    if matches {
        let mut payment = read;
        payment.cancel();
        write_command(&mut next, payment, setup);
    }
    add(Action::DeskWrites(matches), Some(next));
}

fn commanded(
    world: &World,
    setup: &Setup,
    command: impl Fn(&mut Payment) -> bool,
) -> Option<World> {
    let mut payment = *world.payment();
    command(&mut payment).then(|| {
        let mut next = *world;
        write_command(&mut next, payment, setup);
        next
    })
}

pub(crate) fn write_command(next: &mut World, payment: Payment, setup: &Setup) {
    let found = next.store.record;
    let record = Record {
        payment,
        version: found.version + 1,
        ..found
    };
    next.write(record, setup);
    next.answered(setup);
}
