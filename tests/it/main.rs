//! One binary for all tests on real Redis and real HTTP.

mod api;
mod e2e;
mod gateway;
mod payments;
mod queue;
mod settings;
mod stage;
mod store;
mod tidy;
