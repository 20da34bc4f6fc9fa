//! Whether two files can share blocks.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl;

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
#[expect(unsafe_code, reason = "no crate wraps this ioctl")]
pub(crate) fn may_clone(source: &File, staged: &File) -> bool {
    let ask = || {
        let range = Range {
            source: source.as_raw_fd().into(),
            source_offset: 1,
            length: 1,
            destination_offset: 1,
        };
        // SAFETY: number and type belong to the same ioctl, which reads the structure and keeps no
        // pointer to it.
        unsafe {
            let call = ioctl::Setter::<FICLONERANGE, Range>::new(range);
            ioctl::ioctl(staged, call)
        }
    };
    retry_on_intr(ask) == Err(Errno::INVAL)
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
