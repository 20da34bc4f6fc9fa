//! Lists where at least one of two files has data.

use std::ops::Range;
use std::pin::Pin;

use fast_copy::{DataRange, Error, ErrorCode};
use futures::stream::{self, LocalBoxStream, Peekable, Stream, StreamExt as _};

/// The ranges below a size in which at least one of two files has data, in order and without overlap.
pub struct DataOfEither<'a> {
    files: [Peekable<Ranges<'a>>; 2],
    size: u64,
    /// The end of the last range.
    end: u64,
}

/// The ranges in which a file has data.
pub type Ranges<'a> = LocalBoxStream<'a, Result<Range<u64>, Error>>;

impl<'a> DataOfEither<'a> {
    pub fn new(files: [Ranges<'a>; 2], size: u64) -> Self {
        Self {
            files: files.map(|ranges| ranges.peekable()),
            size,
            end: 0,
        }
    }

    /// Returns the range of either file that begins first. An error counts as a range that begins at 0.
    async fn first(&mut self) -> Option<Result<Range<u64>, Error>> {
        let [a, b] = &mut self.files;
        let file = match (start(a).await, start(b).await) {
            (Some(start_a), Some(start_b)) if start_b < start_a => b,
            (Some(_), _) => a,
            (None, _) => b,
        };
        file.next().await
    }

    /// Returns the next range. An error is the last item.
    pub async fn next(&mut self) -> Option<Result<Range<u64>, Error>> {
        loop {
            let range = match self.first().await? {
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

/// Returns where the next range of a file begins. An error counts as 0.
async fn start(file: &mut Peekable<Ranges<'_>>) -> Option<u64> {
    Some(match Pin::new(file).peek().await? {
        Ok(range) => range.start,
        Err(_) => 0,
    })
}

/// Returns the ranges in which a file of this size has data, or all of it if the host can't tell them.
pub fn ranges_or_all<'a>(
    ranges: Result<impl Stream<Item = Result<DataRange, Error>> + 'a, Error>,
    size: u64,
) -> Result<Ranges<'a>, Error> {
    match ranges {
        Ok(ranges) => Ok(ranges
            .map(|range| range.map(|range| range.offset..range.end()))
            .boxed_local()),
        // `Loop`: the host does not inspect the target of a symbolic link.
        Err(error) if matches!(error.code(), ErrorCode::Unsupported | ErrorCode::Loop) => {
            Ok(stream::iter([Ok(0..size)]).boxed_local())
        }
        Err(error) => Err(error),
    }
}
