//! Linux.

mod acl;
mod attributes;
mod clone;
mod directory_sync;
mod fiemap;
mod identity;
mod lease;
mod unnamed;
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

use super::status::{FileId, Status};
pub use super::unix::*;
pub(crate) use attributes::{adopt_copy_on_write, entry, is_append_only, toggle_copy_on_write};
pub(crate) use clone::{can_reflink, may_clone};
pub(crate) use directory_sync::{DirectorySync, open_directory_sync};
pub(crate) use fiemap::{WrittenMap, has_more_extents_than, known_written, summarize_extents};
pub(crate) use identity::is_same_file;
pub(crate) use lease::Lease;
pub(crate) use unnamed::fsync_persists_unnamed;
pub(crate) use writeback::start_writing_back;

/// Returns a descriptor's entry in procfs. A link through it leads to the open file, not to a name.
///
/// `/proc/self` is the main thread's, and has no descriptors once that thread has exited. The descriptors of
/// all threads are the same.
fn proc_entry(descriptor: &impl AsRawFd) -> PathBuf {
    format!("/proc/thread-self/fd/{}", descriptor.as_raw_fd()).into()
}

/// Returns another handle on a file, which does not keep it open for writing.
pub(crate) fn handle_of(file: &File) -> io::Result<SourceHandle> {
    Ok(open(CWD, &proc_entry(file), OFlags::PATH, Mode::empty())?)
}

/// Opens the file that the handle refers to, not its name again. The caller must check that it is the
/// same file, because anything may be mounted on `/proc`.
///
/// `O_NONBLOCK` has no effect on a file on a disk. It prevents waiting at files under a lease, and at
/// kernel files such as /proc/kmsg.
pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(CWD, &proc_entry(&handle), flags, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        Err(Errno::NOENT) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the source is opened through /proc, which is not mounted",
        )),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the status that the file system reports now. NFS, CIFS and FUSE answer `fstat` from a cache,
/// which lacks the writes of other machines.
pub(crate) fn status_now(file: impl AsFd) -> io::Result<Status> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let refreshed = retry_on_intr(|| fs::statx(&file, "", flags, StatxFlags::BASIC_STATS));
    match refreshed {
        Ok(statx) => Ok(from_statx(&statx)),
        // Before Linux 4.11, or denied by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => status(file),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the bytes that are allocated for a file now. Nothing else is asked for, because NFS writes all dirty
/// pages before it tells the times (`nfs_getattr`).
pub(crate) fn allocated_now(file: &File) -> io::Result<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    match retry_on_intr(|| fs::statx(file, "", flags, StatxFlags::BLOCKS)) {
        Ok(statx) => Ok(statx.stx_blocks.saturating_mul(512)),
        // Before Linux 4.11, or denied by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => Ok(status(file)?.allocated),
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
        links: statx.stx_nlink.into(),
        mode: statx.stx_mode.into(),
        accessed: (statx.stx_atime.tv_sec, statx.stx_atime.tv_nsec.into()),
        modified: (statx.stx_mtime.tv_sec, statx.stx_mtime.tv_nsec.into()),
        changed: (statx.stx_ctime.tv_sec, statx.stx_ctime.tv_nsec.into()),
    }
}

