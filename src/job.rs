//! Copies in the background.

use std::fmt;
use std::sync::Arc;

use fast_copy_engine::CopyReport;

use crate::admission::Place;
use crate::call::Call;
use crate::ctx::FastCopyCtx;
use crate::dispatch::{End, Outcome, Running};

/// A copy in the background: the host's side of the resource `copy-job`.
///
/// Dropping it cancels the copy. The copy's slot is freed once its work has ended.
pub struct CopyJob {
    running: Running<CopyReport>,
    /// Free once the job is dropped and its work has ended.
    _place: Arc<Place>,
}

/// The progress of a job, as the host's own type.
pub(crate) struct JobProgress {
    pub(crate) copied: u64,
    pub(crate) total: Option<u64>,
    pub(crate) ended: bool,
}

impl fmt::Debug for CopyJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyJob")
            .field("control", self.running.control())
            .finish_non_exhaustive()
    }
}

impl CopyJob {
    /// Prepares a job in one of the context's places. Nothing begins until the returned function is called.
    pub(crate) fn prepare(
        ctx: &FastCopyCtx,
        call: Call<CopyReport>,
    ) -> Outcome<(Self, impl FnOnce() + use<>)> {
        let place = match ctx.jobs.take() {
            Ok(place) => Arc::new(place),
            Err(busy) => return Err(call.refuse(busy)),
        };
        let (running, begin) = call.prepare(Some(place.clone()));
        let job = Self {
            running,
            _place: place,
        };
        Ok((job, begin))
    }

    pub(crate) fn progress(&self) -> JobProgress {
        let control = self.running.control();
        JobProgress {
            copied: control.copied(),
            total: control.total(),
            ended: self.running.end().has_come(),
        }
    }

    pub(crate) fn cancel(&self) {
        self.running.cancel();
    }

    /// Returns the end of the job, to wait for. It can outlive the job.
    pub(crate) fn end(&self) -> End {
        self.running.end().clone()
    }

    /// Waits until the job has ended. Dropping the future cancels the job.
    pub(crate) async fn outcome(self) -> Outcome<CopyReport> {
        self.running.outcome().await
    }

    /// Waits until the job has ended, and blocks the calling thread.
    pub(crate) fn outcome_blocking(self) -> Outcome<CopyReport> {
        self.running.outcome_blocking()
    }
}
