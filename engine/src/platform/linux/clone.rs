//! Whether two files can share blocks.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl;

use super::{file_system, open_unnamed};
use crate::platform::status::ReflinkSupport;
use crate::platform::unix::{Directory, open};

/// `struct file_clone_range` (include/uapi/linux/fs.h).
#[repr(C)]
struct Range {
    source: i64,
    source_offset: u64,
    length: u64,
    destination_offset: u64,
}

/// `FICLONERANGE`.
const FICLONERANGE: ioctl::Opcode = ioctl::opcode::write::<Range>(0x94, 13);

/// Returns whether two files can share blocks, without sharing any.
///
/// It asks to share one byte at offset 1. No file system shares less than a block: one that shares blocks
/// returns `EINVAL`, all others another error (ioctl_ficlonerange(2)). The call does not wait for dirty
/// pages.
pub(crate) fn may_clone(source: &File, staged: &File) -> bool {
    ask_to_share(source, staged) == Err(Errno::INVAL)
}

/// Returns whether files in two directories can share blocks. It creates a file without a name in the second
/// directory, and writes nothing to it.
///
/// The kernel compares the file systems (`EXDEV`) before it refuses to share the blocks of a directory
/// (`EISDIR`; `vfs_clone_file_range` in fs/remap_range.c). Other file systems than those with `O_TMPFILE` are not
/// asked, because a file with a name could be left.
pub(crate) fn can_reflink(sources: &Directory, copies: &Directory) -> io::Result<ReflinkSupport> {
    let Some(unnamed) = open_unnamed(copies, OFlags::RDWR)? else {
        return Ok(ReflinkSupport::Unknown);
    };
    match ask_to_share(&unnamed, &unnamed) {
        Err(Errno::INVAL) => {}
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS | Errno::XDEV) => {
            return Ok(ReflinkSupport::No);
        }
        _ => return Ok(ReflinkSupport::Unknown),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let Ok(sources) = open(sources, ".".as_ref(), flags, Mode::empty()) else {
        return Ok(ReflinkSupport::Unknown);
    };
    Ok(match ask_to_share(&sources, &unnamed) {
        // Files of an overlay can lie on several file systems.
        Err(Errno::ISDIR) if is_overlay(&unnamed) => ReflinkSupport::Unknown,
        Err(Errno::ISDIR) => ReflinkSupport::Yes,
        Err(Errno::XDEV) => ReflinkSupport::No,
        _ => ReflinkSupport::Unknown,
    })
}

fn is_overlay(file: &File) -> bool {
    file_system(file) == Some(libc::OVERLAYFS_SUPER_MAGIC as u64)
}

/// Asks to share a byte that can't be shared, and returns the kernel's answer.
#[expect(unsafe_code, reason = "no crate wraps this ioctl")]
fn ask_to_share(source: impl AsFd, staged: impl AsFd) -> rustix::io::Result<()> {
    retry_on_intr(|| {
        let range = Range {
            source: source.as_fd().as_raw_fd().into(),
            source_offset: 1,
            length: 1,
            destination_offset: 1,
        };
        // SAFETY: number and type belong to the same ioctl, which reads the structure and keeps no
        // pointer to it.
        unsafe {
            let call = ioctl::Setter::<FICLONERANGE, Range>::new(range);
            ioctl::ioctl(&staged, call)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_structure_match_the_kernels() {
        assert_eq!(FICLONERANGE, 0x4020_940D);
        assert_eq!(size_of::<Range>(), 32);
    }
}
