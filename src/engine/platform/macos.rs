//! macOS.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use rustix::fs::{CloneFlags, Mode, OFlags, fclonefileat};

use super::Status;

#[cfg(feature = "p2")]
pub(crate) use super::portable::summarize_extents;
pub(crate) use super::portable::{
    WrittenMap, has_more_extents_than, may_clone, offload, read_ahead, start_writing_back,
};
pub(crate) use super::unix::*;

/// There is no `O_PATH`; `O_NONBLOCK` keeps a FIFO from making us wait.
pub(super) const HANDLE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The handle can read already.
pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    Ok(handle.into())
}

pub(crate) fn status_now(file: &File) -> io::Result<Status> {
    status(file)
}

/// The mode is not affected by access control lists.
pub(crate) fn owning_groups_permissions(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// There are no files without a name.
pub(crate) fn create_unnamed(_directory: &Directory) -> io::Result<Option<File>> {
    Ok(None)
}

/// Only for files without a name.
pub(crate) fn link_unnamed(_: &File, _: &Directory, _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `clonefile` only makes new names, so the staged file gives way to the clone.
pub(crate) fn clone(
    source: &File,
    staged: &mut File,
    directory: &Directory,
    name: Option<&OsStr>,
) -> io::Result<()> {
    let name = name.ok_or(io::ErrorKind::Unsupported)?;
    remove(directory, name)?;
    let flags = CloneFlags::NOFOLLOW | CloneFlags::NOOWNERCOPY;
    // For reading: the clone has its source's mode, and may be read-only.
    let cloned = fclonefileat(source, directory, name, flags).and_then(|()| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        open(directory, name.as_ref(), flags, Mode::empty())
    });
    match cloned {
        Ok(fd) => *staged = fd.into(),
        Err(errno) => {
            let _ = remove(directory, name);
            *staged = create_named(directory, name)?;
            return Err(errno.into());
        }
    }
    Ok(())
}
