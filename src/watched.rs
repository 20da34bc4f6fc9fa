//! A copy whose progress is a stream, and whose outcome is a future.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fast_copy_engine::CopyReport;

use crate::admission::Place;
use crate::dispatch::{End, Outcome};
use crate::job::CopyJob;
use crate::progress::Progress;
use crate::wait;

/// How often a copy's progress is looked at while somebody waits for it to change.
const LOOK: Duration = Duration::from_millis(100);

impl CopyJob {
    /// Splits the job into its progress and its outcome. Dropping the outcome cancels the copy. Each of the two
    /// keeps the job's place.
    ///
    /// # Panics
    ///
    /// The future resumes a panic of a hook.
    pub(crate) fn split(self) -> (Changes, impl Future<Output = Outcome<CopyReport>> + Send) {
        let Self {
            running,
            _place: place,
            ..
        } = self;
        let changes = Changes {
            end: running.end().clone(),
            last: Progress::default(),
            _place: place.clone(),
        };
        let outcome = async {
            let _place = place;
            running.outcome().await
        };
        (changes, outcome)
    }
}

/// The changes of a copy's progress. Only the latest progress is kept, so a slow reader delays nothing.
pub(crate) struct Changes {
    end: End,
    last: Progress,
    /// A reader that does not read keeps memory of the host, which `max_jobs` limits.
    _place: Arc<Place>,
}

impl Changes {
    /// Waits until the progress differs from what was returned last, and returns it. None when the copy has
    /// ended.
    pub(crate) async fn next(&mut self) -> Option<Progress> {
        loop {
            // It comes first, so that no change before the end is missed.
            let ended = self.end.has_ended();
            let now = Progress::of(self.end.control());
            if now != self.last {
                self.last = now;
                return Some(now);
            }
            if ended {
                return None;
            }
            let look = Instant::now().checked_add(LOOK);
            // This fails only if the waiting thread can't start. Then the copy was refused, and has ended.
            let _ = wait::until(look, self.end.wait()).await;
        }
    }
}
