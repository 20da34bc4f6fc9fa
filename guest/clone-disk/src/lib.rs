//! Contains the parts of `clone-disk` that do not depend on the version of WASI.
//!
//! The program for WASI 0.2 is `main.rs`. The one for WASI 0.3 is the package `clone-disk-p3`.

pub mod args;
pub mod data;
pub mod failure;
mod notes;
pub mod progress;
mod size;
pub mod table;
pub mod tree;
pub mod usage;
pub mod verify;
