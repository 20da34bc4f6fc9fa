//! The data of a store, and the calls of a guest on it.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::bindings::jobs::{self, HostCopyJob};
use wasmtime_fast_copy::p2::bindings::sync::{copy, inspect};
use wasmtime_fast_copy::p2::bindings::types::{
    CopyError, CopyReport, DataRange, ErrorCode, ExtentSummary, FileUsage, HostCopyOptions,
    ReflinkSupport,
};
use wasmtime_fast_copy::p2::{CopyJob, GuestOptions};
use wasmtime_fast_copy::{CopyQuota, CopySlots, FastCopyCtx, FastCopyCtxView, FreeSpaceFloor};
use wasmtime_wasi::filesystem::{self, Descriptor, Dir};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::{FsPerms, OpenMode};

use super::disk::Disk;
use super::input::{At, Base, Copy, Wanted};

type Answer<T, E = ErrorCode> = wasmtime::Result<Result<T, E>>;

/// The handle of [`Base::Unknown`].
const UNKNOWN: u32 = 4711;

/// The longest time that a job may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Store {
    ctx: FastCopyCtx,
    table: ResourceTable,
    /// The handles of the descriptors, in the order of [`Base`].
    handles: [u32; 4],
}

impl Store {
    pub fn new(disk: &Disk) -> Self {
        let mut table = ResourceTable::new();
        let mode = OpenMode::READ | OpenMode::WRITE;
        let mut dir = |name: &str, perms| {
            let dir = Dir::new(File::open(disk.at(name)).unwrap(), perms, mode, false);
            table.push(Descriptor::Dir(dir)).unwrap().rep()
        };
        let whole = dir("", FsPerms::ReadWrite);
        let read_only = dir("", FsPerms::ReadOnly);
        let inner = dir("d", FsPerms::ReadWrite);
        let file = File::open(disk.at("a")).unwrap();
        let file = filesystem::File::new(file, FsPerms::ReadWrite, mode, false);
        let file = table.push(Descriptor::File(file)).unwrap().rep();
        let ctx = FastCopyCtx::builder()
            .quota(CopyQuota::new(u64::MAX))
            .free_space_floor(FreeSpaceFloor::NONE)
            .slots(CopySlots::new(2));
        Self {
            ctx: ctx.build(),
            table,
            handles: [whole, read_only, inner, file],
        }
    }

    pub fn quota(&self) -> CopyQuota {
        self.ctx.quota().unwrap().clone()
    }

    /// Closes the descriptors. Panics if anything else is in the table.
    pub fn close(&mut self) {
        for handle in self.handles {
            let handle: Resource<Descriptor> = Resource::new_own(handle);
            self.table.delete(handle).unwrap();
        }
        assert!(self.table.is_empty(), "the table is not empty");
    }

    fn handle(&self, base: Base) -> Resource<Descriptor> {
        Resource::new_borrow(match base {
            Base::Unknown => UNKNOWN,
            _ => self.handles[base as usize],
        })
    }

