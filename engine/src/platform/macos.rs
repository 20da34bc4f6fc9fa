//! macOS.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    self, AtFlags, CloneFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, fclonefileat,
};
use rustix::io::{Errno, retry_on_intr};

use super::status::Status;

pub(crate) use super::portable::{
    Lease, WrittenMap, adopt_copy_on_write, can_reflink, has_more_extents_than, is_append_only,
    is_same_file, known_written, largest_size, may_clone, offload, read_ahead,
    refusal_of_every_write, refuse_swap_file, start_writing_back, summarize_extents,
    supports_holes, toggle_copy_on_write,
};
pub use super::unix::*;

/// Returns the handle itself, which is open for reading.
pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    Ok(handle.into())
}

pub(crate) fn status_now(file: impl AsFd) -> io::Result<Status> {
    status(file)
}

pub(crate) fn allocated_now(file: &File) -> io::Result<u64> {
    Ok(status(file)?.allocated)
}

/// Returns false: no such file system is known here.
pub(crate) fn hides_allocation(_file: &File) -> bool {
    false
}

/// Returns another handle on a file, which does not keep it open for writing.
pub(crate) fn handle_of(file: &File) -> io::Result<SourceHandle> {
    Ok(file.try_clone()?.into())
}

/// Returns none: access control lists do not affect the mode here.
pub(crate) fn owning_groups_permissions(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// Returns none: every file has a name here.
pub(crate) fn create_unnamed(_directory: &Directory) -> io::Result<Option<File>> {
    Ok(None)
}

/// Returns true: every file has a name here.
pub(crate) fn fsync_persists_unnamed(_file: &File) -> bool {
    true
}

/// Fails: every file has a name here.
pub(crate) fn link_unnamed(_: &File, _: &Directory, _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `clonefile` makes a file of its own.
pub(crate) const CLONE_MAKES_A_FILE: bool = true;

/// Replaces the staged file by a clone of `source`, because `clonefile` creates a new name.
pub(crate) fn clone(
    source: &File,
    staged: &mut File,
    directory: &Directory,
    name: Option<&OsStr>,
) -> io::Result<()> {
    let name = name.ok_or(io::ErrorKind::Unsupported)?;
    remove(directory, name)?;
    let flags = CloneFlags::NOFOLLOW | CloneFlags::NOOWNERCOPY;
    // The clone has its source's mode, which may be read-only.
    let cloned = fclonefileat(source, directory, name, flags).and_then(|()| {
        fs::chmodat(directory, name, STAGED_MODE, AtFlags::empty())?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW;
        open(directory, name.as_ref(), flags, Mode::empty())
    });
    match cloned {
        Ok(fd) => {
            *staged = fd.into();
            // A clone has its source's times.
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW as _,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            retry_on_intr(|| fs::futimens(&*staged, &times))?;
        }
        Err(errno) => {
            let _ = remove(directory, name);
            *staged = create_named(directory, name)?;
            return Err(errno.into());
        }
    }
    Ok(())
}

/// A directory that can be synchronised.
#[derive(Debug)]
pub(crate) struct DirectorySync(OwnedFd);

pub(crate) fn open_directory_sync(directory: &Directory) -> io::Result<DirectorySync> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let fd = open(directory, ".".as_ref(), flags, Mode::empty())?;
    Ok(DirectorySync(fd))
}

impl DirectorySync {
    pub(crate) fn sync(self, _file: &File) -> io::Result<()> {
        match retry_on_intr(|| fs::fsync(&self.0)) {
            // This file system does not synchronise directories (fsync(2)).
            Err(Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }
}
