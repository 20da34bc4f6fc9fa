//! Reports the space that files use and share.

use std::path::Path;

use crate::inspected::InspectedFile;
use crate::{Error, ExtentSummary, FileUsage, inspect};

/// Returns the apparent size of a file and the space allocated for it, in bytes.
///
/// The call waits for a slot as a copy does. Does not follow a symbolic link in the last component of the
/// path. The file must be a regular file.
///
/// # Errors
///
/// Fails with the errors listed in [`inspect`]. The error has no operand.
pub fn disk_usage(path: impl AsRef<Path>) -> Result<FileUsage, Error> {
    let file = InspectedFile::new(path.as_ref())?;
    inspect::disk_usage(file.dir, &file.name)
        .map_err(|code| file.error(code, "the host can't tell the space that a file uses"))
}

/// Returns the number of a file's extents, and how many bytes are in blocks shared with other files.
///
/// Reads the file's whole extent map, so the time grows with the number of extents. The call waits
/// for a slot as a copy does. Does not follow a symbolic link in the last component of the path. The file
/// must be a regular file.
///
/// # Errors
///
/// Fails with the errors listed in [`inspect`], and with
/// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported) if the file system has no extent map, such as
/// tmpfs. The error has no operand.
pub fn summarize_extents(path: impl AsRef<Path>) -> Result<ExtentSummary, Error> {
    let file = InspectedFile::new(path.as_ref())?;
    inspect::summarize_extents(file.dir, &file.name)
        .map_err(|code| file.error(code, "its file system has no extent map"))
}
