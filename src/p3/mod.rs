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
#[path = "../p2/convert.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod convert;
mod host;
#[path = "../p2/options.rs"]
#[allow(clippy::duplicate_mod, reason = "the types of the two bindings differ")]
mod options;
mod streams;

use wasmtime::component::Linker;

use crate::ctx::{FastCopy, FastCopyCtxView, FastCopyView};

/// Adds `sandbox:fast-copy` for WASI 0.3 to a linker.
///
/// The engine needs [`Config::wasm_component_model_async`](wasmtime::Config::wasm_component_model_async), and the
/// guest runs within [`Store::run_concurrent`](wasmtime::Store::run_concurrent).
///
/// Calls run on the threads of the store's slots ([`CopySlots`](crate::CopySlots)). They use neither the
/// host's runtime nor that of `wasmtime-wasi`, and run without any. They do not block the executor, unless
/// [`allow_blocking_current_thread`](crate::FastCopyCtxBuilder::allow_blocking_current_thread) is set.
///
/// A guest can have any number of calls in progress. The limits on running and waiting calls apply to all of them
/// ([`max_copies`](crate::FastCopyCtxBuilder::max_copies),
/// [`max_waiting`](crate::FastCopyCtxBuilder::max_waiting)). A copy with progress counts as a job
/// ([`max_jobs`](crate::FastCopyCtxBuilder::max_jobs)), and so does a stream of `inspect.data-ranges`, which keeps its
/// file open.
///
/// A copy is cancelled when the guest cancels its call, when it drops the future of a copy with progress, and when
/// the store is dropped. It stops at its next chunk or system call, and nothing is published.
///
/// It adds no interface of `wasi:*`. Call [`wasmtime_wasi::p3::add_to_linker`] too. Guests in Rust also import
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
