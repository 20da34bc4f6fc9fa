//! The ways to make a copy as a job, on WASI 0.2.

use fast_copy::bindings::jobs::{self, CopyJob};
use front::{CopyError, CopyOptions, Descriptor, Function};

use crate::copies::End;

/// Waits for so many nanoseconds.
pub async fn wait(nanos: u64) {
    wasip2::clocks::monotonic_clock::subscribe_duration(nanos).block();
}

/// Looks at the progress until the job has ended.
pub async fn progress(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
) -> End {
    let job = match start(function, dir, src, dst, options) {
        Ok(job) => job,
        Err(error) => return Some(Err(error)),
    };
    let before = look(&job, 3);
    let result = front::end(&job).await;
    let after = job.progress();
    assert!(
        before <= after.copied,
        "the progress went back to {after:?}"
    );
    if let Ok(report) = &result {
        assert!(
            after.copied == report.copied,
            "the last progress is {after:?} of {report:?}"
        );
    }
    Some(result)
}

/// Cancels the job after so many looks at its progress.
pub async fn cancel(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
    after: u64,
) -> End {
    let job = match start(function, dir, src, dst, options) {
        Ok(job) => job,
        Err(error) => return Some(Err(error)),
    };
    look(&job, after);
    job.cancel();
    Some(front::end(&job).await)
}

/// Drops the job after so many looks at its progress.
pub async fn drop(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
    after: u64,
) -> End {
    match start(function, dir, src, dst, options) {
        Ok(job) => {
            look(&job, after);
            None
        }
        Err(error) => Some(Err(error)),
    }
}

fn start(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
) -> Result<CopyJob, CopyError> {
    let start = match function {
        Function::FastCopy => jobs::start_fast_copy,
        Function::SparseCopy => jobs::start_sparse_copy,
    };
    start(dir, src, dir, dst, options)
}

/// Looks at the progress so many times. Returns the bytes moved at the last look. They never become fewer.
fn look(job: &CopyJob, times: u64) -> u64 {
    (0..times).fold(0, |last, _| {
        let copied = job.progress().copied;
        assert!(
            last <= copied,
            "the progress went back from {last} to {copied}"
        );
        copied
    })
}
