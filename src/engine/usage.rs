//! What a file takes, and how its blocks lie.

use super::CopyControl;
use super::bounds::Bounds;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::options::CopyOptions;
use super::platform::{self, SourceHandle};
use super::source::{Source, refuse_irregular};

/// What a file takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileUsage {
    pub(crate) size: u64,
    pub(crate) allocated: u64,
}

/// How a file's blocks lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtentSummary {
    pub(crate) extents: u64,
    /// In bytes.
    pub(crate) shared: u64,
}

/// By one look at the inode.
pub(crate) fn disk_usage(handle: &SourceHandle) -> Result<FileUsage, CopyError> {
    let status = platform::handle_status(handle)
        .map_err(|error| CopyError::source(CopyStep::Open, error))?;
    refuse_irregular(status.kind)?;
    Ok(FileUsage {
        size: status.size,
        allocated: status.allocated,
    })
}

/// By a walk through all of its extents, within the deadline of `options`.
pub(crate) fn summarize_extents(
    source: &Source,
    options: &CopyOptions,
    control: &CopyControl,
) -> Result<ExtentSummary, CopyError> {
    let bounds = Bounds::new(options, control);
    let usage = platform::summarize_extents(&source.file, || bounds.check(CopyStep::Open))?;
    let (extents, shared) = usage.ok_or_else(|| {
        CopyError::source(
            CopyStep::Open,
            CopyErrorKind::Unsupported("the file system doesn't tell where its blocks are"),
        )
    })?;
    Ok(ExtentSummary { extents, shared })
}
