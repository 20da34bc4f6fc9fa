//! Tests the host crate's synchronisation under many orders of its steps.
//!
//! This crate compiles the host's modules, from their own files, against primitives that let
//! [shuttle](https://docs.rs/shuttle) decide which thread goes on after each step. So `std`, `tokio` and
//! `fast_copy_engine` are names of this crate itself: `std::sync::Mutex` in `src/threads.rs` is
//! [`sync::Mutex`]. The host crate has no line for these tests.
//!
//! - All threads of a model run on one thread of the system, one at a time. Another one can go on before each
//!   operation of a primitive, and nowhere else ([`step`]).
//! - `tokio::sync` is tokio's own code. Each of its operations is one step: tokio tests its insides in the same
//!   way, with loom.
//! - The clock stands still until a model advances it ([`time::advance`]), which can be at any step.
//! - All operations have one order (sequential consistency). `src/bin/control` tests weaker orders, with
//!   loom, for the only atomics whose order matters: those of the engine's `CopyControl`.
//!
//! [`models`] has the tests, [`explore`] runs them.

// `cargo clippy --all-targets` also compiles this as a test, where the host's unit tests would be a part of it.
#![cfg(not(test))]

extern crate self as fast_copy_engine;
extern crate self as std;
extern crate self as tokio;
extern crate std as system;

pub use system::{any, array, env, fmt, fs, future, io, panic, pin};

pub mod explore;
#[path = "../../support/src/figures.rs"]
mod figures;
pub mod models;
pub mod runtime;
#[path = "../../support/src/scale.rs"]
mod scale;
pub mod sync;
pub mod task;
pub mod thread;
pub mod time;

// What the modules below use of the host's other modules.
mod call;
mod ctx;
mod error;

macro_rules! host {
    ($($name:ident = $path:literal;)*) => {
        $(
            #[allow(dead_code, reason = "the models don't use all of it")]
            #[allow(clippy::useless_conversion, reason = "there is one type of instants here")]
            #[path = $path]
            mod $name;
        )*
    };
}

host! {
    admission = "../../../src/admission.rs";
    control = "../../../engine/src/control.rs";
    dispatch = "../../../src/dispatch.rs";
    job = "../../../src/job.rs";
    progress = "../../../src/progress.rs";
    threads = "../../../src/threads.rs";
    wait = "../../../src/wait.rs";
    watched = "../../../src/watched.rs";
}

pub use control::CopyControl;
pub use thread::thread_builder;

/// What a copy in a model returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyReport;

/// Lets another thread of the model go on, if the schedule says so.
fn step() {
    if !system::thread::panicking() {
        shuttle::thread::sleep(time::Duration::ZERO);
    }
}
