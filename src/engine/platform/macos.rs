//! macOS.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use rustix::fs::{CloneFlags, Mode, OFlags, fclonefileat};

pub(crate) use super::plain::{WrittenMap, offload};
pub(crate) use super::unix::*;

/// There is no `O_PATH`; `O_NONBLOCK` keeps a FIFO from making us wait.
pub(super) const HANDLE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The handle can read already.
pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    Ok(handle.into())
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
    match fclonefileat(source, directory, name, flags) {
        Ok(()) => {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW;
            *staged = open(directory, name.as_ref(), flags, Mode::empty())?.into();
            Ok(())
        }
        Err(errno) => {
            *staged = create_named(directory, name)?;
            Err(errno.into())
        }
    }
}
