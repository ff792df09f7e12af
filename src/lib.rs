//! Holdfast: deferred capture and saved-card charges on the CHIP Collect gateway.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod gateway;
pub mod operate;
pub mod payment;
pub mod queue;
pub mod store;
pub mod telemetry;
pub mod worker;

#[cfg(feature = "client")]
pub use api::client;
