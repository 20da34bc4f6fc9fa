//! What is still to be moved, handed out in batches.

use std::fs::File;

use super::extents::{Extent, Extents};

/// Extents are cut at multiples of this many bytes of the file. A cancel is heard between pieces, of which
/// two workers have one each: so 16 MiB may still be moved after it. They share a dense file piece by piece.
const PIECE: u64 = 8 << 20;

/// The most pieces in a batch: one worker looks up so many while the other one moves its own.
const BATCH: usize = 128;

/// Goes through the extents of the source once, in order.
pub(super) struct Plan<'a> {
    extents: Extents<'a>,
    /// What is left of the extent that was cut last.
    rest: Option<Extent>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(file: &'a File, size: u64) -> Self {
        Self {
            extents: Extents::new(file, size),
            rest: None,
        }
    }

    /// Puts what comes next into the batch: pieces of [`PIECE`] bytes together or more, and less
    /// than twice that. Nothing is left where the batch stays empty, unless `stop` has cut it short:
    /// to look up a batch of extents takes a network file system its time.
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
