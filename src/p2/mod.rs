//! The WASI 0.2 host: `sandbox:fast-copy@0.2.0`.
//!
//! A call comes in through [`bindings`], is decoded in `host`, resolved and checked by the
//! `sandbox` module, and made by the engine.

pub mod bindings;
mod convert;
mod host;
mod inspect;
mod jobs;
mod log;

pub use jobs::CopyJob;

use crate::ctx::{FastCopy, FastCopyView};
use wasmtime::component::Linker;

/// Adds `sandbox:fast-copy` to a linker whose components run asynchronously.
///
/// The copies run on the blocking threads of the tokio runtime, or of `wasmtime-wasi`'s own where
/// there is none; the executor never waits, unless
/// [`allow_blocking_current_thread`](crate::FastCopyCtxBuilder::allow_blocking_current_thread) is set.
/// Dropping the future of a guest's call stops its copy at the next chunk, and nothing is published.
/// Jobs, and calls that had to wait for their turn, run on the blocking threads of `wasmtime-wasi`'s own
/// runtime: they go on also while the host polls nobody.
///
/// It adds nothing of `wasi:*`: call
/// [`wasmtime_wasi::p2::add_to_linker_async`] too.
///
/// # Errors
///
/// Fails where the linker has these interfaces already.
pub fn add_to_linker_async<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::copy::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::jobs::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::inspect::add_to_linker::<T, FastCopy>(linker, T::fast_copy)
}

/// Adds `sandbox:fast-copy` to a linker whose components run synchronously.
///
/// The copies run on the calling thread, inside and outside a tokio context alike; those of jobs as in
/// the asynchronous form. A call that waits, for its slot or for a job's end, blocks the calling thread.
/// So run guests on threads of your own, or on blocking ones (`spawn_blocking`), not on the workers of a
/// runtime: what they wait for may be next on the same worker.
///
/// It adds nothing of `wasi:*`: call [`wasmtime_wasi::p2::add_to_linker_sync`] too.
///
/// # Errors
///
/// Fails where the linker has these interfaces already.
pub fn add_to_linker_sync<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: FastCopyView + 'static,
{
    bindings::types::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::copy::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::jobs::add_to_linker::<T, FastCopy>(linker, T::fast_copy)?;
    bindings::sync::inspect::add_to_linker::<T, FastCopy>(linker, T::fast_copy)
}
