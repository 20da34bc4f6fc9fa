//! Why a copy failed, for people and for programs.

use std::fmt;
use std::io;

use crate::bindings::sandbox::fast_copy::types::CopyError;
use crate::{ErrorCode, Operand};

/// A copy that failed.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub code: ErrorCode,
    /// Which of the two files it went wrong with, where that is known.
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
            ErrorCode::Busy => "busy; try again later",
            ErrorCode::Cancelled => "cancelled",
            ErrorCode::Quota => "disk quota used up",
            ErrorCode::Exist => "exists; ask for replacement, or choose another name",
            ErrorCode::FileTooLarge => "file too large for the host's limit or file system",
            ErrorCode::IllegalByteSequence => "the file system can't take this name",
            ErrorCode::Invalid => {
                "not a regular file, not a file's name, or options that contradict each other"
            }
            ErrorCode::Io => "input or output failed",
            ErrorCode::IsDirectory => "is a directory",
            ErrorCode::Loop => "is a symbolic link; ask for it to be followed, or name its target",
            ErrorCode::TooManyLinks => "too many links to the file",
            ErrorCode::NameTooLong => "name too long",
            ErrorCode::NoEntry => "no such file or directory",
            ErrorCode::InsufficientMemory => "the host has no memory for it",
            ErrorCode::InsufficientSpace => "no space left, on the disk or within the host's limits",
            ErrorCode::NotDirectory => "not a directory",
            ErrorCode::Unsupported => "can't be copied truthfully, or not in the way asked for",
            ErrorCode::Overflow => "a number is too large",
            ErrorCode::NotPermitted => {
                "not permitted: a read-only directory, a path that leads out of it, or the host's policy"
            }
            ErrorCode::ReadOnly => "read-only file system",
            ErrorCode::TextFileBusy => "in use as a program or as swap space",
            ErrorCode::SameFile => "source and destination are the same file",
            ErrorCode::SourceChanged => {
                "changed while it was copied; copy it again when its writer is quiet"
            }
            ErrorCode::Timeout => "took longer than the host allows",
            ErrorCode::Other(text) => text.as_deref().unwrap_or("failed"),
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