/// Returns the permission bits of the owning group if the file has an access control list. The group
/// bits of the file's mode are then the list's mask: the most that any entry grants. The list is not
/// copied, so the mask could grant the owning group more than it has on the source.
///
/// # Errors
///
/// The list can't be read, so it is not known whether there is one.
pub(crate) fn owning_groups_permissions(file: &File) -> io::Result<Option<u32>> {
    let mut list = [0; 4096];
    let name = "system.posix_acl_access";
    match retry_on_intr(|| fs::fgetxattr(file, name, &mut list)) {
        Ok(length) => Ok(Some(acl::owning_groups_permissions(&list[..length]))),
        // The file has no list, or the file system none.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Creates a file without a name. None if this file system can't.
pub(crate) fn create_unnamed(directory: &Directory) -> io::Result<Option<File>> {
    open_unnamed(directory, OFlags::WRONLY)
}

/// Creates a file without a name, open in this mode. None if this file system can't.
fn open_unnamed(directory: &Directory, mode: OFlags) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | mode;
    match open(directory, ".".as_ref(), flags, STAGED_MODE) {
        Ok(fd) => Ok(Some(fd.into())),
        // ext4 returns EPERM in a directory that was removed.
        Err(Errno::PERM) if status(directory)?.links == 0 => Err(Errno::NOENT.into()),
        // open(2): EOPNOTSUPP from a file system without O_TMPFILE, EISDIR from a kernel that does not
        // know the flag. EINVAL and ENOSYS: FUSE, seccomp. EPERM: seccomp; an immutable directory returns it
        // for a file with a name, too.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            Ok(None)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Gives a file without a name its first name. An existing name is never replaced.
pub(crate) fn link_unnamed(file: &File, directory: &Directory, name: &OsStr) -> io::Result<()> {
    let by_descriptor =
        retry_on_intr(|| fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH));
    match by_descriptor {
        // Before Linux 6.10 this requires CAP_DAC_READ_SEARCH; linkat(2) has the alternative.
        Err(Errno::NOENT) => {}
        result => return Ok(result?),
    }
    let entry = proc_entry(file);
    Ok(retry_on_intr(|| {
        fs::linkat(CWD, &entry, directory, name, AtFlags::SYMLINK_FOLLOW)
    })?)
}

/// A clone fills the staged file.
pub(crate) const CLONE_MAKES_A_FILE: bool = false;

/// Shares all blocks of `source` with `staged` (`FICLONE`).
pub(crate) fn clone(
    source: &File,
    staged: &mut File,
    _directory: &Directory,
    _name: Option<&OsStr>,
) -> io::Result<()> {
    reflink_copy::reflink_file(source, staged)
}

/// Copies bytes between equal offsets (`copy_file_range`), and returns how many.
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

/// Fails with `ETXTBSY` if the kernel swaps to a file. On another file system that is not known.
///
/// `copy_file_range` checks that before it looks at the length, which is 0 (`generic_copy_file_checks` in
/// mm/filemap.c). Nothing is copied.
pub(crate) fn refuse_swap_file(source: &File, staged: &File) -> io::Result<()> {
    let nothing = || fs::copy_file_range(source, Some(&mut 0), staged, Some(&mut 0), 0);
    match retry_on_intr(nothing) {
        Err(Errno::TXTBSY) => Err(Errno::TXTBSY.into()),
        _ => Ok(()),
    }
}

/// Returns whether a file is on a file system that is known to have holes.
pub(crate) fn supports_holes(file: &File) -> bool {
    /// `F2FS_SUPER_MAGIC` (include/uapi/linux/magic.h), which libc lacks.
    const F2FS: u64 = 0xF2F5_2010;
    let known = [
        libc::EXT4_SUPER_MAGIC as u64,
        libc::XFS_SUPER_MAGIC as u64,
        libc::BTRFS_SUPER_MAGIC as u64,
        libc::TMPFS_MAGIC as u64,
        F2FS,
    ];
    file_system(file).is_some_and(|magic| known.contains(&magic))
}

/// Returns whether a file is on a file system that does not tell what is allocated for it: the client of SMB
/// returns the whole size after `ftruncate`, also to `AT_STATX_FORCE_SYNC` (6.12, samba).
pub(crate) fn hides_allocation(file: &File) -> bool {
    /// `CIFS_SUPER_MAGIC` and `SMB2_SUPER_MAGIC` (include/uapi/linux/magic.h).
    const SMB: [u64; 2] = [0xFF53_4D42, 0xFE53_4D42];
    file_system(file).is_some_and(|magic| SMB.contains(&magic))
}

/// Returns the size of the largest file on a file system without holes, if it is known and not a limit of all file
/// systems.
pub(crate) fn largest_size(file: &File) -> Option<u64> {
    (file_system(file) == Some(libc::MSDOS_SUPER_MAGIC as u64)).then_some(u32::MAX.into())
}

/// Returns the magic number of a file's file system (statfs(2)).
fn file_system(file: &File) -> Option<u64> {
    Some(fs::fstatfs(file).ok()?.f_type as u64 & 0xffff_ffff)
}

/// Returns why the file system of `staged` refuses every write, if it is one of those.
pub(crate) fn refusal_of_every_write(staged: &File) -> Option<&'static str> {
    /// `HUGETLBFS_MAGIC` (include/uapi/linux/magic.h).
    const HUGETLBFS: u64 = 0x9584_58f6;
    (file_system(staged) == Some(HUGETLBFS))
        .then_some("files on hugetlbfs can only be mapped, not written; choose another destination")
}

/// Asks the kernel to read a range into the page cache. It is a hint.
pub(crate) fn read_ahead(file: &File, range: Range<u64>) {
    let length = NonZeroU64::new(range.end - range.start);
    let _ = fs::fadvise(file, range.start, length, Advice::WillNeed);
}
