//! What Linux and macOS have in common.

mod close;
#[cfg(target_os = "linux")]
#[path = "handle_linux.rs"]
mod handle;
#[cfg(target_os = "macos")]
#[path = "handle_macos.rs"]
mod handle;
mod process;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    self, AtFlags, FileType, Mode, OFlags, RenameFlags, SeekFrom, Timespec, Timestamps,
};
use rustix::io::{Errno, retry_on_intr};

use super::status::{Entry, FileId, Kind, Space, Status, Times, Timestamp};
use handle::HANDLE;
pub(crate) use process::{check_memory, process_file_size_limit};

/// An open directory: a descriptor on Unix, a path on Windows.
pub type Directory = OwnedFd;

/// A handle on a file of any kind: a descriptor on Unix, an open file on Windows. On Linux, open it with
/// `O_PATH`, which has no effect on the file.
pub type SourceHandle = OwnedFd;

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
        // The unit of st_blocks is 512 bytes, independent of st_blksize (stat(3type)).
        allocated: (stat.st_blocks as u64).saturating_mul(512),
        block_size: stat.st_blksize as u64,
        links: stat.st_nlink as u64,
        mode: stat.st_mode.into(),
        accessed: (stat.st_atime as i64, stat.st_atime_nsec as i64),
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

/// Returns what a name refers to, without following a symbolic link.
pub(crate) fn entry(directory: &Directory, name: &OsStr) -> io::Result<Option<Entry>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    match retry_on_intr(|| fs::statat(directory, name, flags)) {
        Ok(stat) => {
            let Status { id, kind, size, .. } = to_status(&stat);
            Ok(Some(Entry {
                id,
                kind,
                size,
                pinned: None,
            }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the identity of the file that a symbolic link in a directory leads to. None if it leads nowhere.
pub(crate) fn link_target(directory: &Directory, name: &OsStr) -> io::Result<Option<FileId>> {
    let stat = retry_on_intr(|| fs::statat(directory, name, AtFlags::empty())).ok();
    Ok(stat.map(|stat| to_status(&stat).id))
}

pub(crate) fn open(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    retry_on_intr(|| fs::openat(&directory, path, flags | OFlags::CLOEXEC, mode))
}

/// Opens a handle on a file of any kind, without an effect on it.
pub(crate) fn open_source_handle(path: &Path, symlink_follow: bool) -> io::Result<SourceHandle> {
    let mut flags = HANDLE;
    flags.set(OFlags::NOFOLLOW, !symlink_follow);
    Ok(open(fs::CWD, path, flags, Mode::empty())?)
}

pub(crate) fn open_directory(path: &Path) -> io::Result<Directory> {
    let flags = HANDLE | OFlags::DIRECTORY;
    Ok(open(fs::CWD, path, flags, Mode::empty())?)
}

/// Returns the device of the file system that a directory is on, if it is known.
pub(crate) fn device(directory: &Directory) -> Option<u64> {
    Some(status(directory).ok()?.id.device)
}

pub(crate) const STAGED_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

pub(crate) fn create_named(directory: &Directory, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY;
    Ok(open(directory, name.as_ref(), flags, STAGED_MODE)?.into())
}

/// Closes a descriptor and returns the result. FUSE, NFS and CIFS may report failed writes only then.
pub(crate) fn close(file: File) -> io::Result<()> {
    close::close(file.into())
}

pub(crate) fn set_permissions(file: &File, mode: u32) -> io::Result<()> {
    // Lossless: `mode` has only permission bits.
    let mode = Mode::from_bits_truncate(mode as fs::RawMode);
    Ok(retry_on_intr(|| fs::fchmod(file, mode))?)
}

/// Sets the times of last access and last modification (`futimens(3)`).
pub(crate) fn set_times(file: &File, times: Times) -> io::Result<()> {
    let timespec = |(tv_sec, tv_nsec): Timestamp| Timespec {
        tv_sec,
        tv_nsec: tv_nsec as _,
    };
    let times = Timestamps {
        last_access: timespec(times.accessed),
        last_modification: timespec(times.modified),
    };
    Ok(retry_on_intr(|| fs::futimens(file, &times))?)
}

pub(crate) fn rename_replace(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fs::renameat(directory, from, directory, to)
    })?)
}

/// Renames a file to a name that must not exist. Where the file system has no such rename, it links the
/// file to the name and leaves the old name.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] if it can't link either.
pub(crate) fn rename_new(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    let renamed =
        retry_on_intr(|| fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE));
    match renamed {
        // The file system does not support the flag (renameat2(2)), or a seccomp filter denies the call (EPERM).
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
        result => return Ok(result?),
    }
    match retry_on_intr(|| fs::linkat(directory, from, directory, to, AtFlags::empty())) {
        // Without hard links: EPERM (linkat(2)). FUSE file systems return others.
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::IO | Errno::INVAL) => {
            Err(io::ErrorKind::Unsupported.into())
        }
        result => Ok(result?),
    }
}

