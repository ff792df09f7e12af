//! The fuzzer's way in to `holdfast_fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::command(bytes));
