//! Promises of the store.

mod broken_redis;
mod on_redis;
mod promises;
mod scripts;
mod world;
