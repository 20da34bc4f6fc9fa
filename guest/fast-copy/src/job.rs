//! Runs copies in the background.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

use crate::bindings::sandbox::fast_copy::jobs::CopyJob;
use crate::request::Request;
use crate::{CopyProgress, CopyReport, Error};

/// A copy in the background.
///
/// [`CopyOptions::start_fast_copy`] and [`CopyOptions::start_sparse_copy`] start one. Dropping a job
/// cancels the copy.
///
/// The host limits the number of jobs. A job counts until it is dropped and its copy has stopped.
///
/// ```no_run
/// use std::time::Duration;
/// use fast_copy::CopyOptions;
///
/// let job = CopyOptions::new().start_fast_copy("/images/base.img", "/images/vm1.img")?;
/// while !job.wait_timeout(Duration::from_millis(100)) {
///     println!("{} bytes", job.progress().copied);
/// }
/// println!("{:?}", job.wait()?.method);
/// # Ok::<(), fast_copy::Error>(())
/// ```
///
/// [`CopyOptions::start_fast_copy`]: crate::CopyOptions::start_fast_copy
/// [`CopyOptions::start_sparse_copy`]: crate::CopyOptions::start_sparse_copy
#[derive(Debug)]
#[must_use = "dropping a job cancels it"]
pub struct Job {
    job: CopyJob,
    request: Request,
}

impl Job {
    pub(crate) fn new(job: CopyJob, request: Request) -> Self {
        Self { job, request }
    }

    /// Returns the bytes copied so far and an estimate of the total. Does not wait.
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

    /// Returns the result of the copy, or `None` if it has not ended. Does not wait.
    ///
    /// Later calls return the same result.
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does.
    pub fn result(&self) -> Option<Result<CopyReport, Error>> {
        let result = self.job.get()?;
        Some(result.map_err(|error| self.request.error(error)))
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
    pub fn wait(self) -> Result<CopyReport, Error> {
        loop {
            if let Some(result) = self.result() {
                return result;
            }
            self.job.subscribe().block();
        }
    }

    /// Returns the underlying resource. Use its pollable to wait for the job together with other
    /// pollables.
    pub fn into_inner(self) -> CopyJob {
        self.job
    }
}
