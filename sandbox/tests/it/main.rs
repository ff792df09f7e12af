//! What the sandbox promises, in process and over HTTP.
#![allow(clippy::unwrap_used)]

mod checkout;
mod events;
mod faults;
mod gate;
mod holds;
mod http;
mod purchases;
mod samples;
mod wire;
