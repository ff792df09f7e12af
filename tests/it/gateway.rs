//! Promises of the gateway.
