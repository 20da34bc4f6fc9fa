//! Windows: ReFS and Dev Drives clone blocks. Elsewhere the bytes are copied without blocks of zeros.
//!
//! A directory is a path here. So a copy resolves its directory more than once, and the guarantees about
//! directories that are replaced during a copy do not hold.

mod handle;

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

pub(crate) use super::portable::{
    Lease, WrittenMap, adopt_copy_on_write, can_reflink, has_more_extents_than, is_append_only,
    is_same_file, known_written, largest_size, may_clone, offload, read_ahead,
    refusal_of_every_write, refuse_swap_file, start_writing_back, summarize_extents,
    supports_holes, toggle_copy_on_write,
};
use super::status::{Entry, FileId, Kind, Space, Status, Times, Timestamp};
use handle::kind_of;
pub(crate) use handle::{prepare_sparse, status};

/// An open directory: a descriptor on Unix, a path on Windows.
pub type Directory = PathBuf;

/// A handle on a file of any kind: a descriptor on Unix, an open file on Windows.
pub type SourceHandle = File;

pub(crate) fn open_source_handle(path: &Path, symlink_follow: bool) -> io::Result<SourceHandle> {
    if !symlink_follow && fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    File::open(path)
}

pub(crate) fn reopen_for_reading(handle: SourceHandle) -> io::Result<File> {
    Ok(handle)
}

pub(crate) fn open_directory(path: &Path) -> io::Result<Directory> {
    if fs::metadata(path)?.is_dir() {
        Ok(path.to_owned())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// Returns none: every file has a name here, so it makes no difference.
pub(crate) fn device(_directory: &Directory) -> Option<u64> {
    None
}

pub(crate) fn entry(directory: &Directory, name: &OsStr) -> io::Result<Option<Entry>> {
    let path = directory.join(name);
    let (kind, size) = match fs::symlink_metadata(&path) {
        Ok(metadata) => (kind_of(metadata.file_type()), metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = match kind {
        Kind::Regular => status(&File::open(&path)?)?.id,
        // It never equals the source's, which is a regular file.
        _ => FileId {
            device: u64::MAX,
            inode: u64::MAX,
        },
    };
    Ok(Some(Entry {
        id,
        kind,
        size,
        pinned: None,
    }))
}

pub(crate) fn link_target(directory: &Directory, name: &OsStr) -> io::Result<Option<FileId>> {
    let target = File::open(directory.join(name));
    Ok(target
        .and_then(|file| status(&file))
        .ok()
        .map(|status| status.id))
}

pub(crate) fn create_unnamed(_directory: &Directory) -> io::Result<Option<File>> {
    Ok(None)
}

/// Returns true: every file has a name here.
pub(crate) fn fsync_persists_unnamed(_file: &File) -> bool {
    true
}

pub(crate) fn link_unnamed(_: &File, _: &Directory, _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn create_named(directory: &Directory, name: &OsStr) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(directory.join(name))
}

pub(crate) fn status_now(file: &File) -> io::Result<Status> {
    status(file)
}

/// Returns 0: the status has only an upper bound.
pub(crate) fn allocated_now(_file: &File) -> io::Result<u64> {
    Ok(0)
}

/// Returns another handle on a file.
pub(crate) fn handle_of(file: &File) -> io::Result<SourceHandle> {
    file.try_clone()
}

pub(crate) fn owning_groups_permissions(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// Closes a handle. That reports no write errors here.
pub(crate) fn close(_file: File) -> io::Result<()> {
    Ok(())
}

/// Sets the times of last access and last modification.
pub(crate) fn set_times(file: &File, times: Times) -> io::Result<()> {
    /// The time from 1601, the epoch of `FILETIME`, until that of Unix.
    const UNTIL_UNIX: Duration = Duration::from_secs(11_644_473_600);
    // The unit is 100 ns.
    let time = |(ticks, _): Timestamp| {
        let ticks = u64::try_from(ticks).ok()?;
        let since_1601 = Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100);
        UNIX_EPOCH.checked_sub(UNTIL_UNIX)?.checked_add(since_1601)
    };
    let invalid = io::ErrorKind::InvalidInput;
    let times = FileTimes::new()
        .set_accessed(time(times.accessed).ok_or(invalid)?)
        .set_modified(time(times.modified).ok_or(invalid)?);
    file.set_times(times)
}

/// Returns true: the status has the apparent size as an upper bound.
pub(crate) fn hides_allocation(_file: &File) -> bool {
    true
}

/// Does nothing: permissions come from the directory.
pub(crate) fn set_permissions(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn rename_replace(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    fs::rename(directory.join(from), directory.join(to))
}

/// Links the file to a name that must not exist, and leaves the old name.
pub(crate) fn rename_new(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    fs::hard_link(directory.join(from), directory.join(to))
}

pub(crate) fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
    fs::remove_file(directory.join(name))
}

/// Nothing: NTFS and ReFS log their directories, and no call waits for the log.
#[derive(Debug)]
pub(crate) struct DirectorySync;

pub(crate) fn open_directory_sync(_directory: &Directory) -> io::Result<DirectorySync> {
    Ok(DirectorySync)
}

impl DirectorySync {
    pub(crate) fn sync(self, _file: &File) -> io::Result<()> {
        Ok(())
    }
}

/// Fails, so that the whole file is read and blocks of zeros become holes.
pub(crate) fn seek_data(_file: &File, _from: u64) -> io::Result<Option<u64>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn seek_hole(_file: &File, _from: u64) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

pub(crate) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buffer, offset)
}

pub(crate) fn process_file_size_limit() -> u64 {
    u64::MAX
}

/// Returns 0 for both, which means unknown.
pub(crate) fn spaces(_directory: &Directory, _file: &File) -> io::Result<[Space; 2]> {
    Ok([Space { size: 0, free: 0 }; 2])
}

/// Returns whether an error of sharing blocks concerns the source's data: it can't be read.
pub(crate) fn is_final(error: &io::Error) -> bool {
    // ERROR_CRC (winerror.h): "Data error (cyclic redundancy check)".
    error.raw_os_error() == Some(23)
}

pub(crate) fn is_lack_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(
        error.kind(),
        OutOfMemory | StorageFull | QuotaExceeded | FileTooLarge
    )
}

/// Returns true: no reply is lost here.
pub(crate) fn had_no_effect(_error: &io::Error) -> bool {
    true
}

/// Returns false: every file has a name here.
pub(crate) fn is_refusal_to_link(_error: &io::Error) -> bool {
    false
}

/// Returns whether an error means that the file system does not let the copy set its times.
pub(crate) fn is_refusal_to_set_attributes(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | InvalidInput)
}

/// A clone fills the staged file.
pub(crate) const CLONE_MAKES_A_FILE: bool = false;

/// Shares all blocks of `source` with `staged` (`FSCTL_DUPLICATE_EXTENTS_TO_FILE`).
pub(crate) fn clone(
    source: &File,
    staged: &mut File,
    _directory: &Directory,
    _name: Option<&OsStr>,
) -> io::Result<()> {
    reflink_copy::reflink_file(source, staged)
}

/// Returns false: nothing is written early here.
pub(crate) fn is_left_for_later(_error: &io::Error) -> bool {
    false
}

/// Succeeds: starting a thread reports a lack of memory here.
pub(crate) fn check_memory(_bytes: usize) -> io::Result<()> {
    Ok(())
}
