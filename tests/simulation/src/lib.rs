//! Deterministic simulation: the real payments, worker, queue and store in memory, against the
//! sandbox's gateway in the same process, in virtual time. One seed decides everything, so
//! whatever is found is found again.
//!
//! | file | what |
//! |---|---|
//! | `plan`, `dice` | what a seed decides; every decision has a name of its own |
//! | `world` | the time, the store, the gateway, the score |
//! | `process` | who lives, is paused, is killed |
//! | `gateway`, `network` | calls on their way, and what becomes of them |
//! | `store`, `cards`, `durable` | the store behind a network, with writes that become durable later |
//! | `webhooks` | what the gateway tells by itself |
//! | `actors/` | workers, producers, payers, people, the store's own fate |
//! | `halts` | what people stop, and who has seen it |
//! | `sends` | what may leave for the gateway, whatever comes of it |
//! | `oracle` | what must be true, whenever something moves and at the end |
//! | `run`, `many`, `shrink` | one seed, many seeds, as little as fails still |
//! | `points/` | fixed flows, and every I/O of them struck in every manner |
//! | `trace`, `cells`, `figures` | what happened, and how often what went wrong where |

mod actors;
mod asks;
mod cards;
mod cells;
mod dice;
mod durable;
mod figures;
mod gateway;
mod halts;
mod many;
mod network;
mod oracle;
mod plan;
pub mod points;
mod policy;
mod process;
mod run;
mod sends;
mod shrink;
mod store;
mod trace;
mod webhooks;
mod world;

pub use cells::{Cell, Cells};
pub use figures::{figures, together};
pub use many::{Summary, many};
pub use plan::{Charges, Durability, FaultId, Plan};
pub use run::{Outcome, run};
pub use shrink::{Failing, shrink};
pub use trace::Keep;
