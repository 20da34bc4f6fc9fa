//! Runs copies in the background.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

use crate::bindings::sandbox::fast_copy::jobs::CopyJob;
use crate::{CopyProgress, CopyReport, Error};

/// A copy in the background.
///
/// [`CopyOptions::start_fast_copy`] and [`CopyOptions::start_sparse_copy`] start one. Dropping a job
/// cancels the copy.
///
/// The host limits the number of jobs. A job counts until [`finish`](Self::finish) has returned, or until
/// it is dropped and its copy has stopped.
///
/// ```no_run
/// use std::time::Duration;
/// use fast_copy::CopyOptions;
///
/// let job = CopyOptions::new().start_fast_copy("/images/base.img", "/images/vm1.img")?;
/// while !job.wait_timeout(Duration::from_millis(100)) {
///     println!("{} bytes", job.progress().copied);
/// }
/// println!("{:?}", job.finish()?.method);
/// # Ok::<(), fast_copy::Error>(())
/// ```
///
/// [`CopyOptions::start_fast_copy`]: crate::CopyOptions::start_fast_copy
/// [`CopyOptions::start_sparse_copy`]: crate::CopyOptions::start_sparse_copy
#[derive(Debug)]
#[must_use = "dropping a job cancels it"]
pub struct Job {
    job: CopyJob,
}

impl Job {
    pub(crate) fn new(job: CopyJob) -> Self {
        Self { job }
    }

    /// Returns the bytes copied so far, an estimate of the total, and whether the copy has ended. Does
    /// not wait.
    pub fn progress(&self) -> CopyProgress {
        self.job.progress()
    }

    /// Asks the copy to stop. Does not wait.
    ///
    /// The copy ends with [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled) at its next chunk or
    /// system call. If the complete copy is already in place, the cancel has no effect.
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// Waits until the copy has ended, for at most `time`. Returns whether it has ended.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (ended, timer) = (self.job.subscribe(), subscribe_duration(time));
        poll(&[&ended, &timer]);
        ended.ready()
    }

    /// Waits until the copy has ended, and returns its result.
    ///
    /// # Errors
    ///
    /// Fails with the errors of [`CopyOptions::fast_copy`](crate::CopyOptions::fast_copy) or
    /// [`CopyOptions::sparse_copy`](crate::CopyOptions::sparse_copy), and with
    /// [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled) after [`cancel`](Self::cancel).
    pub fn finish(self) -> Result<CopyReport, Error> {
        Ok(CopyJob::finish(self.job)?)
    }

    /// Returns the underlying resource. Use its pollable to wait for the job together with other
    /// pollables.
    pub fn into_inner(self) -> CopyJob {
        self.job
    }
}
