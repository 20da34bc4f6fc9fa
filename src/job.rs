//! Copies in the background.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use fast_copy_engine::CopyReport;
use tokio::sync::watch;

use crate::admission::Place;
use crate::call::Call;
use crate::ctx::FastCopyCtx;
use crate::dispatch::{Canceller, Held, Outcome, Running};
use crate::wait;

/// A copy in the background: the host's side of the resource `copy-job`.
///
/// Dropping it cancels the copy. The copy's slot is freed once its work has ended.
pub struct CopyJob {
    running: Running<CopyReport>,
    end: JobEnd,
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
        let (not_ended, ended) = watch::channel(());
        let (running, begin) = call.prepare(Held {
            place: Some(place.clone()),
            not_ended: Some(not_ended),
        });
        let job = Self {
            end: JobEnd {
                ended,
                patience: running.patience(),
                canceller: running.canceller(),
            },
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
            ended: self.end.has_come(),
        }
    }

    pub(crate) fn cancel(&self) {
        self.end.canceller.cancel();
    }

    /// Returns the end of the job, to wait for. It can outlive the job.
    pub(crate) fn end(&self) -> JobEnd {
        self.end.clone()
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

/// The end of a job: its work has ended, or its deadline has passed and it is cancelled.
#[derive(Clone)]
pub(crate) struct JobEnd {
    /// Closed when the work has ended.
    ended: watch::Receiver<()>,
    patience: Option<Instant>,
    canceller: Canceller,
}

impl JobEnd {
    /// Whether the end has come. Cancels a job whose deadline has passed.
    fn has_come(&self) -> bool {
        self.ended.has_changed().is_err()
            || self.patience.is_some_and(|until| Instant::now() >= until) && self.canceller.cancel()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&mut self) {
        // Nothing is ever sent, so the only change is that the channel closes.
        match wait::until(self.patience, self.ended.changed()).await {
            Ok(Some(_)) => return,
            Ok(None) if self.canceller.cancel() => return,
            // It is being published, or has ended.
            _ => {}
        }
        let _ = wait::guarded(self.ended.changed()).await;
    }
}
