//! What a host keeps for each store, and how the bindings reach it.

use wasmtime::component::{HasData, ResourceTable};

use crate::CopyOptions;

/// The largest source that a guest may copy unless the host says otherwise: 16 TiB of apparent
/// size, what ext4 can hold in one file. A sparse file costs nothing to make at 8 EiB, and breaks
/// the tools of whoever meets its copy.
pub const DEFAULT_MAX_SIZE: u64 = 16 << 40;

/// What a host allows the guest of one store. Made by [`FastCopyCtx::builder`].
#[derive(Clone, Debug)]
pub struct FastCopyCtx {
    pub(crate) max_size: u64,
    pub(crate) workers: Option<usize>,
    pub(crate) allow_blocking_current_thread: bool,
}

impl FastCopyCtx {
    /// The defaults.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// What a guest has asked for, within what the host allows.
    pub(crate) fn restrict(&self, options: CopyOptions) -> CopyOptions {
        let options = options.max_size(self.max_size);
        match self.workers {
            Some(workers) => options.workers(workers),
            None => options,
        }
    }

    /// A builder that starts from the defaults.
    pub fn builder() -> FastCopyCtxBuilder {
        FastCopyCtxBuilder {
            max_size: DEFAULT_MAX_SIZE,
            workers: None,
            allow_blocking_current_thread: false,
        }
    }
}

impl Default for FastCopyCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds a [`FastCopyCtx`].
#[derive(Clone, Debug)]
#[must_use]
pub struct FastCopyCtxBuilder {
    max_size: u64,
    workers: Option<usize>,
    allow_blocking_current_thread: bool,
}

impl FastCopyCtxBuilder {
    /// The largest apparent size in bytes of a source; a guest that copies a larger one gets
    /// `file-too-large`. Default: [`DEFAULT_MAX_SIZE`].
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// How many threads may move the bytes of one copy, as
    /// [`CopyOptions::workers`](crate::CopyOptions::workers) has it, with the same default. With 1 a
    /// copy takes no thread but the one it runs on. The second one lives as long as the bytes move,
    /// and isn't one of the runtime's blocking threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Lets the asynchronous form copy on the thread that polls the call, instead of one of the
    /// runtime's blocking threads. Default: false. The synchronous form never changes threads.
    ///
    /// It saves the way to the other thread and back, which takes longer than a clone does:
    /// `benches/README.md` has the figures. But nothing else runs on that thread until the copy
    /// ends, and dropping the call's future can't stop a copy that no other thread makes. So it is
    /// for hosts that give each guest a thread, as
    /// [`WasiCtxBuilder::allow_blocking_current_thread`] is, which it doesn't depend on.
    ///
    /// [`WasiCtxBuilder::allow_blocking_current_thread`]: wasmtime_wasi::WasiCtxBuilder::allow_blocking_current_thread
    pub fn allow_blocking_current_thread(mut self, allow: bool) -> Self {
        self.allow_blocking_current_thread = allow;
        self
    }

    /// The context.
    pub fn build(self) -> FastCopyCtx {
        FastCopyCtx {
            max_size: self.max_size,
            workers: self.workers,
            allow_blocking_current_thread: self.allow_blocking_current_thread,
        }
    }
}

/// What the bindings work on: the context, and the table that holds the guest's descriptors.
///
/// The table must be the one that `wasi:filesystem` uses in the same store.
pub struct FastCopyCtxView<'a> {
    /// What the host allows.
    pub ctx: &'a mut FastCopyCtx,
    /// The table that `wasi:filesystem` keeps its descriptors in.
    pub table: &'a mut ResourceTable,
}

/// A store's data that the bindings can be linked for, by
/// [`p2::add_to_linker_async`](crate::p2::add_to_linker_async) and
/// [`p2::add_to_linker_sync`](crate::p2::add_to_linker_sync).
pub trait FastCopyView: Send {
    /// The view on the context and the table.
    fn fast_copy(&mut self) -> FastCopyCtxView<'_>;
}

/// The type that the bindings are implemented for, to link them without [`FastCopyView`].
///
/// A framework that owns the store's data calls the generated function itself, with a plain `fn`
/// that finds the view:
///
/// ```
/// use wasmtime::component::{Linker, ResourceTable};
/// use wasmtime_fast_copy::p2::bindings;
/// use wasmtime_fast_copy::{FastCopy, FastCopyCtx, FastCopyCtxView};
///
/// struct State {
///     copies: FastCopyCtx,
///     table: ResourceTable,
/// }
///
/// fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
///     bindings::copy::add_to_linker::<_, FastCopy>(linker, |state| FastCopyCtxView {
///         ctx: &mut state.copies,
///         table: &mut state.table,
///     })
/// }
/// # link(&mut Linker::new(&wasmtime::Engine::default())).unwrap();
/// ```
pub struct FastCopy;

impl HasData for FastCopy {
    type Data<'a> = FastCopyCtxView<'a>;
}
