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

use rustix::io::retry_on_intr;
use rustix::ioctl;

/// `FIEMAP_FLAG_SYNC`.
const SYNC: u32 = 0x1;
/// `FIEMAP_EXTENT_LAST`.
const LAST: u32 = 0x1;
/// `FIEMAP_EXTENT_SHARED`.
#[cfg(feature = "p2")]
const SHARED: u32 = 0x2000;
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

impl Request {
    /// Asks for all extents from `start` on, or for the first of them.
    fn new(start: u64, extent_count: u32, flags: u32) -> Self {
        let empty = RawExtent {
            logical: 0,
            physical: 0,
            length: 0,
            reserved64: [0; 2],
            flags: 0,
            reserved: [0; 3],
        };
        Self {
            header: Header {
                start,
                length: u64::MAX - start,
                flags,
                mapped_extents: 0,
                extent_count: extent_count.min(BATCH as u32),
                reserved: 0,
            },
            extents: [empty; BATCH],
        }
    }
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
        let Some(batch) = fetch(self.file, offset, 0) else {
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

/// With no more allocated than this, in bytes, a file's extents are counted in one call, which can't be
/// stopped: two million of them at most, in blocks of 4 KiB.
const COUNTED_AT_ONCE: u64 = 8 << 30;

/// Whether a file that has so many bytes allocated has more extents than `limit`, as far as the file
/// system can tell. `go_on` is asked between two calls, and its error ends it.
///
/// Dirty pages are written first, as a clone would: only then have they extents. By blocks that are
/// shared or not allocated yet, one extent can become a hundred thousand.
pub(crate) fn has_more_extents_than<E>(
    file: &File,
    limit: u64,
    allocated: u64,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<bool, E> {
    if allocated <= COUNTED_AT_ONCE {
        // With room for none the kernel only counts them; btrfs then doesn't look who shares them.
        let mut request = Request::new(0, 0, SYNC);
        let counted = call(file, &mut request).is_some();
        return Ok(counted && u64::from(request.header.mapped_extents) > limit);
    }
    let mut count = 0;
    walk(file, SYNC, go_on, |_| {
        count += 1;
        count <= limit
    })?;
    Ok(count > limit)
}

/// How many extents a file has, and how many bytes are in those that belong to other files too. None
/// where the file system can't tell. `go_on` is asked between two calls, and its error ends it.
#[cfg(feature = "p2")]
pub(crate) fn summarize_extents<E>(
    file: &File,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Option<(u64, u64)>, E> {
    let (mut extents, mut shared) = (0, 0);
    let can_tell = walk(file, 0, go_on, |extent| {
        extents += 1;
        if extent.flags & SHARED != 0 {
            shared += extent.length;
        }
        true
    })?;
    Ok(can_tell.then_some((extents, shared)))
}

/// Visits a file's extents until `visit` says that it is enough. False: the file system can't tell, or
/// not all of them.
fn walk<E>(
    file: &File,
    mut flags: u32,
    go_on: impl Fn() -> Result<(), E>,
    mut visit: impl FnMut(&RawExtent) -> bool,
) -> Result<bool, E> {
    let mut offset = 0;
    loop {
        go_on()?;
        let Some(batch) = fetch(file, offset, flags) else {
            return Ok(false);
        };
        // All pages were written by the first call.
        flags = 0;
        let mut last = true;
        for extent in &batch {
            if !visit(extent) {
                return Ok(true);
            }
            let after = extent.logical.saturating_add(extent.length);
            last = extent.flags & LAST != 0 || after <= offset;
            offset = after;
        }
        if last {
            return Ok(true);
        }
    }
}

fn fetch(file: &File, offset: u64, flags: u32) -> Option<Vec<RawExtent>> {
    let mut request = Request::new(offset, BATCH as u32, flags);
    call(file, &mut request)?;
    let mapped = (request.header.mapped_extents as usize).min(BATCH);
    Some(request.extents[..mapped].to_vec())
}

#[expect(unsafe_code, reason = "no crate wraps this ioctl")]
fn call(file: &File, request: &mut Request) -> Option<()> {
    retry_on_intr(|| {
        // SAFETY: the kernel reads the header and writes to it and to at most `extent_count` extents
        // behind it, of which `Request::new` asks for no more than there are; every bit pattern is
        // valid in them.
        let call = unsafe { ioctl::Updater::<FS_IOC_FIEMAP, Request>::new(request) };
        // SAFETY: the number and the type above are those of one ioctl, which does nothing else.
        unsafe { ioctl::ioctl(file, call) }
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the file system can tell at all, and then for files of more than one batch too.
    #[test]
    fn one_call_and_many_count_the_same() {
        use std::os::unix::fs::FileExt;
        let file = tempfile::tempfile().unwrap();
        for i in 0..300 {
            file.write_all_at(&[1; 4096], i * 8192).unwrap();
        }
        file.sync_all().unwrap();
        let mut can_tell = false;
        for limit in [0, 1, 127, 128, 129, 299, 300, 301] {
            let [one, many] = [0, u64::MAX].map(|allocated| {
                has_more_extents_than(&file, limit, allocated, || Ok::<(), ()>(())).unwrap()
            });
            assert_eq!(one, many, "{limit}");
            can_tell |= one;
        }
        // Not on the disk yet, but they have their extents.
        for i in 300..400 {
            file.write_all_at(&[1; 4096], i * 8192).unwrap();
        }
        for allocated in [0, u64::MAX] {
            let more = |limit| has_more_extents_than(&file, limit, allocated, || Ok::<(), ()>(()));
            assert_eq!((more(399), more(400)), (Ok(can_tell), Ok(false)));
        }
        let stopped = has_more_extents_than(&file, 0, u64::MAX, || Err(()));
        assert_eq!(stopped, Err(()));
        #[cfg(feature = "p2")]
        assert_eq!(summarize_extents(&file, || Err(())), Err(()));
    }

    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!(size_of::<Header>(), 32);
        assert_eq!(size_of::<RawExtent>(), 56);
        assert_eq!(size_of::<Request>(), 32 + BATCH * 56);
        assert_eq!(FS_IOC_FIEMAP, 0xC020_660B);
    }
}
