//! The built worker binary, from outside: real processes, a real Redis, real HTTP; the sandbox's
//! ledger is the judge. These tests run one at a time (`.config/nextest.toml`).

#![allow(
    clippy::unwrap_used,
    reason = "what these tests share is test code as well"
)]

mod chaos;
mod crowd;
mod demo;
mod gate;
mod heard;
mod oracle;
mod proxies;
mod pushed;

mod redis_trouble;
mod refusals;
mod scraped;
mod secrets;
mod service;
mod stage;
mod stop;
mod takeover;
mod told;
