//! Why a copy failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::staging::Left;

/// A failed copy: the cause, the file, the step, and the bytes moved before.
///
/// Unless [`is_published`](Self::is_published), an old destination is as it was, and a new one does not
/// exist. One exception: the copy may be in place if [`is_in_doubt`](Self::is_in_doubt).
///
/// An error of a function that takes the paths of source and destination names both. Other errors contain no path.
///
/// It converts to an [`io::Error`] of the [`io::ErrorKind`] that [`CopyErrorKind`] names, with this error inside.
/// Get it, and with it the system's error number, by [`io::Error::downcast`] or [`io::Error::get_ref`]:
///
/// ```
/// use fast_copy_engine::{CopyError, fast_copy};
///
/// let error = fast_copy("/none/base.img", "vm1.img").unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// let error = error.downcast::<CopyError>().unwrap();
/// assert!(!error.is_published());
/// # #[cfg(unix)]
/// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
/// ```
#[derive(Debug)]
pub struct CopyError {
    kind: CopyErrorKind,
    operand: Option<Operand>,
    step: CopyStep,
    copied: u64,
    left: Left,
    paths: Option<Box<(PathBuf, PathBuf)>>,
}

/// Why a file other than a directory and a symbolic link is not a regular one.
pub(crate) const SPECIAL_FILE: &str = "a FIFO, a socket or a device";

