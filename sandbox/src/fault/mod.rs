//! Faults by rule: when a rule matches a call, its effect is applied to it.

mod effect;
mod rule;
mod rules;

pub use effect::{Answer, Commit, Difference, Effect, ErrorBody, Pending};
pub(crate) use rule::Facts;
pub use rule::Rule;
pub(crate) use rules::{Chosen, Rules};
