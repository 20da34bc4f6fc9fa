//! The contract, line by line, on ext4, XFS, btrfs and tmpfs: natively, and through a real
//! component in both linker forms.
//!
//! Needs root (to mount), mkfs for the file systems, and strace (to make system calls fail, to stop
//! a copy at one of them, and to kill it there). Where something is missing the tests are ignored,
//! with the reason; with `CI` set that is a failure.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of extents, some of one"
)]

mod allocation;
mod bounds;
mod cancel;
mod clone_disk;
mod crowded;
mod descriptors;
mod fallback;
mod guest;
mod host_choices;
mod hostile;
mod limits;
mod maps;
mod opening;
mod power_cut;
mod preopens;
mod publishing;
mod quota;
mod same_file;
mod source_changes;
mod staged_names;
mod ways;
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
    ("power_cut", power_cut::TESTS),
    ("source_changes", source_changes::TESTS),
    ("allocation", allocation::TESTS),
    ("maps", maps::TESTS),
    ("fallback", fallback::TESTS),
    ("ways", ways::TESTS),
    ("limits", limits::TESTS),
    ("descriptors", descriptors::TESTS),
    ("bounds", bounds::TESTS),
    ("quota", quota::TESTS),
    ("cancel", cancel::TESTS),
    ("guest", guest::TESTS),
    ("clone_disk", clone_disk::TESTS),
    ("preopens", preopens::TESTS),
    ("host_choices", host_choices::TESTS),
    ("hostile", hostile::TESTS),
    ("without_openat2", without_openat2::TESTS),
    ("workers", workers::TESTS),
    ("crowded", crowded::TESTS),
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
