//! The audit log: reading it, and finding out whether anybody changed it.
//!
//! | file | what |
//! |---|---|
//! | `chain` | whether an entry follows from the one before. Pure |
//! | `finding` | what can be wrong, and in which words |
//! | `head` | ends of chains, as they are noted elsewhere |
//! | `verify` | going through all streams, and through the records if that is wanted |
//! | `find` | entries of a payment, or of somebody |

mod chain;
mod find;
mod finding;
mod head;
mod verify;

pub use chain::Chain;
pub use find::{Found, Wanted, find};
pub use finding::{Finding, What};
pub use head::{InvalidHeads, read_heads, shown_head, tell_heads};
pub use verify::{Questions, StreamReport, Verified, verify};
