//! Runs copies in the background.

use std::iter::FusedIterator;
use std::time::Duration;

use crate::request::Request;
use crate::{CopyProgress, CopyReport, Error, system};

/// A copy in the background.
///
/// [`CopyOptions::start_fast_copy`] and [`CopyOptions::start_sparse_copy`] start one. Dropping a job
/// cancels the copy.
///
/// The host limits the number of jobs. A job counts until it is dropped and its copy has stopped.
///
/// ```
/// use std::time::Duration;
/// use fast_copy::CopyOptions;
///
/// # let dir = tempfile::tempdir()?;
/// # let images = dir.path();
/// # std::fs::write(images.join("base.img"), "an image")?;
/// let (base, clone) = (images.join("base.img"), images.join("vm1.img"));
/// let job = CopyOptions::new().start_fast_copy(base, clone)?;
/// for progress in job.updates(Duration::from_millis(100)) {
///     println!("{} bytes", progress.copied);
/// }
/// println!("{}", job.wait()?.method);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`CopyOptions::start_fast_copy`]: crate::CopyOptions::start_fast_copy
/// [`CopyOptions::start_sparse_copy`]: crate::CopyOptions::start_sparse_copy
#[derive(Debug)]
#[must_use = "dropping a job cancels it"]
pub struct Job {
    copy: system::RunningCopy,
    /// What was asked for, for errors.
    request: Request<'static>,
}

impl Job {
    pub(crate) fn start(request: &Request<'_>) -> Result<Self, Error> {
        Ok(Self {
            copy: system::start(request)?,
            request: request.forget_directories(),
        })
    }

    /// Returns the bytes copied so far and an estimate of the total. Does not wait.
    pub fn progress(&self) -> CopyProgress {
        self.copy.progress()
    }

    /// Returns an iterator over the progress, which waits for `interval` before each item and ends with the
    /// copy.
    ///
    /// A copy that ends within the first interval has no item. Call [`wait`](Self::wait) for the result.
    pub fn updates(&self, interval: Duration) -> Updates<'_> {
        Updates {
            job: self,
            interval,
        }
    }

    /// Asks the copy to stop. Does not wait.
    ///
    /// The copy ends with [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled) after at most 16 MiB more, or
    /// at the end of the current system call. A clone and an `fsync` are one system call each. If the complete
    /// copy is already in place, the cancel has no effect.
    pub fn cancel(&self) {
        self.copy.cancel();
    }

    /// Returns the result of the copy, or `None` if it has not ended. Does not wait.
    ///
    /// Later calls return the same result.
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does.
    pub fn result(&self) -> Option<Result<CopyReport, Error>> {
        let result = self.copy.result()?;
        Some(result.map_err(|(failure, operand)| self.request.error(failure, operand)))
    }

    /// Waits until the copy has ended, for at most `time`. Returns whether it has ended.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.copy.wait_timeout(time)
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
            self.copy.wait();
        }
    }

    /// Waits as [`wait`](Self::wait) does, and calls `on_progress` with the progress after each `interval`.
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fast_copy::CopyOptions;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let images = dir.path();
    /// # std::fs::write(images.join("base.img"), "an image")?;
    /// let (base, clone) = (images.join("base.img"), images.join("vm1.img"));
    /// let job = CopyOptions::new().start_fast_copy(base, clone)?;
    /// let report = job.wait_with(Duration::from_millis(100), |progress| {
    ///     println!("{} bytes", progress.copied);
    /// })?;
    /// assert_eq!(report.size, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_with(
        self,
        interval: Duration,
        on_progress: impl FnMut(CopyProgress),
    ) -> Result<CopyReport, Error> {
        self.updates(interval).for_each(on_progress);
        self.wait()
    }

    /// Returns a pollable that is ready once the copy has ended, to wait for it together with others.
    #[cfg(target_os = "wasi")]
    pub fn subscribe(&self) -> wasip2::io::poll::Pollable {
        self.copy.subscribe()
    }
}

/// The progress of a copy, until it ends. Created by [`Job::updates`].
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Updates<'a> {
    job: &'a Job,
    interval: Duration,
}

impl FusedIterator for Updates<'_> {}

impl Iterator for Updates<'_> {
    type Item = CopyProgress;

    fn next(&mut self) -> Option<CopyProgress> {
        let ended = self.job.wait_timeout(self.interval);
        (!ended).then(|| self.job.progress())
    }
}
