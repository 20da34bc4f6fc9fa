//! Tier 1: let the copy share all of its source's blocks.
//!
//! One system call, atomic against writers of the source, that can't be stopped half way. It may
//! wait for the source's dirty pages to be written.

use std::io::ErrorKind;

use super::bounds::Bounds;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::platform;
use super::source::Source;
use super::staging::Staged;

/// How an attempt to clone ended.
pub(super) enum CloneOutcome {
    /// The staged file shares all blocks of its source.
    Done,
    /// This pair of files can't share blocks, as the system says by this error number. The staged file
    /// may hold anything.
    Refused(Option<i32>),
}

/// Clones `source` into the staged file.
///
/// Which error numbers mean "not supported here" is different on every file system, and everybody
/// who trusted a list of them has been bitten. So any error is a refusal, but for those that would
/// meet a copy of the bytes just the same. One that was interrupted is tried again, for as long as the
/// copy may go on.
pub(super) fn clone(
    source: &Source,
    staged: &mut Staged<'_>,
    bounds: &Bounds<'_>,
) -> Result<CloneOutcome, CopyError> {
    let before = source.size_now(CopyStep::Clone)?;
    loop {
        bounds.check(CopyStep::Clone)?;
        match staged.fill_by_clone(&source.file) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if platform::is_terminal(&error) => {
                return Err(CopyError::new(CopyStep::Clone, CopyErrorKind::Os(error)));
            }
            Err(error) => return Ok(CloneOutcome::Refused(error.raw_os_error())),
        }
    }
    let size = platform::status(&staged.file)
        .map_err(|error| CopyError::destination(CopyStep::Clone, error))?
        .size;
    // ZFS has cloned less than it said while blocks of the source were dirty:
    // https://github.com/openzfs/zfs/issues/15728
    if size == before || size == source.size_now(CopyStep::Clone)? {
        Ok(CloneOutcome::Done)
    } else {
        Ok(CloneOutcome::Refused(None))
    }
}
