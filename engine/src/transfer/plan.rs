//! The data that is still to be moved, in batches.

use super::extents::{Extent, Extents};
use crate::source::Source;

/// Extents are cut at multiples of this many bytes of the file. Workers share a dense file piece by piece.
/// A cancel takes effect between pieces; each of two workers has one, so up to 16 MiB are moved after it.
const PIECE: u64 = 8 << 20;

/// The largest number of pieces in a batch. One worker looks them up while the other moves its own.
const BATCH: usize = 128;

/// A pass through the extents of the source, in order.
pub(super) struct Plan<'a> {
    extents: Extents<'a>,
    /// The rest of the extent that was cut last.
    rest: Option<Extent>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            extents: Extents::new(source, 0),
            rest: None,
        }
    }

    /// Fills the batch with the next pieces: at least [`PIECE`] bytes and less than twice that, or fewer
    /// if there are [`BATCH`] pieces or `stop` returns true. If the batch stays empty and `stop` returned false, nothing is left.
    /// `stop` is called for each piece, because a look-up can be slow on a network file system.
    pub(super) fn take(&mut self, batch: &mut Vec<Extent>, stop: impl Fn() -> bool) {
        batch.clear();
        let mut bytes = 0;
        while bytes < PIECE && batch.len() < BATCH && !stop() {
            let Some(extent) = self.rest.take().or_else(|| self.extents.next()) else {
                return;
            };
            let range = extent.range();
            let boundary = (range.start / PIECE + 1).saturating_mul(PIECE);
            let end = range.end.min(boundary);
            if end < range.end {
                self.rest = Some(extent.with_range(end..range.end));
            }
            bytes += end - range.start;
            batch.push(extent.with_range(range.start..end));
        }
    }
}
