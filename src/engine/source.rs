//! The file that is read: opened once, known to be regular before anything else happens.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::bounds::Bounds;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::platform::{self, FileId, Kind, Status};

/// How often the extents of a source are counted at most. The first time takes as long as all that waits
/// to be written, and each other time as long as what was written during the one before.
const COUNTS: usize = 4;

/// Refuses what is no regular file.
pub(super) fn refuse_irregular(kind: Kind) -> Result<(), CopyError> {
    let refusal = match kind {
        Kind::Regular => return Ok(()),
        Kind::Directory => CopyErrorKind::IsDirectory,
        Kind::Symlink => CopyErrorKind::SymbolicLink,
        Kind::Other => CopyErrorKind::NotRegularFile,
    };
    Err(CopyError::source(CopyStep::Open, refusal))
}

/// An open regular file, with what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) file: File,
    opened_as: Status,
}

impl Source {
    /// Opens `path`, relative to the working directory.
    pub(crate) fn open(path: &Path, symlink_follow: bool) -> Result<Self, CopyError> {
        let handle = platform::open_source_handle(path, symlink_follow)
            .map_err(|error| CopyError::source(CopyStep::Open, error))?;
        Self::from_handle(handle)
    }

    /// Takes over a handle that may be of anything, and makes sure that it is of a regular file
    /// before it is opened for reading: opening a FIFO would block, opening a device can do
    /// anything.
    pub(crate) fn from_handle(handle: platform::SourceHandle) -> Result<Self, CopyError> {
        let os = |error| CopyError::source(CopyStep::Open, CopyErrorKind::Os(error));
        let found = platform::handle_status(&handle).map_err(os)?;
        refuse_irregular(found.kind)?;
        let file = platform::reopen_for_reading(handle).map_err(os)?;
        let opened_as = platform::status_now(&file).map_err(os)?;
        if opened_as.id != found.id {
            return Err(CopyError::source(
                CopyStep::Open,
                CopyErrorKind::SourceChanged,
            ));
        }
        let source = Self { file, opened_as };
        source.refuse_hidden_content()?;
        Ok(source)
    }

    /// Files of procfs and sysfs say that they are empty and yield bytes all the same. A copy of
    /// such a file would be empty, and wrong.
    fn refuse_hidden_content(&self) -> Result<(), CopyError> {
        if self.size() > 0 {
            return Ok(());
        }
        loop {
            match platform::read_at(&self.file, &mut [0], 0) {
                Ok(0) => return Ok(()),
                Ok(_) => break,
                // Files like /proc/kmsg make a reader wait, and are opened so that they can't.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CopyError::source(CopyStep::Open, error)),
            }
        }
        Err(CopyError::source(
            CopyStep::Open,
            CopyErrorKind::Unsupported(
                "the source says that it is empty, yet it can be read: a file made up by the kernel",
            ),
        ))
    }

    /// The apparent size in bytes when the source was opened.
    pub(crate) fn size(&self) -> u64 {
        self.opened_as.size
    }

    /// What the file system had allocated for it when it was opened, in bytes.
    pub(crate) fn allocated(&self) -> u64 {
        self.opened_as.allocated
    }

    /// Whether a clone of the source to `staged` is known to have more extents than so many.
    ///
    /// Somebody who writes while they are counted makes more of them, so they are counted again; what is
    /// written while they are counted for the last time is all that a clone can have beyond the limit.
    pub(super) fn has_more_extents_than(
        &self,
        extents: u64,
        staged: &File,
        bounds: &Bounds<'_>,
    ) -> Result<bool, CopyError> {
        let mut before = self.status_now(CopyStep::Clone)?;
        // Each extent has a block at least: a small file isn't asked. Nor is one that can't be cloned:
        // to count means to wait for the disk.
        if before.allocated / 512 <= extents || !platform::may_clone(&self.file, staged) {
            return Ok(false);
        }
        for _ in 0..COUNTS {
            let go_on = || bounds.check(CopyStep::Clone);
            let allocated = before.allocated;
            if platform::has_more_extents_than(&self.file, extents, allocated, go_on)? {
                return Ok(true);
            }
            let after = self.status_now(CopyStep::Clone)?;
            if (before.modified, before.changed) == (after.modified, after.changed) {
                break;
            }
            before = after;
        }
        Ok(false)
    }

    /// How many bytes of data there can be, by what is allocated. A guess, where blocks are
    /// compressed.
    pub(super) fn data_at_most(&self) -> u64 {
        self.opened_as.size.min(self.opened_as.allocated)
    }

    /// The permission bits that a copy gets: those that the source had when it was opened and has
    /// now, since a clone may hold what was written in between. Never set-user-ID, set-group-ID or
    /// sticky, and never more for the group than it has on the source.
    pub(super) fn permissions(&self) -> Result<u32, CopyError> {
        let group = platform::owning_groups_permissions(&self.file)
            .map_err(|error| CopyError::source(CopyStep::Finish, error))?;
        let granted = match group {
            Some(group) => 0o707 | group,
            None => 0o777,
        };
        Ok(self.opened_as.mode & self.status_now(CopyStep::Finish)?.mode & granted)
    }

    pub(crate) fn id(&self) -> FileId {
        self.opened_as.id
    }

    /// The apparent size in bytes now.
    pub(super) fn size_now(&self, step: CopyStep) -> Result<u64, CopyError> {
        Ok(self.status_now(step)?.size)
    }

    /// Refuses a source whose size or times are not what they were when it was opened.
    ///
    /// Since Linux 6.13 every write that follows a look at the times gets a time of its own on ext4,
    /// XFS, btrfs and tmpfs (multigrain timestamps). Before, and elsewhere, one within the same tick
    /// of the file system's clock goes unseen: 1 to 10 ms, 2 s on FAT.
    pub(super) fn refuse_change(&self) -> Result<(), CopyError> {
        let now = self.status_now(CopyStep::Transfer)?;
        if (now.size, now.modified, now.changed)
            == (
                self.opened_as.size,
                self.opened_as.modified,
                self.opened_as.changed,
            )
        {
            Ok(())
        } else {
            Err(CopyError::source(
                CopyStep::Transfer,
                CopyErrorKind::SourceChanged,
            ))
        }
    }

    fn status_now(&self, step: CopyStep) -> Result<Status, CopyError> {
        platform::status_now(&self.file).map_err(|error| CopyError::source(step, error))
    }
}
