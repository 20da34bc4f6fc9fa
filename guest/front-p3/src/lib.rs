//! What the test guests for WASI 0.3 call. `front-p2` has the same for WASI 0.2, so that guests for both share
//! their sources.

pub mod sdk;

pub use fast_copy::p3::bindings::types::{
    CopyError, CopyNotes, CopyOptions, CopyProgress, CopyReport, DataRange, ErrorCode,
    ReflinkSupport,
};
pub use wasip3::filesystem::preopens::get_directories;
pub use wasip3::filesystem::types::{Descriptor, ErrorCode as WasiErrorCode, OpenFlags};
pub use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};

use fast_copy::p3::bindings::{copy as copies, inspect};
use wasip3::filesystem::types::{DescriptorFlags, PathFlags};

/// A function that copies a file.
#[derive(Clone, Copy)]
pub enum Function {
    FastCopy,
    SparseCopy,
}

/// The progress of a copy, and its result.
pub type Started = (
    StreamReader<CopyProgress>,
    FutureReader<Result<CopyReport, CopyError>>,
);

/// Makes a copy. Other futures can run meanwhile.
pub async fn copy(
    function: Function,
    src: &Descriptor,
    src_path: String,
    dst: &Descriptor,
    dst_path: String,
    options: Option<&CopyOptions>,
) -> Result<CopyReport, CopyError> {
    match function {
        Function::FastCopy => copies::fast_copy(src, src_path, dst, dst_path, options).await,
        Function::SparseCopy => copies::sparse_copy(src, src_path, dst, dst_path, options).await,
    }
}

/// Makes a copy while other futures run.
pub use copy as copy_concurrently;

/// Makes a copy that has a progress, and drops its stream at once.
pub async fn copy_with_progress(
    function: Function,
    src: &Descriptor,
    src_path: String,
    dst: &Descriptor,
    dst_path: String,
    options: Option<&CopyOptions>,
) -> Result<CopyReport, CopyError> {
    let (progress, result) = start(function, src, &src_path, dst, &dst_path, options);
    drop(progress);
    result.await
}

/// Starts a copy that has a progress.
pub fn start(
    function: Function,
    src: &Descriptor,
    src_path: &str,
    dst: &Descriptor,
    dst_path: &str,
    options: Option<&CopyOptions>,
) -> Started {
    let start = match function {
        Function::FastCopy => copies::fast_copy_with_progress,
        Function::SparseCopy => copies::sparse_copy_with_progress,
    };
    start(src, src_path, dst, dst_path, options)
}

/// Returns the ranges of a file from an offset on.
pub async fn data_ranges(
    dir: &Descriptor,
    path: String,
    start: u64,
) -> Result<Vec<DataRange>, ErrorCode> {
    let (ranges, end) = inspect::data_ranges(dir, &path, start);
    let ranges = ranges.collect().await;
    end.await?;
    Ok(ranges)
}

pub async fn can_reflink(src: &Descriptor, dst: &Descriptor) -> Result<ReflinkSupport, ErrorCode> {
    inspect::can_reflink(src, dst).await
}

/// Calls `stat-at`.
pub async fn stat(dir: &Descriptor, path: String) -> Result<(), WasiErrorCode> {
    dir.stat_at(PathFlags::empty(), path).await.map(drop)
}

/// Opens a file or a directory for reading.
pub async fn open(
    dir: &Descriptor,
    path: &str,
    flags: OpenFlags,
) -> Result<Descriptor, WasiErrorCode> {
    dir.open_at(
        PathFlags::empty(),
        path.to_owned(),
        flags,
        DescriptorFlags::READ,
    )
    .await
}
