//! How a copy is made.

use std::num::NonZero;
use std::time::Instant;

use crate::control::CopyControl;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::limits::Limits;
use crate::source::Source;

/// Options of a copy, and the functions that make it.
///
/// ```no_run
/// use fast_copy_engine::CopyOptions;
///
/// let report = CopyOptions::new().replace(true).fast_copy("base.img", "vm1.img")?;
/// println!("{} bytes, {} of them moved", report.size, report.copied);
/// # Ok::<(), fast_copy_engine::CopyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CopyOptions {
    pub(crate) replace: bool,
    pub(crate) symlink_follow: bool,
    pub(crate) require_reflink: bool,
    pub(crate) dig_holes: bool,
    pub(crate) durable: bool,
    pub(crate) size: Option<u64>,
    pub(crate) preserve_times: bool,
    pub(crate) max_workers: Option<NonZero<usize>>,
    pub(crate) permissions_mask: u32,
    pub(crate) refuse_wider_permissions: bool,
    pub(crate) lease_source: bool,
    pub(crate) limits: Limits,
    pub(crate) deadline: Option<Instant>,
    pub(crate) control: Option<CopyControl>,
}

/// The largest size of a file in bytes: an offset is a signed number of 64 bits (`off_t`).
pub(crate) const LARGEST_SIZE: u64 = i64::MAX as u64;

/// Whether a copy may share blocks with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// As `fast_copy`: the copy may be a reflink, and the kernel may move the bytes.
    Allowed,
    /// As `sparse_copy`: bytes are read and written only. `copy_file_range` is not used, because
    /// the call does not report whether it shared blocks (on XFS and btrfs it clones silently).
    Forbidden,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            replace: false,
            symlink_follow: true,
            require_reflink: false,
            dig_holes: false,
            durable: true,
            size: None,
            preserve_times: false,
            max_workers: None,
            permissions_mask: 0o777,
            refuse_wider_permissions: false,
            lease_source: false,
            limits: Limits::default(),
            deadline: None,
            control: None,
        }
    }
}

impl CopyOptions {
    /// Creates options with the defaults: an existing destination is refused, a symbolic link as source
    /// is followed, bytes are copied where blocks can't be shared, the copy is durable, and there are no
    /// limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether an existing destination is replaced, atomically. Default: false.
    ///
    /// The copy is a new inode. Other hard links of the old file keep the old content, and a symbolic
    /// link is itself replaced. A directory, a FIFO, a socket or a device is never replaced.
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Sets whether a symbolic link as the last component of the source path is followed. Default:
    /// true, as in [`std::fs::copy`].
    pub fn symlink_follow(mut self, follow: bool) -> Self {
        self.symlink_follow = follow;
        self
    }

    /// Sets whether the copy must share its source's blocks. Default: false.
    ///
    /// Where the file system can't share them, `fast_copy` fails with
    /// [`NotShareable`](CopyErrorKind::NotShareable) instead of copying bytes. It contradicts
    /// `sparse_copy` and [`dig_holes`](Self::dig_holes); together they fail with
    /// [`Invalid`](CopyErrorKind::Invalid).
    pub fn require_reflink(mut self, require: bool) -> Self {
        self.require_reflink = require;
        self
    }

    /// Sets whether all copied blocks of zeros become holes. Default: false.
    ///
    /// If false, blocks of zeros stay allocated where the block map reports them as written. Elsewhere
    /// they become holes: in dirty pages, and on file systems without a block map (tmpfs, FUSE, NFS).
    /// It has no effect on a clone, which shares the source's blocks as they are.
    pub fn dig_holes(mut self, dig: bool) -> Self {
        self.dig_holes = dig;
        self
    }

    /// Sets whether the copy survives a power cut once the call has returned. Default: true; the file is
    /// synchronised before it gets its name, and its directory afterwards. If false, the call does not wait for
    /// the disk, and the report says that the copy is not durable. A power cut can then leave an empty or partial
    /// file, and a file that the copy has replaced is lost.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets the apparent size of the copy in bytes. Default: the size of the source. The part after the
    /// source's data is a hole: it reads as zeros, and is not charged to a quota.
    ///
    /// The size must be at least that of the source; otherwise the copy fails with
    /// [`Invalid`](CopyErrorKind::Invalid), or with [`SourceChanged`](CopyErrorKind::SourceChanged) if the source
    /// has grown during the call. A size beyond a limit fails with
    /// [`FileTooLarge`](CopyErrorKind::FileTooLarge); one beyond the file system's fails with the system's error
    /// ([`io::ErrorKind::FileTooLarge`](std::io::ErrorKind::FileTooLarge)).
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Sets whether the copy gets the source's times of last modification and last access, as they were when
    /// the source was opened. Default: false; the copy has the time at which it was made.
    ///
    /// If the file system refuses the times, or stores others, the copy is published, and the report says so
    /// ([`times_not_preserved`](crate::CopyNotes::times_not_preserved)).
    #[doc(alias = "futimens")]
    pub fn preserve_times(mut self, preserve: bool) -> Self {
        self.preserve_times = preserve;
        self
    }

