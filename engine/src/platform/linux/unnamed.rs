//! What `fsync` does to a file without a name.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;

use rustix::fs::fstatfs;

/// `BTRFS_SUPER_MAGIC` and `OVERLAYFS_SUPER_MAGIC` (statfs(2)).
const BTRFS: u64 = 0x9123_683e;
const OVERLAYFS: u64 = 0x794c_7630;

/// Returns whether `fsync` makes a file without a name durable, so that it is complete after a power cut once it
/// has been linked and its directory synchronised.
///
/// btrfs before Linux 6.18 does not: `fsync` skips a file without links (`btrfs_log_inode_parent` in
/// fs/btrfs/tree-log.c), and the later `fsync` of the directory only records that the linked file exists. After a
/// power cut the file is empty. That was seen on Linux 6.1 and 6.12. Overlayfs passes the calls on to its upper
/// file system, which may be btrfs.
pub(crate) fn fsync_persists_unnamed(file: &File) -> bool {
    match fstatfs(file).map(|status| status.f_type as u64) {
        Ok(BTRFS | OVERLAYFS) => kernel_is_at_least((6, 18)),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Returns whether the kernel has a version or a later one (uname(2)): false if the query is refused.
///
/// A seccomp filter can refuse it. rustix assumes that it can't fail.
#[expect(unsafe_code, reason = "no dependency has a uname that can fail")]
fn kernel_is_at_least(version: (u32, u32)) -> bool {
    let mut names = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the pointer is valid for a write of this type.
    if unsafe { libc::uname(names.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let names = unsafe { names.assume_init() };
    // SAFETY: the kernel ends the string with a null byte.
    let release = unsafe { CStr::from_ptr(names.release.as_ptr()) };
    is_at_least(release.to_bytes(), version)
}

/// Returns whether a release of the kernel, such as `6.12.94+deb12-amd64`, is a version or a later one. An
/// unreadable one is not.
fn is_at_least(release: &[u8], version: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|byte| !byte.is_ascii_digit())
        .map(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= version,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn releases_are_compared_by_their_first_two_numbers() {
        for (release, expected) in [
            ("6.18.0", true),
            ("6.18", true),
            ("7.0-rc1", true),
            ("10.1.2-generic", true),
            ("6.17.9", false),
            ("6.2.0", false),
            ("6.1.0-52-amd64", false),
            ("2.6.78", false),
            ("6", false),
            ("", false),
            ("next-20251130", false),
        ] {
            assert_eq!(
                is_at_least(release.as_bytes(), (6, 18)),
                expected,
                "{release}"
            );
        }
    }
}
