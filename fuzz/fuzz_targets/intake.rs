//! The fuzzer's way in to `holdfast_fuzz::intake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::intake(bytes));
