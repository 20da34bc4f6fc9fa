//! Copies in the background.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

use crate::bindings::sandbox::fast_copy::jobs::CopyJob;
use crate::{CopyProgress, CopyReport, Error};

/// A copy in the background, made by [`CopyOptions::start_fast_copy`] and
/// [`CopyOptions::start_sparse_copy`]. To drop it is to cancel it.
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
#[must_use = "to drop a job is to cancel it"]
pub struct Job {
    job: CopyJob,
}

impl Job {
    pub(crate) fn new(job: CopyJob) -> Self {
        Self { job }
    }

    /// How far the copy is. Never waits.
    pub fn progress(&self) -> CopyProgress {
        self.job.progress()
    }

    /// Asks the copy to stop: it ends with [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled) at its
    /// next chunk or system call, unless it got its name before. Never waits.
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// Waits until the copy has ended, but no longer than this, and says whether it has.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (ended, timer) = (self.job.subscribe(), subscribe_duration(time));
        poll(&[&ended, &timer]);
        ended.ready()
    }

    /// Waits until the copy has ended, and takes its result.
    ///
    /// # Errors
    ///
    /// Any [`ErrorCode`](crate::ErrorCode); then nothing has changed, unless it is
    /// [`Io`](crate::ErrorCode::Io) on the destination, with which the copy may be in place.
    pub fn finish(self) -> Result<CopyReport, Error> {
        Ok(CopyJob::finish(self.job)?)
    }

    /// The job itself, to wait for it together with other things.
    pub fn into_inner(self) -> CopyJob {
        self.job
    }
}
