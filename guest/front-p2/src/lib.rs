//! What the test guests for WASI 0.2 call. `front-p3` has the same for WASI 0.3, so that guests for both share
//! their sources.

mod executor;
pub mod sdk;

pub use executor::block_on;
pub use fast_copy::Descriptor;
pub use fast_copy::bindings::types::{
    CopyError, CopyNotes, CopyOptions, CopyReport, DataRange, ErrorCode, ReflinkSupport,
};
pub use wasip2::filesystem::preopens::get_directories;
pub use wasip2::filesystem::types::{ErrorCode as WasiErrorCode, OpenFlags};

use std::future::poll_fn;
use std::task::Poll;

use executor::wake_when_ready;
use fast_copy::bindings::jobs::{self, CopyJob};
use fast_copy::bindings::{copy, inspect};
use wasip2::filesystem::types::{DescriptorFlags, PathFlags};

/// A function that copies a file.
#[derive(Clone, Copy)]
pub enum Function {
    FastCopy,
    SparseCopy,
}

/// Makes a copy. No other future runs meanwhile.
pub async fn copy(
    function: Function,
    src: &Descriptor,
    src_path: String,
    dst: &Descriptor,
    dst_path: String,
    options: Option<&CopyOptions>,
) -> Result<CopyReport, CopyError> {
    let copy = match function {
        Function::FastCopy => copy::fast_copy,
        Function::SparseCopy => copy::sparse_copy,
    };
    copy(src, &src_path, dst, &dst_path, options)
}

/// Makes a copy while other futures run: as a job.
pub async fn copy_concurrently(
    function: Function,
    src: &Descriptor,
    src_path: String,
    dst: &Descriptor,
    dst_path: String,
    options: Option<&CopyOptions>,
) -> Result<CopyReport, CopyError> {
    let start = match function {
        Function::FastCopy => jobs::start_fast_copy,
        Function::SparseCopy => jobs::start_sparse_copy,
    };
    end(&start(src, &src_path, dst, &dst_path, options)?).await
}

/// Makes a copy that has a progress, which is not read: a job.
pub use copy_concurrently as copy_with_progress;

/// Waits until a job has ended, and returns its result.
pub async fn end(job: &CopyJob) -> Result<CopyReport, CopyError> {
    poll_fn(|context| match job.get() {
        Some(result) => Poll::Ready(result),
        None => {
            wake_when_ready(job.subscribe(), context);
            Poll::Pending
        }
    })
    .await
}

/// Returns the ranges of a file from an offset on.
pub async fn data_ranges(
    dir: &Descriptor,
    path: String,
    start: u64,
) -> Result<Vec<DataRange>, ErrorCode> {
    inspect::data_ranges(dir, &path, start)
}

pub async fn can_reflink(src: &Descriptor, dst: &Descriptor) -> Result<ReflinkSupport, ErrorCode> {
    inspect::can_reflink(src, dst)
}

/// Calls `stat-at`.
pub async fn stat(dir: &Descriptor, path: String) -> Result<(), WasiErrorCode> {
    dir.stat_at(PathFlags::empty(), &path).map(drop)
}

/// Opens a file or a directory for reading.
pub async fn open(
    dir: &Descriptor,
    path: &str,
    flags: OpenFlags,
) -> Result<Descriptor, WasiErrorCode> {
    dir.open_at(PathFlags::empty(), path, flags, DescriptorFlags::READ)
}
