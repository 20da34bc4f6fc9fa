//! How far a copy is.

use std::sync::Arc;

use fast_copy_engine::CopyControl;

use crate::admission::Place;
use crate::dispatch::End;

/// The progress of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) copied: u64,
    /// None until the copy begins.
    pub(crate) total: Option<u64>,
}

impl Progress {
    pub(crate) fn of(control: &CopyControl) -> Self {
        Self {
            copied: control.copied(),
            total: control.total(),
        }
    }
}

/// The changes of a copy's progress. Only the latest progress is kept, so a slow reader delays nothing.
pub(crate) struct Changes {
    end: End,
    last: Progress,
    _place: Arc<Place>,
}

impl Changes {
    pub(crate) fn new(end: End, place: Arc<Place>) -> Self {
        Self {
            end,
            last: Progress::default(),
            _place: place,
        }
    }

    /// Waits until the progress differs from what was returned last, and returns it. None when the copy has
    /// ended.
    pub(crate) async fn next(&mut self) -> Option<Progress> {
        loop {
            // Both come before the progress is read, so that no change after it is missed.
            let changed = self.end.moves_or_comes();
            let ended = self.end.has_come();
            let now = Progress::of(self.end.control());
            if now != self.last {
                self.last = now;
                return Some(now);
            }
            if ended {
                return None;
            }
            changed.await;
        }
    }
}
