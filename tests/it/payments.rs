//! Promises of the payments.
