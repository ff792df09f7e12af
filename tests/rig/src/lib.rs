//! What tests, demo, benchmarks and long runs share.

mod books;
mod fault;
mod fleet;
mod redis;
mod rest;
pub mod demo;
pub mod torture;
mod works;

pub use books::{Line, Movements, compare};
pub use fault::FaultPoint;
pub use fleet::{WorkerCommand, WorkerProcess, holdfast_binary};
pub use redis::{Redis, RedisOptions};
pub use rest::unrest;
pub use works::{PARKS, Pace, RESENDS, Works};
