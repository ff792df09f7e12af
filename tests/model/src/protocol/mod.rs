//! The protocol: one payment, some workers, a store that fails over, a gateway that is asked late
//! and answers late.
//!
//! | file | what | in the worker |
//! |---|---|---|
//! | `payment`, `saw` | the record, what comes next, what a sighting changes | `payment/`: `next`, `change`, `learn`, `obey`, `saw`, `saw_call`, `saw_unpaid`, `reading` |
//! | `store` | comparing, swapping, failing over | `store/redis/scripts/`: `claim`, `save`, `command` |
//! | `worker`, `turn`, `look`, `testimony` | one turn, action by action | `worker/`, `store/claim.rs` |
//! | `gateway`, `sighting` | purchases, requests under way, the ledger | the sandbox, `gateway/` |
//! | `surroundings` | everything that no worker does | |
//! | `world` | one moment, and what must be true of it | |
//! | `same` | which moments differ only in names | |
//! | `action`, `show` | what happens, in words | |

mod action;
mod gateway;
mod look;
mod payment;
mod same;
mod saw;
mod show;
mod sighting;
mod store;
mod surroundings;
mod testimony;
mod turn;
mod worker;
mod world;

#[cfg(test)]
mod tests;

use crate::search::Model;
use crate::setup::{Fence, People, Setup};
pub(crate) use payment::{Age, NONE, Next, Payment, State, Step};
pub(crate) use sighting::{Advice, Shows, Sighting};

use action::Action;
use world::World;

/// `Paid` was reported.
pub(crate) const PAID: u8 = 1 << 0;
/// `Failed` was reported.
pub(crate) const FAILED: u8 = 1 << 1;
/// Parked because a charge was never explained.
pub(crate) const IN_DOUBT: u8 = 1 << 2;
/// Finished, or a person decides.
const AT_REST: u8 = 1 << 3;
/// Finished.
const FINISHED: u8 = 1 << 4;

const NO_REST: &str = "it can never come to rest again, not even without faults";
const NO_END: &str = "it can never be finished again, not even by a person";

/// The protocol in one setup, to be searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol(pub(crate) Setup);

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn start(&self) -> World {
        World::start(&self.0)
    }

    fn follow(&self, world: &World, follow: &mut Vec<(Action, World)>) {
        for w in 0..self.0.bounds.workers {
            turn::acts(world, w, &self.0, follow);
        }
        surroundings::events(world, &self.0, follow);
        for (_, next) in follow {
            next.forget(&self.0);
        }
    }

    fn representative(&self, world: &World) -> World {
        same::representative(world, &self.0)
    }

    fn violation(&self, world: &World) -> Option<&'static str> {
        world.violation()
    }

    fn marks(&self, world: &World) -> u8 {
        let marks = [
            (PAID, world.reported.paid),
            (FAILED, world.reported.failed),
            (IN_DOUBT, world.is_parked_in_doubt()),
            (AT_REST, world.payment().state != State::New),
            (FINISHED, world.payment().is_finished()),
        ];
        let set = marks.into_iter().filter(|(_, is)| *is);
        set.map(|(bit, _)| bit).sum()
    }

    fn goals(&self) -> Vec<(u8, &'static str)> {
        let mut goals = vec![(AT_REST, NO_REST), (FINISHED, NO_END)];
        if self.0.around.people == People::Nobody {
            goals.pop();
        }
        if matches!(self.0.rules.fence, Fence::Numbered(_)) {
            goals.clear();
        }
        goals
    }

    fn is_progress(&self, action: &Action) -> bool {
        !action.is_fault()
    }
}
