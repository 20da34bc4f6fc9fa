//! Copies files at the speed of the host's file system, from inside a WebAssembly sandbox.
//!
//! Paths are those of [`std::fs`]: they are resolved against the directories that the host has
//! preopened. Below that, [`copy`], [`jobs`] and [`inspect`] have the calls themselves, on descriptors.
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
mod error;
mod job;
mod options;
mod preopens;
mod usage;

pub use bindings::sandbox::fast_copy::types::{
    CopyFlags, CopyMethod, CopyProgress, CopyReport, ErrorCode, ExtentSummary, FileUsage, Operand,
};
pub use bindings::sandbox::fast_copy::{copy, inspect, jobs};
pub use error::Error;
pub use job::Job;
pub use options::CopyOptions;
pub use usage::{disk_usage, summarize_extents};
pub use wasip2::filesystem::types::Descriptor;
