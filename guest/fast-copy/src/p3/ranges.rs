//! Lists where a file has data.

use std::fmt;
use std::pin::Pin;
use std::vec;

use wit_bindgen::rt::async_support::{FutureReader, StreamReader, StreamResult};

use super::bindings::inspect;
use super::bindings::types as wit;
use super::diagnosis::inspection_error;
use super::{Descriptor, Located, preopens};
use crate::inspect::{NO_RANGES, PAGE};
use crate::{DataRange, Error, Location};

/// Returns the ranges in which a file has data, in order. Everything outside them reads as zeros.
///
/// Asks for up to 1,024 ranges at a time. The host opens the file when the first one is asked for, and keeps it
/// open until the ranges have ended or are dropped. Until then they count as a [`Job`](super::Job).
///
/// Does not follow a symbolic link in the last component of the path. The file must be a regular file.
///
/// # Errors
///
/// Fails with [`ErrorCode::NoEntry`](crate::ErrorCode::NoEntry) if the path is empty, or outside all preopened
/// directories, and with [`ErrorCode::IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence) if it is not
/// UTF-8. [`DataRanges::next`] returns every other error. The error has no [operand](Error::operand).
///
/// ```no_run
#[doc = include_str!("examples/ranges.rs")]
/// ```
pub fn data_ranges<'a>(file: impl Location<'a, Descriptor>) -> Result<DataRanges<'a>, Error> {
    let file = file.located();
    let (ranges, result) = match preopens().resolve(&file) {
        Ok((dir, path)) => inspect::data_ranges(dir, &path, 0),
        Err(failure) => return Err(failure.about(&file.path, None)),
    };
    let rest = Rest {
        file,
        ranges,
        result,
    };
    Ok(DataRanges {
        page: Vec::new().into_iter(),
        next_page: Some(Box::pin(rest.read())),
    })
}

/// The ranges in which a file has data, in order. Created by [`data_ranges`].
#[must_use = "the host looks for ranges only when `next` is called"]
pub struct DataRanges<'a> {
    page: vec::IntoIter<wit::DataRange>,
    /// Reads the next page. `None` after the last one.
    ///
    /// It is kept here, and not in the future of `next`, so that dropping that future loses nothing.
    next_page: Option<Pin<Box<dyn Future<Output = Page<'a>> + 'a>>>,
}

/// Up to [`PAGE`] ranges and those that follow, `None` after the last page, or an error.
type Page<'a> = Result<Option<(Vec<wit::DataRange>, Rest<'a>)>, Error>;

impl DataRanges<'_> {
    /// Returns the next range, or `None` after the last one. An error is the last item.
    ///
    /// If the future is dropped before it is ready, the next call returns what this one would have returned.
    ///
    /// # Errors
    ///
    /// Fails as [`data_ranges`](crate::data_ranges()) does. If this guest has as many [jobs](super::Job) as the
    /// host allows, it fails with [`ErrorCode::Busy`](crate::ErrorCode::Busy).
    pub async fn next(&mut self) -> Option<Result<DataRange, Error>> {
        loop {
            if let Some(range) = self.page.next() {
                return Some(Ok(range.into()));
            }
            let page = self.next_page.as_mut()?.await;
            self.next_page = None;
            match page {
                Ok(Some((page, rest))) => {
                    self.page = page.into_iter();
                    self.next_page = Some(Box::pin(rest.read()));
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for DataRanges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataRanges")
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

/// The ranges that the host has not sent yet.
struct Rest<'a> {
    file: Located<'a>,
    ranges: StreamReader<wit::DataRange>,
    result: FutureReader<Result<(), wit::ErrorCode>>,
}

impl<'a> Rest<'a> {
    async fn read(mut self) -> Page<'a> {
        let (status, page) = self.ranges.read(Vec::with_capacity(PAGE)).await;
        if status != StreamResult::Dropped {
            return Ok(Some((page, self)));
        }
        match self.result.await {
            Ok(()) => Ok(None),
            Err(code) => Err(inspection_error(code.into(), &self.file, NO_RANGES).await),
        }
    }
}
