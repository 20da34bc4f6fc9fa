//! Lists where at least one of two files has data.

use std::iter::{self, Peekable};
use std::ops::Range;

use fast_copy::{DataRange, Error, ErrorCode};

/// The ranges below a size in which at least one of two files has data, in order and without overlap.
pub struct DataOfEither {
    files: [Peekable<Ranges>; 2],
    size: u64,
    /// The end of the last range.
    end: u64,
}

/// The ranges in which a file has data.
pub type Ranges = Box<dyn Iterator<Item = Result<Range<u64>, Error>>>;

impl DataOfEither {
    pub fn new(files: [Ranges; 2], size: u64) -> Self {
        Self {
            files: files.map(Iterator::peekable),
            size,
            end: 0,
        }
    }

    /// Returns the range of either file that begins first. An error counts as a range that begins at 0.
    fn first(&mut self) -> Option<Result<Range<u64>, Error>> {
        let [a, b] = self.files.each_mut().map(|file| {
            let start = match file.peek()? {
                Ok(range) => range.start,
                Err(_) => 0,
            };
            Some((start, file))
        });
        let (_, file) = a.into_iter().chain(b).min_by_key(|(start, _)| *start)?;
        file.next()
    }
}

impl Iterator for DataOfEither {
    type Item = Result<Range<u64>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let range = match self.first()? {
                Ok(range) => range,
                Err(error) => return Some(Err(error)),
            };
            if range.start >= self.size {
                return None;
            }
            let range = range.start.max(self.end)..range.end.min(self.size);
            if !range.is_empty() {
                self.end = range.end;
                return Some(Ok(range));
            }
        }
    }
}

/// Returns the ranges in which a file of this size has data, or all of it if the host can't tell them.
pub fn ranges_or_all(
    ranges: Result<impl Iterator<Item = Result<DataRange, Error>> + 'static, Error>,
    size: u64,
) -> Result<Ranges, Error> {
    match ranges {
        Ok(ranges) => Ok(Box::new(ranges.map(|range| {
            range.map(|range| range.offset..range.offset + range.length)
        }))),
        // `Loop`: the host does not inspect the target of a symbolic link.
        Err(error) if matches!(error.code(), ErrorCode::Unsupported | ErrorCode::Loop) => {
            Ok(Box::new(iter::once(Ok(0..size))))
        }
        Err(error) => Err(error),
    }
}
