//! One binary for all tests on real Redis and real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod api;
mod cli;
mod gateway;
mod payments;
mod queue;
mod settings;
mod stage;
mod store;
mod tidy;
