//! Who acts: workers that come and go, producers, payers, an operator, people who settle what is
//! parked, and the store's own fate.

pub(crate) mod operator;
pub(crate) mod payers;
pub(crate) mod producers;
pub(crate) mod replicas;
pub(crate) mod settlers;
pub(crate) mod workers;
