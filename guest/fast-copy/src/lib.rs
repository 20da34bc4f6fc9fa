//! Copies files at the speed of the host's file system, from inside a WebAssembly sandbox.
//!
//! Paths are those of [`std::fs`]: they are resolved against the directories that the host has
//! preopened. Below that, [`copy`] has the calls themselves, on descriptors.
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
mod options;
mod preopens;

pub use bindings::sandbox::fast_copy::copy;
pub use bindings::sandbox::fast_copy::types::{
    CopyFlags, CopyMethod, CopyReport, ErrorCode, Operand,
};
pub use error::Error;
pub use options::CopyOptions;
pub use wasip2::filesystem::types::Descriptor;
