//! What tests, demo, benchmarks and long runs share.

mod asked;
pub mod bench;
mod books;
pub mod chaos;
pub mod demo;
pub mod desk;
mod fault;
mod fleet;
pub mod reconcile;
mod redis;
pub mod reliability;
mod report;
mod rest;
mod works;

pub use asked::{House, otherwise};
pub use books::{Line, Movements, compare, found, strays};
pub use fault::FaultPoint;
pub use fleet::{WorkerCommand, WorkerProcess, holdfast_binary, program_beside};
pub use redis::{Redis, RedisOptions};
pub use report::{Before, Report, commit};
pub use rest::unrest;
pub use works::{PARKS, Pace, RESENDS, Works};
