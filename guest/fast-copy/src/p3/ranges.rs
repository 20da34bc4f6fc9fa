//! Lists where a file has data.

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
/// use fast_copy::{Error, p3};
///
/// # async fn sum() -> Result<(), Error> {
/// let mut bytes = 0;
/// let mut ranges = p3::data_ranges("base.img")?;
/// while let Some(range) = ranges.next().await {
///     bytes += range?.length;
/// }
/// println!("{bytes} bytes of data");
/// # Ok(())
/// # }
/// ```
pub fn data_ranges<'a>(file: impl Location<'a, Descriptor>) -> Result<DataRanges<'a>, Error> {
    let file = file.located();
    let source = match preopens().resolve(&file) {
        Ok((dir, path)) => inspect::data_ranges(dir, &path, 0),
        Err(failure) => return Err(failure.about(&file.path, None)),
    };
    Ok(DataRanges {
        file,
        page: Vec::new().into_iter(),
        source: Some(source),
    })
}

/// The ranges in which a file has data, in order. Created by [`data_ranges`].
#[derive(Debug)]
pub struct DataRanges<'a> {
    file: Located<'a>,
    page: vec::IntoIter<wit::DataRange>,
    /// The ranges that follow, and the result. `None` once the result is known.
    source: Option<Source>,
}

type Source = (
    StreamReader<wit::DataRange>,
    FutureReader<Result<(), wit::ErrorCode>>,
);

impl DataRanges<'_> {
    /// Returns the next range, or `None` after the last one. An error is the last item.
    ///
    /// Do not drop the future before it is ready, if the ranges are used afterwards: ranges can be lost.
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
            let (stream, _) = self.source.as_mut()?;
            let (status, page) = stream.read(Vec::with_capacity(PAGE)).await;
            self.page = page.into_iter();
            if status == StreamResult::Dropped {
                let (_, result) = self.source.take()?;
                let code = result.await.err()?;
                return Some(Err(
                    inspection_error(code.into(), &self.file, NO_RANGES).await
                ));
            }
        }
    }
}
