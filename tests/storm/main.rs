//! Stress tests of a host: paths that change while they are resolved, many guests beside hostile ones, and
//! the resources that ten thousand calls leave behind.
//!
//! `cargo test` runs the short form. With `FAST_COPY_LONG=1` (`tests/storm/long.sh`) the tests run in the
//! long form, which takes some minutes. Both print their figures. One test runs at a time, since a test
//! counts the threads, the descriptors and the memory of the process.

mod fairness;
mod leaks;
mod race;

use std::process::ExitCode;

use fast_copy_test_support::suite::{Suite, Test};

use fast_copy_test_support::scale::scaled;

const MODULES: &[(&str, &[Test])] = &[
    ("race", race::TESTS),
    ("fairness", fairness::TESTS),
    ("leaks", leaks::TESTS),
];

/// A file system that supports clones, and one that doesn't. An ordinary user tests on a directory instead of the
/// first one.
const FILE_SYSTEMS: [&str; 2] = ["xfs", "tmpfs"];

fn main() -> ExitCode {
    let suite = Suite {
        file_systems: &FILE_SYSTEMS,
        size: scaled(32 << 30, 8 << 30) as u64,
        modules: MODULES,
        needs: None,
        one_at_a_time: true,
    };
    suite.main()
}
