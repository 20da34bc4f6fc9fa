//! The file that is copied. It is opened once, and known to be regular before it is opened for reading.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{CopyError, CopyErrorKind, CopyStep, SPECIAL_FILE};
use crate::platform::status::{FileId, Kind, Status, Times};
use crate::platform::{self, Lease, SourceHandle};

/// Refuses what is not a regular file.
pub(crate) fn refuse_irregular(kind: Kind) -> Result<(), CopyError> {
    let refusal = match kind {
        Kind::Regular => return Ok(()),
        Kind::Directory => CopyErrorKind::IsDirectory,
        Kind::Symlink => CopyErrorKind::SymbolicLink,
        Kind::Other => CopyErrorKind::NotRegularFile(SPECIAL_FILE),
    };
    Err(CopyError::source(CopyStep::Open, refusal))
}

/// The permission bits for a copy.
pub(crate) struct Permissions {
    pub(crate) bits: u32,
    /// Whether the group's bits are missing because the source's access control list can't be read.
    pub(crate) group_unknown: bool,
}

/// An open regular file to copy, with its status at the time it was opened.
#[derive(Debug)]
pub struct Source {
    pub(crate) file: File,
    opened_as: Status,
}

impl Source {
    /// Opens `path`, relative to the working directory. If `symlink_follow` is true, a symbolic link
    /// as its last component is followed.
    ///
    /// # Errors
    ///
    /// See [`from_handle`](Self::from_handle), and the system's errors for opening a file.
    pub fn open(path: impl AsRef<Path>, symlink_follow: bool) -> Result<Self, CopyError> {
        let handle = platform::open_source_handle(path.as_ref(), symlink_follow)
            .map_err(|error| CopyError::source(CopyStep::Open, error))?;
        Self::from_handle(handle)
    }

    /// Takes a handle on a file of any kind, checks that it is a regular file, and opens it for
    /// reading. Opening a FIFO would block, and opening a device can have side effects; so on Linux open the
    /// handle with `O_PATH`.
    ///
    /// # Errors
    ///
    /// - [`NotRegularFile`](CopyErrorKind::NotRegularFile), [`IsDirectory`](CopyErrorKind::IsDirectory),
    ///   [`SymbolicLink`](CopyErrorKind::SymbolicLink): the file is of another kind, or reports size 0 and is not
    ///   empty, as files in `/proc` do.
    /// - [`Os`](CopyErrorKind::Os): it can't be opened for reading, or `/proc` is not mounted (Linux).
    /// - [`SourceChanged`](CopyErrorKind::SourceChanged): `/proc` leads to another file.
    pub fn from_handle(handle: SourceHandle) -> Result<Self, CopyError> {
        let os = |error| CopyError::source(CopyStep::Open, CopyErrorKind::Os(error));
        let found = platform::status(&handle).map_err(os)?;
        refuse_irregular(found.kind)?;
        let file = platform::reopen_for_reading(handle).map_err(os)?;
        Self::opened(file, Some(found.id))
    }

    /// Takes a file that is open for reading. The copy does not use its offset, but changes it
    /// (`SEEK_DATA`).
    ///
    /// # Errors
    ///
    /// As [`from_handle`](Self::from_handle).
    pub fn from_file(file: File) -> Result<Self, CopyError> {
        Self::opened(file, None)
    }

    fn opened(file: File, expected: Option<FileId>) -> Result<Self, CopyError> {
        let opened_as = platform::status_now(&file)
            .map_err(|error| CopyError::source(CopyStep::Open, error))?;
        if expected.is_some_and(|id| id != opened_as.id) {
            return Err(CopyError::source(
                CopyStep::Open,
                CopyErrorKind::SourceChanged,
            ));
        }
        refuse_irregular(opened_as.kind)?;
        let source = Self { file, opened_as };
        source.refuse_hidden_content()?;
        Ok(source)
    }

    /// Refuses a file that reports size 0 and yields bytes, as files of procfs and sysfs do. Its copy
    /// would be empty.
    fn refuse_hidden_content(&self) -> Result<(), CopyError> {
        if self.size() > 0 {
            return Ok(());
        }
        loop {
            match platform::read_at(&self.file, &mut [0], 0) {
                Ok(0) => return Ok(()),
                Ok(_) => break,
                // Reading /proc/kmsg and the like blocks; they are opened with O_NONBLOCK.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CopyError::source(CopyStep::Open, error)),
            }
        }
        Err(CopyError::source(
            CopyStep::Open,
            CopyErrorKind::NotRegularFile(
                "reports size 0 but is not empty (a kernel file such as those in /proc)",
            ),
        ))
    }

