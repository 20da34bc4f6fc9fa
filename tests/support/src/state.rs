//! The data of a store, to make the calls of a guest without a guest.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::CopyJob;
use wasmtime_fast_copy::p2::bindings::copy::Host as AsyncHost;
use wasmtime_fast_copy::p2::bindings::jobs::{self, HostCopyJob};
use wasmtime_fast_copy::p2::bindings::sync::{copy, inspect};
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport, ErrorCode, FileUsage};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxBuilder, FastCopyCtxView};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::options::{CallWith, Options};

/// The result of a call for a guest, or a trap.
pub type Answer<T> = wasmtime::Result<Result<T, CopyError>>;

/// The data of a store, with one directory open in its table.
pub struct State {
    pub ctx: FastCopyCtx,
    pub table: ResourceTable,
    dir: PathBuf,
    handle: u32,
    _temporary: Option<TempDir>,
}

impl State {
    /// Makes a state with a temporary directory.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Self::in_dir(dir.path(), FastCopyCtx::new());
        Self {
            _temporary: Some(dir),
            ..state
        }
    }

    /// Makes a state with an existing directory.
    pub fn in_dir(dir: &Path, ctx: FastCopyCtx) -> Self {
        let mut state = Self {
            ctx,
            table: ResourceTable::new(),
            dir: dir.to_owned(),
            handle: 0,
            _temporary: None,
        };
        state.handle = state.open(dir).rep();
        state
    }

    /// Replaces the context.
    pub fn with(self, ctx: FastCopyCtxBuilder) -> Self {
        self.with_ctx(ctx.build())
    }

    pub fn with_ctx(self, ctx: FastCopyCtx) -> Self {
        Self { ctx, ..self }
    }

    pub fn view(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    /// Returns the handle of the directory, as an argument of a call.
    pub fn borrow(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.handle)
    }

    /// Returns the path of the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Opens another directory for reading and writing.
    pub fn open(&mut self, dir: &Path) -> Resource<Descriptor> {
        let mode = OpenMode::READ | OpenMode::WRITE;
        let dir = Dir::new(File::open(dir).unwrap(), FsPerms::ReadWrite, mode, false);
        self.table.push(Descriptor::Dir(dir)).unwrap()
    }

    /// Returns the view with options in its table, for one call.
    pub fn call(&mut self, options: Options) -> CallWith<'_> {
        CallWith::new(self.view(), options)
    }

    /// Calls `fast-copy` in the synchronous form.
    pub fn fast_copy(&mut self, src: &str, dst: &str, options: Options) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        self.fast_copy_between(src_dir, src, dst_dir, dst, options)
    }

    /// Calls `fast-copy` in the synchronous form, with other descriptors than that of the directory.
    pub fn fast_copy_between(
        &mut self,
        src_dir: Resource<Descriptor>,
        src: &str,
        dst_dir: Resource<Descriptor>,
        dst: &str,
        options: Options,
    ) -> Answer<CopyReport> {
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        copy::Host::fast_copy(&mut call.view, src_dir, src, dst_dir, dst, options)
    }

    /// Calls `sparse-copy` in the synchronous form.
    pub fn sparse_copy(&mut self, src: &str, dst: &str, options: Options) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        copy::Host::sparse_copy(&mut call.view, src_dir, src, dst_dir, dst, options)
    }

    /// Calls `fast-copy` in the asynchronous form.
    pub async fn fast_copy_async(
        &mut self,
        src: &str,
        dst: &str,
        options: Options,
    ) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        AsyncHost::fast_copy(&mut call.view, src_dir, src, dst_dir, dst, options).await
    }

    /// Calls `sparse-copy` in the asynchronous form.
    pub async fn sparse_copy_async(
        &mut self,
        src: &str,
        dst: &str,
        options: Options,
    ) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        AsyncHost::sparse_copy(&mut call.view, src_dir, src, dst_dir, dst, options).await
    }

    /// Calls `start-fast-copy`.
    pub fn start_fast_copy(
        &mut self,
        src: &str,
        dst: &str,
        options: Options,
    ) -> Answer<Resource<CopyJob>> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        jobs::Host::start_fast_copy(&mut call.view, src_dir, src, dst_dir, dst, options)
    }

    /// Calls `start-sparse-copy`.
    pub fn start_sparse_copy(
        &mut self,
        src: &str,
        dst: &str,
        options: Options,
    ) -> Answer<Resource<CopyJob>> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let (src, dst) = (src.to_owned(), dst.to_owned());
        let mut call = self.call(options);
        let options = call.options();
        jobs::Host::start_sparse_copy(&mut call.view, src_dir, src, dst_dir, dst, options)
    }

    /// Returns what `copy-job.get` returns.
    pub fn get(&mut self, job: &Resource<CopyJob>) -> Option<Result<CopyReport, CopyError>> {
        let job = Resource::new_borrow(job.rep());
        HostCopyJob::get(&mut self.view(), job).unwrap()
    }

    /// Waits until a job has ended, drops it, and returns its result. It drops the job also if a panic of a
    /// hook resumes.
    #[track_caller]
    pub fn finish(&mut self, job: Resource<CopyJob>) -> Result<CopyReport, CopyError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            loop {
                if let Some(result) = self.get(&job) {
                    return result;
                }
                assert!(Instant::now() < deadline, "the job never ends");
                thread::sleep(Duration::from_micros(100));
            }
        }));
        HostCopyJob::drop(&mut self.view(), job).unwrap();
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Calls `disk-usage` in the synchronous form.
    pub fn disk_usage(&mut self, path: &str) -> wasmtime::Result<Result<FileUsage, ErrorCode>> {
        let dir = self.borrow();
        inspect::Host::disk_usage(&mut self.view(), dir, path.into())
    }

    /// Closes the directory. Returns whether the table is empty then.
    pub fn close(&mut self) -> bool {
        let dir: Resource<Descriptor> = Resource::new_own(self.handle);
        self.table.delete(dir).unwrap();
        self.table.is_empty()
    }
}
