//! Why a copy failed, with what a caller can act on.

use std::fmt;
use std::io;

/// A copy that failed: why, on which file, in which step, after how many bytes.
///
/// Unless [`step`](Self::step) is [`SyncDirectory`](CopyStep::SyncDirectory), nothing has changed:
/// an old destination is as it was, and a new one doesn't exist. No error holds a path, so it can
/// be shown to a guest.
///
/// Converts to [`io::Error`]: with the system's error number where there is one, else with the
/// [`io::ErrorKind`] that [`CopyErrorKind`] names.
#[derive(Debug)]
pub struct CopyError {
    kind: CopyErrorKind,
    operand: Option<Operand>,
    step: CopyStep,
    copied: u64,
}

/// What went wrong with a copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyErrorKind {
    /// The operating system refused a call. A missing source is one of these:
    /// [`io::ErrorKind::NotFound`].
    #[error(transparent)]
    Os(#[from] io::Error),
    /// The destination exists and [`replace`](crate::CopyOptions::replace) was not asked for;
    /// [`io::ErrorKind::AlreadyExists`].
    #[error("the destination exists; ask for replacement, or choose another name")]
    AlreadyExists,
    /// The source is a FIFO, a socket or a device, or the destination to replace is one;
    /// [`io::ErrorKind::InvalidInput`].
    #[error("not a regular file")]
    NotRegularFile,
    /// A directory, which is neither copied nor replaced; [`io::ErrorKind::InvalidInput`] for a
    /// source, [`io::ErrorKind::IsADirectory`] for a destination.
    #[error("is a directory")]
    IsDirectory,
    /// The source is a symbolic link, and following it was not asked for;
    /// [`io::ErrorKind::InvalidInput`]. Elsewhere than on Linux it is an error of the system's.
    #[error("is a symbolic link; ask for it to be followed, or name its target")]
    SymbolicLink,
    /// Source and destination are the same file, by whatever names;
    /// [`io::ErrorKind::InvalidInput`].
    #[error("source and destination are the same file")]
    SameFile,
    /// The source changed while it was copied; [`io::ErrorKind::Other`].
    #[error("the source changed while it was copied; copy it again when its writer is quiet")]
    SourceChanged,
    /// The source is larger than a limit of the caller's or of the process (`RLIMIT_FSIZE`), both
    /// in bytes; [`io::ErrorKind::FileTooLarge`].
    #[error("the source has {size} bytes, and the limit is {limit}")]
    FileTooLarge {
        /// Apparent size of the source in bytes.
        size: u64,
        /// The smaller of the two limits in bytes.
        limit: u64,
    },
    /// A limit of the caller's leaves no room for the copy; [`io::ErrorKind::StorageFull`]. A disk
    /// that is full is an error of the system's.
    #[error("{0}")]
    InsufficientSpace(&'static str),
    /// The caller's policy doesn't allow the copy; [`io::ErrorKind::PermissionDenied`].
    #[error("{0}")]
    NotPermitted(&'static str),
    /// Options or a path that make no sense; [`io::ErrorKind::InvalidInput`].
    #[error("{0}")]
    Invalid(&'static str),
    /// It can't be done, or not truthfully; [`io::ErrorKind::Unsupported`].
    #[error("{0}")]
    Unsupported(&'static str),
    /// The copy was cancelled; [`io::ErrorKind::Other`].
    #[error("the copy was cancelled")]
    Cancelled,
    /// The copy wasn't complete at its deadline; [`io::ErrorKind::TimedOut`].
    #[error("the copy took longer than it may")]
    TimedOut,
    /// Too many copies wait already; [`io::ErrorKind::ResourceBusy`].
    #[error("too many copies are waiting; try again when one of them has ended")]
    Busy,
}

/// One of the two files of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// The file that is read.
    Source,
    /// The file that is made, or its directory.
    Destination,
}

/// Where in its course a copy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyStep {
    /// Opening and checking both sides. Nothing was written yet.
    Open,
    /// Making the invisible file that the copy is built in.
    Stage,
    /// Cloning the source's blocks.
    Clone,
    /// Moving bytes.
    Transfer,
    /// Setting the permission bits and synchronising the file.
    Finish,
    /// Giving the complete copy its name.
    Publish,
    /// Synchronising the directory. The copy is complete and has its name, but may not survive a
    /// power cut.
    SyncDirectory,
}

impl CopyError {
    pub(crate) fn new(step: CopyStep, kind: impl Into<CopyErrorKind>) -> Self {
        Self {
            kind: kind.into(),
            operand: None,
            step,
            copied: 0,
        }
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

    pub(super) fn after(mut self, copied: u64) -> Self {
        self.copied = copied;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &CopyErrorKind {
        &self.kind
    }

    /// Which of the two files it went wrong with, where that is known.
    pub fn operand(&self) -> Option<Operand> {
        self.operand
    }

    /// Where in its course the copy failed.
    pub fn step(&self) -> CopyStep {
        self.step
    }

    /// Bytes that had been moved; they are gone with the invisible file that they were moved to.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// The system's error number (`errno` on Unix), where the system refused a call.
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.kind {
            CopyErrorKind::Os(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            CopyStep::Open => "opening",
            CopyStep::Stage => "staging the copy",
            CopyStep::Clone => "cloning",
            CopyStep::Transfer => "copying bytes",
            CopyStep::Finish => "completing the copy",
            CopyStep::Publish => "publishing the copy",
            CopyStep::SyncDirectory => {
                "synchronising the directory of the copy, which is complete and in place"
            }
        };
        f.write_str(step)?;
        match self.operand {
            Some(Operand::Source) => f.write_str(" (source)")?,
            Some(Operand::Destination) => f.write_str(" (destination)")?,
            None => {}
        }
        write!(f, ": {}", self.kind)
    }
}

/// The system's error is in the text already, so it is no source: [`CopyError::kind`] has it.
impl std::error::Error for CopyError {}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        use CopyErrorKind::*;
        let kind = match (&error.kind, error.operand) {
            (Os(os), _) => match os.raw_os_error() {
                Some(number) => return io::Error::from_raw_os_error(number),
                None => os.kind(),
            },
            (AlreadyExists, _) => io::ErrorKind::AlreadyExists,
            (IsDirectory, Some(Operand::Destination)) => io::ErrorKind::IsADirectory,
            (NotRegularFile | IsDirectory | SymbolicLink | SameFile | Invalid(_), _) => {
                io::ErrorKind::InvalidInput
            }
            (InsufficientSpace(_), _) => io::ErrorKind::StorageFull,
            (NotPermitted(_), _) => io::ErrorKind::PermissionDenied,
            (TimedOut, _) => io::ErrorKind::TimedOut,
            (Busy, _) => io::ErrorKind::ResourceBusy,
            (FileTooLarge { .. }, _) => io::ErrorKind::FileTooLarge,
            (Unsupported(_), _) => io::ErrorKind::Unsupported,
            // Not `Interrupted`: generic loops take that for a reason to try again at once.
            (SourceChanged | Cancelled, _) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
