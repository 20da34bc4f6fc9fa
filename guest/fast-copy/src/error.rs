//! Defines the error type, with a text for people and a code for programs.

use std::fmt;
use std::io;

use crate::bindings::sandbox::fast_copy::types::CopyError;
use crate::{ErrorCode, Operand};

/// The error of a failed call.
///
/// After a failed copy nothing has changed: an old destination is as it was, and a new one does not
/// exist. There is one exception: [`ErrorCode::Io`] with [`Operand::Destination`] can mean that the
/// host could not synchronise the destination's directory. Then the complete copy is in place, but
/// may not survive a power cut.
///
/// [`Display`](fmt::Display) starts with `source: ` or `destination: ` if `operand` is known. If a
/// code has several possible causes, the text lists them. Names of options are those of the WIT,
/// such as `require-reflink` for [`CopyOptions::require_reflink`](crate::CopyOptions::require_reflink).
///
/// Converts to [`io::Error`] with the [`io::ErrorKind`] that is closest to `code`.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub code: ErrorCode,
    /// The file that the error is about. `None` if it is about both files, or about neither, or if the
    /// host does not know.
    pub operand: Option<Operand>,
}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        Self {
            code: error.code,
            operand: error.operand,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operand {
            Some(Operand::Source) => f.write_str("source: ")?,
            Some(Operand::Destination) => f.write_str("destination: ")?,
            None => {}
        }
        f.write_str(match &self.code {
            ErrorCode::Access => "permission denied by the host's file system",
            ErrorCode::BadDescriptor => "bad descriptor",
            ErrorCode::Busy => {
                "busy: the file is in use, this guest has too many jobs or waiting calls, or the host \
                 lacks threads or descriptors; try again later"
            }
            ErrorCode::Cancelled => "the copy was cancelled",
            ErrorCode::Quota => "disk quota exceeded",
            ErrorCode::Exist => "already exists (use replace to overwrite it)",
            ErrorCode::FileTooLarge => {
                "file too large: larger than the host allows, or than the destination's file system \
                 can hold"
            }
            ErrorCode::IllegalByteSequence => {
                "invalid path: not UTF-8, or not accepted by the file system"
            }
            ErrorCode::Invalid => {
                "invalid: not a regular file, not a file name, or contradictory options"
            }
            ErrorCode::Io if self.operand == Some(Operand::Destination) => {
                "input/output error; the complete copy may be in place, but may not survive a \
                 power cut"
            }
            ErrorCode::Io => "input/output error",
            ErrorCode::IsDirectory => "is a directory",
            ErrorCode::Loop => {
                "is a symbolic link (use symlink-follow, or name its target), or the path has too \
                 many symbolic links"
            }
            ErrorCode::TooManyLinks => "the file has too many hard links",
            ErrorCode::NameTooLong => "file name or path too long",
            ErrorCode::NoEntry => "no such file or directory, or outside every preopened directory",
            ErrorCode::InsufficientMemory => "the host is out of memory",
            ErrorCode::InsufficientSpace => {
                "no space left: the disk is full, or a limit of the host is reached"
            }
            ErrorCode::NotDirectory => "a component of the path is not a directory",
            ErrorCode::Unsupported => {
                "not supported here: blocks can't be shared (require-reflink), the source is a kernel \
                 file such as those in /proc, or the file system has no map of extents"
            }
            ErrorCode::Overflow => "a number is too large for its type",
            ErrorCode::NotPermitted => {
                "not permitted: the directory is read-only for this guest, the path leads out of it, \
                 or the host's policy forbids the copy"
            }
            ErrorCode::ReadOnly => "read-only file system",
            ErrorCode::TextFileBusy => "in use as a program or as swap space",
            ErrorCode::SameFile => "source and destination are the same file",
            ErrorCode::SourceChanged => {
                "changed during the copy; try again when no program writes to it"
            }
            ErrorCode::Timeout => "the call exceeded the host's time limit",
            ErrorCode::Other(text) => text.as_deref().unwrap_or("unknown error"),
        })
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        use io::ErrorKind;
        let kind = match error.code {
            ErrorCode::Access | ErrorCode::NotPermitted => ErrorKind::PermissionDenied,
            ErrorCode::Busy => ErrorKind::ResourceBusy,
            ErrorCode::Quota => ErrorKind::QuotaExceeded,
            ErrorCode::Exist => ErrorKind::AlreadyExists,
            ErrorCode::FileTooLarge => ErrorKind::FileTooLarge,
            ErrorCode::IllegalByteSequence | ErrorCode::NameTooLong => ErrorKind::InvalidFilename,
            ErrorCode::Invalid | ErrorCode::SameFile | ErrorCode::Loop => ErrorKind::InvalidInput,
            ErrorCode::IsDirectory => ErrorKind::IsADirectory,
            ErrorCode::TooManyLinks => ErrorKind::TooManyLinks,
            ErrorCode::NoEntry => ErrorKind::NotFound,
            ErrorCode::InsufficientMemory => ErrorKind::OutOfMemory,
            ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
            ErrorCode::NotDirectory => ErrorKind::NotADirectory,
            ErrorCode::Unsupported => ErrorKind::Unsupported,
            ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem,
            ErrorCode::TextFileBusy => ErrorKind::ExecutableFileBusy,
            ErrorCode::Timeout => ErrorKind::TimedOut,
            ErrorCode::BadDescriptor
            | ErrorCode::Cancelled
            | ErrorCode::Io
            | ErrorCode::Overflow
            | ErrorCode::SourceChanged
            | ErrorCode::Other(_) => ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
