//! How a copy is to be made.

use std::path::Path;
use std::time::Instant;

use super::destination::Destination;
use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::quota::CopyQuota;
use super::rate::CopyRate;
use super::room::FreeSpaceFloor;
use super::source::Source;
use super::{CopyControl, CopyReport, Sharing};

/// How a copy is to be made, and the two ways to make it.
///
/// ```no_run
/// use wasmtime_fast_copy::CopyOptions;
///
/// let report = CopyOptions::new().replace(true).fast_copy("base.img", "vm1.img")?;
/// println!("{} bytes, {} of them moved", report.size, report.copied);
/// # Ok::<(), wasmtime_fast_copy::CopyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CopyOptions {
    pub(crate) replace: bool,
    pub(crate) symlink_follow: bool,
    pub(crate) require_reflink: bool,
    pub(super) dig_holes: bool,
    pub(crate) no_sync: bool,
    pub(super) max_size: u64,
    pub(super) workers: Option<usize>,
    pub(super) permissions_mask: u32,
    pub(super) max_clone_extents: u64,
    pub(super) free_space_floor: FreeSpaceFloor,
    pub(super) quota: Option<CopyQuota>,
    pub(super) rate: Option<CopyRate>,
    pub(super) deadline: Option<Instant>,
    control: Option<CopyControl>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            replace: false,
            symlink_follow: true,
            require_reflink: false,
            dig_holes: false,
            no_sync: false,
            max_size: u64::MAX,
            workers: None,
            permissions_mask: 0o777,
            max_clone_extents: u64::MAX,
            free_space_floor: FreeSpaceFloor::NONE,
            quota: None,
            rate: None,
            deadline: None,
            control: None,
        }
    }
}

impl CopyOptions {
    /// Refuses an existing destination, follows a symbolic link as source, copies bytes where
    /// blocks can't be shared, keeps zeros as they are, and makes the copy durable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an existing destination is replaced, atomically; default false. The copy is a new
    /// inode: other hard links of the old file keep the old content, and a symbolic link is itself
    /// replaced. A directory, a FIFO, a socket or a device is never replaced.
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Whether a symbolic link as the last component of the source path is followed; default true,
    /// as in [`std::fs::copy`].
    pub fn symlink_follow(mut self, follow: bool) -> Self {
        self.symlink_follow = follow;
        self
    }

    /// Whether the copy must share its source's blocks; default false. Where the file system can't,
    /// `fast_copy` fails with [`Unsupported`](CopyErrorKind::Unsupported) instead of copying bytes.
    /// Contradicts `sparse_copy` and [`dig_holes`](Self::dig_holes).
    pub fn require_reflink(mut self, require: bool) -> Self {
        self.require_reflink = require;
        self
    }

    /// Whether copied blocks that hold only zeros become holes; default false. A clone wins over
    /// it: it shares the source's blocks as they are.
    pub fn dig_holes(mut self, dig: bool) -> Self {
        self.dig_holes = dig;
        self
    }

    /// Whether to return without waiting for the disk; default false. The report then says that
    /// the copy is not durable.
    pub fn no_sync(mut self, no_sync: bool) -> Self {
        self.no_sync = no_sync;
        self
    }

    /// Refuses a source of more than this many bytes of apparent size; no limit by default.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// How many threads move bytes, the calling one among them. With 1 no thread is started; with
    /// more it is always two. By default a copy of 16 MiB of data or more has two, as long as the
    /// copies of this process have no more threads than there are processors. A clone moves nothing.
    ///
    /// Two threads always read and write. One lets `fast_copy` use `copy_file_range`, where the
    /// block map can be trusted: the better choice for large files on a network file system whose
    /// server copies by itself (SMB).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The permission bits that a copy may have; `0o777`, all of them, by default. It has those of its
    /// source that are in here. Not on Windows, which has none.
    pub fn permissions_mask(mut self, mask: u32) -> Self {
        self.permissions_mask = mask;
        self
    }

