//! Linux.

mod acl;
mod clone;
mod fiemap;
mod writeback;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use rustix::fs::{self, Advice, AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::{Errno, retry_on_intr};

pub(crate) use super::unix::*;
use super::{FileId, Status};
pub(crate) use clone::may_clone;
#[cfg(feature = "p2")]
pub(crate) use fiemap::summarize_extents;
pub(crate) use fiemap::{WrittenMap, has_more_extents_than};
pub(crate) use writeback::start_writing_back;

/// `O_PATH` neither waits at a FIFO nor touches a device.
pub(super) const HANDLE: OFlags = OFlags::PATH;

/// A descriptor's entry in procfs. A link through it leads to the open file, and not to a name.
fn proc_entry(descriptor: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd()).into()
}

/// Opens what the handle is of, and not its name again. That it is the same file is for the caller
/// to check: nothing else is known of what is mounted on `/proc`.
///
/// `O_NONBLOCK` changes nothing for a file on a disk. It keeps the files that the kernel makes up
/// (/proc/kmsg) and files under a lease from making us wait.
pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(CWD, &proc_entry(&handle), flags, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        Err(Errno::NOENT) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a source is opened through /proc, which is not mounted",
        )),
        Err(errno) => Err(errno.into()),
    }
}

/// The status as the file system has it now: NFS, CIFS and FUSE answer `fstat` from a cache, in
/// which another machine's writes are missing.
pub(crate) fn status_now(file: &File) -> io::Result<Status> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let refreshed = retry_on_intr(|| fs::statx(file, "", flags, StatxFlags::BASIC_STATS));
    match refreshed {
        Ok(statx) => Ok(from_statx(&statx)),
        // Before Linux 4.11, or denied by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => status(file),
        Err(errno) => Err(errno.into()),
    }
}

fn from_statx(statx: &fs::Statx) -> Status {
    Status {
        id: FileId {
            device: fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
            inode: statx.stx_ino,
        },
        kind: kind(statx.stx_mode.into()),
        size: statx.stx_size,
        allocated: statx.stx_blocks.saturating_mul(512),
        block_size: statx.stx_blksize.into(),
        mode: statx.stx_mode.into(),
        modified: (statx.stx_mtime.tv_sec, statx.stx_mtime.tv_nsec.into()),
        changed: (statx.stx_ctime.tv_sec, statx.stx_ctime.tv_nsec.into()),
    }
}

/// The permission bits of the group that owns the file, where an access control list has others in
/// their place: then the file's mode shows the mask, which is what anybody in the list may have at
/// most. The list itself is not copied, so that would be too much.
pub(crate) fn owning_groups_permissions(file: &File) -> io::Result<Option<u32>> {
    let mut list = [0; 4096];
    let name = "system.posix_acl_access";
    match retry_on_intr(|| fs::fgetxattr(file, name, &mut list)) {
        Ok(length) => Ok(Some(acl::owning_groups_permissions(&list[..length]))),
        // There is no list, or there are none here.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        // There may be one, and it can't be read: then the group gets nothing.
        Err(_) => Ok(Some(0)),
    }
}

/// Makes a file without a name, or says by `None` that this file system can't.
pub(crate) fn create_unnamed(directory: &Directory) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR;
    match open(directory, ".".as_ref(), flags, STAGED_MODE) {
        Ok(fd) => Ok(Some(fd.into())),
        // open(2): a file system without O_TMPFILE answers EOPNOTSUPP, one that doesn't know the
        // flag takes it for an attempt to write to a directory. EINVAL and ENOSYS: FUSE, seccomp.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives a file without a name its first one. An existing name is never replaced.
pub(crate) fn link_unnamed(file: &File, directory: &Directory, name: &OsStr) -> io::Result<()> {
    let by_descriptor =
        retry_on_intr(|| fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH));
    match by_descriptor {
        // Before Linux 6.10 that took CAP_DAC_READ_SEARCH, and linkat(2) shows this way round.
        Err(Errno::NOENT) => {}
        result => return Ok(result?),
    }
    let entry = proc_entry(file);
    Ok(retry_on_intr(|| {
        fs::linkat(CWD, &entry, directory, name, AtFlags::SYMLINK_FOLLOW)
    })?)
}

/// `FICLONE`.
pub(crate) fn clone(
    source: &File,
    staged: &mut File,
    _directory: &Directory,
    _name: Option<&OsStr>,
) -> io::Result<()> {
    reflink_copy::reflink_file(source, staged)
}

/// `copy_file_range` between equal offsets; returns how many bytes it moved.
pub(crate) fn offload(source: &File, staged: &File, offset: u64, length: u64) -> io::Result<u64> {
    let (mut read_at, mut write_at) = (offset, offset);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let moved = fs::copy_file_range(
        source.as_fd(),
        Some(&mut read_at),
        staged.as_fd(),
        Some(&mut write_at),
        length,
    )?;
    Ok(moved as u64)
}

/// Lets the kernel read a range into the page cache while we do something else. Only a hint.
pub(crate) fn read_ahead(file: &File, range: Range<u64>) {
    let length = NonZeroU64::new(range.end - range.start);
    let _ = fs::fadvise(file, range.start, length, Advice::WillNeed);
}
