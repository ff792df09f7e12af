//! What tests, demo, benchmarks and long runs share.

mod fault;
mod redis;

pub use fault::FaultPoint;
pub use redis::{Redis, RedisOptions};
