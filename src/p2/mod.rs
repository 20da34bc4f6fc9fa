//! The front for WASI 0.2: `sandbox:fast-copy@0.2.0`.
//!
//! It decodes and converts. [`bindings`] are generated from `wit/p2`.

pub mod bindings;
mod convert;
mod host;

use wasmtime::component::Linker;

use crate::ctx::{FastCopy, FastCopyView};
pub use crate::job::CopyJob;

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
/// It adds no interface of `wasi:*`. Call [`wasmtime_wasi::p2::add_to_linker_async`] too.
///
/// # Errors
///
/// Fails if the linker already has one of these interfaces.
pub fn add_to_linker_async<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::copy::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::jobs::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::inspect::add_to_linker::<T, FastCopy>(linker, T::fast_copy)
}

/// Adds `sandbox:fast-copy` to a linker for components that run synchronously.
///
/// Calls run on the calling thread, inside or outside a tokio runtime. Jobs run on the threads of the
/// store's slots ([`CopySlots`](crate::CopySlots)).
///
/// A call blocks the calling thread while it waits for a slot or for a job. So run guests on your own
/// threads or on blocking ones (`spawn_blocking`). On a worker thread of a runtime, a guest can block the
/// task that would free the slot.
///
/// It adds no interface of `wasi:*`. Call [`wasmtime_wasi::p2::add_to_linker_sync`] too.
///
/// # Errors
///
/// Fails if the linker already has one of these interfaces.
pub fn add_to_linker_sync<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::copy::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::jobs::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::inspect::add_to_linker::<T, FastCopy>(linker, T::fast_copy)
}
