//! A guest does random operations on files, among them copies of every kind, and each result is compared with a
//! model in memory.
//!
//! A round is a list of operations in an empty directory, with a guest of its own. A seed makes the same list
//! again. After a failure, the list is shortened as long as it still fails, and printed.
//!
//! [`REPLAY`] repeats one round:
//!
//! ```console
//! FAST_COPY_MODEL=SEED cargo test --test reliability -- ext4::model::p3_form
//! FAST_COPY_MODEL=FILE cargo test --test reliability -- ext4::model::p3_form    # a line for each operation
//! ```

mod blocks;
mod channel;
mod copies;
mod driver;
mod generate;
mod host;
mod inspect;
#[path = "../../../guest/model/src/operation.rs"]
mod operation;
#[path = "../../../guest/model/src/pattern.rs"]
pub mod pattern;
mod predict;
pub mod random;
mod round;
mod shrink;
mod state;
mod verify;

use std::fmt::Write as _;
use std::fs;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::figures;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::scale::scaled;
use fast_copy_test_support::tests;

use driver::{Counts, Failure};
use operation::Operation;

tests! {
    async_form where Allocation and Times and HardLinks and SymbolicLinks and Preallocation and SpecialFiles and Root,
    sync_form where Allocation and Times and HardLinks and SymbolicLinks and Preallocation and SpecialFiles and Root,
    p3_form where Allocation and Times and HardLinks and SymbolicLinks and Preallocation and SpecialFiles and Root,
}

/// The environment variable with the seed of a round, or the name of a file with operations. Only that round runs.
const REPLAY: &str = "FAST_COPY_MODEL";

/// How many operations a round has.
const ROUND: usize = 1000;

fn async_form(fs: &FileSystem) {
    run(fs, Form::Async, "async");
}

fn sync_form(fs: &FileSystem) {
    run(fs, Form::Sync, "sync");
}

fn p3_form(fs: &FileSystem) {
    run(fs, Form::P3, "WASI 0.3");
}

fn run(fs: &FileSystem, form: Form, name: &str) {
    let rounds = match std::env::var(REPLAY) {
        Ok(replay) => vec![Round::replay(&replay)],
        // The seeds differ between the forms, and are the same on all file systems.
        Err(_) => (0..scaled(834, 1) as u64)
            .map(|number| Round::Seed(1000 * form as u64 + number))
            .collect(),
    };
    let mut all = Counts::default();
    let mut failure = None;
    for round in rounds {
        let operations = round.operations();
        let (counts, failed) = round::run(fs, form, operations.clone());
        all.add(counts);
        if let Some(failed) = failed {
            failure = Some(describe(fs, form, &round, operations, &failed));
            break;
        }
    }
    figures::record(
        "model",
        &format!("{}, {name}", fs.name),
        &[
            ("operations", all.operations),
            ("copies", all.copies),
            ("clones", all.clones),
            ("jobs", all.jobs),
            ("cancelled", all.cancelled),
            ("errors predicted", all.errors),
            ("violations", u64::from(failure.is_some())),
        ],
    );
    if let Some(failure) = failure {
        panic!("{failure}");
    }
}

/// Where the operations of a round come from.
#[derive(Debug)]
enum Round {
    Seed(u64),
    Listed(Vec<Operation>),
}

impl Round {
    fn replay(text: &str) -> Self {
        match text.parse() {
            Ok(seed) => Self::Seed(seed),
            Err(_) => {
                let lines =
                    fs::read_to_string(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                Self::Listed(lines.lines().map(Operation::parse).collect())
            }
        }
    }

    fn operations(&self) -> Vec<Operation> {
        match self {
            Self::Seed(seed) => generate::operations(*seed, ROUND),
            Self::Listed(operations) => operations.clone(),
        }
    }
}

/// Shortens the list of operations that fails, and describes the failure.
fn describe(
    fs: &FileSystem,
    form: Form,
    round: &Round,
    mut operations: Vec<Operation>,
    failure: &Failure,
) -> String {
    operations.truncate(failure.begun);
    let short = shrink::shrink(operations, |list| {
        round::run(fs, form, list.to_vec()).1.is_some()
    });
    let (_, again) = round::run(fs, form, short.clone());
    let mut text = format!(
        "{round:?}: operation {}: {}: {}\n",
        failure.begun, failure.operation, failure.reason
    );
    match again {
        Some(again) => {
            _ = writeln!(
                text,
                "These operations fail: {}: {}",
                again.operation, again.reason
            )
        }
        None => text.push_str("These operations do not fail each time:\n"),
    }
    for operation in short {
        let _ = writeln!(text, "{operation}");
    }
    text
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.operations += other.operations;
        self.copies += other.copies;
        self.clones += other.clones;
        self.jobs += other.jobs;
        self.cancelled += other.cancelled;
        self.errors += other.errors;
    }
}
