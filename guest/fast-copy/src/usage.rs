//! What files take.

use std::path::Path;

use crate::preopens::resolve;
use crate::{Error, ExtentSummary, FileUsage, Operand, inspect};

/// What a file takes, by one look at it. A symbolic link is not followed.
///
/// # Errors
///
/// Any [`ErrorCode`](crate::ErrorCode).
pub fn disk_usage(path: impl AsRef<Path>) -> Result<FileUsage, Error> {
    let (dir, path) = resolve(path.as_ref(), Operand::Source)?;
    Ok(inspect::disk_usage(dir, &path)?)
}

/// How a file's blocks lie, and which of them other files share. It takes its time on a file of many
/// extents. A symbolic link is not followed.
///
/// # Errors
///
/// Any [`ErrorCode`](crate::ErrorCode): [`Unsupported`](crate::ErrorCode::Unsupported) where the file
/// system doesn't tell.
pub fn summarize_extents(path: impl AsRef<Path>) -> Result<ExtentSummary, Error> {
    let (dir, path) = resolve(path.as_ref(), Operand::Source)?;
    Ok(inspect::summarize_extents(dir, &path)?)
}
