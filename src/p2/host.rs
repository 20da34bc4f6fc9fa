//! The traits of the bindings. Each method decodes its handles, and converts the outcome of a call.

use std::any::Any;

use fast_copy_engine::{CopyReport, DataRange, ExtentSummary, FileUsage, ReflinkSupport, Sharing};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::bindings::types::{self, CopyError, CopyProgress, ErrorCode};
use super::bindings::{copy, inspect, jobs, sync};
use super::convert::{answer, copied};
use crate::call::Call;
use crate::ctx::FastCopyCtxView;
use crate::dispatch::End;
use crate::job::CopyJob;
use crate::options::{GuestOptions, Wanted};

type Copied = Result<types::CopyReport, CopyError>;

/// What a method of `inspect` returns.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// A directory and a path relative to it, as a guest passes them.
type At = (Resource<Descriptor>, String);

type Options = Option<Resource<GuestOptions>>;

/// Returns a guest's resource. An unknown handle is a trap, as in `wasmtime-wasi`.
fn get<'a, T: Any>(table: &'a ResourceTable, handle: &Resource<T>) -> wasmtime::Result<&'a T> {
    table.get(handle).map_err(|error| {
        wasmtime::Error::from(error).context(
            "the handle is not in the table of this FastCopyCtxView: FastCopyView::fast_copy must return the \
             ResourceTable that WasiView::ctx returns",
        )
    })
}

impl FastCopyCtxView<'_> {
    fn decode_copy(
        &self,
        sharing: Sharing,
        (src, src_path): At,
        (dst, dst_path): At,
        options: Options,
    ) -> wasmtime::Result<Call<CopyReport>> {
        let src = (get(self.table, &src)?, src_path);
        let dst = (get(self.table, &dst)?, dst_path);
        let wanted = match options {
            Some(options) => get(self.table, &options)?.wanted,
            None => Wanted::default(),
        };
        Ok(self.ctx.copy(sharing, src, dst, wanted))
    }

    fn decode_disk_usage(&self, (dir, path): At) -> wasmtime::Result<Call<FileUsage>> {
        Ok(self.ctx.disk_usage(get(self.table, &dir)?, path))
    }

    fn decode_summarize_extents(&self, (dir, path): At) -> wasmtime::Result<Call<ExtentSummary>> {
        Ok(self.ctx.summarize_extents(get(self.table, &dir)?, path))
    }

    fn decode_data_ranges(
        &self,
        (dir, path): At,
        start: u64,
    ) -> wasmtime::Result<Call<Vec<DataRange>>> {
        Ok(self.ctx.data_ranges(get(self.table, &dir)?, path, start))
    }

    fn decode_can_reflink(
        &self,
        src: &Resource<Descriptor>,
        dst: &Resource<Descriptor>,
    ) -> wasmtime::Result<Call<ReflinkSupport>> {
        let [src, dst] = [get(self.table, src)?, get(self.table, dst)?];
        Ok(self.ctx.can_reflink(src, dst))
    }

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

    /// Changes a guest's options.
    fn set(
        &mut self,
        options: &Resource<GuestOptions>,
        change: impl FnOnce(&mut Wanted),
    ) -> wasmtime::Result<()> {
        change(&mut self.table.get_mut(options)?.wanted);
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for End {
    async fn ready(&mut self) {
        self.wait().await;
    }
}

impl types::Host for FastCopyCtxView<'_> {}

impl types::HostCopyOptions for FastCopyCtxView<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<GuestOptions>> {
        let place = self.ctx.options.take();
        let place = place.map_err(|full| wasmtime::Error::msg(full.to_string()))?;
        Ok(self.table.push(GuestOptions::new(place))?)
    }

    fn set_replace(&mut self, this: Resource<GuestOptions>, replace: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.replace = replace)
    }

    fn set_symlink_follow(
        &mut self,
        this: Resource<GuestOptions>,
        follow: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.symlink_follow = follow)
    }

    fn set_require_reflink(
        &mut self,
        this: Resource<GuestOptions>,
        require: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.require_reflink = require)
    }

    fn set_dig_holes(&mut self, this: Resource<GuestOptions>, dig: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.dig_holes = dig)
    }

    fn set_durable(&mut self, this: Resource<GuestOptions>, durable: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.durable = durable)
    }

    fn set_size(
        &mut self,
        this: Resource<GuestOptions>,
        size: Option<u64>,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.size = size)
    }

    fn set_preserve_times(
        &mut self,
        this: Resource<GuestOptions>,
        preserve: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.preserve_times = preserve)
    }

    fn drop(&mut self, this: Resource<GuestOptions>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
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