    fn view(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn options(&mut self, wanted: Wanted) -> wasmtime::Result<Resource<GuestOptions>> {
        let view = &mut self.view();
        let options = HostCopyOptions::new(view)?;
        let again = || Resource::new_borrow(options.rep());
        view.set_replace(again(), wanted.replace)?;
        view.set_symlink_follow(again(), wanted.symlink_follow)?;
        view.set_require_reflink(again(), wanted.require_reflink)?;
        view.set_dig_holes(again(), wanted.dig_holes)?;
        view.set_durable(again(), !wanted.not_durable)?;
        view.set_preserve_times(again(), wanted.preserve_times)?;
        view.set_size(again(), wanted.size.map(|size| size.bytes()))?;
        Ok(options)
    }

    /// Makes a call with a copy's options, which exist as long as the call.
    fn call<T>(
        &mut self,
        copy: &Copy,
        call: impl FnOnce(
            &mut FastCopyCtxView<'_>,
            (Resource<Descriptor>, String),
            (Resource<Descriptor>, String),
            Option<Resource<GuestOptions>>,
        ) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let options = self.options(copy.wanted)?;
        let borrowed = Some(Resource::new_borrow(options.rep()));
        let at = |at: &At| (self.handle(at.base), at.path.text());
        let (src, dst) = (at(&copy.src), at(&copy.dst));
        let result = call(&mut self.view(), src, dst, borrowed);
        HostCopyOptions::drop(&mut self.view(), options)?;
        result
    }

    /// Makes a copy by the function of `copy`.
    pub fn copy(&mut self, copy: &Copy) -> Answer<CopyReport, CopyError> {
        self.call(
            copy,
            |view, (src, src_path), (dst, dst_path), options| match copy.sparse {
                false => copy::Host::fast_copy(view, src, src_path, dst, dst_path, options),
                true => copy::Host::sparse_copy(view, src, src_path, dst, dst_path, options),
            },
        )
    }

    fn start(&mut self, copy: &Copy) -> wasmtime::Result<Resource<CopyJob>> {
        let job = self.call(
            copy,
            |view, (src, src_path), (dst, dst_path), options| match copy.sparse {
                false => jobs::Host::start_fast_copy(view, src, src_path, dst, dst_path, options),
                true => jobs::Host::start_sparse_copy(view, src, src_path, dst, dst_path, options),
            },
        );
        Ok(job?.expect("one job at a time is never too many"))
    }

    /// Makes a copy as a job.
    pub fn job(&mut self, copy: &Copy, cancel: bool) -> Answer<CopyReport, CopyError> {
        let job = self.start(copy)?;
        let again = || Resource::new_borrow(job.rep());
        let pollable = HostCopyJob::subscribe(&mut self.view(), again())?;
        if cancel {
            HostCopyJob::cancel(&mut self.view(), again())?;
        }
        let deadline = Instant::now() + PATIENCE;
        let outcome = loop {
            let progress = HostCopyJob::progress(&mut self.view(), again())?;
            assert!(progress.total.is_none_or(|total| progress.copied <= total));
            if let Some(outcome) = HostCopyJob::get(&mut self.view(), again())? {
                break outcome;
            }
            assert!(Instant::now() < deadline, "the job never ends");
            thread::yield_now();
        };
        HostCopyJob::drop(&mut self.view(), job)?;
        self.drop_pollable(pollable);
        self.wait_for_jobs();
        Ok(outcome)
    }

    /// Starts a copy as a job, drops it, and waits until its work has ended.
    pub fn dropped_job(&mut self, copy: &Copy) -> wasmtime::Result<()> {
        let job = self.start(copy)?;
        HostCopyJob::drop(&mut self.view(), job)?;
        self.wait_for_jobs();
        Ok(())
    }

    fn drop_pollable(&mut self, pollable: Resource<DynPollable>) {
        use wasmtime_wasi::p2::bindings::io::poll::HostPollable;
        HostPollable::drop(&mut self.table, pollable).unwrap();
    }

    fn wait_for_jobs(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ctx.jobs() > 0 {
            assert!(Instant::now() < deadline, "a job never ends");
            thread::yield_now();
        }
    }

    pub fn disk_usage(&mut self, at: &At) -> Answer<FileUsage> {
        let dir = self.handle(at.base);
        inspect::Host::disk_usage(&mut self.view(), dir, at.path.text())
    }

    pub fn summarize_extents(&mut self, at: &At) -> Answer<ExtentSummary> {
        let dir = self.handle(at.base);
        inspect::Host::summarize_extents(&mut self.view(), dir, at.path.text())
    }

    pub fn data_ranges(&mut self, at: &At, start: u64) -> Answer<Vec<DataRange>> {
        let dir = self.handle(at.base);
        inspect::Host::data_ranges(&mut self.view(), dir, at.path.text(), start)
    }

    pub fn can_reflink(&mut self, src: Base, dst: Base) -> Answer<ReflinkSupport> {
        let (src, dst) = (self.handle(src), self.handle(dst));
        inspect::Host::can_reflink(&mut self.view(), src, dst)
    }
}
