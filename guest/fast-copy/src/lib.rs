//! Copies files as fast as the host's file system allows, from inside a WebAssembly sandbox.
//!
//! The host must link `sandbox:fast-copy`; `wasmtime-fast-copy` does this for wasmtime. Build guests
//! for the target `wasm32-wasip2`.
//!
//! - [`CopyOptions`] copies a file, at once or as a [`Job`] in the background.
//! - [`can_reflink`] returns whether copies can share blocks with their sources.
//! - [`data_ranges`] lists where a file has data.
//! - [`disk_usage`] and [`summarize_extents`] return the space that a file uses and shares.
//! - [`copy`], [`jobs`] and [`inspect`] are the interfaces themselves. Their functions take a directory's
//!   [`Descriptor`] and a path relative to it.
//!
//! Everything but these three modules takes paths as [`std::fs`] does: a path is resolved against the
//! preopened directory whose name is its longest prefix. A path outside all preopened directories fails
//! with [`ErrorCode::NoEntry`], and the error lists these directories.
//!
//! Sizes are in bytes.
//!
//! ```no_run
//! use fast_copy::CopyOptions;
//!
//! let report = CopyOptions::new().fast_copy("/images/base.img", "/images/vm1.img")?;
//! println!("{:?}, {} bytes allocated", report.method, report.allocated);
//! # Ok::<(), fast_copy::Error>(())
//! ```

#![deny(missing_docs)]

mod bindings;
mod cause;
mod diagnosis;
mod error;
mod inspected;
mod job;
mod options;
mod preopens;
mod ranges;
mod reflink;
mod request;
mod resource;
mod usage;

pub use bindings::sandbox::fast_copy::types::{
    CopyMethod, CopyNotes, CopyProgress, CopyReport, DataRange, ErrorCode, ExtentSummary,
    FileUsage, Operand, ReflinkSupport,
};
pub use bindings::sandbox::fast_copy::{copy, inspect, jobs};
pub use error::Error;
pub use job::Job;
pub use options::CopyOptions;
pub use ranges::{DataRanges, data_ranges};
pub use reflink::can_reflink;
pub use usage::{disk_usage, summarize_extents};
pub use wasip2::filesystem::types::Descriptor;
