//! Between the engine's types and those of the WIT. Nothing here shows a host path.

use std::io;

use super::bindings::types;
use crate::engine::{CopyError, CopyErrorKind, CopyMethod, CopyOptions, CopyReport, Operand};

impl From<CopyReport> for types::CopyReport {
    fn from(report: CopyReport) -> Self {
        Self {
            method: match report.method {
                CopyMethod::Reflink => types::CopyMethod::Reflink,
                CopyMethod::Offload => types::CopyMethod::Offload,
                CopyMethod::Copy => types::CopyMethod::Copy,
            },
            size: report.size,
            copied: report.copied,
            allocated: report.allocated,
            durable: report.durable,
        }
    }
}

impl From<CopyError> for types::CopyError {
    fn from(error: CopyError) -> Self {
        Self {
            code: error_code(&error),
            operand: error.operand().map(|operand| match operand {
                Operand::Source => types::Operand::Source,
                Operand::Destination => types::Operand::Destination,
            }),
        }
    }
}

/// The options that a guest asks for.
pub(super) fn options(flags: types::CopyFlags) -> CopyOptions {
    CopyOptions::new()
        .replace(flags.contains(types::CopyFlags::REPLACE))
        .symlink_follow(flags.contains(types::CopyFlags::SYMLINK_FOLLOW))
        .require_reflink(flags.contains(types::CopyFlags::REQUIRE_REFLINK))
        .dig_holes(flags.contains(types::CopyFlags::DIG_HOLES))
        .no_sync(flags.contains(types::CopyFlags::NO_SYNC))
}

fn error_code(error: &CopyError) -> types::ErrorCode {
    use types::ErrorCode;
    match error.kind() {
        CopyErrorKind::Os(os) => by_number(os).unwrap_or_else(|| by_kind(os)),
        CopyErrorKind::AlreadyExists => ErrorCode::Exist,
        CopyErrorKind::NotRegularFile | CopyErrorKind::Invalid(_) => ErrorCode::Invalid,
        CopyErrorKind::IsDirectory => ErrorCode::IsDirectory,
        CopyErrorKind::SymbolicLink => ErrorCode::Loop,
        CopyErrorKind::SameFile => ErrorCode::SameFile,
        CopyErrorKind::SourceChanged => ErrorCode::SourceChanged,
        CopyErrorKind::FileTooLarge { .. } => ErrorCode::FileTooLarge,
        CopyErrorKind::Unsupported(_) => ErrorCode::Unsupported,
        CopyErrorKind::Cancelled => ErrorCode::Cancelled,
    }
}

/// What the standard library has no kind for, or one kind for two cases.
fn by_number(error: &io::Error) -> Option<types::ErrorCode> {
    use types::ErrorCode;
    let number = error.raw_os_error().filter(|_| cfg!(unix))?;
    Some(match number {
        libc::EPERM => ErrorCode::NotPermitted,
        libc::ELOOP => ErrorCode::Loop,
        libc::EIO => ErrorCode::Io,
        libc::EBADF => ErrorCode::BadDescriptor,
        libc::EOVERFLOW => ErrorCode::Overflow,
        libc::EILSEQ => ErrorCode::IllegalByteSequence,
        // The two lower layers of a file system say "not supported" by either number.
        libc::ENOTTY => ErrorCode::Unsupported,
        _ => return None,
    })
}

fn by_kind(error: &io::Error) -> types::ErrorCode {
    use io::ErrorKind;
    use types::ErrorCode;
    match error.kind() {
        ErrorKind::NotFound => ErrorCode::NoEntry,
        ErrorKind::PermissionDenied => ErrorCode::Access,
        ErrorKind::AlreadyExists => ErrorCode::Exist,
        ErrorKind::WouldBlock | ErrorKind::ResourceBusy => ErrorCode::Busy,
        ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        ErrorKind::IsADirectory => ErrorCode::IsDirectory,
        ErrorKind::ReadOnlyFilesystem => ErrorCode::ReadOnly,
        ErrorKind::InvalidInput => ErrorCode::Invalid,
        ErrorKind::InvalidFilename => ErrorCode::NameTooLong,
        ErrorKind::TimedOut => ErrorCode::Timeout,
        ErrorKind::WriteZero => ErrorCode::Io,
        ErrorKind::StorageFull => ErrorCode::InsufficientSpace,
        ErrorKind::QuotaExceeded => ErrorCode::Quota,
        ErrorKind::FileTooLarge => ErrorCode::FileTooLarge,
        ErrorKind::ExecutableFileBusy => ErrorCode::TextFileBusy,
        ErrorKind::TooManyLinks => ErrorCode::TooManyLinks,
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        ErrorKind::OutOfMemory => ErrorCode::InsufficientMemory,
        _ => ErrorCode::Other(Some(error.to_string())),
    }
}