    /// Sets the largest number of threads that move bytes, including the calling thread. Default: a copy of
    /// 16 MiB of data or more uses two, unless the copies of this process already use as many threads as there
    /// are processors.
    ///
    /// With 1, no thread is started. With 2 or more, two threads are used; if the second can't be started, one.
    /// A clone moves no bytes.
    ///
    /// Two threads always read and write. A single thread lets `fast_copy` use `copy_file_range` where
    /// the block map can be trusted. Set 1 for large files on a network file system whose server copies
    /// (SMB).
    pub fn max_workers(mut self, workers: NonZero<usize>) -> Self {
        self.max_workers = Some(workers);
        self
    }

    /// Sets which permission bits of the source the copy may get. Default: `0o777`, all of them. It has
    /// no effect on Windows. The process's umask has no effect, as with [`std::fs::copy`].
    pub fn permissions_mask(mut self, mask: u32) -> Self {
        self.permissions_mask = mask;
        self
    }

    /// Sets whether a copy fails if its file system gives it permission bits that it should not have. It
    /// fails with [`WiderPermissions`](CopyErrorKind::WiderPermissions) before it is published. Default: false; the
    /// copy is published, and the report says so
    /// ([`permissions_wider`](crate::CopyNotes::permissions_wider)).
    ///
    /// On FAT and exFAT, and on some CIFS and FUSE mounts, the permissions of all files are options of the
    /// mount.
    pub fn refuse_wider_permissions(mut self, refuse: bool) -> Self {
        self.refuse_wider_permissions = refuse;
        self
    }

    /// Sets whether the copy takes a read lease on its source, so that no change is overlooked. Default: false;
    /// a change is detected by the source's size and times.
    ///
    /// If a process has the source open for writing, or has mapped it from such a descriptor, the copy fails
    /// with [`Busy`](CopyErrorKind::Busy). A process that opens it for writing during the copy waits until the
    /// copy has ended, at most for `/proc/sys/fs/lease-break-time`, 45 s by default. With `O_NONBLOCK` its open
    /// fails at once. In both cases the copy fails with [`SourceChanged`](CopyErrorKind::SourceChanged), after
    /// its last byte was moved.
    ///
    /// The process must own the source or have `CAP_LEASE`; otherwise the error is `EACCES`. It gets `SIGURG`,
    /// which is ignored by default. Over NFS a file has a lease only while the server delegates it; otherwise the
    /// copy fails with `Busy`. Where there are no leases (systems other than Linux, many network file
    /// systems), the copy fails with [`Unsupported`](CopyErrorKind::Unsupported).
    pub fn lease_source(mut self, lease: bool) -> Self {
        self.lease_source = lease;
        self
    }

    /// Sets the limits. Default: none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the limits.
    pub fn get_limits(&self) -> &Limits {
        &self.limits
    }

    /// Sets when the copy must be complete. Default: no deadline.
    ///
    /// A copy that is not complete by then fails with [`TimedOut`](CopyErrorKind::TimedOut) at its next
    /// chunk (at most 16 MiB) or system call, and nothing is published.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the handle that cancels the copy and shows its progress. Use a new handle for each copy; a
    /// used one fails with [`Invalid`](CopyErrorKind::Invalid).
    pub fn control(mut self, control: CopyControl) -> Self {
        self.control = Some(control);
        self
    }

    /// Refuses a [`size`](Self::size) that is smaller than the source's, or larger than the limit or any file
    /// can be. A copy does that too; use it to decide about a copy before it is made.
    ///
    /// # Errors
    ///
    /// [`Invalid`](CopyErrorKind::Invalid) and [`FileTooLarge`](CopyErrorKind::FileTooLarge).
    pub fn check_size(&self, source: &Source) -> Result<(), CopyError> {
        let limit = self.limits.max_size.min(LARGEST_SIZE);
        let kind = match self.size {
            Some(size) if size < source.size() => CopyErrorKind::Invalid(
                "the source is larger than the size that the copy is to have",
            ),
            Some(size) if size > limit => CopyErrorKind::FileTooLarge { size, limit },
            _ => return Ok(()),
        };
        Err(CopyError::new(CopyStep::Open, kind))
    }

    /// Refuses options that contradict each other or `sharing`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](CopyErrorKind::Invalid).
    pub fn check(&self, sharing: Sharing) -> Result<(), CopyError> {
        let contradiction = match (self.require_reflink, sharing, self.dig_holes) {
            (true, Sharing::Forbidden, _) => {
                "sparse_copy shares no blocks, so it can't require a reflink"
            }
            (true, _, true) => {
                "require_reflink and dig_holes exclude each other: a clone keeps its source's blocks"
            }
            _ => return Ok(()),
        };
        Err(CopyError::new(
            CopyStep::Open,
            CopyErrorKind::Invalid(contradiction),
        ))
    }
}
