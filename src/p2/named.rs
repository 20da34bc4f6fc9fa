//! The traits of the bindings for named imports, except those of `types`.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::DynPollable;

use super::bindings::types::{
    CopyError, CopyProgress, CopyReport, DataRange, ErrorCode, ExtentSummary, FileUsage,
    ReflinkSupport,
};
use crate::front::Options;
use crate::job::CopyJob;
use crate::named::forward;

type Dir = Resource<Descriptor>;

forward!(copy::Host {
    async fn fast_copy(src: Dir, src_path: String, dst: Dir, dst_path: String, options: Options)
        -> Result<CopyReport, CopyError>;
    async fn sparse_copy(src: Dir, src_path: String, dst: Dir, dst_path: String, options: Options)
        -> Result<CopyReport, CopyError>;
});

forward!(jobs::Host {
    fn start_fast_copy(src: Dir, src_path: String, dst: Dir, dst_path: String, options: Options)
        -> Result<Resource<CopyJob>, CopyError>;
    fn start_sparse_copy(src: Dir, src_path: String, dst: Dir, dst_path: String, options: Options)
        -> Result<Resource<CopyJob>, CopyError>;
});

forward!(jobs::HostCopyJob {
    fn subscribe(job: Resource<CopyJob>) -> Resource<DynPollable>;
    fn progress(job: Resource<CopyJob>) -> CopyProgress;
    fn cancel(job: Resource<CopyJob>) -> ();
    fn get(job: Resource<CopyJob>) -> Option<Result<CopyReport, CopyError>>;
    fn drop(job: Resource<CopyJob>) -> ();
});

forward!(inspect::Host {
    async fn disk_usage(dir: Dir, path: String) -> Result<FileUsage, ErrorCode>;
    async fn summarize_extents(dir: Dir, path: String) -> Result<ExtentSummary, ErrorCode>;
    async fn data_ranges(dir: Dir, path: String, start: u64) -> Result<Vec<DataRange>, ErrorCode>;
    async fn can_reflink(src: Dir, dst: Dir) -> Result<ReflinkSupport, ErrorCode>;
});
