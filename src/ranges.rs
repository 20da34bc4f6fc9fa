//! The ranges of a file, one batch after the other.

use std::sync::Arc;

use fast_copy_engine::DataRange;
use wasmtime_wasi::filesystem::Descriptor;

use crate::admission::Place;
use crate::call::{MAX_RANGES, RangedFile};
use crate::ctx::FastCopyCtx;
use crate::dispatch::Outcome;
use crate::trace;

/// Asks for the ranges of a file. The first batch opens the file, which stays open.
pub(crate) struct RangeReader {
    ctx: FastCopyCtx,
    file: Arc<RangedFile>,
    start: u64,
    /// One of the context's places for jobs: a reader keeps a file open.
    _place: Place,
}

/// Some ranges of a file, in order.
pub(crate) struct Batch {
    pub(crate) ranges: Vec<DataRange>,
    /// Whether there are no more.
    pub(crate) last: bool,
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

    /// Returns the ranges that follow. Dropping the future cancels the call, and the next call returns the same
    /// ranges.
    pub(crate) async fn next(&mut self) -> Outcome<Batch> {
        let call = self.ctx.more_data_ranges(self.file.clone(), self.start);
        let ranges = call.run().await?;
        if let Some(range) = ranges.last() {
            self.start = range.offset + range.length;
        }
        let last = ranges.len() < MAX_RANGES;
        Ok(Batch { ranges, last })
    }
}
