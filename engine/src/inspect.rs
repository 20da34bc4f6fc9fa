//! How much space a file uses, and how its blocks are laid out.

use std::io;

use crate::context::Context;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::options::{CopyOptions, Sharing};
use crate::platform::status::{FileId, ReflinkSupport};
use crate::platform::{self, Directory, SourceHandle};
use crate::source::{Source, refuse_irregular};

/// How much space a file uses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileUsage {
    /// Apparent size, including holes.
    pub size: u64,
    /// Bytes allocated for the file, including shared blocks (`st_blocks * 512`).
    pub allocated: u64,
}

/// How the blocks of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentSummary {
    /// Number of extents in the file system's block map.
    pub extents: u64,
    /// Bytes in extents that other files share.
    pub shared: u64,
}

/// Returns how much space a file uses, as its file system reports it now.
///
/// # Errors
///
/// [`NotRegularFile`](CopyErrorKind::NotRegularFile), [`IsDirectory`](CopyErrorKind::IsDirectory) and
/// [`SymbolicLink`](CopyErrorKind::SymbolicLink) for a handle of another kind; the system's errors.
pub fn disk_usage(handle: &SourceHandle) -> Result<FileUsage, CopyError> {
    let status =
        platform::status_now(handle).map_err(|error| CopyError::source(CopyStep::Open, error))?;
    refuse_irregular(status.kind)?;
    Ok(FileUsage {
        size: status.size,
        allocated: status.allocated,
    })
}

/// Counts the extents of a file and the bytes that it shares with other files, by a walk through its
/// block map (`FIEMAP` on Linux). Of `options`, only the deadline and the control are used.
///
/// # Errors
///
/// [`TimedOut`](CopyErrorKind::TimedOut), [`Cancelled`](CopyErrorKind::Cancelled), and
/// [`Unsupported`](CopyErrorKind::Unsupported) if the file system has no block map (tmpfs, FUSE, NFS)
/// and on systems other than Linux.
pub fn summarize_extents(
    source: &Source,
    options: &CopyOptions,
) -> Result<ExtentSummary, CopyError> {
    let context = Context::new(options, Sharing::Forbidden, &|_| ());
    let summary = platform::summarize_extents(&source.file, || context.check(CopyStep::Open))?;
    let (extents, shared) = summary.ok_or_else(|| {
        CopyError::source(
            CopyStep::Open,
            CopyErrorKind::Unsupported("the file system has no block map (FIEMAP)"),
        )
    })?;
    Ok(ExtentSummary { extents, shared })
}

/// Returns whether files in two directories can share blocks, so that `fast_copy` clones. Writes no data, and
/// leaves nothing behind.
///
/// On Linux it creates a file without a name in `copies`, which is gone when the call returns. On a file system
/// that has no such files (NFS, CIFS, FUSE), and on other systems, the result is [`ReflinkSupport::Unknown`].
///
/// After [`ReflinkSupport::Yes`] a copy can still be made of bytes, because of a limit
/// ([`max_clone_extents`](crate::Limits::max_clone_extents)) or of a property of the file.
///
/// # Errors
///
/// The system's errors of creating a file without a name.
pub fn can_reflink(sources: &Directory, copies: &Directory) -> io::Result<ReflinkSupport> {
    platform::can_reflink(sources, copies)
}

/// Returns the identity of the file that a handle refers to.
///
/// # Errors
///
/// The system's errors of `fstat`.
pub fn file_id(handle: &SourceHandle) -> io::Result<FileId> {
    Ok(platform::status(handle)?.id)
}
