//! Copies files as fast as the file system allows: from inside a WebAssembly sandbox, and natively.
//!
//! A guest for WASI (build it for the target `wasm32-wasip2`) asks its host to make the copies. The host
//! must link `sandbox:fast-copy`; `wasmtime-fast-copy` does this for wasmtime. On other targets the same
//! functions copy by themselves, with `fast-copy-engine`. So a guest's code can be tested with `cargo test`.
//!
//! - [`fast_copy()`] clones a file where the file system can share blocks, and otherwise copies the data and
//!   preserves the holes. [`sparse_copy`] copies without sharing blocks. Both replace an existing file.
//! - [`CopyOptions`] makes the same copies with options. It does not replace a file unless
//!   [`replace`](CopyOptions::replace) is set. It waits for the copy, or starts it in the background as a
//!   [`Job`].
//! - [`can_reflink`] returns whether copies can share blocks with their sources.
//! - [`data_ranges`] lists where a file has data.
//! - [`disk_usage`] and [`summarize_extents`] return the space that a file uses and shares.
//!
//! All functions take paths, as [`std::fs`] does, or paths relative to an open directory: see [`Location`].
//! A path outside all preopened directories of a guest fails with [`ErrorCode::NoEntry`], and the error lists
//! these directories. Sizes are in bytes.
//!
//! A host runs a limited number of calls at a time. A running call holds a slot; others wait for one, and can
//! fail with [`ErrorCode::Busy`] or [`ErrorCode::Timeout`].
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let images = dir.path();
//! # std::fs::write(images.join("base.img"), "an image")?;
//! use fast_copy::CopyOptions;
//!
//! let (base, clone) = (images.join("base.img"), images.join("vm1.img"));
//! let report = CopyOptions::new().size(40 << 30).fast_copy(base, clone)?;
//! println!("{}, {} bytes allocated", report.method, report.allocated);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # WASI 0.3
//!
//! With the feature `p3`, the module `p3` has asynchronous functions for guests of WASI 0.3. They correspond to
//! those above. `Job`, `DataRanges` and `Descriptor` are types of that module. It is experimental.
//!
//! # Native targets
//!
//! What differs there: paths are relative to the working directory and not confined; no limit, policy or
//! quota applies; the texts of errors can be less exact. The guarantees of a copy are those of
//! `fast-copy-engine`.

#![deny(missing_docs)]

mod cause;
mod error;
mod inspect;
mod job;
mod location;
#[cfg(not(target_os = "wasi"))]
mod native;
mod options;
#[cfg(target_os = "wasi")]
mod p2;
#[cfg(all(target_os = "wasi", feature = "p3"))]
pub mod p3;
#[cfg(any(target_os = "wasi", test))]
mod prefix;
mod report;
mod request;
#[cfg(target_os = "wasi")]
mod wasi;

// What makes the calls on this target.
#[cfg(not(target_os = "wasi"))]
use native as system;
#[cfg(target_os = "wasi")]
use p2 as system;

pub use error::{Error, ErrorCode, Operand};
pub use inspect::{
    DataRange, DataRanges, ExtentSummary, FileUsage, ReflinkSupport, can_reflink, data_ranges,
    disk_usage, open_directory, summarize_extents,
};
pub use job::{Job, Updates};
pub use location::{At, Location};
pub use options::{CopyOptions, fast_copy, sparse_copy};
pub use report::{CopyMethod, CopyNotes, CopyProgress, CopyReport};
pub use system::Descriptor;

/// The interfaces of `sandbox:fast-copy` themselves, as generated from the WIT.
///
/// Their functions take a directory's [`Descriptor`] and a path relative to it. The WIT documents them.
#[cfg(target_os = "wasi")]
pub mod bindings {
    pub use crate::p2::bindings::sandbox::fast_copy::{copy, inspect, jobs, types};
}