/// The cause of a failed copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyErrorKind {
    /// The operating system refused a call. A missing source is one of these:
    /// [`io::ErrorKind::NotFound`].
    #[error(transparent)]
    Os(#[from] io::Error),
    /// The destination exists and [`replace`](crate::CopyOptions::replace) is not set;
    /// [`io::ErrorKind::AlreadyExists`].
    #[error("already exists (set replace to overwrite it)")]
    AlreadyExists,
    /// The source, or the destination to replace, is a FIFO, a socket or a device; or the source is a kernel
    /// file whose size is not what it yields (procfs, sysfs); [`io::ErrorKind::InvalidInput`].
    #[error("not a regular file: {0}")]
    NotRegularFile(&'static str),
    /// The source, or the destination to replace, is a directory; [`io::ErrorKind::InvalidInput`] for a
    /// source, [`io::ErrorKind::IsADirectory`] for a destination.
    #[error("is a directory")]
    IsDirectory,
    /// The source is a symbolic link and [`symlink_follow`](crate::CopyOptions::symlink_follow) is off;
    /// [`io::ErrorKind::InvalidInput`]. On systems other than Linux it is an [`Os`](Self::Os) error.
    #[error("is a symbolic link (set symlink_follow to follow it)")]
    SymbolicLink,
    /// Source and destination are the same file, under any name; [`io::ErrorKind::InvalidInput`].
    #[error("source and destination are the same file")]
    SameFile,
    /// The source changed during the copy; [`io::ErrorKind::Other`].
    #[error("the source changed during the copy; retry when no process writes to it")]
    SourceChanged,
    /// The copy would be larger than the caller's limit, the process's (`RLIMIT_FSIZE`) or that of FAT;
    /// [`io::ErrorKind::FileTooLarge`]. The limit of another file system is an [`Os`](Self::Os) error of the same
    /// kind.
    #[error(
        "{size} bytes; the limit is {limit} bytes (max_size, RLIMIT_FSIZE or the file system's)"
    )]
    FileTooLarge {
        /// Apparent size that the copy would have, in bytes.
        size: u64,
        /// The smallest of these limits in bytes.
        limit: u64,
    },
    /// The copy would leave less free space than the caller requires; [`io::ErrorKind::StorageFull`]. A full
    /// disk is an [`Os`](Self::Os) error of the same kind.
    #[error("{0}")]
    InsufficientSpace(&'static str),
    /// The copy exceeds the caller's [`CopyQuota`](crate::CopyQuota); [`io::ErrorKind::QuotaExceeded`]. A quota of
    /// the file system is an [`Os`](Self::Os) error of the same kind.
    #[error("the copy exceeds the quota")]
    QuotaExceeded,
    /// A reflink is required and the copy can't be one: the file system can't share these two files' blocks, or
    /// a limit forbids it; [`io::ErrorKind::Unsupported`].
    #[error("{0}")]
    NotShareable(&'static str),
    /// The process has no memory for the copy's buffer; [`io::ErrorKind::OutOfMemory`].
    #[error("not enough memory for the copy's buffer")]
    InsufficientMemory,
    /// Options contradict each other or the source, or a path ends in no file name; [`io::ErrorKind::InvalidInput`].
    #[error("{0}")]
    Invalid(&'static str),
    /// The files or the file system do not support the copy; [`io::ErrorKind::Unsupported`].
    #[error("{0}")]
    Unsupported(&'static str),
    /// The destination or its directory does not permit the copy: it is append-only or immutable;
    /// [`io::ErrorKind::PermissionDenied`].
    #[error("{0}")]
    NotPermitted(&'static str),
    /// The destination's file system gives the copy permissions that it must not have, and
    /// [`refuse_wider_permissions`](crate::CopyOptions::refuse_wider_permissions) is set;
    /// [`io::ErrorKind::PermissionDenied`].
    #[error("the destination's file system gives the copy permissions that it must not have")]
    WiderPermissions,
    /// A file is in use: the destination is a mount point, or the source is open for writing and
    /// [`lease_source`](crate::CopyOptions::lease_source) is set; [`io::ErrorKind::ResourceBusy`].
    #[error("{0}")]
    Busy(&'static str),
    /// The copy was cancelled; [`io::ErrorKind::Other`].
    #[error("the copy was cancelled")]
    Cancelled,
    /// The copy was not complete at its deadline; [`io::ErrorKind::TimedOut`].
    #[error("the copy exceeded its time limit")]
    TimedOut,
}

/// One of the two files of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// The file that is read.
    Source,
    /// The copy, or its directory.
    Destination,
}

/// The step in which a copy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyStep {
    /// Opening and checking source and destination. Nothing was written yet.
    Open,
    /// Creating the staged file.
    Stage,
    /// Cloning the source's blocks.
    Clone,
    /// Moving bytes.
    Transfer,
    /// Setting the permission bits and synchronising the file.
    Finish,
    /// Giving the complete copy the destination's name.
    Publish,
    /// Synchronising the directory. The copy is complete and has its name, but may not survive a
    /// power cut.
    SyncDirectory,
}

impl CopyError {
    /// Creates an error that concerns neither file in particular.
    pub(crate) fn new(step: CopyStep, kind: impl Into<CopyErrorKind>) -> Self {
        Self {
            kind: kind.into(),
            operand: None,
            step,
            copied: 0,
            left: Left::default(),
            paths: None,
        }
    }

    /// Adds the paths of a copy whose caller has passed paths.
    pub(crate) fn with_paths(mut self, src: &Path, dst: &Path) -> Self {
        self.paths = Some(Box::new((src.into(), dst.into())));
        self
    }

    pub(crate) fn source(step: CopyStep, kind: impl Into<CopyErrorKind>) -> Self {
        Self::new(step, kind).on(Operand::Source)
    }

    pub(crate) fn destination(step: CopyStep, kind: impl Into<CopyErrorKind>) -> Self {
        Self::new(step, kind).on(Operand::Destination)
    }

    fn on(mut self, operand: Operand) -> Self {
        self.operand = Some(operand);
        self
    }

    pub(crate) fn after(mut self, copied: u64) -> Self {
        self.copied = copied;
        self
    }

    /// Records what is left of the staged file.
    pub(crate) fn leaving(mut self, left: Left) -> Self {
        self.left = left;
        self
    }

    /// Returns the cause.
    pub fn kind(&self) -> &CopyErrorKind {
        &self.kind
    }

    /// Returns the file that the error concerns, if known.
    pub fn operand(&self) -> Option<Operand> {
        self.operand
    }

    /// Returns the step in which the copy failed.
    pub fn step(&self) -> CopyStep {
        self.step
    }

    /// Returns how many bytes were moved before the error.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// Returns how many bytes are allocated for a file that this copy has left, or none if it left no file.
    ///
    /// A failed copy truncates its staged file, then removes its name. 0 means that the name could not be
    /// removed: the file is empty, or its size is not known. More bytes are left where the file could not be
    /// truncated either, or if [`is_in_doubt`](Self::is_in_doubt). The quota is charged for them. The file's name begins with
    /// [`STAGING_PREFIX`](crate::STAGING_PREFIX), or is the destination's, or one that another process gave it.
    pub fn leftover(&self) -> Option<u64> {
        self.left.bytes
    }

    /// Returns whether it is not known if the copy is in place: the call that publishes it has failed, and the
    /// file system does not tell whether it has taken effect. A network file system can lose its reply.
    pub fn is_in_doubt(&self) -> bool {
        self.left.in_doubt
    }

    /// Returns whether the copy is complete and in place: only synchronising its directory failed, so
    /// it may not survive a power cut.
    pub fn is_published(&self) -> bool {
        self.step == CopyStep::SyncDirectory
    }

    /// Returns the system's error number (`errno` on Unix), if the system refused a call.
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.kind {
            CopyErrorKind::Os(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl CopyStep {
    /// Returns a short description, such as `copying bytes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Stage => "staging the copy",
            Self::Clone => "cloning",
            Self::Transfer => "copying bytes",
            Self::Finish => "completing the copy",
            Self::Publish => "publishing the copy",
            Self::SyncDirectory => {
                "synchronising the directory (the copy is complete and in place)"
            }
        }
    }
}

impl fmt::Display for CopyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(paths) = &self.paths {
            let (src, dst) = &**paths;
            write!(f, "copying {src:?} to {dst:?}: ")?;
        }
        self.step.fmt(f)?;
        match self.operand {
            Some(Operand::Source) => f.write_str(" (source)")?,
            Some(Operand::Destination) => f.write_str(" (destination)")?,
            None => {}
        }
        write!(f, ": {}", self.kind)
    }
}

/// The text contains the system's error, so there is no `source`; see [`CopyError::kind`].
impl std::error::Error for CopyError {}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        use CopyErrorKind::*;
        let kind = match (&error.kind, error.operand) {
            (Os(os), _) => os.kind(),
            (AlreadyExists, _) => io::ErrorKind::AlreadyExists,
            (IsDirectory, Some(Operand::Destination)) => io::ErrorKind::IsADirectory,
            (NotRegularFile(_) | IsDirectory | SymbolicLink | SameFile | Invalid(_), _) => {
                io::ErrorKind::InvalidInput
            }
            (InsufficientSpace(_), _) => io::ErrorKind::StorageFull,
            (QuotaExceeded, _) => io::ErrorKind::QuotaExceeded,
            (InsufficientMemory, _) => io::ErrorKind::OutOfMemory,
            (TimedOut, _) => io::ErrorKind::TimedOut,
            (FileTooLarge { .. }, _) => io::ErrorKind::FileTooLarge,
            (Unsupported(_) | NotShareable(_), _) => io::ErrorKind::Unsupported,
            (NotPermitted(_) | WiderPermissions, _) => io::ErrorKind::PermissionDenied,
            (Busy(_), _) => io::ErrorKind::ResourceBusy,
            // Not `Interrupted`: generic loops retry at once on that.
            (SourceChanged | Cancelled, _) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
