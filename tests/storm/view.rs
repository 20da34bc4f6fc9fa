//! A store's data with one directory, to make a guest's calls without a guest.

use std::fs::File;
use std::path::Path;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::bindings::copy::Host as AsyncHost;
use wasmtime_fast_copy::p2::bindings::sync::{copy, inspect};
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyFlags, CopyReport, FileUsage};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

pub struct View {
    pub ctx: FastCopyCtx,
    pub table: ResourceTable,
    dir: u32,
}

impl View {
    pub fn new(dir: &Path, ctx: FastCopyCtx) -> Self {
        let mut table = ResourceTable::new();
        let mode = OpenMode::READ | OpenMode::WRITE;
        let dir = Dir::new(File::open(dir).unwrap(), FsPerms::ReadWrite, mode, false);
        let dir = table.push(Descriptor::Dir(dir)).unwrap().rep();
        Self { ctx, table, dir }
    }

    pub fn dir(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.dir)
    }

    pub fn view(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    pub fn fast_copy(
        &mut self,
        src: &str,
        dst: &str,
        flags: CopyFlags,
    ) -> Result<CopyReport, CopyError> {
        let (src_dir, dst_dir) = (self.dir(), self.dir());
        let mut view = self.view();
        copy::Host::fast_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags).unwrap()
    }

    /// In the asynchronous form.
    pub async fn sparse_copy_async(
        &mut self,
        dst: &str,
        flags: CopyFlags,
    ) -> Result<CopyReport, CopyError> {
        let (src_dir, dst_dir) = (self.dir(), self.dir());
        let mut view = self.view();
        let call =
            AsyncHost::sparse_copy(&mut view, src_dir, "src".into(), dst_dir, dst.into(), flags);
        call.await.unwrap()
    }

    pub fn disk_usage(&mut self, path: &str) -> Result<FileUsage, CopyError> {
        let dir = self.dir();
        inspect::Host::disk_usage(&mut self.view(), dir, path.into()).unwrap()
    }

    /// Closes the directory. True: nothing else is in the table.
    pub fn close(mut self) -> bool {
        let dir: Resource<Descriptor> = Resource::new_own(self.dir);
        self.table.delete(dir).unwrap();
        self.table.is_empty()
    }
}
