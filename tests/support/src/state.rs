//! The data of a store, to make the calls of a guest without a guest.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::bindings::copy::Host as AsyncHost;
use wasmtime_fast_copy::p2::bindings::sync::{copy, inspect};
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyFlags, CopyReport, FileUsage};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxBuilder, FastCopyCtxView};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

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

    /// Calls `fast-copy` in the synchronous form.
    pub fn fast_copy(&mut self, src: &str, dst: &str, flags: CopyFlags) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let mut view = self.view();
        copy::Host::fast_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags)
    }

    /// Calls `sparse-copy` in the synchronous form.
    pub fn sparse_copy(&mut self, src: &str, dst: &str, flags: CopyFlags) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let mut view = self.view();
        copy::Host::sparse_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags)
    }

    /// Calls `sparse-copy` in the asynchronous form.
    pub async fn sparse_copy_async(
        &mut self,
        src: &str,
        dst: &str,
        flags: CopyFlags,
    ) -> Answer<CopyReport> {
        let (src_dir, dst_dir) = (self.borrow(), self.borrow());
        let mut view = self.view();
        AsyncHost::sparse_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags).await
    }

    /// Calls `disk-usage` in the synchronous form.
    pub fn disk_usage(&mut self, path: &str) -> Answer<FileUsage> {
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
