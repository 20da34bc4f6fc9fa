//! Copies `src`.

use front::{CopyError, CopyOptions, CopyReport, Descriptor, Function, Started};

/// Calls `sparse-copy`.
pub async fn call(
    dir: &Descriptor,
    dst: String,
    options: &CopyOptions,
) -> Result<CopyReport, CopyError> {
    let src = "src".to_owned();
    front::copy(Function::SparseCopy, dir, src, dir, dst, Some(options)).await
}

/// Starts a copy with progress.
pub fn start(dir: &Descriptor, dst: &str, options: &CopyOptions) -> Started {
    front::start(Function::SparseCopy, dir, "src", dir, dst, Some(options))
}
