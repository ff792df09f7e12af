//! Promises of the api.
