//! Defines the error type: a text for people, and a code for programs.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::preopens::Unresolved;
use crate::{ErrorCode, Operand};

/// The error of a failed call: the path that it is about, and one cause.
///
/// After a failed copy nothing has changed: an old destination is as it was, and a new one does not
/// exist. There are two exceptions:
/// - [`ErrorCode::NotDurable`]: the complete copy is in place, but may not survive a power cut;
/// - [`ErrorCode::InDoubt`]: it is not known whether the complete copy is in place.
///
/// The text is `PATH: CAUSE`, or `SOURCE -> DESTINATION: CAUSE` for an error about both paths. Options have
/// their names from the WIT in it, such as `require-reflink` for
/// [`CopyOptions::require_reflink`](crate::CopyOptions::require_reflink).
/// [`Debug`](fmt::Debug) prints the same text as [`Display`](fmt::Display), because a `main` that returns an
/// error prints it by `Debug`.
///
/// To find the cause, creating an error can call `wasi:filesystem` on the path.
///
/// It converts to [`io::Error`] with the [`io::ErrorKind`] that is closest to the code.
#[derive(Clone)]
pub struct Error {
    code: ErrorCode,
    operand: Option<Operand>,
    subject: Subject,
    cause: Cow<'static, str>,
}

/// What an error is about.
#[derive(Clone)]
enum Subject {
    Path(PathBuf),
    Both(PathBuf, PathBuf),
}

impl Error {
    /// Creates an error about one path.
    pub(crate) fn about(
        path: &Path,
        operand: Option<Operand>,
        code: ErrorCode,
        cause: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            operand,
            subject: Subject::Path(path.into()),
            cause: cause.into(),
        }
    }

    /// Creates an error about both paths.
    pub(crate) fn about_both(
        src: &Path,
        dst: &Path,
        code: ErrorCode,
        cause: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            operand: None,
            subject: Subject::Both(src.into(), dst.into()),
            cause: cause.into(),
        }
    }

    /// Creates the error of a path that can't be resolved.
    pub(crate) fn unresolved(
        path: &Path,
        operand: Option<Operand>,
        unresolved: Unresolved,
    ) -> Self {
        Self::about(path, operand, unresolved.code, unresolved.cause)
    }

    /// Returns the code, for programs.
    pub fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// Returns which of a copy's two files the error is about.
    ///
    /// Returns `None` if it is about both or about neither, if the host does not know, and for a function
    /// that takes one path or directories.
    pub fn operand(&self) -> Option<Operand> {
        self.operand
    }

    /// Returns the path that the error is about, as the caller has passed it, or `None` if the error is
    /// about both paths of the call.
    pub fn path(&self) -> Option<&Path> {
        match &self.subject {
            Subject::Path(path) => Some(path),
            Subject::Both(..) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Path(path) if path.as_os_str().is_empty() => f.write_str("\"\"")?,
            Subject::Path(path) => write!(f, "{}", path.display())?,
            Subject::Both(src, dst) => write!(f, "{} -> {}", src.display(), dst.display())?,
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(kind(&error.code), error)
    }
}

fn kind(code: &ErrorCode) -> io::ErrorKind {
    use io::ErrorKind;
    match code {
        ErrorCode::Access | ErrorCode::Denied | ErrorCode::NotPermitted => {
            ErrorKind::PermissionDenied
        }
        ErrorCode::Busy => ErrorKind::ResourceBusy,
        ErrorCode::Quota => ErrorKind::QuotaExceeded,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::FileTooLarge => ErrorKind::FileTooLarge,
        ErrorCode::IllegalByteSequence | ErrorCode::NameTooLong => ErrorKind::InvalidFilename,
        ErrorCode::Invalid | ErrorCode::Loop | ErrorCode::NotRegularFile | ErrorCode::SameFile => {
            ErrorKind::InvalidInput
        }
        ErrorCode::IsDirectory => ErrorKind::IsADirectory,
        ErrorCode::TooManyLinks => ErrorKind::TooManyLinks,
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::InsufficientMemory => ErrorKind::OutOfMemory,
        ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
        ErrorCode::NotDirectory => ErrorKind::NotADirectory,
        ErrorCode::NotShareable | ErrorCode::Unsupported => ErrorKind::Unsupported,
        ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem,
        ErrorCode::TextFileBusy => ErrorKind::ExecutableFileBusy,
        ErrorCode::Timeout => ErrorKind::TimedOut,
        // Not `Interrupted` for a cancelled copy: generic loops retry at once on that.
        ErrorCode::BadDescriptor
        | ErrorCode::Cancelled
        | ErrorCode::InDoubt
        | ErrorCode::Io
        | ErrorCode::NotDurable
        | ErrorCode::Overflow
        | ErrorCode::SourceChanged
        | ErrorCode::Other(_) => ErrorKind::Other,
    }
}
