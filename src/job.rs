//! Copies in the background.

use std::fmt;
use std::sync::Arc;

use fast_copy_engine::CopyReport;

use crate::admission::Place;
use crate::call::Call;
use crate::ctx::FastCopyCtx;
use crate::dispatch::{End, Outcome, Running};
use crate::progress::Progress;

/// A copy in the background: the host's side of the resource `copy-job`.
///
/// Dropping it cancels the copy. The copy's slot is freed once its work has ended.
pub struct CopyJob {
    pub(crate) running: Running<CopyReport>,
    /// The outcome, once the guest has got it.
    outcome: Option<Outcome<CopyReport>>,
    /// The place is free once the job is dropped and its work has ended.
    pub(crate) _place: Arc<Place>,
}

impl fmt::Debug for CopyJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyJob")
            .field("control", self.running.end().control())
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
            outcome: None,
            _place: place,
        };
        Ok((job, begin))
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::of(self.running.end().control())
    }

    pub(crate) fn cancel(&self) {
        self.running.cancel();
    }

    /// Returns the end of the job, to wait for. It can outlive the job.
    pub(crate) fn end(&self) -> End {
        self.running.end().clone()
    }

    /// Returns the outcome, or none if the job has not ended.
    ///
    /// # Panics
    ///
    /// Resumes a panic of a hook, the first time.
    pub(crate) fn outcome(&mut self) -> Option<&Outcome<CopyReport>> {
        if self.outcome.is_none() {
            self.outcome = self.running.try_outcome();
        }
        self.outcome.as_ref()
    }
}