    /// Returns the apparent size in bytes at the time the source was opened.
    pub fn size(&self) -> u64 {
        self.opened_as.size
    }

    /// Returns the bytes that the file system had allocated for the source when it was opened.
    pub fn allocated(&self) -> u64 {
        self.opened_as.allocated
    }

    /// Returns the file, open for reading. A copy does not use its offset, but changes it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the identity of the file: device and inode.
    pub fn id(&self) -> FileId {
        self.opened_as.id
    }

    /// Returns an estimate of the bytes of data, by what is allocated: an upper bound where blocks are
    /// not compressed.
    pub(crate) fn data_at_most(&self) -> u64 {
        self.opened_as.size.min(self.opened_as.allocated)
    }

    /// Returns the permission bits for the copy: those that the source had when it was opened and still
    /// has, because a clone may hold what was written in between. They never include set-user-ID,
    /// set-group-ID or sticky, and never more for the group than it has on the source.
    ///
    /// `now` is its status after the copy was filled.
    pub(crate) fn permissions(&self, now: &Status) -> Permissions {
        let (granted, group_unknown) = match platform::owning_groups_permissions(&self.file) {
            Ok(Some(group)) => (0o707 | group, false),
            Ok(None) => (0o777, false),
            Err(_) => (0o707, true),
        };
        let had = self.opened_as.mode & now.mode & 0o777;
        Permissions {
            bits: had & granted,
            group_unknown: group_unknown && had & 0o070 != 0,
        }
    }

    /// Returns the times that the source had when it was opened. A clone can be newer, but with a later time it
    /// could pass for a newer state of the source than it is.
    pub(crate) fn times(&self) -> Times {
        Times {
            accessed: self.opened_as.accessed,
            modified: self.opened_as.modified,
        }
    }

    /// Takes a read lease on the file.
    pub(crate) fn lease(&self) -> Result<Lease<'_>, CopyError> {
        Lease::take(&self.file).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::WouldBlock => CopyErrorKind::Busy(
                    "the source is open for writing, or its server grants no lease; close it or unset lease_source",
                ),
                ErrorKind::InvalidInput | ErrorKind::Unsupported => {
                    CopyErrorKind::Unsupported("the source's file system has no leases")
                }
                _ => CopyErrorKind::Os(error),
            };
            CopyError::source(CopyStep::Open, kind)
        })
    }

    /// Waits until a `write` or `fallocate` that was in progress when the source was opened has ended. Such
    /// a call has changed the times already, so [`refuse_change`](Self::refuse_change) does not detect it.
    ///
    /// On XFS, `SEEK_DATA` does not wait for a writer and reports the part of a hole that is filled so far;
    /// a read waits (`IOLOCK`). At the end of the file a read transfers nothing. Writers that share the
    /// lock are not waited for (`O_DIRECT` within the file's size).
    pub(crate) fn wait_for_writers(&self) {
        // The result does not matter: an error of the source shows when its data is read.
        let _ = platform::read_at(&self.file, &mut [0], self.size());
    }

    /// Returns whether less is allocated than the size, so that the file must have holes, or blocks that are
    /// compressed.
    pub(crate) fn is_partly_allocated(&self) -> bool {
        self.opened_as.allocated < self.opened_as.size
    }

    /// Fails if size or times of the source differ from those at the time it was opened. Returns its status now.
    ///
    /// Since Linux 6.13, each write that follows a look at the times gets a time of its own on ext4,
    /// XFS, btrfs and tmpfs (multigrain timestamps). Before, and on other file systems, a write within
    /// the same tick of the file system's clock is not detected: 1 to 10 ms, 2 s on FAT.
    pub(crate) fn refuse_change(&self) -> Result<Status, CopyError> {
        let now = self.status_now(CopyStep::Transfer)?;
        let before = &self.opened_as;
        match (now.size, now.modified, now.changed)
            == (before.size, before.modified, before.changed)
        {
            true => Ok(now),
            false => Err(CopyError::source(
                CopyStep::Transfer,
                CopyErrorKind::SourceChanged,
            )),
        }
    }

    /// Returns the status of the source now.
    pub(crate) fn status_now(&self, step: CopyStep) -> Result<Status, CopyError> {
        platform::status_now(&self.file).map_err(|error| CopyError::source(step, error))
    }
}
