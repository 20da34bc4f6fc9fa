//! What the tests and benchmarks work with: real file systems, children that copy under strace, and
//! guests.

pub mod child;
pub mod command;
pub mod files;
pub mod filesystems;
pub mod function;
pub mod guest_host;
pub mod namespace;
pub mod outcome;
pub mod prepared;
pub mod process_group;
pub mod program;
pub mod proofs;
pub mod state;
pub mod suite;
pub mod traced;
pub mod waiting;
pub mod ways;