    /// Doesn't clone a source of more extents than this, but copies its bytes; no limit by default.
    ///
    /// A clone is one call that can't be stopped, and it keeps whoever writes to the source waiting:
    /// 100,000 extents took 2.4 s on XFS (Linux 6.18). The extents are counted by `FIEMAP`, on Linux, once
    /// what was written to the source is on the disk, which a clone waits for too; where that map isn't
    /// to be had, every source is cloned. btrfs counts extents that lie side by side on the disk as one:
    /// there 19,400 of them counted as 2, and a clone took 0.2 s.
    pub fn max_clone_extents(mut self, extents: u64) -> Self {
        self.max_clone_extents = extents;
        self
    }

    /// How much room the copy leaves on the destination's file system;
    /// [`NONE`](FreeSpaceFloor::NONE) by default. Not on Windows.
    pub fn free_space_floor(mut self, floor: FreeSpaceFloor) -> Self {
        self.free_space_floor = floor;
        self
    }

    /// The account that the copy is charged to; none by default.
    pub fn quota(mut self, quota: CopyQuota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// How fast bytes may be moved, together with all other copies that have this rate; as fast as
    /// can be by default.
    pub fn rate(mut self, rate: CopyRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// When the copy must be complete; no deadline by default. A copy that isn't complete by then fails
    /// with [`TimedOut`](CopyErrorKind::TimedOut) at its next chunk (at most 16 MiB) or system call, and
    /// nothing is published.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    #[cfg(feature = "p2")]
    pub(crate) fn deadline_or_none(&self) -> Option<Instant> {
        self.deadline
    }

    /// Lets `control` watch and cancel the copy made with these options. A control is for one copy:
    /// a second one with the same is refused.
    pub fn control(mut self, control: CopyControl) -> Self {
        self.control = Some(control);
        self
    }

    /// The control of one copy: the caller's, or one that nobody else knows.
    pub(super) fn control_or_new(&self) -> CopyControl {
        self.control.clone().unwrap_or_default()
    }

    /// Clones `src` to `dst` where the file system can share blocks, else copies its data and
    /// keeps its holes. Blocks the calling thread.
    ///
    /// Fails as [`CopyErrorKind`] tells; then nothing has changed, unless only the directory could
    /// not be synchronised ([`CopyStep::SyncDirectory`]).
    pub fn fast_copy(
        &self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, CopyError> {
        self.copy_paths(src.as_ref(), dst.as_ref(), Sharing::Allowed)
    }

    /// Copies the data of `src` to `dst`, keeps its holes, and shares no block. Blocks the calling
    /// thread.
    ///
    /// Fails as [`CopyErrorKind`] tells; then nothing has changed, unless only the directory could
    /// not be synchronised ([`CopyStep::SyncDirectory`]).
    pub fn sparse_copy(
        &self,
        src: impl AsRef<Path>,
        dst: impl AsRef<Path>,
    ) -> Result<CopyReport, CopyError> {
        self.copy_paths(src.as_ref(), dst.as_ref(), Sharing::Forbidden)
    }

    fn copy_paths(
        &self,
        src: &Path,
        dst: &Path,
        sharing: Sharing,
    ) -> Result<CopyReport, CopyError> {
        self.check(sharing)?;
        let source = Source::open(src, self.symlink_follow)?;
        let destination = Destination::open(dst)?;
        super::copy(&source, &destination, sharing, self, &|_| ())
    }

    /// Refuses options that contradict each other or the function.
    pub(crate) fn check(&self, sharing: Sharing) -> Result<(), CopyError> {
        let contradiction = match (self.require_reflink, sharing, self.dig_holes) {
            (true, Sharing::Forbidden, _) => {
                "a copy that shares nothing can't be required to be a reflink"
            }
            (true, _, true) => "a reflink keeps its source's blocks, so no hole can be dug in it",
            _ => return Ok(()),
        };
        Err(CopyError::new(
            CopyStep::Open,
            CopyErrorKind::Invalid(contradiction),
        ))
    }
}
