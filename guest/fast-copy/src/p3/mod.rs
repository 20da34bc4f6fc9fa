//! Makes the calls on WASI 0.3. Needs the feature `p3`.
//!
//! A guest for WASI 0.3 is a component that exports an asynchronous function, such as `run` of
//! `wasi:cli/run@0.3.0`. The host must link `sandbox:fast-copy@0.3.0`.
//!
//! # Stability
//!
//! This module can change in any release, as the module `p3` of wasmtime's crates can.

#[path = "bindings.rs"]
#[rustfmt::skip]
mod generated;

pub use wasip3::filesystem::types::Descriptor;

/// The interfaces of `sandbox:fast-copy@0.3.0` themselves, as generated from the WIT.
///
/// Their functions take a directory's [`Descriptor`] and a path relative to it. The WIT documents them. All
/// types but the resource `copy-options` are those of the interfaces for WASI 0.2.
pub mod bindings {
    pub use super::generated::sandbox::fast_copy::{copy, inspect};

    /// The types of the interfaces.
    pub mod types {
        pub use crate::p3::generated::sandbox::fast_copy::types::{CopyOptions, Filesize};
        pub use crate::system::bindings::sandbox::fast_copy::types::{
            CopyError, CopyMethod, CopyNotes, CopyProgress, CopyReport, DataRange, ErrorCode,
            ExtentSummary, FileUsage, Operand, ReflinkSupport,
        };
    }
}
