//! The same, from a terminal.

pub mod worker;
