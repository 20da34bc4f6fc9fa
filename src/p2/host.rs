//! The traits of the bindings. Each method decodes its handles, and converts the outcome of a call.

use fast_copy_engine::{CopyReport, ExtentSummary, FileUsage, Sharing};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::bindings::types::{self, CopyError, CopyFlags, CopyProgress};
use super::bindings::{copy, inspect, jobs, sync};
use super::convert::answer;
use crate::call::Call;
use crate::ctx::FastCopyCtxView;
use crate::dispatch::End;
use crate::job::CopyJob;

type Answer<T> = wasmtime::Result<Result<T, CopyError>>;

/// A directory and a path relative to it, as a guest passes them.
type At = (Resource<Descriptor>, String);

/// An unknown handle is a trap, as in `wasmtime-wasi`.
impl FastCopyCtxView<'_> {
    fn decode_copy(
        &self,
        sharing: Sharing,
        (src, src_path): At,
        (dst, dst_path): At,
        flags: CopyFlags,
    ) -> wasmtime::Result<Call<CopyReport>> {
        let src = (self.table.get(&src)?, src_path);
        let dst = (self.table.get(&dst)?, dst_path);
        Ok(self.ctx.copy(sharing, src, dst, flags.into()))
    }

    fn decode_disk_usage(&self, (dir, path): At) -> wasmtime::Result<Call<FileUsage>> {
        Ok(self.ctx.disk_usage(self.table.get(&dir)?, path))
    }

    fn decode_summarize_extents(&self, (dir, path): At) -> wasmtime::Result<Call<ExtentSummary>> {
        Ok(self.ctx.summarize_extents(self.table.get(&dir)?, path))
    }

    /// Starts a job. Its place and its table entry are taken before anything begins, so a call that traps
    /// has done nothing.
    fn start_job(
        &mut self,
        sharing: Sharing,
        src: At,
        dst: At,
        flags: CopyFlags,
    ) -> Answer<Resource<CopyJob>> {
        let call = self.decode_copy(sharing, src, dst, flags)?;
        let (job, begin) = match CopyJob::prepare(self.ctx, call) {
            Ok(prepared) => prepared,
            Err(busy) => return Ok(Err(busy.into())),
        };
        let handle = self.table.push(job)?;
        begin();
        Ok(Ok(handle))
    }

    fn job_progress(&self, job: &Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        Ok(self.table.get(job)?.progress().into())
    }

    fn cancel_job(&self, job: &Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.get(job)?.cancel();
        Ok(())
    }

    /// The pollable is no child of the job, so a guest may drop either first. (Dropping a parent before
    /// its child traps.)
    fn subscribe_to_job(
        &mut self,
        job: &Resource<CopyJob>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let end = self.table.get(job)?.end();
        let end = self.table.push(end)?;
        let entry = end.rep();
        subscribe(self.table, end).inspect_err(|_| {
            let _ = self.table.delete(Resource::<End>::new_own(entry));
        })
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for End {
    async fn ready(&mut self) {
        self.wait().await;
    }
}

impl types::Host for FastCopyCtxView<'_> {}

impl copy::Host for FastCopyCtxView<'_> {
    async fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<types::CopyReport> {
        let call = self.decode_copy(Sharing::Allowed, (src, src_path), (dst, dst_path), options)?;
        answer(call.run().await)
    }

    async fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<types::CopyReport> {
        let call = self.decode_copy(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )?;
        answer(call.run().await)
    }
}

impl sync::copy::Host for FastCopyCtxView<'_> {
    fn fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<types::CopyReport> {
        let call = self.decode_copy(Sharing::Allowed, (src, src_path), (dst, dst_path), options)?;
        answer(call.run_blocking())
    }

    fn sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<types::CopyReport> {
        let call = self.decode_copy(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )?;
        answer(call.run_blocking())
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
}

impl jobs::Host for FastCopyCtxView<'_> {
    fn start_fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<Resource<CopyJob>> {
        self.start_job(Sharing::Allowed, (src, src_path), (dst, dst_path), options)
    }

    fn start_sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<Resource<CopyJob>> {
        self.start_job(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )
    }
}

impl sync::jobs::Host for FastCopyCtxView<'_> {
    fn start_fast_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<Resource<CopyJob>> {
        self.start_job(Sharing::Allowed, (src, src_path), (dst, dst_path), options)
    }

    fn start_sparse_copy(
        &mut self,
        src: Resource<Descriptor>,
        src_path: String,
        dst: Resource<Descriptor>,
        dst_path: String,
        options: CopyFlags,
    ) -> Answer<Resource<CopyJob>> {
        self.start_job(
            Sharing::Forbidden,
            (src, src_path),
            (dst, dst_path),
            options,
        )
    }
}

impl jobs::HostCopyJob for FastCopyCtxView<'_> {
    fn subscribe(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_to_job(&job)
    }

    fn progress(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        self.job_progress(&job)
    }

    fn cancel(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.cancel_job(&job)
    }

    async fn finish(&mut self, job: Resource<CopyJob>) -> Answer<types::CopyReport> {
        answer(self.table.delete(job)?.outcome().await)
    }

    fn drop(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}

impl sync::jobs::HostCopyJob for FastCopyCtxView<'_> {
    fn subscribe(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_to_job(&job)
    }

    fn progress(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<CopyProgress> {
        self.job_progress(&job)
    }

    fn cancel(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.cancel_job(&job)
    }

    fn finish(&mut self, job: Resource<CopyJob>) -> Answer<types::CopyReport> {
        answer(self.table.delete(job)?.outcome_blocking())
    }

    fn drop(&mut self, job: Resource<CopyJob>) -> wasmtime::Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}
