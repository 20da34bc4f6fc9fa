//! Calls of the SDK.

use fast_copy::{CopyOptions, CopyReport, Error, p3};

pub async fn fast_copy(src: &str, dst: &str, options: &CopyOptions) -> Result<CopyReport, Error> {
    p3::fast_copy_with(src, dst, options).await
}

pub async fn sparse_copy(src: &str, dst: &str, options: &CopyOptions) -> Result<CopyReport, Error> {
    p3::sparse_copy_with(src, dst, options).await
}

/// Starts a job, and waits for it.
pub async fn start_fast_copy(
    src: &str,
    dst: &str,
    options: &CopyOptions,
) -> Result<CopyReport, Error> {
    p3::start_fast_copy(src, dst, options)?.wait().await
}
