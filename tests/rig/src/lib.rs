//! What tests, demo, benchmarks and long runs share.
