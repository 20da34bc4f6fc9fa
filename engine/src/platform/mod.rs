//! The system calls, behind one small set of functions. Each system has a module of its own.
//!
//! The modules above decide which calls a copy makes, and in which order. Nothing here does.

#[cfg(not(target_os = "linux"))]
mod portable;
pub(crate) mod status;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "unsupported.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;

pub(crate) use system::*;
pub use system::{Directory, SourceHandle};
