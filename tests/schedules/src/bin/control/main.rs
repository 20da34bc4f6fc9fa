//! Tests the engine's `CopyControl` in all executions that Rust's memory model allows, with
//! [loom](https://docs.rs/loom).
//!
//! `std` is a name of this program itself: the engine's own file is compiled against loom's atomics. All threads
//! of a model may read old values where the orders of the atomics allow it.
//!
//! A failure names its model. To see the steps of the execution that fails, run the program with `LOOM_LOG=trace`
//! and `LOOM_LOCATION=1`.

// `cargo clippy --all-targets` also compiles this as a test, where the host's unit tests would be a part of it.
#![cfg(not(test))]

extern crate self as std;
extern crate std as system;

pub use system::{env, fmt, fs, io};

#[allow(dead_code, reason = "the models don't use all of it")]
#[path = "../../../../../engine/src/control.rs"]
mod control;
#[path = "../../../../support/src/figures.rs"]
mod figures;
mod models;
mod sync;

use system::panic::catch_unwind;
use system::process::ExitCode;
use system::sync::Arc;
use system::sync::atomic::{AtomicU64, Ordering};

use loom::model::Builder;

const MODELS: &[(&str, fn())] = &[
    (
        "control: cancel or publish (loom)",
        models::cancel_or_publish,
    ),
    (
        "control: cancel a copy that is made again (loom)",
        models::cancel_again,
    ),
    (
        "control: cancel a copy that fails (loom)",
        models::cancel_a_failure,
    ),
    ("control: use a handle twice (loom)", models::use_twice),
];

fn main() -> ExitCode {
    let mut violations = 0;
    for (name, model) in MODELS {
        violations += explore(name, *model);
    }
    match violations {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs a model in all executions, up to the first that fails. Returns the number of violations.
fn explore(name: &str, model: fn()) -> u64 {
    let executions = Arc::new(AtomicU64::new(0));
    let counted = executions.clone();
    let result = catch_unwind(move || {
        Builder::new().check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
    });
    let violations = u64::from(result.is_err());
    let figures = [
        ("schedules", executions.load(Ordering::Relaxed)),
        ("violations", violations),
    ];
    figures::record("schedules", name, &figures);
    violations
}
