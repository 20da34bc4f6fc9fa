//! Runs the target `calls` with the inputs of libFuzzer, in a directory on tmpfs.

#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fast_copy_fuzz::calls::run(Path::new("/dev/shm"), data);
});
