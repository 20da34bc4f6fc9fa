//! The front for WASI 0.2: `sandbox:fast-copy@0.2.0`.
//!
//! It decodes and converts. [`bindings`] are generated from `wit/p2`.

pub mod bindings;
mod convert;
mod host;
mod options;

use wasmtime::component::Linker;

use crate::ctx::{FastCopy, FastCopyCtxView, FastCopyView};
pub use crate::job::CopyJob;
pub use crate::options::GuestOptions;

/// Adds `sandbox:fast-copy` to a linker for components that run asynchronously.
///
/// Calls run on the threads of the store's slots ([`CopySlots`](crate::CopySlots)). They use neither the
/// host's runtime nor that of `wasmtime-wasi`, and run without any. They do not block the executor, unless
/// [`allow_blocking_current_thread`](crate::FastCopyCtxBuilder::allow_blocking_current_thread) is set.
///
/// Dropping the future of a guest's call cancels the copy: it stops at its next chunk or system call, and
/// nothing is published. With `call_concurrent`, the future of a host function belongs to the store, so
/// only dropping the store cancels the copy.
///
/// It adds no interface of `wasi:*`. Call [`wasmtime_wasi::p2::add_to_linker_async`] too. In a synchronous host
/// (`instantiate`, `call`), instantiation fails with ``store configuration requires that `*_async` functions are
/// used instead``.
///
/// # Errors
///
/// Fails if the linker already has one of these interfaces: ``map entry `copy-options` defined twice``.
pub fn add_to_linker_async<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    add_to_linker_async_with(linker, T::fast_copy)
}

/// Does what [`add_to_linker_async`] does, for a store whose data does not implement [`FastCopyView`]. `view` is a
/// function, or a closure that captures nothing.
///
/// ```
/// use wasmtime::component::{Linker, ResourceTable};
/// use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, p2};
///
/// struct State {
///     copies: FastCopyCtx,
///     table: ResourceTable,
/// }
///
/// let engine = wasmtime::Engine::default();
/// let mut linker = Linker::new(&engine);
/// p2::add_to_linker_async_with(&mut linker, |state: &mut State| FastCopyCtxView {
///     ctx: &mut state.copies,
///     table: &mut state.table,
/// })?;
/// # Ok::<(), wasmtime::Error>(())
/// ```
///
/// # Errors
///
/// As [`add_to_linker_async`].
pub fn add_to_linker_async_with<T>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> FastCopyCtxView<'_>,
) -> wasmtime::Result<()>
where
    T: Send + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::copy::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::jobs::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::inspect::add_to_linker::<T, FastCopy>(linker, view)
}

/// Adds `sandbox:fast-copy` to a linker for components that run synchronously.
///
/// Calls run on the calling thread, inside or outside a tokio runtime. Jobs run on the threads of the
/// store's slots ([`CopySlots`](crate::CopySlots)).
///
/// A call blocks the calling thread while it waits for a slot or works. So run guests on your own
/// threads or on blocking ones (`spawn_blocking`). On a worker thread of a runtime, a guest can block the
/// task that would free the slot.
///
/// It adds no interface of `wasi:*`. Call [`wasmtime_wasi::p2::add_to_linker_sync`] too. In an asynchronous host it
/// works too, but each call blocks the executor's thread. The crate cannot detect that.
///
/// # Errors
///
/// Fails if the linker already has one of these interfaces: ``map entry `copy-options` defined twice``.
pub fn add_to_linker_sync<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    add_to_linker_sync_with(linker, T::fast_copy)
}

/// Does what [`add_to_linker_sync`] does, for a store whose data does not implement [`FastCopyView`]. `view` is a
/// function, or a closure that captures nothing; see [`add_to_linker_async_with`] for an example.
///
/// # Errors
///
/// As [`add_to_linker_sync`].
pub fn add_to_linker_sync_with<T>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> FastCopyCtxView<'_>,
) -> wasmtime::Result<()>
where
    T: Send + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::sync::copy::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::jobs::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::sync::inspect::add_to_linker::<T, FastCopy>(linker, view)
}
