//! The contract (CONTRACT.md), line by line, on ext4, XFS, btrfs and tmpfs: natively, and through components
//! of WASI 0.2, in both linker forms, and of WASI 0.3.
//!
//! Needs root to mount file systems, mkfs to make them, and strace to make system calls fail and to
//! stop or kill copies at them. An ordinary user runs most of it on a directory in `TMPDIR` and on tmpfs
//! (`fast_copy_test_support::suite`). Tests that lack something are ignored with the reason; if `CI` is set, the
//! program fails then.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of extents, some of which have one"
)]

mod allocation;
mod bounds;
mod cancel;
mod clone_disk;
mod contention;
mod descriptors;
mod errors;
mod fallback;
mod guest;
mod host_policy;
mod hostile;
mod limits;
mod obstacles;
mod opening;
mod power_cut;
mod preopens;
mod publishing;
mod quota;
mod ranges;
mod same_file;
mod second_names;
mod seek_answers;
mod sizes;
mod source_changes;
mod staged_names;
mod strategies;
mod times;
mod wasi_0_3;
mod without_openat2;
mod workers;

use std::process::ExitCode;

use fast_copy_test_support::filesystems::NAMES;
use fast_copy_test_support::suite::{Suite, Test};

const MODULES: &[(&str, &[Test])] = &[
    ("opening", opening::TESTS),
    ("same_file", same_file::TESTS),
    ("publishing", publishing::TESTS),
    ("staged_names", staged_names::TESTS),
    ("second_names", second_names::TESTS),
    ("obstacles", obstacles::TESTS),
    ("power_cut", power_cut::TESTS),
    ("source_changes", source_changes::TESTS),
    ("allocation", allocation::TESTS),
    ("seek_answers", seek_answers::TESTS),
    ("fallback", fallback::TESTS),
    ("strategies", strategies::TESTS),
    ("limits", limits::TESTS),
    ("descriptors", descriptors::TESTS),
    ("bounds", bounds::TESTS),
    ("quota", quota::TESTS),
    ("sizes", sizes::TESTS),
    ("times", times::TESTS),
    ("ranges", ranges::TESTS),
    ("cancel", cancel::TESTS),
    ("guest", guest::TESTS),
    ("errors", errors::TESTS),
    ("clone_disk", clone_disk::TESTS),
    ("preopens", preopens::TESTS),
    ("host_policy", host_policy::TESTS),
    ("hostile", hostile::TESTS),
    ("wasi_0_3", wasi_0_3::TESTS),
    ("without_openat2", without_openat2::TESTS),
    ("workers", workers::TESTS),
    ("contention", contention::TESTS),
];

fn main() -> ExitCode {
    let suite = Suite {
        file_systems: &NAMES,
        size: 3 << 30,
        modules: MODULES,
        needs: Some(("strace", "-V")),
        one_at_a_time: false,
    };
    suite.main()
}
