//! The traits of the bindings. Each method decodes its handles, and converts the outcome of a call.

use fast_copy_engine::{DataRange, Sharing};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::bindings::types::{self, CopyError, CopyProgress, ErrorCode};
use super::bindings::{copy, inspect, jobs, sync};
use super::convert::{answer, copied};
use crate::ctx::FastCopyCtxView;
use crate::dispatch::End;
use crate::front::{At, Options};
use crate::job::CopyJob;

type Copied = Result<types::CopyReport, CopyError>;

/// What a method of `inspect` returns.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

impl FastCopyCtxView<'_> {
    /// Starts a job. Its place and its table entry are taken before anything begins, so a call that traps
    /// has done nothing.
    fn start_job(
        &mut self,
        sharing: Sharing,
        src: At,
        dst: At,
        options: Options,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let call = self.decode_copy(sharing, src, dst, options)?;
        let (job, begin) = match CopyJob::prepare(self.ctx, call) {
            Ok(prepared) => prepared,
            Err(busy) => return Ok(Err((&busy).into())),
        };
        let handle = self.table.push(job)?;
        begin();
        Ok(Ok(handle))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for End {
    async fn ready(&mut self) {
        self.wait().await;
    }
}

impl copy::Host for FastCopyCtxView<'_> {
    async fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.decode_copy(Sharing::Allowed, src, dst, options)?;
        Ok(copied(&call.run().await))
    }

    async fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.decode_copy(Sharing::Forbidden, src, dst, options)?;
        Ok(copied(&call.run().await))
    }
}

impl sync::copy::Host for FastCopyCtxView<'_> {
    fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.decode_copy(Sharing::Allowed, src, dst, options)?;
        Ok(copied(&call.run_blocking()))
    }

    fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Copied> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        let call = self.decode_copy(Sharing::Forbidden, src, dst, options)?;
        Ok(copied(&call.run_blocking()))
    }
}

impl inspect::Host for FastCopyCtxView<'_> {
    async fn disk_usage(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::FileUsage> {
        answer(self.decode_disk_usage((dir, path))?.run().await)
    }

    async fn summarize_extents(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::ExtentSummary> {
        answer(self.decode_summarize_extents((dir, path))?.run().await)
    }

    async fn data_ranges(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
        start: u64,
    ) -> Answer<Vec<types::DataRange>> {
        let outcome = self.decode_data_ranges((dir, path), start)?.run().await;
        answer(outcome.map(ranges))
    }

    async fn can_reflink(
        &mut self,
        src_dir: Resource<Descriptor>,
        dst_dir: Resource<Descriptor>,
    ) -> Answer<types::ReflinkSupport> {
        answer(self.decode_can_reflink(&src_dir, &dst_dir)?.run().await)
    }
}

impl sync::inspect::Host for FastCopyCtxView<'_> {
    fn disk_usage(&mut self, dir: Resource<Descriptor>, path: String) -> Answer<types::FileUsage> {
        answer(self.decode_disk_usage((dir, path))?.run_blocking())
    }

    fn summarize_extents(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
    ) -> Answer<types::ExtentSummary> {
        answer(self.decode_summarize_extents((dir, path))?.run_blocking())
    }

    fn data_ranges(
        &mut self,
        dir: Resource<Descriptor>,
        path: String,
        start: u64,
    ) -> Answer<Vec<types::DataRange>> {
        let outcome = self.decode_data_ranges((dir, path), start)?.run_blocking();
        answer(outcome.map(ranges))
    }

    fn can_reflink(
        &mut self,
        src_dir: Resource<Descriptor>,
        dst_dir: Resource<Descriptor>,
    ) -> Answer<types::ReflinkSupport> {
        answer(self.decode_can_reflink(&src_dir, &dst_dir)?.run_blocking())
    }
}

fn ranges(ranges: Vec<DataRange>) -> Vec<types::DataRange> {
    ranges.into_iter().map(types::DataRange::from).collect()
}

impl jobs::Host for FastCopyCtxView<'_> {
    fn start_fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        self.start_job(Sharing::Allowed, src, dst, options)
    }

    fn start_sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: Options,
    ) -> wasmtime::Result<Result<Resource<CopyJob>, CopyError>> {
        let (src, dst) = ((src, src_path), (dst, dst_path));
        self.start_job(Sharing::Forbidden, src, dst, options)
    }
}

impl jobs::HostCopyJob for FastCopyCtxView<'_> {
    /// The pollable is no child of the job, so a guest may drop either first. (Dropping a parent before
    /// its child traps.)
    fn subscribe(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Resource<DynPollable>> {
        let end = self.table.get(&job)?.end();
        let end = self.table.push(end)?;
        let entry = end.rep();
        subscribe(self.table, end).inspect_err(|_| {
            let _ = self.table.delete(Resource::<End>::new_own(entry));
        })
    }

    fn progress(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        Ok(self.table.get(&job)?.progress().into())
    }

    fn cancel(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.get(&job)?.cancel();
        Ok(())
    }

    fn get(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Option<Copied>> {
        Ok(self.table.get_mut(&job)?.outcome().map(copied))
    }

    fn drop(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}
