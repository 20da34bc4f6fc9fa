//! Copies one regular file to a new file, as fast as the file system allows.
//!
//! - [`fast_copy`] clones the file (reflink) where the file system can share blocks. Otherwise it
//!   copies the data and preserves the holes.
//! - [`sparse_copy`] makes an independent copy. It shares no blocks with the source and preserves
//!   the holes.
//!
//! Both replace an existing file. [`CopyOptions`] makes the same copies with options, limits
//! ([`Limits`]) and a detailed report, and refuses to replace a file unless asked to.
//!
//! ```no_run
//! use fast_copy_engine::CopyOptions;
//!
//! let report = CopyOptions::new().fast_copy("base.img", "vm1.img")?;
//! println!("{:?}: {} of {} bytes moved", report.method, report.copied, report.size);
//! # Ok::<(), fast_copy_engine::CopyError>(())
//! ```
//!
//! # What a copy guarantees
//!
//! - **Regular files only.** A FIFO, a socket, a device or a directory is refused before anything is
//!   created. So is a copy of a file onto itself, under any name.
//! - **Atomic.** The copy is staged in a file without a name and published when it is complete. At every
//!   moment, also after a kill, the destination is the old file (or absent) or the complete copy. After
//!   an error or a cancel it is as before. One exception: if
//!   synchronising the directory fails, the call returns an error although the complete copy is in
//!   place ([`CopyStep::SyncDirectory`]).
//! - **Durable.** A copy survives a power cut once the call has returned, unless
//!   [`durable`](CopyOptions::durable) is set to false.
//! - **Consistent.** A clone is an atomic snapshot. If bytes are copied and the source changes meanwhile,
//!   the call fails. Not detected are writes through a mapping that was dirty before (on tmpfs:
//!   accessed); `O_DIRECT` writes within the file's size that were in progress; and, without multigrain
//!   timestamps (Linux 6.13), changes within one tick of the file system's clock. See
//!   [`lease_source`](CopyOptions::lease_source).
//! - **Sparse.** Holes are preserved. Preallocated blocks that were never written become holes.
//! - **Permissions.** The copy has at most the source's permission bits, without set-user-ID,
//!   set-group-ID and sticky. Owner, access control lists and extended attributes are not copied; times are, with
//!   [`preserve_times`](CopyOptions::preserve_times).
//!
//! # Sources and destinations
//!
//! A copy can start from a path, or from what is open already: a [`Source`] is made from a path, an
//! open [`File`](std::fs::File) or a [`SourceHandle`]; a [`Destination`] from a path, or from an open
//! [`Directory`] and a name. Each is opened once. The copy resolves no path after that.
//!
//! # Platforms
//!
//! All guarantees are tested on Linux, on ext4, XFS, btrfs and tmpfs. The crate also builds for macOS
//! (`clonefile`) and Windows (block cloning on ReFS), without tests there.

#![deny(missing_docs)]

mod clone;
mod context;
mod control;
mod copy;
mod data_ranges;
mod destination;
mod error;
mod inspect;
mod limits;
mod lock;
mod options;
mod platform;
mod report;
mod source;
mod staging;
mod transfer;

pub use context::OnProgress;
pub use control::CopyControl;
pub use copy::{fast_copy, sparse_copy};
pub use data_ranges::{DataRange, data_ranges};
pub use destination::Destination;
pub use error::{CopyError, CopyErrorKind, CopyStep, Operand};
pub use inspect::{ExtentSummary, FileUsage, can_reflink, disk_usage, file_id, summarize_extents};
pub use limits::Limits;
pub use limits::free_space::FreeSpaceFloor;
pub use limits::quota::CopyQuota;
pub use limits::rate::CopyRate;
pub use options::{CopyOptions, Sharing};
pub use platform::status::{FileId, ReflinkSupport};
pub use platform::{Directory, SourceHandle};
pub use report::{CopyMethod, CopyNotes, CopyReport};
pub use source::Source;
pub use staging::STAGING_PREFIX;
pub use transfer::threads::thread_builder;
