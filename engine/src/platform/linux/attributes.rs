//! Attributes of files and directories that decide what can be done with them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use rustix::fs::{
    self, AtFlags, IFlags, StatxAttributes, StatxFlags, ioctl_getflags, ioctl_setflags,
};
use rustix::io::{Errno, retry_on_intr};

use crate::platform::status::{Entry, Pinned, Status};
use crate::platform::unix::{self, Directory};

/// Returns what a name refers to, without following a symbolic link.
pub(crate) fn entry(directory: &Directory, name: &OsStr) -> io::Result<Option<Entry>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let found = retry_on_intr(|| fs::statx(directory, name, flags, StatxFlags::BASIC_STATS));
    match found {
        Ok(statx) => {
            let Status { id, kind, size, .. } = super::from_statx(&statx);
            let pinned = pinned(statx.stx_attributes);
            Ok(Some(Entry {
                id,
                kind,
                size,
                pinned,
            }))
        }
        Err(Errno::NOENT) => Ok(None),
        // Before Linux 4.11, or denied by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => unix::entry(directory, name),
        Err(errno) => Err(errno.into()),
    }
}

/// Converts the attributes. A bit that the file system does not support is clear (statx(2)).
fn pinned(attributes: StatxAttributes) -> Option<Pinned> {
    if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        Some(Pinned::MountPoint)
    } else if attributes.intersects(StatxAttributes::APPEND | StatxAttributes::IMMUTABLE) {
        Some(Pinned::Attribute)
    } else {
        None
    }
}

/// Returns whether names can be added to a directory, but not renamed or removed (`chattr +a`). False if
/// that is not known.
pub(crate) fn is_append_only(directory: &Directory) -> bool {
    let flags = AtFlags::EMPTY_PATH;
    retry_on_intr(|| fs::statx(directory, "", flags, StatxFlags::empty()))
        .is_ok_and(|statx| statx.stx_attributes.contains(StatxAttributes::APPEND))
}

/// Gives an empty file the copy-on-write flag of another (`FS_NOCOW_FL`, `chattr +C`). Returns false if they
/// have the same, or if it can't be set.
pub(crate) fn adopt_copy_on_write(source: &File, staged: &File) -> bool {
    let has_flag = |file| ioctl_getflags(file).map(|flags| flags.contains(IFlags::NOCOW));
    match (has_flag(source), has_flag(staged)) {
        (Ok(source), Ok(other)) if source != other => toggle_copy_on_write(staged),
        _ => false,
    }
}

/// Toggles the copy-on-write flag of a file, which btrfs allows while the file is empty. Returns whether that
/// was possible.
pub(crate) fn toggle_copy_on_write(file: &File) -> bool {
    ioctl_getflags(file)
        .and_then(|flags| ioctl_setflags(file, flags.symmetric_difference(IFlags::NOCOW)))
        .is_ok()
}
