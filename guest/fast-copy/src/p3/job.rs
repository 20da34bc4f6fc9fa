//! Runs copies in the background, with progress.

use wit_bindgen::rt::async_support::{FutureReader, StreamReader};

use super::bindings::copy as copies;
use super::bindings::types as wit;
use super::diagnosis::error;
use super::{Descriptor, Request, preopens};
use crate::request::Function;
use crate::{CopyOptions, CopyProgress, CopyReport, Error, Location, Operand};

/// A copy in the background, with progress.
///
/// [`start_fast_copy`] and [`start_sparse_copy`] start one. Dropping a job cancels the copy, as dropping the
/// future of [`fast_copy_with`](super::fast_copy_with) does.
///
/// The host limits the number of jobs. A job counts until its copy has stopped, and the job is dropped or
/// [`wait`](Self::wait) has returned.
///
/// ```no_run
#[doc = include_str!("examples/progress.rs")]
/// ```
#[derive(Debug)]
#[must_use = "dropping a job cancels it"]
pub struct Job {
    progress: StreamReader<wit::CopyProgress>,
    result: FutureReader<Result<wit::CopyReport, wit::CopyError>>,
    /// What was asked for, for errors.
    request: Request<'static>,
}

impl Job {
    fn start(request: &Request<'_>) -> Result<Self, Error> {
        let function = match request.function {
            Function::FastCopy => copies::fast_copy_with_progress,
            Function::SparseCopy => copies::sparse_copy_with_progress,
        };
        let [(src_dir, src_path), (dst_dir, dst_path)] = preopens().resolve_both(request)?;
        let options = request.options.resource();
        let (progress, result) = function(src_dir, &src_path, dst_dir, &dst_path, options.get());
        Ok(Self {
            progress,
            result,
            request: request.forget_directories(),
        })
    }

    /// Waits until the progress has changed since the last call, and returns it. Returns `None` once the copy
    /// has ended.
    ///
    /// While this call waits, the host looks at the progress about ten times a second, and at the end of the
    /// copy. Only the latest value is kept: the copy does not wait for this call. A clone moves no bytes. It can
    /// have one value, in which `copied` is 0.
    pub async fn progress(&mut self) -> Option<CopyProgress> {
        Some(self.progress.next().await?.into())
    }

    /// Waits until the copy has ended, and returns its result. Dropping the future cancels the copy.
    ///
    /// # Errors
    ///
    /// Fails with the errors of [`CopyOptions::fast_copy`] or [`CopyOptions::sparse_copy`]. If this guest has
    /// as many jobs as the host allows, it fails with [`ErrorCode::Busy`](crate::ErrorCode::Busy).
    pub async fn wait(self) -> Result<CopyReport, Error> {
        match self.result.await {
            Ok(report) => Ok(report.into()),
            Err(wit::CopyError { code, operand }) => {
                Err(error(&self.request, code.into(), operand.map(Operand::from)).await)
            }
        }
    }
}

/// Starts [`fast_copy_with`](super::fast_copy_with) in the background. Returns without waiting.
///
/// # Errors
///
/// Fails with
/// - [`ErrorCode::NoEntry`](crate::ErrorCode::NoEntry) if a path is empty, or outside all preopened
///   directories;
/// - [`ErrorCode::IllegalByteSequence`](crate::ErrorCode::IllegalByteSequence) if a path is not UTF-8.
///
/// [`Job::wait`] returns every other error.
pub fn start_fast_copy<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
    options: &CopyOptions,
) -> Result<Job, Error> {
    Job::start(&Request::new(Function::FastCopy, options, src, dst))
}

/// Starts [`sparse_copy_with`](super::sparse_copy_with) in the background. Returns without waiting.
///
/// # Errors
///
/// Fails as [`start_fast_copy`] does.
pub fn start_sparse_copy<'a>(
    src: impl Location<'a, Descriptor>,
    dst: impl Location<'a, Descriptor>,
    options: &CopyOptions,
) -> Result<Job, Error> {
    Job::start(&Request::new(Function::SparseCopy, options, src, dst))
}
