//! The part of the client that reads answers.

#[path = "../../../src/gateway/classify.rs"]
mod classify;
#[path = "../../../src/gateway/refusal.rs"]
mod refusal;
#[path = "../../../src/gateway/wire.rs"]
mod wire;

pub use classify::{Reply, answer, look_up};
pub use wire::{Unreadable, read_sighting};
