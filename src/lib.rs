//! Fast file copies for WebAssembly guests, for wasmtime hosts.
//!
//! WASI has no function that copies a file. A guest reads and writes every byte itself, even if the host's
//! file system could share every block, or if the file is mostly holes. This crate adds the WIT
//! package `sandbox:fast-copy`, with the interfaces `copy`, `jobs` and `inspect`, to a
//! [`Linker`](wasmtime::component::Linker). `copy` has two functions:
//!
//! - `fast-copy` clones the file (reflink) where the file system can share blocks. Otherwise it copies the
//!   data and preserves the holes.
//! - `sparse-copy` makes an independent copy. It shares no blocks and preserves the holes.
//!
//! The guest stays in its sandbox: a path that leaves the directory of its descriptor is refused.
//!
//! # In a wasmtime host
//!
//! Call [`p2::add_to_linker_async`] beside the function that adds WASI:
//!
//! ```
//! use wasmtime::component::{Linker, ResourceTable};
//! use wasmtime::{Engine, Result};
//! use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! struct State {
//!     wasi: WasiCtx,
//!     copies: FastCopyCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for State {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl FastCopyView for State {
//!     fn fast_copy(&mut self) -> FastCopyCtxView<'_> {
//!         FastCopyCtxView { ctx: &mut self.copies, table: &mut self.table }
//!     }
//! }
//!
//! fn linker(engine: &Engine) -> Result<Linker<State>> {
//!     let mut linker = Linker::new(engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
//!     Ok(linker)
//! }
//! # linker(&Engine::default()).unwrap();
//! ```
//!
//! Synchronous hosts call [`p2::add_to_linker_sync`]. With the feature `p3`, `p3::add_to_linker` adds the same for
//! guests of WASI 0.3; it is as unstable as `wasmtime_wasi::p3`. Frameworks that own the store's data type use
//! [`FastCopy`] instead of implementing [`FastCopyView`].
//!
//! # Limits, policy and hooks
//!
//! Set per-guest limits and policy with [`FastCopyCtx::builder`]. The defaults are in force unless you
//! change them; a quota ([`CopyQuota`]) and a rate ([`CopyRate`]) have no default. [`CopySlots`] limits how
//! many calls run at once in several stores. Implement [`CopyHooks`] to authorize each copy, and
//! to observe its start, progress and end.
//!
//! # Tracing
//!
//! Each copy opens a `tracing` span named `copy`, each function of `inspect` one named `inspect`. Both have
//! the target `wasmtime_fast_copy` and the level `DEBUG`.
//!
//! | span | field | |
//! | --- | --- | --- |
//! | `copy` | `src`, `dst` | the guest's paths |
//! | | `function`, `options` | `fast-copy` or `sparse-copy`, and the guest's options that are not the default |
//! | | `method`, `copied`, `allocated` | see [`CopyReport`] |
//! | | `clone_error`, `offload_error` | the error numbers of a failed clone and a failed `copy_file_range` |
//! | `inspect` | `path` | the guest's path |
//! | both | `size` | the apparent size in bytes |
//! | | `error` | why the call failed |
//! | | `waited`, `worked` | see [`CopyTimes`] |
//!
//! An event with `openat2_error`, within either span, reports that the path was resolved by wasmtime's
//! `open-at` because `openat2` failed.
//!
//! # Threads
//!
//! Asynchronous calls and jobs run on threads of this crate: at most one for each slot, one more for each
//! large copy, and one that waits for slots and deadlines. If the system has no thread, no memory for a
//! thread, or no descriptor, the guest gets `busy`; without memory for the copy's buffer it gets
//! `insufficient-memory`. Later calls succeed once the resource is available.
//!
//! - A child that was created by `fork` has none of these threads. If the parent used them, asynchronous
//!   calls and jobs hang in the child.
//! - tokio's paused clock (`tokio::time::pause`) does not affect the time limits of this crate. But a
//!   `timeout` of the host's own around a copy fires at once.
//!
//! # Natively
//!
//! This crate re-exports the engine, [`fast_copy_engine`]: [`fast_copy`], [`sparse_copy`], [`CopyOptions`]
//! and what they use. Without WebAssembly, depend on `fast-copy-engine` alone; it has no wasmtime in its
//! dependency tree. Its documentation tells what each copy guarantees.
//!
//! # Versions
//!
//! The major version of this crate is that of wasmtime and `wasmtime-wasi`. It re-exports both, as [`wasmtime`] and
//! [`wasmtime_wasi`], so that a library can use the versions that this crate is built for.
//!
//! # Platforms
//!
//! All guarantees are tested on Linux, on ext4, XFS, btrfs and tmpfs. The engine also builds for
//! macOS and Windows, without tests there. On Windows guests get `unsupported`.

#![deny(missing_docs)]

/// Compiles the README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod admission;
mod builder;
mod call;
mod ctx;
mod dispatch;
mod error;
mod front;
mod hooks;
mod job;
mod named;
mod options;
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;
mod progress;
#[cfg(feature = "p3")]
mod ranges;
mod sandbox;
mod settings;
mod threads;
mod trace;
mod wait;
#[cfg(feature = "p3")]
mod watched;

pub use admission::{CopySlots, DEFAULT_SLOTS};
pub use builder::FastCopyCtxBuilder;
pub use ctx::{FastCopy, FastCopyCtx, FastCopyCtxView, FastCopyView};
pub use fast_copy_engine::{
    self, CopyControl, CopyError, CopyErrorKind, CopyMethod, CopyNotes, CopyOptions, CopyQuota,
    CopyRate, CopyReport, CopyStep, DataRange, Destination, Directory, ExtentSummary, FileId,
    FileUsage, FreeSpaceFloor, Limits, OnProgress, Operand, ReflinkSupport, STAGING_PREFIX,
    Sharing, Source, SourceHandle, can_reflink, data_ranges, disk_usage, fast_copy, file_id,
    sparse_copy, summarize_extents,
};
pub use hooks::{CopyHooks, CopyRequest, CopyTimes, Decision};
pub use named::{FastCopyNamed, FastCopyNamedData, FastCopyNamedView, NamedId};
pub use settings::{
    DEFAULT_MAX_CLONE_EXTENTS, DEFAULT_MAX_COPIES, DEFAULT_MAX_JOBS, DEFAULT_MAX_OPTIONS,
    DEFAULT_MAX_PATH, DEFAULT_MAX_SIZE, DEFAULT_MAX_WAITING, DEFAULT_TIMEOUT, DEFAULT_WAIT_TIMEOUT,
    Durability,
};
pub use {wasmtime, wasmtime_wasi};
