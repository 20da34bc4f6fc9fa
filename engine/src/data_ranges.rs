//! Where a file has data: the ranges that a copy reads.

use std::ops::Range;

use crate::context::Context;
use crate::error::{CopyError, CopyStep};
use crate::options::{CopyOptions, Sharing};
use crate::platform::WrittenMap;
use crate::source::Source;
use crate::transfer::extents::{Extent, Extents};

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes, at least 1.
    pub length: u64,
}

impl DataRange {
    /// Returns the offset after the last byte.
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// Returns where a file has data from `start` on, in order, at most `max` ranges. Everything else, up to the end
/// of the last range, reads as zeros. If there are fewer than `max`, this holds up to the end of the file. To
/// get more, call it again from the end of the last range. Of `options`, only the deadline and the control are
/// used.
///
/// These are the ranges that a copy reads; a copy can leave out more blocks of zeros. Data is what `SEEK_DATA` reports. Preallocated blocks that were never written
/// are not data, even if the page cache holds them, where the file system has a block map (`FIEMAP`). To find that
/// out, the file's dirty pages are written to the disk. A file system that reports neither data nor holes has data
/// everywhere.
///
/// A process that writes to the file can change its ranges at any time.
///
/// ```
/// use fast_copy_engine::{CopyOptions, Source, data_ranges};
///
/// # let file = tempfile::NamedTempFile::new()?;
/// # let path = file.path();
/// # std::fs::write(path, "an image")?;
/// let source = Source::open(path, true)?;
/// let data: u64 = data_ranges(&source, 0, 1024, &CopyOptions::new())?
///     .iter()
///     .map(|range| range.length)
///     .sum();
/// println!("{data} of {} bytes are data", source.size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TimedOut`](crate::CopyErrorKind::TimedOut) and [`Cancelled`](crate::CopyErrorKind::Cancelled).
pub fn data_ranges(
    source: &Source,
    start: u64,
    max: usize,
    options: &CopyOptions,
) -> Result<Vec<DataRange>, CopyError> {
    let context = Context::new(options, Sharing::Forbidden, &|_| ());
    source.wait_for_writers();
    let mut found = Found {
        ranges: Vec::new(),
        max,
    };
    let mut map = WrittenMap::new(&source.file);
    for extent in Extents::new(source, start) {
        context.check(CopyStep::Open)?;
        let was_added = match extent {
            Extent::Unmapped(range) => found.add(range),
            Extent::Data(range) => add_data(range, &mut map, &context, &mut found)?,
        };
        if !was_added {
            break;
        }
    }
    Ok(found.ranges)
}

/// The ranges found so far. Adjacent ones are merged.
struct Found {
    ranges: Vec<DataRange>,
    max: usize,
}

impl Found {
    /// Adds a range after the last one. Returns false if there is no room for it.
    fn add(&mut self, range: Range<u64>) -> bool {
        let length = range.end - range.start;
        let is_full = self.ranges.len() >= self.max;
        match self.ranges.last_mut() {
            // File systems report some ranges in pieces (f2fs, at the borders of its nodes).
            Some(last) if last.end() == range.start => last.length += length,
            _ if length == 0 => {}
            _ if is_full => return false,
            _ => self.ranges.push(DataRange {
                offset: range.start,
                length,
            }),
        }
        true
    }
}

/// Adds a range that the file system reports as data, without blocks that were preallocated and never written.
/// Returns false if there is no room for all of it.
fn add_data(
    mut range: Range<u64>,
    map: &mut WrittenMap<'_>,
    context: &Context<'_>,
    found: &mut Found,
) -> Result<bool, CopyError> {
    while range.start < range.end {
        context.check(CopyStep::Open)?;
        let (was_never_written, until) = map.was_never_written(range.start);
        let part = range.start..until.min(range.end);
        range.start = part.end;
        if !was_never_written && !found.add(part) {
            return Ok(false);
        }
    }
    Ok(true)
}
