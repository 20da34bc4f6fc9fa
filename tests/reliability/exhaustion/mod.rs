//! Copies while a resource runs out, at random levels of what is left of it: from too little to enough.
//!
//! Each copy succeeds and is identical to its source, or fails and has changed nothing. After each, what it has
//! held is free again: blocks, the quota, descriptors, the slot. With the resource there again, the next copy
//! succeeds at once.
//!
//! Copies are made by the engine, and by calls of a guest: synchronous, asynchronous and in jobs.

mod attempt;
mod limits;
mod room;

use std::collections::BTreeMap;

use fast_copy_test_support::figures;
use fast_copy_test_support::scale::scaled;

pub use limits::{FLAG, main};

fast_copy_test_support::tests![
    a_lack_of_blocks_is_an_error where Small,
    a_full_quota_of_the_file_system_is_an_error where Small and BtrfsFlags,
    a_file_above_the_limit_of_the_file_system_is_an_error where SizeLimit and Root,
    a_lack_of_descriptors_is_an_error where Holes and Root,
    a_file_above_the_limit_of_the_process_is_an_error where Holes and Root,
    a_lack_of_address_space_is_an_error where Holes and Root,
    a_lack_of_threads_is_an_error where Holes and Root,
];

use limits::{
    a_file_above_the_limit_of_the_process_is_an_error, a_lack_of_address_space_is_an_error,
    a_lack_of_descriptors_is_an_error, a_lack_of_threads_is_an_error,
};
use room::{
    a_file_above_the_limit_of_the_file_system_is_an_error,
    a_full_quota_of_the_file_system_is_an_error, a_lack_of_blocks_is_an_error,
};

/// What was found about one resource on one file system.
#[derive(Default)]
struct Tally {
    runs: u64,
    ok: u64,
    unchanged: u64,
    /// The errors, and how often each occurred.
    errors: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Tally {
    /// Counts a run: it has succeeded, or failed with an error and changed nothing, or violates the invariant.
    fn count(&mut self, verdict: Result<Option<String>, String>) {
        self.runs += 1;
        match verdict {
            Ok(None) => self.ok += 1,
            Ok(Some(error)) => {
                self.unchanged += 1;
                *self.errors.entry(error).or_default() += 1;
            }
            Err(violation) => self.violations.push(violation),
        }
    }

    fn has_violation(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Records the figures, then asserts that there was no violation, and that the levels were low enough for
    /// errors and high enough for copies.
    #[track_caller]
    fn conclude(self, resource: &str, fs: &str, seed: u64) {
        let violations = self.violations.len() as u64;
        figures::record(
            "exhaustion",
            &format!("{resource}, {fs}"),
            &[
                ("runs", self.runs),
                ("ok", self.ok),
                ("error and unchanged", self.unchanged),
                ("violations", violations),
            ],
        );
        println!(
            "exhaustion: {resource}, {fs}, {SEED}={seed}: {:?}",
            self.errors
        );
        let first = self.violations.first();
        assert!(
            first.is_none(),
            "{violations} violations with {SEED}={seed}; the first: {}",
            first.map_or("", |text| text)
        );
        let is_between = self.ok > 0 && self.unchanged > 0;
        assert!(
            is_between,
            "the levels were too low, or too high: {SEED}={seed}"
        );
    }
}

/// The environment variable with a seed, to make the same runs again.
const SEED: &str = "FAST_COPY_SEED";

/// Returns the seed: the given one, or a random one in the long form.
fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(given) => given.parse().expect("a number as seed"),
        Err(_) => scaled(fastrand::usize(..), 1) as u64,
    }
}
