//! The built worker binary, from outside: real processes, a real Redis, real HTTP; the sandbox's
//! ledger is the judge. These tests run one at a time (`.config/nextest.toml`).

mod crowd;
mod random_kills;
mod redis_trouble;
mod refusals;
mod stage;
mod stop;
mod takeover;
