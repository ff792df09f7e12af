//! The fuzzer's way in to `holdfast_fuzz::http`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = holdfast_fuzz::http(bytes);
});
