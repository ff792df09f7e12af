//! Promises of the store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod broken_redis;
mod cards;
mod faces;
mod in_memory;
pub(crate) mod on_redis;
mod promises;
mod scripts;
mod torn;
mod world;
