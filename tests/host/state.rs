//! A store's data, without a store.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::bindings::copy::Host;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyFlags, CopyReport};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxBuilder, FastCopyCtxView};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

/// A store's data, with one directory open in its table.
pub struct State {
    pub ctx: FastCopyCtx,
    pub table: ResourceTable,
    pub dir: TempDir,
    pub handle: u32,
}

impl State {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut table = ResourceTable::new();
        let mode = OpenMode::READ | OpenMode::WRITE;
        let descriptor = Descriptor::Dir(Dir::new(
            File::open(dir.path()).unwrap(),
            FsPerms::ReadWrite,
            mode,
            false,
        ));
        let handle = table.push(descriptor).unwrap().rep();
        Self {
            ctx: FastCopyCtx::new(),
            table,
            dir,
            handle,
        }
    }

    /// Another store with the same directory.
    pub fn with(self, ctx: FastCopyCtxBuilder) -> Self {
        Self {
            ctx: ctx.build(),
            ..self
        }
    }

    pub fn view(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    pub fn borrow(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.handle)
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

/// What a guest gets, or a trap.
pub type Answer = wasmtime::Result<Result<CopyReport, CopyError>>;

/// Copies to `dst` in the directory of this handle, in the asynchronous form.
pub async fn copy(state: &mut State, handle: u32, src: &str, flags: CopyFlags) -> Answer {
    let (src_dir, dst_dir) = (Resource::new_borrow(handle), state.borrow());
    let mut view = state.view();
    Host::sparse_copy(&mut view, src_dir, src.into(), dst_dir, "dst".into(), flags).await
}

/// A file without holes.
pub fn write_dense(path: &Path, size: usize) {
    let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8 + 1).collect();
    fs::write(path, bytes).unwrap();
}
