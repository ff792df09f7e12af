//! The fuzzer's way in to `holdfast_fuzz::webhook`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::webhook(bytes));