pub(crate) fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fs::unlinkat(directory, name, AtFlags::empty())
    })?)
}

/// Returns where data begins at or after `from`. None if only a hole is left.
pub(crate) fn seek_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match retry_on_intr(|| fs::seek(file, SeekFrom::Data(from))) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns where a hole begins at or after `from`. The end of the file counts as one.
pub(crate) fn seek_hole(file: &File, from: u64) -> io::Result<u64> {
    Ok(retry_on_intr(|| fs::seek(file, SeekFrom::Hole(from)))?)
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(crate) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buffer, offset)
}

/// Does nothing: every file can have holes here.
pub(crate) fn prepare_sparse(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Returns the size and the free space of the file system that holds a directory and a file in it
/// (`statvfs(3)`).
///
/// In a directory with a project quota, the directory's answer is the project's, and the file's is the
/// whole file system's (XFS and ext4).
pub(crate) fn spaces(directory: &Directory, file: &File) -> io::Result<[Space; 2]> {
    Ok([space(directory)?, space(file)?])
}

fn space(file: impl AsFd) -> io::Result<Space> {
    let stat = retry_on_intr(|| fs::fstatvfs(&file))?;
    Ok(Space {
        size: stat.f_blocks.saturating_mul(stat.f_frsize),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

/// Returns whether an error of sharing blocks concerns the source's data, so that no other way of copying
/// may be tried: its blocks can't be read, or the kernel swaps to it.
pub(crate) fn is_final(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::TXTBSY))
}

/// Returns whether an error means that there is no room: on the disk, in a quota of the file system, in
/// memory, or in a file.
pub(crate) fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOMEM | Errno::NOSPC | Errno::DQUOT | Errno::FBIG)
    )
}

/// Returns whether an error means that a file without a name can't get one here, but a file with a name
/// may be renamed: AppArmor without `mediate_deleted` (`ENOENT`), a seccomp filter (`EPERM`, `EACCES`,
/// `ENOSYS`), the boundary of a project (`EXDEV`).
pub(crate) fn is_refusal_to_link(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NOENT
                | Errno::PERM
                | Errno::ACCESS
                | Errno::NOSYS
                | Errno::XDEV
                | Errno::OPNOTSUPP
        )
    )
}

/// Returns whether an error of a link or a rename means that it had no effect. Other errors can mean that the
/// reply was lost, `ENOENT` too: a server can get a request twice, and find the old name gone.
pub(crate) fn had_no_effect(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::EXIST
                | Errno::PERM
                | Errno::ACCESS
                | Errno::BUSY
                | Errno::INVAL
                | Errno::XDEV
                | Errno::ROFS
                | Errno::NOSPC
                | Errno::DQUOT
                | Errno::MLINK
                | Errno::ISDIR
                | Errno::NOTDIR
                | Errno::NOTEMPTY
                | Errno::NAMETOOLONG
                | Errno::LOOP
                | Errno::OPNOTSUPP
                | Errno::NOSYS
        )
    )
}

/// Returns whether an error means that the file system does not let the copy set its permission bits or its
/// times: not at all, or not to this value.
pub(crate) fn is_refusal_to_set_attributes(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | InvalidInput)
}

/// Returns whether an error of early write-back says nothing about the data: it is not supported here, or
/// failed for now, and all pages are still dirty.
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
