//! Runs the target `fiemap` with the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fast_copy_fuzz::fiemap::run(data));
