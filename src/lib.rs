//! The copy primitive that WASI lacks: a WebAssembly guest clones its disk images at the speed of
//! the host's file system, inside its own sandbox.
//!
//! A guest of WASI can only pump bytes through `read` and `write`: a copy of a 4 GiB image costs
//! 4 GiB read, 4 GiB written and 4 GiB of disk, even where the host's file system could share every
//! block, or where the image holds a few MiB of data. This crate gives it `sandbox:fast-copy`, with
//! two functions: `fast-copy` clones (reflink) where the file system can and else copies the data
//! and keeps the holes; `sparse-copy` makes a copy that shares nothing.
//!
//! # In a wasmtime host
//!
//! One line beside the one that adds WASI:
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
//! [`p2::add_to_linker_sync`] is the synchronous form, and [`FastCopy`] is for frameworks that own the
//! store's data.
//!
//! # What a guest may take
//!
//! [`FastCopyCtx::builder`] has the limits and the policy. Limits that have a default apply unless they
//! are changed; a quota ([`CopyQuota`]) and a rate ([`CopyRate`]) are the host's to set, and
//! [`CopySlots`] is how stores share the number of copies at once. [`CopyHooks`] asks the host about
//! each copy, and tells it of its start and end. Each copy is a span named `copy` of the crate `tracing`,
//! with the target `wasmtime_fast_copy` and the level `DEBUG`: `src`, `dst` (the guest's paths),
//! `function`, `flags`, `size`, `method`, `copied`, `allocated`, `clone_error` (the error
//! number that made it no clone), `offload_error` (the one that made it no offload), `error`, `waited`,
//! `worked`. A look at a file is one named `inspect`, with `path`, `size`, `error`, `waited`, `worked`. An
//! event with `openat2_error` within either tells that the path was resolved by wasmtime's `open-at`.
//!
//! # Natively
//!
//! [`fast_copy`], [`sparse_copy`] and [`CopyOptions`] are the engine without WebAssembly: the two functions
//! replace an existing file, and [`CopyOptions::new`] refuses one. With
//! `default-features = false` there is nothing else, and no wasmtime in the dependency tree.
//!
//! # What a copy is
//!
//! - The source is a regular file; anything else is refused before anything is created.
//! - The copy is built where nobody sees it and gets its name when it is complete: an error, a
//!   cancel or a kill leaves the old destination or none. One error comes later: the directory
//!   can't be synchronised, and the complete copy is in place ([`CopyStep::SyncDirectory`]).
//! - It survives a power cut once the call has returned, unless that was waived.
//! - It equals its source, or the call fails: a source that changes under way is an error.
//! - Holes stay holes, and preallocated blocks that nobody wrote become holes.
//! - It has the source's permission bits, without set-user-ID, set-group-ID and sticky. Owner,
//!   times, access control lists and extended attributes are not copied.
//!
//! # Platforms
//!
//! Linux is where all of this is proven, on ext4, XFS, btrfs and tmpfs. On macOS (`clonefile`) and
//! Windows (block cloning) the crate builds, without that proof; on Windows guests get
//! `unsupported`.

#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(
    not(feature = "p2"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the host's items are not there"
    )
)]

/// The README's code is compiled too.
#[cfg(all(doctest, feature = "p2"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "p2")]
mod ctx;
mod engine;
#[cfg(feature = "p2")]
mod hooks;
#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p2")]
mod runtime;
#[cfg(feature = "p2")]
mod sandbox;
#[cfg(feature = "p2")]
mod slots;

#[cfg(feature = "p2")]
pub use ctx::{
    DEFAULT_MAX_CLONE_EXTENTS, DEFAULT_MAX_COPIES, DEFAULT_MAX_JOBS, DEFAULT_MAX_PATH,
    DEFAULT_MAX_SIZE, DEFAULT_MAX_WAITING, DEFAULT_TIMEOUT, Durability, FastCopy, FastCopyCtx,
    FastCopyCtxBuilder, FastCopyCtxView, FastCopyView,
};
pub use engine::{
    CopyControl, CopyError, CopyErrorKind, CopyMethod, CopyOptions, CopyQuota, CopyRate,
    CopyReport, CopyStep, FreeSpaceFloor, Operand, STAGING_PREFIX, fast_copy, sparse_copy,
};
#[cfg(feature = "p2")]
pub use hooks::{CopyHooks, CopyRequest, CopyTimes};
#[cfg(feature = "p2")]
pub use slots::{CopySlots, DEFAULT_SLOTS};
