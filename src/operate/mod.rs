//! What operators ask and do, whichever door they come through: terminal, HTTP or dashboard.
//!
//! Nothing here reads arguments or writes pages, and nothing here may move money: what is to be done
//! about a payment is written into its record, and a worker's turn carries it out.

pub mod audit;
