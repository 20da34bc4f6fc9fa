//! Lists where a file has data.

use std::iter::FusedIterator;
use std::path::Path;
use std::vec;

use crate::inspected::InspectedFile;
use crate::{DataRange, Error, inspect};

/// The host returns this many ranges at a time, and fewer only at the end of the file.
const PAGE: usize = 1024;

/// Returns the ranges in which a file has data, in order. Everything outside them reads as zeros.
///
/// Asks the host for 1,024 ranges at a time. Each of these calls opens the file by its path, and waits for a
/// slot as a copy does. If the file is replaced or written to between two of them, their ranges do not
/// belong together.
///
/// Does not follow a symbolic link in the last component of the path. The file must be a regular file.
///
/// # Errors
///
/// Fails with the errors listed in [`inspect`], and with
/// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported) if the host can't tell where the file has data.
/// The error has no operand. The iterator returns the errors of later calls, and ends after the first one.
///
/// ```no_run
/// let mut bytes = 0;
/// for range in fast_copy::data_ranges("/images/vm1.img")? {
///     bytes += range?.length;
/// }
/// println!("{bytes} bytes of data");
/// # Ok::<(), fast_copy::Error>(())
/// ```
pub fn data_ranges(path: impl AsRef<Path>) -> Result<DataRanges, Error> {
    let mut ranges = DataRanges {
        file: InspectedFile::new(path.as_ref())?,
        page: Vec::new().into_iter(),
        next: Some(0),
    };
    ranges.read_page(0)?;
    Ok(ranges)
}

/// The ranges in which a file has data, in order. Created by [`data_ranges`].
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct DataRanges {
    file: InspectedFile,
    page: vec::IntoIter<DataRange>,
    /// The offset at which the next page starts, or `None` if there is no other page.
    next: Option<u64>,
}

impl DataRanges {
    fn read_page(&mut self, start: u64) -> Result<(), Error> {
        self.next = None;
        let page = inspect::data_ranges(self.file.dir, &self.file.name, start).map_err(|code| {
            let unsupported = "the host can't tell where the file has data";
            self.file.error(code, unsupported)
        })?;
        if page.len() >= PAGE {
            self.next = page.last().map(|range| range.offset + range.length);
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for DataRanges {
    type Item = Result<DataRange, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(range) = self.page.next() {
            return Some(Ok(range));
        }
        if let Err(error) = self.read_page(self.next?) {
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

impl FusedIterator for DataRanges {}
