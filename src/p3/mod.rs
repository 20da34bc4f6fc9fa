//! The front for WASI 0.3: `sandbox:fast-copy@0.3.0`. Experimental.
//!
//! It decodes and converts, as [`p2`](crate::p2) does, and shares everything else with it: a store's guests have the
//! same limits in both, and one linker can have both. [`bindings`] are generated from `wit/p3`.
//!
//! # Stability
//!
//! The WIT is final. The Rust interface of this module is as stable as that of [`wasmtime_wasi::p3`], on which it
//! builds: experimental, and not subject to semantic versioning. A patch release can change it.

pub mod bindings;
#[path = "../front/convert.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod convert;
mod host;
mod named;
#[path = "../front/options.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod options;
mod streams;

use wasmtime::component::{Component, Linker};

use crate::ctx::{FastCopy, FastCopyCtxView, FastCopyView};
use crate::named::{FastCopyNamed, FastCopyNamedData, FastCopyNamedView, NamedId};

/// Adds `sandbox:fast-copy` for WASI 0.3 to a linker.
///
/// The engine needs [`Config::wasm_component_model_async`](wasmtime::Config::wasm_component_model_async), and the
/// guest runs within [`Store::run_concurrent`](wasmtime::Store::run_concurrent).
///
/// Calls run on the threads of the store's slots ([`CopySlots`](crate::CopySlots)). They use neither the
/// host's tokio runtime nor that of `wasmtime-wasi`, and need none. They do not block the executor, unless
/// [`allow_blocking_current_thread`](crate::FastCopyCtxBuilder::allow_blocking_current_thread) is set.
///
/// A guest can have any number of calls in progress. The limits on running and waiting calls apply to all of them
/// ([`max_copies`](crate::FastCopyCtxBuilder::max_copies),
/// [`max_waiting`](crate::FastCopyCtxBuilder::max_waiting)). A copy with progress counts as a job
/// ([`max_jobs`](crate::FastCopyCtxBuilder::max_jobs)), and so does a stream of `inspect.data-ranges`, which keeps its
/// file open.
///
/// A copy is cancelled when the guest cancels its call, when it drops the future of a copy with progress, and when
/// the store is dropped. It stops at its next chunk or system call, and is not published, unless publishing has
/// begun.
///
/// This function adds no interface of `wasi:*`. Call [`wasmtime_wasi::p3::add_to_linker`] too. Guests in Rust also import
/// WASI 0.2, for the standard library: call [`wasmtime_wasi::p2::add_to_linker_async`] for them.
///
/// # Errors
///
/// Fails if the linker already has one of these interfaces: ``map entry `copy-options` defined twice``.
pub fn add_to_linker<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    add_to_linker_with(linker, T::fast_copy)
}

/// Does what [`add_to_linker`] does, for a store whose data does not implement [`FastCopyView`]. `view` is a
/// function, or a closure that captures nothing.
///
/// ```
/// use wasmtime::component::{Linker, ResourceTable};
/// use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, p2, p3};
///
/// struct State {
///     copies: FastCopyCtx,
///     table: ResourceTable,
/// }
///
/// fn view(state: &mut State) -> FastCopyCtxView<'_> {
///     FastCopyCtxView { ctx: &mut state.copies, table: &mut state.table }
/// }
///
/// let mut config = wasmtime::Config::new();
/// config.wasm_component_model_async(true);
/// let engine = wasmtime::Engine::new(&config)?;
/// let mut linker = Linker::new(&engine);
/// p3::add_to_linker_with(&mut linker, view)?;
/// // Guests of WASI 0.2 too.
/// p2::add_to_linker_async_with(&mut linker, view)?;
/// # Ok::<(), wasmtime::Error>(())
/// ```
///
/// # Errors
///
/// As [`add_to_linker`].
pub fn add_to_linker_with<T>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> FastCopyCtxView<'_>,
) -> wasmtime::Result<()>
where
    T: Send + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::copy::add_to_linker::<T, FastCopy>(linker, view)?;
    bindings::inspect::add_to_linker::<T, FastCopy>(linker, view)
}

/// Adds `sandbox:fast-copy` to a linker under the names by which `component` imports it, so that each name has a
/// context of its own.
///
/// A component can import an interface several times, each time under another name, for example once for each of
/// its dependencies. `lookup` gets such a name, and returns the [`NamedId`] that the calls of this import pass to
/// [`FastCopyNamedView`]. It is called once for each import of an interface of this package under a name, and not
/// for imports without one: for those, also call [`add_to_linker`].
///
/// The engine needs [`Config::wasm_component_model_implements`](wasmtime::Config::wasm_component_model_implements).
/// `wasmtime-wasi` has such functions since version 50.
///
/// ```
/// use wasmtime::component::{Component, Linker, ResourceTable};
/// use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyNamedView, NamedId, p3};
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
///     p3::add_named_to_linker(&mut linker, component, |name| match name {
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
pub fn add_named_to_linker<T>(
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
    named::inspect::add_to_linker::<T, FastCopyNamed<T>>(l, c, &mut *f, view)
}
