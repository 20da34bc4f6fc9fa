//! Makes the calls asynchronously, on WASI 0.3. Needs the feature `p3`.
//!
//! The functions correspond to those that wait. Each method of [`CopyOptions`](crate::CopyOptions) that makes
//! or starts a copy is a function here. [`Job`], [`DataRanges`] and [`Descriptor`] are types of this module.
//!
//! While the guest waits for one call, it can do other work: for example, make more copies. Dropping the future
//! of a copy cancels the copy.
//!
//! A guest for WASI 0.3 exports an asynchronous function. For a command this is `run` of `wasi:cli`, which the
//! crate `wasip3` declares. Build the guest as a library of type `cdylib`, for the target `wasm32-wasip2`:
//!
//! ```no_run
#![doc = include_str!("examples/command.rs")]
//! ```
//!
//! The host must link `sandbox:fast-copy@0.3.0` and WASI 0.3. It must also link WASI 0.2, which the standard
//! library uses.
//!
//! Call these functions only from an asynchronous export. In a guest for WASI 0.2 these calls trap.
//!
//! # Stability
//!
//! This module is experimental, as the support for WASI 0.3 in wasmtime is. It can change in any release.

#[path = "bindings.rs"]
#[rustfmt::skip]
mod generated;

mod copy;
mod diagnosis;
mod inspect;
mod job;
mod ranges;

use std::sync::OnceLock;

use wasip3::filesystem::preopens::get_directories;

use crate::wasi::preopens::Preopens;
use crate::wasi::resource::impl_options_resource;

pub use copy::{fast_copy, fast_copy_with, sparse_copy, sparse_copy_with};
pub use inspect::{can_reflink, disk_usage, open_directory, summarize_extents};
pub use job::{Job, start_fast_copy, start_sparse_copy};
pub use ranges::{DataRanges, data_ranges};
pub use wasip3::filesystem::types::Descriptor;

/// The interfaces of `sandbox:fast-copy@0.3.0` themselves, as generated from the WIT.
///
/// Their functions take a directory's [`Descriptor`] and a path relative to it. The WIT documents them. All
/// types but the resource `copy-options` are those of [`bindings::types`](crate::bindings::types).
pub mod bindings {
    pub use super::generated::sandbox::fast_copy::{copy, inspect};

    /// The types of the interfaces.
    pub mod types {
        pub use crate::p2::bindings::sandbox::fast_copy::types::{
            CopyError, CopyMethod, CopyNotes, CopyProgress, CopyReport, DataRange, ErrorCode,
            ExtentSummary, FileUsage, Operand, ReflinkSupport,
        };
        pub use crate::p3::generated::sandbox::fast_copy::types::{CopyOptions, Filesize};
    }
}

impl_options_resource!(bindings::types::CopyOptions);

/// A file as a caller has named it.
type Located<'a> = crate::location::Located<'a, Descriptor>;

/// A copy that a caller asks for.
type Request<'a> = crate::request::Request<'a, Descriptor>;

fn preopens() -> &'static Preopens<Descriptor> {
    static PREOPENS: OnceLock<Preopens<Descriptor>> = OnceLock::new();
    PREOPENS.get_or_init(|| Preopens::new(get_directories()))
}
