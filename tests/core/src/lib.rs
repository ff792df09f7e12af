//! What decides about money, without the rest of the worker: the payments and the reading of the
//! gateway's answers, with the tests that stand beside them.
//!
//! The files are those of `holdfast` itself. `make cargo-mutants` changes them there and compiles
//! this package, which takes seconds where the worker takes a minute.
#![allow(dead_code, reason = "the rest of the worker uses it")]
#![allow(unused_imports, reason = "the rest of the worker uses it")]

#[path = "../../../src/clock.rs"]
pub mod clock;
pub mod gateway;
#[path = "../../../src/payment/mod.rs"]
pub mod payment;
