//! The ranges of a file, in batches.

use std::sync::Arc;

use fast_copy_engine::DataRange;
use wasmtime_wasi::filesystem::Descriptor;

use crate::admission::Place;
use crate::call::{Call, MAX_RANGES, RangedFile};
use crate::ctx::FastCopyCtx;
use crate::dispatch::Outcome;
use crate::trace;

/// Asks for the ranges of a file. The first call opens the file, which stays open.
pub(crate) struct RangeReader {
    ctx: FastCopyCtx,
    file: Arc<RangedFile>,
    start: u64,
    /// One of the context's places for jobs, because a reader keeps a file open and ranges in memory.
    _place: Place,
}

impl RangeReader {
    /// Begins at an offset. Opens nothing yet.
    ///
    /// # Errors
    ///
    /// The path is too long, or the context has no place left (`busy`).
    pub(crate) fn new(
        ctx: &FastCopyCtx,
        dir: &Descriptor,
        path: String,
        start: u64,
    ) -> Outcome<Self> {
        let span = trace::inspect(&path);
        let place = ctx.jobs.take();
        let reader = place.and_then(|place| {
            Ok(Self {
                ctx: ctx.clone(),
                file: ctx.ranged_file(dir, path)?,
                start,
                _place: place,
            })
        });
        reader.map_err(|error| trace::failed(&span, error))
    }

    /// Returns a call for the ranges that follow those that [`advance`](Self::advance) has passed.
    pub(crate) fn next(&self) -> Call<Vec<DataRange>> {
        let span = trace::inspect(self.file.at.path());
        self.ctx
            .data_ranges_of(Ok(self.file.clone()), self.start, span)
    }

    /// Passes the ranges of a call. Returns whether there can be more.
    pub(crate) fn advance(&mut self, ranges: &[DataRange]) -> bool {
        if let Some(last) = ranges.last() {
            self.start = last.offset + last.length;
        }
        ranges.len() == MAX_RANGES
    }
}
