//! Where the source has data.
//!
//! `SEEK_DATA` and `SEEK_HOLE` report dirty pages, which no block map does. From a position `p` before
//! the end they can return
//!
//! | `SEEK_DATA(p)` | means | `SEEK_HOLE(d)` | means | taken as |
//! | --- | --- | --- | --- | --- |
//! | `d > end - 1` or ENXIO | only a hole is left | - | - | the end |
//! | `d < p` | the map is wrong | - | - | rest unmapped |
//! | another error | there is no map | - | - | rest unmapped |
//! | `d >= p` | data begins at `d` | `h > d` | it ends at `h` | data from `d` to `h` |
//! | `d >= p` | data begins at `d` | `h <= d`, any error | the map is changing, or wrong | rest unmapped |
//!
//! The conservative result is "unmapped": it may be data, so all of it is read, and blocks of zeros are
//! left out. A file with less allocated than its size, for which no hole is reported, is taken as unmapped
//! too (erofs, some SMB servers).

use std::fs::File;
use std::ops::Range;

use crate::platform;
use crate::source::Source;

/// A part of the source that may hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The file system reports data.
    Data(Range<u64>),
    /// The file system reports neither data nor a hole.
    Unmapped(Range<u64>),
}

impl Extent {
    pub(crate) fn range(&self) -> Range<u64> {
        match self {
            Extent::Data(range) | Extent::Unmapped(range) => range.clone(),
        }
    }

    /// Returns a part of this extent.
    pub(super) fn with_range(&self, range: Range<u64>) -> Self {
        match self {
            Extent::Data(_) => Extent::Data(range),
            Extent::Unmapped(_) => Extent::Unmapped(range),
        }
    }
}

/// Iterates over the extents of a file, in order. It holds one at a time.
pub(crate) struct Extents<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    /// Whether less is allocated than the size.
    partly_allocated: bool,
}

impl<'a> Extents<'a> {
    /// Iterates over the extents from `start` on.
    pub(crate) fn new(source: &'a Source, start: u64) -> Self {
        Self {
            file: &source.file,
            position: start,
            end: source.size(),
            partly_allocated: source.is_partly_allocated(),
        }
    }

    fn rest_unmapped(&mut self, from: u64) -> Option<Extent> {
        self.position = self.end;
        Some(Extent::Unmapped(from..self.end))
    }
}

impl Iterator for Extents<'_> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        let position = self.position;
        if position >= self.end {
            return None;
        }
        let data = match platform::seek_data(self.file, position) {
            Ok(Some(data)) if data < self.end => data,
            Ok(_) => {
                self.position = self.end;
                return None;
            }
            Err(_) => return self.rest_unmapped(position),
        };
        if data < position {
            return self.rest_unmapped(position);
        }
        match platform::seek_hole(self.file, data) {
            Ok(hole) if data == 0 && hole >= self.end && self.partly_allocated => {
                self.rest_unmapped(0)
            }
            Ok(hole) if hole > data => {
                self.position = hole.min(self.end);
                Some(Extent::Data(data..self.position))
            }
            _ => self.rest_unmapped(data),
        }
    }
}
