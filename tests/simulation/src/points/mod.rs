//! Crash points: a few small flows without any luck in them, and every I/O of them struck in every
//! manner there is, one at a time and two at a time. What is struck is counted, so that a call
//! that nobody struck is found out.
//!
//! | file | what |
//! |---|---|
//! | `io` | the calls there are, and the manners in which each can be struck |
//! | `fault` | one I/O of a run and what happens to it, as text and back |
//! | `watch` | counts the I/Os of a run, and lets those of the plan go wrong |
//! | `second` | the same payment in the hands of two workers at a time |
//! | `flow`, `script` | the flows, and what happens in each by itself |
//! | `people`, `staff` | who asks, pays, commands; the worker and whoever comes after it |
//! | `case` | one run of one flow |
//! | `end` | what a run came to, and whether it may differ from the undisturbed one |
//! | `every` | all single points, all pairs |

mod case;
mod end;
mod every;
mod fault;
mod flow;
mod io;
mod people;
mod script;
mod second;
mod staff;
mod watch;

pub use case::{Case, Told};
pub use end::{End, Verdict};
pub use every::{Depth, Sum, every};
pub use fault::{Fault, Point, Role};
pub use flow::{Flow, Setup};
pub use io::{Io, Manner};
pub use second::Twice;

pub(crate) use second::{claimed, licensed};
pub(crate) use watch::{Watch, after, is_deaf, meet};
