//! Whether two files can share blocks at all, without having them share any.

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

/// Asks for one byte at the offset 1 to be shared. No file system shares less than a block, so nobody
/// does that; but one that shares blocks says `EINVAL`, and all others that it isn't supported
/// (ioctl_ficlonerange(2)). It takes no longer than to say so, whatever waits to be written.
#[expect(unsafe_code, reason = "no crate wraps this ioctl")]
pub(crate) fn may_clone(source: &File, staged: &File) -> bool {
    let ask = || {
        let range = Range {
            source: source.as_raw_fd().into(),
            source_offset: 1,
            length: 1,
            destination_offset: 1,
        };
        // SAFETY: the number and the type are those of one ioctl, which reads the structure and keeps
        // nothing of it.
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
    fn the_number_is_the_kernels() {
        assert_eq!(FICLONERANGE, 0x4020_940D);
        assert_eq!(size_of::<Range>(), 32);
    }
}
