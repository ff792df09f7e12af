//! What the sandbox promises, in process and over HTTP.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod checkout;
mod events;
mod faults;
mod gate;
mod holds;
mod http;
mod ledger;
mod open_questions;
mod purchases;
mod samples;
mod statements;
mod strict;
mod wire;
