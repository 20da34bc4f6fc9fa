//! Support for the tests and benchmarks: real file systems, copies in child processes under strace,
//! and guest components.

pub mod account;
pub mod child;
pub mod command;
pub mod features;
pub mod figures;
pub mod files;
pub mod filesystems;
pub mod function;
pub mod guest_host;
pub mod held;
pub mod namespace;
pub mod options;
pub mod outcome;
pub mod prepared;
pub mod process_group;
pub mod program;
pub mod running_guest;
pub mod scale;
pub mod state;
pub mod strategies;
pub mod suite;
pub mod trace_checks;
pub mod traced;
pub mod user_namespace;
pub mod waiting;
