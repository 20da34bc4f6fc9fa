//! Calls of the SDK.

use fast_copy::{CopyOptions, CopyReport, Error};

pub async fn fast_copy(src: &str, dst: &str, options: &CopyOptions) -> Result<CopyReport, Error> {
    options.fast_copy(src, dst)
}

pub async fn sparse_copy(src: &str, dst: &str, options: &CopyOptions) -> Result<CopyReport, Error> {
    options.sparse_copy(src, dst)
}

/// Starts a job, and waits for it.
pub async fn start_fast_copy(
    src: &str,
    dst: &str,
    options: &CopyOptions,
) -> Result<CopyReport, Error> {
    options.start_fast_copy(src, dst)?.wait()
}
