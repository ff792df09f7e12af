//! The fuzzer's way in to `holdfast_fuzz::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::answer(bytes));
