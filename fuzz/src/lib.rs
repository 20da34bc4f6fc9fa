//! What the fuzz targets do with an input; a panic is a finding. `fuzz_targets` gives them the inputs of libFuzzer.
//! `cargo test` runs them with the inputs in `corpus` and with changed ones: its program `reliability` compiles these
//! modules too.
//!
//! Private functions of the engine and of the guests' library are compiled here a second time, so those crates have
//! no way in for them.

pub mod acl;
#[cfg(feature = "calls")]
pub mod calls;
pub mod fiemap;
pub mod paths;
