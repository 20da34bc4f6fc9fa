//! Hosts under attack, in numbers: paths that are exchanged while they are resolved, guests that take
//! all they can get, and what is left of ten thousand calls.
//!
//! The short form is a test. `FAST_COPY_LONG=1` makes it the long one (`tests/storm/long.sh`), which
//! takes some minutes and prints its figures. Nothing else runs in this process meanwhile: it counts
//! its threads, descriptors and memory.

mod crowd;
mod leaks;
mod race;
mod times;

use std::process::ExitCode;

use fast_copy_test_support::suite::{Suite, Test};

use crate::times::times;

const MODULES: &[(&str, &[Test])] = &[
    ("race", race::TESTS),
    ("crowd", crowd::TESTS),
    ("leaks", leaks::TESTS),
];

/// One that clones, and one that copies.
const FILE_SYSTEMS: [&str; 2] = ["xfs", "tmpfs"];

fn main() -> ExitCode {
    let suite = Suite {
        file_systems: &FILE_SYSTEMS,
        size: times(32 << 30, 8 << 30) as u64,
        modules: MODULES,
        needs: None,
        one_at_a_time: true,
    };
    suite.main()
}
