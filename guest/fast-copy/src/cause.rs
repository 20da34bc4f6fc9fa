//! Contains the causes that error codes stand for, in words.

use std::path::{Path, is_separator};

use crate::ErrorCode;

/// How a call uses a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It copies from the file.
    Source { follow: bool },
    /// It copies to the file.
    Destination,
    /// It inspects the file. A symbolic link in the last component is not followed.
    Inspected,
}

/// Returns the cause of an error that is about one path, if the path's role makes it more exact than the
/// code.
pub(crate) fn of_role(code: ErrorCode, path: &Path, role: Role) -> Option<&'static str> {
    match (code, role) {
        (ErrorCode::Busy, Role::Source { .. } | Role::Destination) => {
            Some("in use; try again later")
        }
        (ErrorCode::Invalid, _) if path.as_os_str().as_encoded_bytes().contains(&0) => {
            Some("the path contains a NUL")
        }
        (ErrorCode::Invalid, Role::Destination) if !names_a_file(path) => {
            Some("does not name a file")
        }
        (ErrorCode::SourceChanged, Role::Inspected) => {
            Some("was replaced during the call; try again")
        }
        (ErrorCode::NoEntry, _) if path.as_os_str().is_empty() => Some("the path is empty"),
        (ErrorCode::NoEntry, Role::Destination) => Some("its directory does not exist"),
        _ => None,
    }
}

/// Returns whether a path ends in a name.
fn names_a_file(path: &Path) -> bool {
    let spelling = path.as_os_str().as_encoded_bytes();
    let name = spelling
        .rsplit(|byte| is_separator(char::from(*byte)))
        .next();
    !matches!(name, Some(b"" | b"." | b".."))
}

/// Returns the cause that a code stands for.
pub(crate) fn of_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Access => "the host's file system denies access",
        ErrorCode::BadDescriptor => "bad descriptor",
        ErrorCode::Busy => "the host accepts no more calls or jobs now; try again later",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Denied => "the host's policy forbids it",
        ErrorCode::Exist => "already exists (use replace to overwrite it)",
        ErrorCode::FileTooLarge => "too large for the host or the destination's file system",
        ErrorCode::IllegalByteSequence => "the file system does not accept the bytes of the path",
        ErrorCode::InDoubt => "it is not known whether the complete copy is in place",
        ErrorCode::InsufficientMemory => "the host is out of memory",
        ErrorCode::InsufficientSpace => "not enough free space",
        ErrorCode::Invalid => "invalid arguments",
        ErrorCode::Io => "input/output error",
        ErrorCode::IsDirectory => "is a directory",
        ErrorCode::Loop => "a symbolic link in the path can't be followed",
        ErrorCode::NameTooLong => "the path or a name in it is too long",
        ErrorCode::NoEntry => "no such file or directory",
        ErrorCode::NotDirectory => "a component of the path is not a directory",
        ErrorCode::NotDurable => {
            "the complete copy is in place, but may not survive a power cut: synchronising its \
             directory failed"
        }
        ErrorCode::NotPermitted => "not permitted by the host's file system",
        ErrorCode::NotRegularFile => "is not a regular file",
        ErrorCode::NotShareable => "blocks can't be shared, and require-reflink is set",
        ErrorCode::Overflow => "a number is too large for its type",
        ErrorCode::Quota => "quota exceeded",
        ErrorCode::ReadOnly => "read-only file system",
        ErrorCode::SameFile => "source and destination are the same file",
        ErrorCode::SourceChanged => {
            "changed during the copy; try again when no program writes to it"
        }
        ErrorCode::TextFileBusy => "in use as a program or as swap space",
        ErrorCode::Timeout => "exceeded the host's time limit",
        ErrorCode::TooManyLinks => "too many hard links",
        ErrorCode::Unsupported => "not supported by the host or its file system",
        ErrorCode::Other => "unknown error",
    }
}
