//! Between the engine's types and those of the WIT. Nothing here shows a host path.

use std::io;

use super::bindings::types;
use crate::engine::{
    CopyError, CopyErrorKind, CopyMethod, CopyOptions, CopyReport, CopyStep, ExtentSummary,
    FileUsage, Operand,
};

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

impl From<FileUsage> for types::FileUsage {
    fn from(FileUsage { size, allocated }: FileUsage) -> Self {
        Self { size, allocated }
    }
}

impl From<ExtentSummary> for types::ExtentSummary {
    fn from(ExtentSummary { extents, shared }: ExtentSummary) -> Self {
        Self { extents, shared }
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
    if error.step() == CopyStep::SyncDirectory {
        // The only failure after which the copy is in place; other codes promise that it isn't.
        return ErrorCode::Io;
    }
    match error.kind() {
        CopyErrorKind::Os(os) => by_number(os).unwrap_or_else(|| by_kind(os)),
        CopyErrorKind::AlreadyExists => ErrorCode::Exist,
        CopyErrorKind::NotRegularFile | CopyErrorKind::Invalid(_) => ErrorCode::Invalid,
        CopyErrorKind::IsDirectory => ErrorCode::IsDirectory,
        CopyErrorKind::SymbolicLink => ErrorCode::Loop,
        CopyErrorKind::SameFile => ErrorCode::SameFile,
        CopyErrorKind::SourceChanged => ErrorCode::SourceChanged,
        CopyErrorKind::FileTooLarge { .. } => ErrorCode::FileTooLarge,
        CopyErrorKind::InsufficientSpace(_) => ErrorCode::InsufficientSpace,
        CopyErrorKind::NotPermitted(_) => ErrorCode::NotPermitted,
        CopyErrorKind::Unsupported(_) => ErrorCode::Unsupported,
        CopyErrorKind::Cancelled => ErrorCode::Cancelled,
        CopyErrorKind::TimedOut => ErrorCode::Timeout,
        CopyErrorKind::Busy => ErrorCode::Busy,
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
        // The kind alone: the text of an error may be anybody's.
        kind => ErrorCode::Other(Some(kind.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ErrorCode;

    fn code_of(step: CopyStep, number: i32) -> ErrorCode {
        let error = io::Error::from_raw_os_error(number);
        error_code(&CopyError::destination(step, error))
    }

    #[test]
    fn error_numbers_have_the_codes_of_wasi() {
        for (number, expected) in [
            (libc::EACCES, ErrorCode::Access),
            (libc::EAGAIN, ErrorCode::Busy),
            (libc::EBADF, ErrorCode::BadDescriptor),
            (libc::EBUSY, ErrorCode::Busy),
            (libc::EDQUOT, ErrorCode::Quota),
            (libc::EEXIST, ErrorCode::Exist),
            (libc::EFBIG, ErrorCode::FileTooLarge),
            (libc::EILSEQ, ErrorCode::IllegalByteSequence),
            (libc::EINVAL, ErrorCode::Invalid),
            (libc::EIO, ErrorCode::Io),
            (libc::EISDIR, ErrorCode::IsDirectory),
            (libc::ELOOP, ErrorCode::Loop),
            (libc::EMLINK, ErrorCode::TooManyLinks),
            (libc::ENAMETOOLONG, ErrorCode::NameTooLong),
            (libc::ENOENT, ErrorCode::NoEntry),
            (libc::ENOMEM, ErrorCode::InsufficientMemory),
            (libc::ENOSPC, ErrorCode::InsufficientSpace),
            (libc::ENOSYS, ErrorCode::Unsupported),
            (libc::ENOTDIR, ErrorCode::NotDirectory),
            (libc::ENOTSUP, ErrorCode::Unsupported),
            (libc::ENOTTY, ErrorCode::Unsupported),
            (libc::EOVERFLOW, ErrorCode::Overflow),
            (libc::EPERM, ErrorCode::NotPermitted),
            (libc::EROFS, ErrorCode::ReadOnly),
            (libc::ETXTBSY, ErrorCode::TextFileBusy),
        ] {
            let found = code_of(CopyStep::Transfer, number);
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{number}");
        }
    }

    #[test]
    fn no_text_of_an_error_reaches_the_guest() {
        let error = io::Error::other("/a/path/of/the/host");
        let error = CopyError::destination(CopyStep::Transfer, error);
        let text = format!("{:?}", types::CopyError::from(error));
        assert!(text.contains("Other") && !text.contains("path"), "{text}");
    }

    #[test]
    fn a_directory_that_cannot_be_synchronised_is_io_by_any_number() {
        for number in [libc::EIO, libc::EROFS, libc::ENOSPC] {
            let found = code_of(CopyStep::SyncDirectory, number);
            assert!(matches!(found, ErrorCode::Io), "{number}: {found:?}");
        }
    }
}
