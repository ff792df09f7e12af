//! The rules of the protocol, broken one at a time, and what notices.
//!
//! A mutant is a patch kept as data, in `tests/mutants/rules/*.toml`. Each is put into a copy of
//! the tree, and the layers that may kill it are run there in order, until one does.

mod command;
mod found;
mod killer;
mod mutant;
mod round;
mod tree;

pub use found::Found;
pub use killer::Killer;
pub use mutant::{Edit, Mutant, read_all};
pub use round::{Ended, Round, Verdict};
pub use tree::Tree;
