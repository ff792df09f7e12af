//! What the process tells of itself: lines that are read, and figures that are drawn.
//!
//! | file | what |
//! |---|---|
//! | `logs` | what happened to which payment, never who paid or with what |
//! | `metrics` | how much, how long, how late: for Prometheus |

mod logs;
pub mod metrics;

pub use logs::{TelemetryError, check_filter, init, subscriber};
pub use metrics::Metrics;
