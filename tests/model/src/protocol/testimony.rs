//! What a worker still says that lost its claim: that a call was noted and never made
//! (`Worker::testify` in `src/worker/writes.rs`). It is written beside the claim, as a command is.

use super::action::{Act, Said};
use super::surroundings::write_command;
use super::worker::{At, Worker};
use super::world::World;
use crate::setup::Setup;

/// What worker `w` does about it next.
pub(crate) fn act(world: &World, w: usize, setup: &Setup) -> (Act, World) {
    let mut next = *world;
    let found = world.store.record;
    let worker = world.workers[w];
    let reads = worker.at == At::Testifying;
    let testimony = if reads {
        next.answered(setup);
        worker.testimony(found.payment, setup)
    } else {
        Some(worker.payment)
    };
    let Some(payment) = testimony else {
        next.workers[w] = Worker::default();
        return (Act::Testify(Said::Nothing), next);
    };
    if reads && setup.commands_can_be_fooled() {
        next.workers[w] = Worker {
            at: At::Swearing,
            payment,
            version: found.version,
            ..worker
        };
        return (Act::Testify(Said::NotYet), next);
    }
    if !reads && worker.version != found.version {
        next.workers[w].at = At::Testifying;
        return (Act::Testify(Said::Outdated), next);
    }
    write_command(&mut next, payment, setup);
    next.workers[w] = Worker::default();
    (Act::Testify(Said::Written), next)
}
