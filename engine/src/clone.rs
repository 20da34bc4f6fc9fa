//! The first way to make a copy: it shares all blocks of its source.
//!
//! A clone is one system call. It is atomic against writers of the source, and it cannot be
//! interrupted. It may wait for the source's dirty pages to be written.

use std::io::{self, ErrorKind};

use crate::context::Context;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::platform;
use crate::source::Source;
use crate::staging::Staged;

/// How often the extents of a source are counted at most. The first count waits for all dirty pages,
/// each later one for the pages that were written during the count before.
const MAX_COUNTS: usize = 4;

/// How an attempt to clone ended.
pub(crate) enum CloneOutcome {
    /// The staged file shares all blocks of its source.
    Done,
    /// The source was not cloned. The staged file may hold anything. The error is for a caller that requires
    /// a clone.
    Refused(CopyError),
}

impl CloneOutcome {
    fn not_shareable(reason: &'static str) -> Self {
        let kind = CopyErrorKind::NotShareable(reason);
        Self::Refused(CopyError::new(CopyStep::Clone, kind))
    }

    fn by_system(error: io::Error) -> Self {
        match platform::is_lack_of_room(&error) {
            // The number tells what is lacking.
            true => Self::Refused(CopyError::new(CopyStep::Clone, error)),
            false => Self::not_shareable(NOT_SHAREABLE),
        }
    }
}

const NOT_SHAREABLE: &str = "a reflink is required, but these two files can't share blocks";

const WRONG_SIZE: &str = "a reflink is required, but the clone had a wrong size and was discarded";

const TOO_MANY_EXTENTS: &str =
    "a reflink is required, but the source has more extents than the limit for clones";

/// Clones `source` into the staged file.
///
/// File systems report "not supported here" by many error numbers, and "no room" also where a copy of the
/// bytes has room: on XFS with reverse mapping, one full allocation group is enough. So any error is a
/// refusal, except those that concern the source's data. An interrupted clone is retried as long as the copy
/// may go on.
pub(crate) fn clone(
    source: &Source,
    staged: &mut Staged<'_>,
    context: &Context<'_>,
) -> Result<CloneOutcome, CopyError> {
    if has_too_many_extents(source, staged, context)? {
        return Ok(CloneOutcome::not_shareable(TOO_MANY_EXTENTS));
    }
    // A clone takes no space yet, but is charged like a copy. If that does not fit, a copy of the bytes may.
    if context.has_quota()
        && platform::may_clone(&source.file, &staged.file)
        && let Err(exceeded) = context.reserve(source.allocated(), CopyStep::Clone)
    {
        return Ok(CloneOutcome::Refused(exceeded));
    }
    let before = source.status_now(CopyStep::Clone)?.size;
    let mut toggled = None;
    loop {
        context.check(CopyStep::Clone)?;
        match staged.fill_by_clone(&source.file) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if platform::is_final(&error) => {
                return Err(CopyError::source(CopyStep::Clone, error));
            }
            Err(error) => {
                // btrfs clones only between files with the same copy-on-write flag (`chattr +C`).
                if error.kind() == ErrorKind::InvalidInput && toggled.is_none() {
                    toggled = Some(platform::adopt_copy_on_write(&source.file, &staged.file));
                    if toggled == Some(true) {
                        continue;
                    }
                }
                if toggled == Some(true) {
                    platform::toggle_copy_on_write(&staged.file);
                }
                if let Some(number) = error.raw_os_error() {
                    context.clone_refused(number);
                }
                return Ok(CloneOutcome::by_system(error));
            }
        }
    }
    let size = staged.size(CopyStep::Clone)?;
    // ZFS has cloned fewer bytes than it reported while blocks of the source were dirty:
    // https://github.com/openzfs/zfs/issues/15728
    if size == before || size == source.status_now(CopyStep::Clone)?.size {
        Ok(CloneOutcome::Done)
    } else {
        Ok(CloneOutcome::not_shareable(WRONG_SIZE))
    }
}

/// Whether the source is known to have more extents than may be cloned.
///
/// A write during the count can add extents, so the count is repeated. A clone can exceed the limit
/// only by what is written during the last count.
fn has_too_many_extents(
    source: &Source,
    staged: &Staged<'_>,
    context: &Context<'_>,
) -> Result<bool, CopyError> {
    let limit = context.options.limits.max_clone_extents;
    let mut before = source.status_now(CopyStep::Clone)?;
    // Each extent has at least one block, so a small file needs no count. Nor does a file that can't
    // be cloned: a count waits for the disk.
    if before.allocated / 512 <= limit || !platform::may_clone(&source.file, &staged.file) {
        return Ok(false);
    }
    for _ in 0..MAX_COUNTS {
        let go_on = || context.check(CopyStep::Clone);
        if platform::has_more_extents_than(&source.file, limit, before.allocated, go_on)? {
            return Ok(true);
        }
        let after = source.status_now(CopyStep::Clone)?;
        if (before.modified, before.changed) == (after.modified, after.changed) {
            break;
        }
        before = after;
    }
    Ok(false)
}
