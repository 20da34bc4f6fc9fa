//! Synchronising a directory.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::platform::unix::{Directory, open};

/// What synchronises a directory.
#[derive(Debug)]
pub(crate) enum DirectorySync {
    Directory(OwnedFd),
    /// The directory can't be opened for reading, so its whole file system is synchronised (syncfs(2)).
    FileSystem,
}

/// Opens a directory for its later synchronisation. A directory that may be written and searched, but not
/// read, is enough.
pub(crate) fn open_directory_sync(directory: &Directory) -> io::Result<DirectorySync> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match open(directory, ".".as_ref(), flags, Mode::empty()) {
        Ok(fd) => Ok(DirectorySync::Directory(fd)),
        Err(Errno::ACCESS) => Ok(DirectorySync::FileSystem),
        Err(errno) => Err(errno.into()),
    }
}

impl DirectorySync {
    /// Synchronises the directory, in which `file` has a name.
    pub(crate) fn sync(self, file: &File) -> io::Result<()> {
        let result = match self {
            Self::Directory(fd) => retry_on_intr(|| fs::fsync(&fd)),
            Self::FileSystem => retry_on_intr(|| fs::syncfs(file)),
        };
        match result {
            // This file system does not synchronise directories (fsync(2)).
            Err(Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }
}
