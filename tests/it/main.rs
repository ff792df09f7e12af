//! One binary for all tests on real Redis and real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the report"
)]

mod api;
mod cli;
mod desk;
mod doctor;
mod e2e;
mod gateway;
mod intake;
mod metrics;
mod never_sent;
mod outbox;
mod pages;
mod payments;
mod plans;
mod probe;
mod queue;
mod reconcile;
mod schema;
mod service;
mod settings;
mod stage;
mod store;
mod switches;
mod tidy;
mod webhooks;
