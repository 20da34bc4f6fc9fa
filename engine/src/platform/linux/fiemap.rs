//! The block map (`FIEMAP`): which data was written, and how many extents a file has.
//!
//! Blocks that were preallocated and never written read as zeros. `SEEK_DATA` skips them, but only until
//! the page cache holds them: once the file was read, read-ahead included, they count as data. `FIEMAP`
//! still reports them as unwritten. It does not report dirty pages, so it is never used to find holes.
//! It only tells which data is known to be written, so that zeros in it are kept.
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
const SHARED: u32 = 0x2000;
/// `FIEMAP_EXTENT_UNWRITTEN`.
const UNWRITTEN: u32 = 0x800;
/// `FIEMAP_EXTENT_UNKNOWN`, `_DELALLOC` and `_UNWRITTEN`: the data is not on the disk. `_ENCODED`: it is
/// compressed or encrypted, so zeros take next to nothing there, and would take whole blocks in a copy.
const NOT_KNOWN_WRITTEN: u32 = 0x2 | 0x4 | UNWRITTEN | 0x8;

/// Extents per call; they take 7 KiB.
const BATCH: usize = 128;

/// `struct fiemap` without its flexible array.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) start: u64,
    length: u64,
    pub(crate) flags: u32,
    pub(crate) mapped_extents: u32,
    pub(crate) extent_count: u32,
    reserved: u32,
}

/// `struct fiemap_extent`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct RawExtent {
    pub(crate) logical: u64,
    physical: u64,
    pub(crate) length: u64,
    reserved64: [u64; 2],
    pub(crate) flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
pub(crate) struct Request {
    pub(crate) header: Header,
    pub(crate) extents: [RawExtent; BATCH],
}

impl Request {
    /// Requests up to `extent_count` extents from `start` on.
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

/// `FS_IOC_FIEMAP`. Its number contains the size of the header alone.
const FS_IOC_FIEMAP: ioctl::Opcode = ioctl::opcode::read_write::<Header>(b'f', 11);

/// What has a block map: a file. The fuzz target `fiemap` makes up the kernel's answers.
pub(crate) trait BlockMap {
    /// Fills in the answer to a request. None if there is no block map.
    fn fiemap(&self, request: &mut Request) -> Option<()>;
}

/// A window on the block map of a file. It moves along with the queries.
pub(crate) struct WrittenMap<'a, M = File> {
    file: &'a M,
    /// The part of the file that `extents` describes completely.
    window: Range<u64>,
    extents: Vec<(Range<u64>, u32)>,
    unavailable: bool,
    /// Whether dirty pages were written to the disk.
    synced: bool,
}

impl<'a, M: BlockMap> WrittenMap<'a, M> {
    pub(crate) fn new(file: &'a M) -> Self {
        Self {
            file,
            window: 0..0,
            extents: Vec::new(),
            unavailable: false,
            synced: false,
        }
    }

    /// Returns whether the data at `offset` is known to be written, and the end of the range that the
    /// answer holds for, which is always greater than `offset`.
    pub(crate) fn at(&mut self, offset: u64) -> (bool, u64) {
        let (flags, end) = self.flags_at(offset);
        (
            flags.is_some_and(|flags| flags & NOT_KNOWN_WRITTEN == 0),
            end,
        )
    }

    /// Returns whether `offset` is in blocks that were preallocated and never written, and the end of the range
    /// that the answer holds for, which is always greater than `offset`.
    ///
    /// Dirty pages can hold data for such blocks. So they are written to the disk once, and the blocks that are
    /// still unwritten then were never written.
    pub(crate) fn was_never_written(&mut self, offset: u64) -> (bool, u64) {
        let is_unwritten = |(flags, end): (Option<u32>, u64)| {
            (flags.is_some_and(|flags| flags & UNWRITTEN != 0), end)
        };
        let answer = is_unwritten(self.flags_at(offset));
        if !answer.0 || self.synced {
            return answer;
        }
        self.synced = true;
        self.load(offset, SYNC);
        is_unwritten(self.flags_at(offset))
    }

    /// Returns the flags of the extent at `offset`, if there is one.
    fn flags_at(&mut self, offset: u64) -> (Option<u32>, u64) {
        if !self.window.contains(&offset) && !self.unavailable {
            self.load(offset, 0);
        }
        if self.unavailable {
            return (None, u64::MAX);
        }
        let next = self
            .extents
            .partition_point(|(range, _)| range.end <= offset);
        match self.extents.get(next) {
            Some((range, flags)) if range.start <= offset => (Some(*flags), range.end),
            Some((range, _)) => (None, range.start),
            None => (None, self.window.end),
        }
    }

