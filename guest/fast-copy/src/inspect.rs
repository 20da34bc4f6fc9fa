//! Reports how files use space, where they have data, and whether copies can share blocks.

use std::iter::FusedIterator;
use std::vec;

use crate::cause::Role;
use crate::error::Failure;
use crate::location::{Located, Location};
use crate::request::explain;
use crate::{Descriptor, Error, ErrorCode, Operand, system};

/// How much space a file uses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileUsage {
    /// The apparent size, including holes.
    pub size: u64,
    /// The bytes allocated for the file, including shared blocks.
    pub allocated: u64,
}

/// How the blocks of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtentSummary {
    /// The number of extents in the file system's block map.
    pub extents: u64,
    /// The bytes in extents that other files share.
    pub shared: u64,
}

/// A range of bytes in which a file has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

/// Whether copies can share blocks with their sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReflinkSupport {
    /// Copies can share blocks. One copy can still be made of bytes, because of a limit of the host or a
    /// property of the file.
    Yes,
    /// Copies can't share blocks.
    No,
    /// It is not known. A copy can tell.
    Unknown,
}

/// Returns the apparent size of a file and the space allocated for it, in bytes.
///
/// On WASI, the call waits for a slot as a copy does. Does not follow a symbolic link in the last component
/// of the path. The file must be a regular file.
///
/// # Errors
///
/// [`ErrorCode`] lists the causes. The error has no [operand](Error::operand).
pub fn disk_usage<'a>(file: impl Location<'a>) -> Result<FileUsage, Error> {
    let file = file.located();
    system::disk_usage(&file).map_err(|failure| inspection_error(failure, &file, NO_USAGE))
}

/// Returns the number of a file's extents, and how many bytes are in blocks shared with other files.
///
/// Reads the file's whole extent map, so the time grows with the number of extents. On WASI, the call waits
/// for a slot as a copy does. Does not follow a symbolic link in the last component of the path. The file
/// must be a regular file.
///
/// # Errors
///
/// [`ErrorCode`] lists the causes. If the file system has no extent map, such as tmpfs, it is
/// [`ErrorCode::Unsupported`]. The error has no [operand](Error::operand).
pub fn summarize_extents<'a>(file: impl Location<'a>) -> Result<ExtentSummary, Error> {
    let file = file.located();
    system::summarize_extents(&file).map_err(|failure| inspection_error(failure, &file, NO_EXTENTS))
}

/// Returns whether [`CopyOptions::fast_copy`](crate::CopyOptions::fast_copy) can share blocks between files
/// in the directory `src_dir` and copies in the directory `dst_dir`.
///
/// Writes no data and leaves nothing behind. Follows symbolic links, on WASI within the preopened
/// directories.
///
/// # Errors
///
/// If a directory can't be opened, the error has this directory's operand and path. Any other error is about
/// both directories.
pub fn can_reflink<'a>(
    src_dir: impl Location<'a>,
    dst_dir: impl Location<'a>,
) -> Result<ReflinkSupport, Error> {
    let (src_dir, dst_dir) = (src_dir.located(), dst_dir.located());
    let open = |dir: &Located<'_>, operand| {
        let opened = system::open_directory(dir);
        opened.map_err(|failure| failure.about(&dir.path, Some(operand)))
    };
    let src = open(&src_dir, Operand::Source)?;
    let dst = open(&dst_dir, Operand::Destination)?;
    system::can_reflink(&src, &dst).map_err(|failure| {
        let failure = match failure.code {
            ErrorCode::NotPermitted => explain(failure, &dst_dir, Role::Destination),
            _ => failure,
        };
        reflink_error(failure, &src_dir, &dst_dir)
    })
}

/// Adds the paths to a failure of `can_reflink`.
///
/// The host creates a file without a name in the directory of the copies. So this directory is the subject if
/// there is a cause for [`ErrorCode::NotPermitted`].
pub(crate) fn reflink_error<D>(
    failure: Failure,
    src: &Located<'_, D>,
    dst: &Located<'_, D>,
) -> Error {
    match failure {
        Failure {
            code: ErrorCode::NotPermitted,
            text: Some(_),
        } => failure.about(&dst.path, Some(Operand::Destination)),
        _ => failure.about_both(&src.path, &dst.path),
    }
}

/// Opens a directory, for [`At`](crate::At).
///
/// On WASI, [`Descriptor`] is the type of the crate `wasip2`, and [`At`](crate::At) also takes descriptors that
/// other code has opened.
/// Follows symbolic links, on WASI within the preopened directories.
///
/// # Errors
///
/// Fails if the directory can't be opened. The error has no [operand](Error::operand).
pub fn open_directory<'a>(path: impl Location<'a>) -> Result<Descriptor, Error> {
    let dir = path.located();
    system::open_directory(&dir).map_err(|failure| failure.about(&dir.path, None))
}

/// Returns the ranges in which a file has data, in order. Everything outside them reads as zeros.
///
/// Asks for up to 1,024 ranges at a time. Each request opens the file by its path again; on WASI, it waits for
/// a slot as a copy does. If the file changes between two requests, the ranges can come from different states
/// of it.
///
/// Does not follow a symbolic link in the last component of the path. The file must be a regular file.
///
/// # Errors
///
/// [`ErrorCode`] lists the causes. If the host can't tell where the file has data, it is
/// [`ErrorCode::Unsupported`]. The error has no [operand](Error::operand). The iterator returns the error of a
/// later request as its last item.
///
/// ```
/// # let file = tempfile::NamedTempFile::new()?;
/// # let path = file.path();
/// # std::fs::write(path, "an image")?;
/// let mut bytes = 0;
/// for range in fast_copy::data_ranges(path)? {
///     bytes += range?.length;
/// }
/// assert_eq!(bytes, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn data_ranges<'a>(file: impl Location<'a>) -> Result<DataRanges<'a>, Error> {
    let mut ranges = DataRanges {
        file: file.located(),
        page: Vec::new().into_iter(),
        next: Some(0),
    };
    ranges.read_page(0)?;
    Ok(ranges)
}

/// The most ranges that a call returns. It returns fewer only at the end of the file.
pub(crate) const PAGE: usize = 1024;

/// The ranges in which a file has data, in order. Created by [`data_ranges`].
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct DataRanges<'a> {
    file: Located<'a>,
    page: vec::IntoIter<DataRange>,
    /// The offset at which the next page starts, or `None` if there is no other page.
    next: Option<u64>,
}

impl DataRanges<'_> {
    fn read_page(&mut self, start: u64) -> Result<(), Error> {
        self.next = None;
        let page = system::data_ranges(&self.file, start)
            .map_err(|failure| inspection_error(failure, &self.file, NO_RANGES))?;
        if page.len() >= PAGE {
            self.next = page.last().map(|range| range.end());
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for DataRanges<'_> {
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

impl FusedIterator for DataRanges<'_> {}

/// The causes for [`ErrorCode::Unsupported`] of the functions that inspect a file.
pub(crate) const NO_USAGE: &str = "the host can't tell the space that a file uses";
pub(crate) const NO_EXTENTS: &str = "its file system has no extent map";
pub(crate) const NO_RANGES: &str = "the host can't tell where the file has data";

/// Adds the path and the cause to a failure. `unsupported` is the cause for [`ErrorCode::Unsupported`].
fn inspection_error(failure: Failure, file: &Located<'_>, unsupported: &'static str) -> Error {
    let failure = failure.if_unsupported(unsupported);
    explain(failure, file, Role::Inspected).about(&file.path, None)
}
