//! What the tests work with.

pub mod child;
pub mod files;
pub mod filesystems;
pub mod guest_host;
pub mod prepared;
pub mod program;
pub mod proofs;
pub mod traced;
pub mod ways;
