//! The front for WASI 0.2: `sandbox:fast-copy@0.2.0`.
//!
//! It decodes and converts. [`bindings`] are generated from `wit/p2`.

pub mod bindings;
#[path = "../front/convert.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod convert;
mod host;
mod named;
#[path = "../front/options.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod options;

use wasmtime::component::{Component, Linker};

use crate::ctx::{FastCopy, FastCopyCtxView, FastCopyView};
pub use crate::job::CopyJob;
use crate::named::{FastCopyNamed, FastCopyNamedData, FastCopyNamedView, NamedId};
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

/// Adds `sandbox:fast-copy` to a linker under the names by which `component` imports it, so that each name has a
/// context of its own.
///
/// A component can import an interface several times, each time under another name, for example once for each of
/// its dependencies. `lookup` gets such a name, and returns the [`NamedId`] that the calls of this import pass to
/// [`FastCopyNamedView`]. It is called once for each import of an interface of this package under a name, and not
/// for imports without one: for those, also call [`add_to_linker_async`].
///
/// The engine needs [`Config::wasm_component_model_implements`](wasmtime::Config::wasm_component_model_implements).
/// `wasmtime-wasi` has such functions since version 50.
///
/// ```
/// use wasmtime::component::{Component, Linker, ResourceTable};
/// use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyNamedView, NamedId, p2};
///
/// struct State {
///     copies: [FastCopyCtx; 2],
///     table: ResourceTable,
/// }
///
/// impl FastCopyNamedView for State {
///     fn named_fast_copy(&mut self, id: NamedId) -> FastCopyCtxView<'_> {
///         FastCopyCtxView { ctx: &mut self.copies[id.0], table: &mut self.table }
///     }
/// }
///
/// fn linker(component: &Component) -> wasmtime::Result<Linker<State>> {
///     let mut linker = Linker::new(component.engine());
///     p2::add_named_to_linker_async(&mut linker, component, |name| match name {
///         "images" => Ok(NamedId(0)),
///         "backups" => Ok(NamedId(1)),
///         _ => wasmtime::bail!("no limits are set for {name}"),
///     })?;
///     Ok(linker)
/// }
/// ```
///
/// # Errors
///
/// Fails with the error of `lookup`, or if the linker already has an interface under one of the names.
pub fn add_named_to_linker_async<T>(
    linker: &mut Linker<T>,
    component: &Component,
    mut lookup: impl FnMut(&str) -> wasmtime::Result<NamedId>,
) -> wasmtime::Result<()>
where
    T: FastCopyNamedView,
{
    use bindings::named;

    let view: fn(&mut T) -> FastCopyNamedData<'_, T> = |data| FastCopyNamedData(data);
    let (l, c, f) = (linker, component, &mut lookup);
    named::types::add_to_linker::<T, FastCopyNamed<T>>(l, c, &mut *f, view)?;
    named::copy::add_to_linker::<T, FastCopyNamed<T>>(l, c, &mut *f, view)?;
    named::jobs::add_to_linker::<T, FastCopyNamed<T>>(l, c, &mut *f, view)?;
    named::inspect::add_to_linker::<T, FastCopyNamed<T>>(l, c, &mut *f, view)
}
