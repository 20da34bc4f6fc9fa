//! Which data was surely written, by `FIEMAP`.
//!
//! Blocks that were preallocated and never written read as zeros, and `SEEK_DATA` skips them, but
//! only until the page cache holds them: after anybody has read the file, read-ahead included, they
//! count as data. `FIEMAP` still knows. It doesn't know dirty pages, so it never says that
//! something is a hole: it only says where data needs no look at its bytes.
//!
//! Kernel: Documentation/filesystems/fiemap.rst, include/uapi/linux/fiemap.h.

use std::fs::File;
use std::ops::Range;

use rustix::ioctl;

/// `FIEMAP_EXTENT_LAST`.
const LAST: u32 = 0x1;
/// `FIEMAP_EXTENT_UNKNOWN`, `_DELALLOC` and `_UNWRITTEN`: nothing is on the disk yet.
const NOT_SURELY_WRITTEN: u32 = 0x2 | 0x4 | 0x800;

/// Extents in one call: 7 KiB.
const BATCH: usize = 128;

/// `struct fiemap` without its flexible array.
#[repr(C)]
struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
}

/// `struct fiemap_extent`.
#[derive(Clone, Copy)]
#[repr(C)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Request {
    header: Header,
    extents: [RawExtent; BATCH],
}

/// `FS_IOC_FIEMAP`, whose number has the size of the header alone in it.
const FS_IOC_FIEMAP: ioctl::Opcode = ioctl::opcode::read_write::<Header>(b'f', 11);

/// A window on the block map of a file, moved along as it is asked.
pub(crate) struct WrittenMap<'a> {
    file: &'a File,
    /// The part of the file that `extents` tells all of.
    window: Range<u64>,
    extents: Vec<(Range<u64>, bool)>,
    unavailable: bool,
}

impl<'a> WrittenMap<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Self {
            file,
            window: 0..0,
            extents: Vec::new(),
            unavailable: false,
        }
    }

    /// Whether the data at `offset` was surely written, and up to where the answer holds, which is
    /// always beyond `offset`.
    pub(crate) fn at(&mut self, offset: u64) -> (bool, u64) {
        if !self.window.contains(&offset) && !self.unavailable {
            self.load(offset);
        }
        if self.unavailable {
            return (false, u64::MAX);
        }
        let next = self
            .extents
            .partition_point(|(range, _)| range.end <= offset);
        match self.extents.get(next) {
            Some((range, written)) if range.start <= offset => (*written, range.end),
            Some((range, _)) => (false, range.start),
            None => (false, self.window.end),
        }
    }

    /// Loads the extents from `offset` on. Where the file system has no such map (tmpfs, FUSE,
    /// NFS), or one that makes no sense, nothing counts as surely written.
    fn load(&mut self, offset: u64) {
        self.extents.clear();
        let Some(batch) = fetch(self.file, offset) else {
            self.unavailable = true;
            return;
        };
        let mut end = offset;
        for extent in &batch {
            let after = extent.logical.saturating_add(extent.length);
            let overlaps = !self.extents.is_empty() && extent.logical < end;
            if overlaps || after <= end {
                break;
            }
            let written = extent.flags & NOT_SURELY_WRITTEN == 0;
            self.extents.push((extent.logical..after, written));
            end = after;
        }
        let complete = batch.len() < BATCH || batch.last().is_some_and(|e| e.flags & LAST != 0);
        self.window = if complete && self.extents.len() == batch.len() {
            offset..u64::MAX
        } else {
            offset..end
        };
        self.unavailable = !self.window.contains(&offset);
    }
}

#[expect(unsafe_code, reason = "no crate wraps this ioctl")]
fn fetch(file: &File, offset: u64) -> Option<Vec<RawExtent>> {
    let empty = RawExtent {
        logical: 0,
        physical: 0,
        length: 0,
        reserved64: [0; 2],
        flags: 0,
        reserved: [0; 3],
    };
    let mut request = Request {
        header: Header {
            start: offset,
            length: u64::MAX - offset,
            flags: 0,
            mapped_extents: 0,
            extent_count: BATCH as u32,
            reserved: 0,
        },
        extents: [empty; BATCH],
    };
    // SAFETY: the kernel reads the header and writes to it and to at most `extent_count` extents
    // behind it, which is how many there are; every bit pattern is valid in them.
    let call = unsafe { ioctl::Updater::<FS_IOC_FIEMAP, Request>::new(&mut request) };
    // SAFETY: the number and the type above are those of one ioctl, which does nothing else.
    unsafe { ioctl::ioctl(file, call) }.ok()?;
    let mapped = (request.header.mapped_extents as usize).min(BATCH);
    Some(request.extents[..mapped].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!(size_of::<Header>(), 32);
        assert_eq!(size_of::<RawExtent>(), 56);
        assert_eq!(size_of::<Request>(), 32 + BATCH * 56);
        assert_eq!(FS_IOC_FIEMAP, 0xC020_660B);
    }
}
