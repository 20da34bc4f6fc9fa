//! What Linux and macOS do in the same way.

mod close;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use super::{Entry, FileId, HANDLE, Kind, Status};
use crate::engine::room::Room;

/// An open directory.
pub(crate) type Directory = OwnedFd;

/// A handle on a file of any kind, opened without any effect on it.
pub(crate) type SourceHandle = OwnedFd;

#[expect(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the types of these fields differ between systems"
)]
fn to_status(stat: &fs::Stat) -> Status {
    Status {
        id: FileId {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        },
        kind: kind(stat.st_mode),
        size: stat.st_size as u64,
        // POSIX counts st_blocks in units of 512 bytes, whatever st_blksize says.
        allocated: (stat.st_blocks as u64).saturating_mul(512),
        block_size: stat.st_blksize as u64,
        mode: stat.st_mode.into(),
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

pub(super) fn kind(mode: fs::RawMode) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

pub(crate) fn status(file: impl AsFd) -> io::Result<Status> {
    Ok(to_status(&retry_on_intr(|| fs::fstat(&file))?))
}

/// The kind and identity of a name, without following a symbolic link.
pub(crate) fn entry(directory: &Directory, name: &OsStr) -> io::Result<Option<Entry>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    match retry_on_intr(|| fs::statat(directory, name, flags)) {
        Ok(stat) => {
            let Status { id, kind, .. } = to_status(&stat);
            Ok(Some(Entry { id, kind }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The identity of the file that a symbolic link in a directory leads to.
pub(crate) fn link_target(directory: &Directory, name: &OsStr) -> Option<FileId> {
    let stat = retry_on_intr(|| fs::statat(directory, name, AtFlags::empty())).ok()?;
    Some(to_status(&stat).id)
}

pub(crate) fn open(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    retry_on_intr(|| fs::openat(&directory, path, flags | OFlags::CLOEXEC, mode))
}

/// Opens a handle on a path's file, whatever it is, with no effect on it.
pub(crate) fn open_source_handle(path: &Path, symlink_follow: bool) -> io::Result<SourceHandle> {
    let mut flags = HANDLE;
    flags.set(OFlags::NOFOLLOW, !symlink_follow);
    Ok(open(fs::CWD, path, flags, Mode::empty())?)
}

/// The same for a name in a directory, without following a symbolic link.
#[cfg(feature = "p2")]
pub(crate) fn open_entry_handle(directory: &Directory, name: &OsStr) -> io::Result<SourceHandle> {
    let flags = HANDLE | OFlags::NOFOLLOW;
    Ok(open(directory, name.as_ref(), flags, Mode::empty())?)
}

/// What kind of file a handle is of.
pub(crate) fn handle_status(handle: &SourceHandle) -> io::Result<Status> {
    status(handle)
}

/// Which file a handle is of.
#[cfg(all(feature = "p2", target_os = "linux"))]
pub(crate) fn handle_id(handle: &SourceHandle) -> io::Result<FileId> {
    Ok(status(handle)?.id)
}

pub(crate) fn open_directory(path: &Path) -> io::Result<Directory> {
    let flags = HANDLE | OFlags::DIRECTORY;
    Ok(open(fs::CWD, path, flags, Mode::empty())?)
}

pub(crate) const STAGED_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

pub(crate) fn create_named(directory: &Directory, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR;
    Ok(open(directory, name.as_ref(), flags, STAGED_MODE)?.into())
}

/// Tells the file system that this is all that will be written, as closing a descriptor does, and
/// returns what it has to say. FUSE, NFS and CIFS may only now say that writes have failed.
pub(crate) fn flush(file: &File) -> io::Result<()> {
    loop {
        let closed = file.try_clone().and_then(|copy| close::close(copy.into()));
        match closed {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn set_permissions(file: &File, mode: u32) -> io::Result<()> {
    // Lossless: `mode` has nothing but permission bits.
    let mode = Mode::from_bits_truncate(mode as fs::RawMode);
    Ok(retry_on_intr(|| fs::fchmod(file, mode))?)
}

pub(crate) fn rename_replace(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fs::renameat(directory, from, directory, to)
    })?)
}

/// Renames to a name that must not exist.
pub(crate) fn rename_new(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    let renamed =
        retry_on_intr(|| fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE));
    match renamed {
        // The file system doesn't know the flag (renameat2(2)).
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            link_then_remove(directory, from, to)
        }
        result => Ok(result?),
    }
}

/// Gives a file a second name, then takes the first away: a rename that replaces nothing.
fn link_then_remove(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    retry_on_intr(|| fs::linkat(directory, from, directory, to, AtFlags::empty()))?;
    // The copy is published; a name too many is no reason to call it failed.
    let _ = remove(directory, from);
    Ok(())
}

pub(crate) fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fs::unlinkat(directory, name, AtFlags::empty())
    })?)
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
    pub(crate) fn sync(self) -> io::Result<()> {
        match retry_on_intr(|| fs::fsync(&self.0)) {
            // This file system has nothing to synchronise for a directory.
            Err(Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }
}

/// Where data begins at or after `from`; none where only a hole is left.
pub(crate) fn seek_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match retry_on_intr(|| fs::seek(file, SeekFrom::Data(from))) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Where a hole begins at or after `from`; the end of the file counts as one.
pub(crate) fn seek_hole(file: &File, from: u64) -> io::Result<u64> {
    Ok(retry_on_intr(|| fs::seek(file, SeekFrom::Hole(from)))?)
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(crate) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buffer, offset)
}

/// Every new file of these systems can have holes.
pub(crate) fn prepare_sparse(_file: &File) -> io::Result<()> {
    Ok(())
}

/// How large this process may make a file, in bytes (`RLIMIT_FSIZE`).
pub(crate) fn process_file_size_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Fsize)
        .current
        .unwrap_or(u64::MAX)
}

/// The room on a file's file system, for a process without privileges (`statvfs(3)`).
pub(crate) fn room(file: &File) -> io::Result<Room> {
    let stat = retry_on_intr(|| fs::fstatvfs(file))?;
    Ok(Room {
        size: stat.f_blocks.saturating_mul(stat.f_frsize),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

/// Errors that another tier would meet just the same.
pub(crate) fn is_terminal(error: &io::Error) -> bool {
    is_lack_of_room(error) || matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::ROFS))
}

/// Errors that mean: no room, whatever way the bytes come.
pub(crate) fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOMEM | Errno::NOSPC | Errno::DQUOT | Errno::FBIG)
    )
}

/// Errors by which early writing tells nothing of the data: it can't be asked for here, or couldn't
/// be done now, with all pages still dirty.
pub(crate) fn is_left_for_later(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NOSYS
                | Errno::INVAL
                | Errno::SPIPE
                | Errno::PERM
                | Errno::ACCESS
                | Errno::OPNOTSUPP
                | Errno::NOMEM
                | Errno::AGAIN
                | Errno::INTR
        )
    )
}
