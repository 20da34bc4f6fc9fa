//! Compiles the examples in the documentation of `fast_copy::p3`. `cargo test` does not: they are for WASI only.

#![cfg(target_os = "wasi")]

#[path = "../../fast-copy/src/p3/examples/command.rs"]
pub mod command;
#[path = "../../fast-copy/src/p3/examples/options.rs"]
pub mod options;
#[path = "../../fast-copy/src/p3/examples/progress.rs"]
pub mod progress;
#[path = "../../fast-copy/src/p3/examples/ranges.rs"]
pub mod ranges;
