//! Whether two files with the same device and inode number are one file.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use crate::platform::unix::Directory;

/// `MAX_HANDLE_SZ` (include/linux/exportfs.h).
const LONGEST: usize = 128;

/// `struct file_handle` with room for its flexible array. The kernel aligns it to 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Handle {
    length: u32,
    kind: i32,
    bytes: [u8; LONGEST],
}

/// Returns whether `file` and a name refer to the same file, given that their device and inode numbers are
/// equal. True if the file system has no handles, or if a seccomp filter denies the call.
///
/// The numbers are not enough on file systems with snapshots: over NFS, a file and its state in a snapshot
/// of btrfs have the same numbers; on bcachefs and nilfs2, locally too. Their handles differ
/// (name_to_handle_at(2)).
///
/// Also true on FUSE, where the handles of two hard links can differ.
pub(crate) fn is_same_file(file: &File, directory: &Directory, name: &OsStr) -> bool {
    /// `FUSE_SUPER_MAGIC` (include/uapi/linux/magic.h).
    const FUSE: u64 = 0x6573_5546;
    if rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type as u64 == FUSE) {
        return true;
    }
    let opened = handle(file.as_raw_fd(), OsStr::new(""), libc::AT_EMPTY_PATH);
    let named = handle(directory.as_raw_fd(), name, 0);
    match (opened, named) {
        (Some(opened), Some(named)) => opened == named,
        _ => true,
    }
}

#[expect(unsafe_code, reason = "no dependency wraps this call")]
fn handle(descriptor: i32, path: &OsStr, flags: i32) -> Option<Handle> {
    let path = CString::new(path.as_bytes()).ok()?;
    let mut handle = Handle {
        length: LONGEST as u32,
        kind: 0,
        bytes: [0; LONGEST],
    };
    let mut mount = 0;
    // SAFETY: the path is a C string, and the kernel writes at most `length` bytes after the header.
    let result = unsafe {
        libc::name_to_handle_at(
            descriptor,
            path.as_ptr(),
            (&raw mut handle).cast(),
            &raw mut mount,
            flags,
        )
    };
    (result == 0).then_some(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_link_is_the_same_file_and_another_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "other"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::hard_link(dir.path().join("one"), dir.path().join("link")).unwrap();
        let directory = File::open(dir.path()).unwrap().into();
        let file = File::open(dir.path().join("one")).unwrap();
        assert!(is_same_file(&file, &directory, "one".as_ref()));
        assert!(is_same_file(&file, &directory, "link".as_ref()));
        let has_handles = handle(file.as_raw_fd(), OsStr::new(""), libc::AT_EMPTY_PATH).is_some();
        assert_ne!(
            is_same_file(&file, &directory, "other".as_ref()),
            has_handles
        );
    }
}