    /// Loads the extents from `offset` on. If the file system has no block map (tmpfs, FUSE, NFS), or an
    /// inconsistent one, no data counts as written.
    fn load(&mut self, offset: u64, flags: u32) {
        self.extents.clear();
        let Some(batch) = fetch(self.file, offset, flags) else {
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
            self.extents.push((extent.logical..after, extent.flags));
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

/// The extents of a file with at most this many bytes allocated are counted in one call, which can't be
/// interrupted: at most two million extents, in blocks of 4 KiB.
const COUNTED_AT_ONCE: u64 = 8 << 30;

/// Returns whether a file with `allocated` bytes has more extents than `limit`; false if the file system
/// can't tell. `go_on` is called between two system calls, and its error ends the count.
///
/// Dirty pages are written first, as a clone would do: they get their extents then. Where blocks are
/// shared or not allocated yet, one extent can become a hundred thousand.
pub(crate) fn has_more_extents_than<E, M: BlockMap>(
    file: &M,
    limit: u64,
    allocated: u64,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<bool, E> {
    if allocated <= COUNTED_AT_ONCE {
        // With a count of 0 the kernel only counts; btrfs then skips the search for shared extents.
        let mut request = Request::new(0, 0, SYNC);
        let counted = file.fiemap(&mut request).is_some();
        return Ok(counted && u64::from(request.header.mapped_extents) > limit);
    }
    let mut count = 0;
    walk(file, SYNC, go_on, |_| {
        count += 1;
        count <= limit
    })?;
    Ok(count > limit)
}

/// Returns the number of extents of a file, and the bytes in shared ones. None if the file system can't
/// tell. `go_on` is called between two system calls, and its error ends the walk.
pub(crate) fn summarize_extents<E, M: BlockMap>(
    file: &M,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Option<(u64, u64)>, E> {
    let (mut extents, mut shared) = (0, 0_u64);
    let can_tell = walk(file, 0, go_on, |extent| {
        extents += 1;
        if extent.flags & SHARED != 0 {
            shared = shared.saturating_add(extent.length);
        }
        true
    })?;
    Ok(can_tell.then_some((extents, shared)))
}

/// Returns how many bytes of a file are known to be written: 0 if the file system can't tell. `go_on` is
/// called between two system calls, and its error ends the walk.
pub(crate) fn known_written<E, M: BlockMap>(
    file: &M,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<u64, E> {
    let mut written = 0_u64;
    let can_tell = walk(file, 0, go_on, |extent| {
        if extent.flags & NOT_KNOWN_WRITTEN == 0 {
            written = written.saturating_add(extent.length);
        }
        true
    })?;
    Ok(if can_tell { written } else { 0 })
}

/// Calls `visit` for each extent of a file until it returns false. Returns false if the file system can't
/// list all extents.
fn walk<E, M: BlockMap>(
    file: &M,
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
        // The first call has written all dirty pages.
        flags = 0;
        let mut last = true;
        for extent in &batch {
            let after = extent.logical.saturating_add(extent.length);
            // The map is inconsistent. A walk that goes back could go on for ever.
            if after <= offset || !visit(extent) {
                return Ok(true);
            }
            last = extent.flags & LAST != 0;
            offset = after;
        }
        if last {
            return Ok(true);
        }
    }
}

fn fetch(file: &impl BlockMap, offset: u64, flags: u32) -> Option<Vec<RawExtent>> {
    let mut request = Request::new(offset, BATCH as u32, flags);
    file.fiemap(&mut request)?;
    let mapped = (request.header.mapped_extents as usize).min(BATCH);
    Some(request.extents[..mapped].to_vec())
}

impl BlockMap for File {
    #[expect(unsafe_code, reason = "no crate wraps this ioctl")]
    fn fiemap(&self, request: &mut Request) -> Option<()> {
        retry_on_intr(|| {
            // SAFETY: the kernel reads the header, and writes to it and to at most `extent_count` extents
            // after it. `Request::new` sets no more than there are. Every bit pattern is valid in them.
            let call = unsafe { ioctl::Updater::<FS_IOC_FIEMAP, Request>::new(request) };
            // SAFETY: number and type belong to the same ioctl.
            unsafe { ioctl::ioctl(self, call) }
        })
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both counts agree, also for files with more extents than one batch. On a file system without a
    /// block map both return false.
    #[test]
    fn one_call_and_a_walk_count_the_same() {
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
        // Dirty pages are counted too.
        for i in 300..400 {
            file.write_all_at(&[1; 4096], i * 8192).unwrap();
        }
        for allocated in [0, u64::MAX] {
            let more = |limit| has_more_extents_than(&file, limit, allocated, || Ok::<(), ()>(()));
            assert_eq!((more(399), more(400)), (Ok(can_tell), Ok(false)));
        }
        let stopped = has_more_extents_than(&file, 0, u64::MAX, || Err(()));
        assert_eq!(stopped, Err(()));
        assert_eq!(summarize_extents(&file, || Err(())), Err(()));
    }

    /// A block map that gives the same extents to every request: offset, length and flags.
    struct Same(&'static [(u64, u64, u32)]);

    impl BlockMap for Same {
        fn fiemap(&self, request: &mut Request) -> Option<()> {
            for (raw, extent) in request.extents.iter_mut().zip(self.0) {
                (raw.logical, raw.length, raw.flags) = *extent;
            }
            request.header.mapped_extents = self.0.len() as u32;
            Some(())
        }
    }

    #[test]
    fn a_walk_ends_where_the_map_goes_back() {
        let map = Same(&[(0, 3, 0), (0, 5, 0)]);
        assert_eq!(known_written(&map, || Ok::<(), ()>(())), Ok(8));
        let map = Same(&[(0, 5, 0), (0, 3, 0), (0, 5, 0)]);
        assert_eq!(known_written(&map, || Ok::<(), ()>(())), Ok(5));
    }

    #[test]
    fn impossible_lengths_do_not_overflow() {
        let map = Same(&[(0, u64::MAX - 1, SHARED), (u64::MAX - 1, 9, SHARED | LAST)]);
        let summary = summarize_extents(&map, || Ok::<(), ()>(()));
        assert_eq!(summary, Ok(Some((2, u64::MAX))));
    }

    #[test]
    fn structures_and_number_match_the_kernels() {
        assert_eq!(size_of::<Header>(), 32);
        assert_eq!(size_of::<RawExtent>(), 56);
        assert_eq!(size_of::<Request>(), 32 + BATCH * 56);
        assert_eq!(FS_IOC_FIEMAP, 0xC020_660B);
    }
}
