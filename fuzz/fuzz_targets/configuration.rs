//! The fuzzer's way in to `holdfast_fuzz::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::configuration(bytes));
