//! The system's calls behind one small set of functions, a file for each system.
//!
//! What a copy is made of, and in which order, stands in the modules above; nothing here decides
//! anything about a copy.

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!("wasmtime-fast-copy supports Linux, macOS and Windows");

/// What kind of file something is, as far as copying goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Symlink,
    /// A FIFO, a socket or a device.
    Other,
}

/// Which file something is, by whatever name: device (or volume) and inode (or file index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
}

/// What the system says of an open file. Sizes are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) allocated: u64,
    pub(crate) block_size: u64,
    pub(crate) mode: u32,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

/// Seconds and nanoseconds, only ever compared.
pub(crate) type Timestamp = (i64, i64);
